'use strict';

const http = require('node:http');
const { io } = require('socket.io-client');

const { afterTest, createApp, listen } = require('./project.js');
const { next } = require('./waiting.js');

/** A Socket.IO server, and what makes clients of it. All are closed after the test. */
class AnyService {
  constructor(io) {
    this.io = io;
    afterTest(() => this.io.close());
  }

  /** The address of a namespace. */
  url(namespace = '/') {
    return `http://127.0.0.1:${this.port}${namespace}`;
  }

  /** A client that connects; it has a connection of its own. */
  client(options = {}, namespace = '/') {
    const client = io(this.url(namespace), { forceNew: true, reconnection: false, ...options });
    afterTest(() => client.disconnect());
    return client;
  }

  /** A client that is connected, and the server's socket. */
  async connect(options, namespace = '/') {
    const client = this.client(options, namespace);
    await next(client, 'connect');
    return { client, socket: this.io.of(namespace).sockets.get(client.id) };
  }
}

/** On an app. */
class Service extends AnyService {
  constructor(Server, options = {}, attachOptions = {}) {
    super(new Server(options));
    this.app = createApp(undefined);
    this.io.attachApp(this.app, attachOptions);
    this.port = listen(this.app);
  }
}

/** On a server of Node's, with another package in the place of `ws`. */
class NodeService extends AnyService {
  #server = http.createServer();

  constructor(Server, options) {
    super(new Server(options));
    this.io.attach(this.#server);
    // Without a name to look up, it listens at once.
    this.#server.listen(0);
  }

  get port() {
    return this.#server.address().port;
  }
}

/** A client that asks for polling and has been upgraded to WebSocket. */
async function upgraded({ client }) {
  if (client.io.engine.transport.name !== 'websocket') await next(client.io.engine, 'upgrade');
}

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];

module.exports = { NodeService, Service, TRANSPORTS, upgraded };
