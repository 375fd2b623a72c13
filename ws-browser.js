'use strict';

// `ferrows/ws` in a bundle for a browser: the WebSocket of the platform.

/** Throws when it is used, so that code that only servers run can be bundled. */
function missing(name) {
  return function unavailable() {
    throw new Error(`${name} of ferrows/ws is not there in a browser, which has clients only`);
  };
}

const { WebSocket } = globalThis;

module.exports = WebSocket;
module.exports.WebSocket = WebSocket;
module.exports.WebSocketServer = missing('WebSocketServer');
module.exports.Server = module.exports.WebSocketServer;
module.exports.createWebSocketStream = missing('createWebSocketStream');
