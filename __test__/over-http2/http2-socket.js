'use strict';

// An HTTP/2 connection for those who speak HTTP/1.1: see ../over-streams/run.js.

const http2 = require('node:http2');
const net = require('node:net');
const { Duplex } = require('node:stream');

const { Http1Socket } = require('../over-streams/http1-socket.js');

/** Bytes that a server may send ahead, as those that the system takes for a socket. */
const WINDOW = 1 << 22;

/** FIN and RST are those of the TCP connection. */
class Http2Socket extends Http1Socket {
  #session;
  /** What the session reads and writes. */
  #wire;

  constructor({ allowHalfOpen = false, ...options }) {
    const below = net.connect({ ...options, allowHalfOpen: true }).setNoDelay(true);
    // A stream of its own: that the session closes does not close the connection, which the user does.
    const wire = new Duplex({
      allowHalfOpen: true,
      read: () => {
        if (this.isTaking) below.resume();
      },
      write: (bytes, encoding, done) => (below.writable ? below.write(bytes, () => done()) : done()),
    });
    const settings = { initialWindowSize: WINDOW };
    const session = http2.connect('http://test', { createConnection: () => wire, maxSessionMemory: 1000, settings });
    session.on('connect', () => session.setLocalWindowSize(WINDOW));
    super({ below, session, scheme: 'http', allowHalfOpen });
    this.#session = session;
    this.#wire = wire;
    below.on('data', (bytes) => {
      if (!wire.push(bytes) || !this.isTaking) below.pause();
    });
    // Behind what its streams have received.
    below.on('end', () => wire.push(null));
  }

  isBehind() {
    return super.isBehind() || this.#session.state.outboundQueueSize > 0 || this.#wire.writableLength > 0;
  }
}

module.exports = { Http2Socket };
