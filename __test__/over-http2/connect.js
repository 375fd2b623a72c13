'use strict';

// Stands for helpers/connect.js when the suites run over HTTP/2: see run.js.

const { once } = require('node:events');

const { Http1Socket } = require('../over-streams/http1-socket.js');

module.exports = {
  connect: (options) => new Http1Socket(options),
  connected: (socket) => once(socket, 'connect'),
  isSecure: false,
  reset: (socket) => socket.resetAndDestroy(),
};
