'use strict';

const { once } = require('node:events');
const net = require('node:net');

const { Mailbox } = require('./mailbox.js');

/** How a proxy may end a connection on which nothing moves. */
const CUTS = {
  /** Closes in order, on both sides. */
  fin: (near, far) => {
    near.end();
    far.end();
  },
  /** Resets both sides. */
  rst: (near, far) => {
    near.resetAndDestroy();
    far.resetAndDestroy();
  },
  /** Forgets the connection: what either side still sends disappears, and neither is told. */
  silent: (near, far) => {
    for (const socket of [near, far]) socket.removeAllListeners('data').on('data', () => {});
  },
  /** Forgets the connection, and resets whoever still sends. */
  forget: (near, far) => {
    for (const socket of [near, far]) socket.removeAllListeners('data').on('data', () => socket.resetAndDestroy());
  },
};

/**
 * A TCP proxy in front of `port` that ends connections once no byte has passed for `limit` milliseconds, as load balancers
 * do. It is to be closed.
 */
class CuttingProxy {
  /** The port to connect to. */
  port;
  /** A letter for each connection that was cut. */
  cuts = new Mailbox();

  #server;
  #sockets = new Set();

  static async start(port, how, limit) {
    const proxy = new CuttingProxy(port, how, limit);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.port = proxy.#server.address().port;
    return proxy;
  }

  constructor(port, how, limit) {
    this.#server = net.createServer({ allowHalfOpen: true }, (near) => {
      const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const timer = setTimeout(() => {
        CUTS[how](near, far);
        this.cuts.put();
      }, limit);
      for (const [from, to] of [[near, far], [far, near]]) {
        this.#sockets.add(from);
        from.on('data', (bytes) => {
          timer.refresh();
          to.write(bytes);
        });
        from.on('error', () => {});
        from.on('close', () => clearTimeout(timer));
      }
    });
  }

  /** Stops, and drops every connection. */
  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

module.exports = { CuttingProxy };
