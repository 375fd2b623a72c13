'use strict';

// Socket.IO on a server of Node's, with `ferrows/ws` as its `wsEngine`.

const assert = require('node:assert/strict');
const { Server } = require('socket.io');
const ferrows = require('uWebSockets.js/ws');

const { test } = require('../helpers/project.js');
const { NodeService } = require('../helpers/socket-io.js');
const { next, until } = require('../helpers/waiting.js');
const { testMessages } = require('../suites/socket-io-basics.js');

class OnFerrows extends NodeService {
  constructor(Server, options) {
    super(Server, { wsEngine: ferrows.Server, ...options });
  }
}

testMessages('Socket.IO with wsEngine', Server, OnFerrows);

test('Socket.IO with wsEngine: its transport is a WebSocket of ferrows/ws, and says who the peer is', async () => {
  const service = new OnFerrows(Server);
  const { client, socket } = await service.connect({ transports: ['websocket'] });
  assert.ok(socket.conn.transport.socket instanceof ferrows.WebSocket);
  assert.match(socket.conn.remoteAddress, /127\.0\.0\.1$/);
  const [gone] = await Promise.all([next(socket, 'disconnect'), client.disconnect()]);
  assert.equal(gone, 'client namespace disconnect');
  await until(() => service.io.engine.clientsCount === 0);
});

test('Socket.IO with wsEngine: compression, the limit of a message, and clients that do not answer', async () => {
  const service = new OnFerrows(Server, { perMessageDeflate: { threshold: 10 }, maxHttpBufferSize: 1000, pingInterval: 50, pingTimeout: 50 });
  const { client, socket } = await service.connect({ transports: ['websocket'] });
  assert.equal(socket.conn.transport.socket.extensions, 'permessage-deflate');
  const text = 'x'.repeat(900);
  socket.on('echo', (message, acknowledge) => acknowledge(message));
  assert.equal(await client.emitWithAck('echo', text), text);
  const reason = next(socket, 'disconnect');
  client.emit('echo', 'y'.repeat(2000));
  assert.match(await reason, /^transport (error|close)$/);
  const silent = await service.connect({ transports: ['websocket'] });
  // The client of Engine.IO answers pings by messages.
  silent.client.io.engine.transport.ws.onmessage = () => {};
  assert.equal(await next(silent.socket, 'disconnect'), 'ping timeout');
});
