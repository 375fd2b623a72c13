'use strict';

/** A client that does what no page can: it resets its connection, or breaks a rule of WebSocket. It is here to be looked at. */

const { connect } = require('node:net');

/** A text frame without a mask, which clients must use (RFC 6455 §5.1). */
const UNMASKED = Buffer.from([0x81, 2, 0x68, 0x69]);

/** What it does once its WebSocket is open. */
const FAULTS = {
  reset: (socket) => socket.resetAndDestroy(),
  'bad-frame': (socket) => socket.write(UNMASKED),
};

/** Opens an echo line of this visitor and misbehaves on it; the server reports its end to the visitor like that of any other. */
function misbehave(fault, port, visitor) {
  const socket = connect(port, 'localhost');
  socket.setTimeout(5000, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('connect', () => socket.write([
    `GET /echo?visitor=${visitor} HTTP/1.1`, `Host: localhost:${port}`, 'Connection: Upgrade', 'Upgrade: websocket',
    'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '',
  ].join('\r\n')));
  // The response to the handshake; with the reset nothing else comes.
  socket.once('data', () => {
    FAULTS[fault](socket);
    socket.resume();
  });
}

module.exports = { misbehave };
