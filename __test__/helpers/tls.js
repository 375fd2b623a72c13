'use strict';

const { once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');

const uWS = require('../..');
const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');
const { RawClient } = require('./raw-http.js');

/** An app that speaks TLS on one thread, closed after the current test. */
function createSSLApp(options) {
  const { key_file_name, cert_file_name } = certificate();
  const app = uWS.SSLApp({ threads: 1, key_file_name, cert_file_name, ...options });
  afterTest(() => app.close());
  return app;
}

/**
 * A socket that speaks TLS with a port of 127.0.0.1, or where `tls.connect` options say, once the handshake is complete.
 * Half-open; `below` is the socket under it. Closed after the test.
 */
async function connectTls(target, options) {
  const where = typeof target === 'number' ? { port: target, host: '127.0.0.1' } : target;
  const below = net.connect({ ...where, allowHalfOpen: true });
  const socket = tls.connect({ ca: certificate().ca, servername: 'localhost', allowHalfOpen: true, socket: below, ...options });
  afterTest(() => socket.destroy());
  await once(socket, 'secureConnect');
  return Object.assign(socket, { below });
}

/** A client of HTTP over TLS. */
async function connectClient(target, options) {
  return new RawClient(await connectTls(target, options));
}

/** Stands between a client's TLS and its socket, and changes what goes through. */
class Relay {
  /** What becomes of the client's bytes. */
  change = (bytes) => bytes;

  constructor(below) {
    /** The socket. */
    this.below = below;
    /** What TLS takes for it. */
    this.inner = new Duplex({
      read() {},
      write: (bytes, encoding, done) => below.write(this.change(bytes), () => done()),
    });
    below.on('data', (bytes) => this.inner.push(bytes));
    below.on('error', () => {});
    below.on('end', () => this.inner.push(null));
  }
}

/** As {@link connectTls}, with a {@link Relay}: `{ socket, relay }`. */
async function connectRelayed(port) {
  const below = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const relay = new Relay(below);
  const socket = tls.connect({ socket: relay.inner, ca: certificate().ca, servername: 'localhost', allowHalfOpen: true });
  afterTest(() => {
    socket.destroy();
    below.destroy();
  });
  await once(socket, 'secureConnect');
  return { socket, relay };
}

/** A client on a TCP connection without TLS, with its `port`. Closed after the test. */
async function connectPlain(port) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  afterTest(() => socket.destroy());
  await once(socket, 'connect');
  return Object.assign(new RawClient(socket), { port: socket.localPort });
}

module.exports = { createSSLApp, connectTls, connectClient, connectPlain, connectRelayed };
