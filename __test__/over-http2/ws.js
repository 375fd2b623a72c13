'use strict';

// Stands for `ws` when the suites run over HTTP/2: see run.js.

const Plain = require('../../node_modules/ws');

const { Http1Socket } = require('../over-streams/http1-socket.js');

class WebSocket extends Plain {
  constructor(address, ...rest) {
    const options = rest.find((argument) => typeof argument === 'object' && argument !== null && !Array.isArray(argument));
    const others = rest.filter((argument) => argument !== options);
    const protocols = others.length === 0 ? [] : others[0];
    super(address, protocols, { createConnection: ({ host, port }) => new Http1Socket({ host, port }), ...options });
  }
}

module.exports = Object.assign(WebSocket, { WebSocket });
