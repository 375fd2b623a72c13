'use strict';

const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');

const { certificate } = require('./certificates.js');

/** Whether the suites run over TLS (`npm run test:tls`). */
const isSecure = process.env.FERROWS_TLS_CERT !== undefined;

/**
 * `net.connect` to a server of the tests, over TLS if that is what it speaks; the TCP socket is then `below` it. Bytes may be
 * written at once.
 */
function connect(options) {
  const socket = net.connect(options);
  if (!isSecure) return socket;
  const { allowHalfOpen = false } = options;
  return Object.assign(tls.connect({ socket, servername: 'localhost', ca: certificate().ca, allowHalfOpen }), { below: socket });
}

/** Waits until such a socket is connected. */
function connected(socket) {
  return once(socket, isSecure ? 'secureConnect' : 'connect');
}

/** Ends such a connection with a reset. */
function reset(socket) {
  if (socket.below === undefined) return socket.resetAndDestroy();
  socket.on('error', () => {});
  return socket.below.resetAndDestroy();
}

module.exports = { connect, connected, isSecure, reset };
