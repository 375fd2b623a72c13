'use strict';

const { io } = require('socket.io-client');

const { afterTest, createApp, listen } = require('./project.js');
const { next } = require('./waiting.js');

/** A Socket.IO server on an app, and what makes clients of it. All are closed after the test. */
class Service {
  constructor(Server, options = {}, attachOptions = {}) {
    this.app = createApp(undefined);
    this.io = new Server(options);
    this.io.attachApp(this.app, attachOptions);
    afterTest(() => this.io.close());
    this.port = listen(this.app);
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

/** A client that asks for polling and has been upgraded to WebSocket. */
async function upgraded({ client }) {
  if (client.io.engine.transport.name !== 'websocket') await next(client.io.engine, 'upgrade');
}

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];

module.exports = { Service, TRANSPORTS, upgraded };
