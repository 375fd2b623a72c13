'use strict';

// Servers and clients of `ferrows/ws`, which are gone after the test.

const { once } = require('node:events');

const WebSocket = require('../../ws.js');
const { afterTest } = require('./cleanup.js');

/** A server on a free port. Resolves to it; it has `port`. */
async function serve(options = {}) {
  const server = new WebSocket.WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  await once(server, 'listening');
  afterTest(() => {
    for (const client of server.clients ?? []) client.terminate();
    server.close();
  });
  return Object.assign(server, { port: server.address().port });
}

/** A client. */
function connect(port, ...options) {
  const client = new WebSocket(`ws://127.0.0.1:${port}`, ...options);
  afterTest(() => client.on('error', () => {}).terminate());
  return client;
}

/** Both ends of a WebSocket: `[server's, client's, request]`. */
async function pair(server, ...options) {
  const client = connect(server.port, ...options);
  const [[end, request]] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  return [end, client, request];
}

/** The next message: `[text]`, or `[Buffer, true]` if it is binary. */
async function messageOf(ws) {
  const [data, isBinary] = await once(ws, 'message');
  return isBinary ? [data, true] : [data.toString()];
}

/** The next messages, in the form of `messageOf`, from now on: none is lost while another one's are waited for. */
function messagesOf(ws, count) {
  const messages = [];
  return new Promise((resolve) => {
    ws.on('message', function take(data, isBinary) {
      messages.push(isBinary ? [data, true] : [data.toString()]);
      if (messages.length < count) return;
      ws.off('message', take);
      resolve(messages);
    });
  });
}

/** How it closes: `[code, reason]`. */
async function closeOf(ws) {
  const [code, reason] = await once(ws, 'close');
  return [code, reason.toString()];
}

module.exports = { WebSocket, closeOf, connect, messageOf, messagesOf, pair, serve };
