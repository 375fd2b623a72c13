'use strict';

// Stands for `ws` when the suites run over TLS: see run.js.

const Plain = require('../../node_modules/ws');

class WebSocket extends Plain {
  constructor(address, ...rest) {
    // One without an address gets its stream later.
    super(address === null ? null : String(address).replace(/^ws:/, 'wss:'), ...rest);
  }
}

module.exports = Object.assign(WebSocket, { WebSocket });
