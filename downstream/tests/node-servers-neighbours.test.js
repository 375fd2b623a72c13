'use strict';

// Apps that are attached to a server on which others have WebSockets, too.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const express = require('express');
const fastify = require('fastify');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const uWS = require('uWebSockets.js');
const WebSocket = require('ws');

const { afterTest, createApp, test } = require('../helpers/project.js');
const { next } = require('../helpers/waiting.js');

/** Has a server listen until the test is over. Resolves to its port. */
async function open(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  return server.address().port;
}

/** An app that says `ours` on `/ours` and echoes. */
function createEcho() {
  return createApp({ threads: 1 }).ws('/ours', { open: (ws) => ws.send('ours'), message: (ws, message) => ws.send(message) });
}

/** What a path says first. */
async function heard(port, path) {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  afterTest(() => client.terminate());
  return String(await next(client, 'message'));
}

test('@fastify/websocket beside it: each has its routes', async () => {
  const site = fastify();
  afterTest(() => site.close());
  await site.register(require('@fastify/websocket'));
  await site.register(async (routes) => {
    routes.get('/theirs', { websocket: true }, (socket) => socket.send('theirs'));
  });
  site.get('/', async () => 'over HTTP');
  const app = createEcho();
  uWS.attach(site.server, app);
  site.addHook('onClose', () => app.shutdown({ timeout: 1000 }));
  await site.listen({ port: 0, host: '127.0.0.1' });
  const { port } = site.server.address();
  for (let count = 0; count < 3; count++) {
    assert.deepEqual([await heard(port, '/ours'), await heard(port, '/theirs')], ['ours', 'theirs']);
  }
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'over HTTP');
  const open = new WebSocket(`ws://127.0.0.1:${port}/ours`);
  await once(open, 'open');
  const closed = once(open, 'close');
  await site.close();
  assert.equal((await closed)[0], 1001);
});

test('Socket.IO on Node\'s server, which ends what it does not know after a second', async () => {
  const site = express();
  site.get('/', (request, response) => response.send('over HTTP'));
  const server = http.createServer(site);
  const socketIo = new Server(server, { destroyUpgradeTimeout: 100 });
  afterTest(() => socketIo.close());
  socketIo.on('connection', (socket) => socket.emit('word', 'theirs'));
  uWS.attach(server, createEcho());
  const port = await open(server);
  const ours = new WebSocket(`ws://127.0.0.1:${port}/ours`);
  afterTest(() => ours.terminate());
  assert.equal(String(await next(ours, 'message')), 'ours');
  for (const transports of [['websocket'], ['polling', 'websocket']]) {
    const client = io(`http://127.0.0.1:${port}`, { forceNew: true, reconnection: false, transports });
    afterTest(() => client.disconnect());
    assert.equal(await next(client, 'word'), 'theirs');
  }
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  ours.send('still here');
  assert.equal(String(await next(ours, 'message')), 'still here');
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'over HTTP');
});

test('Express application instead of its server: refused with what to pass', () => {
  assert.throws(() => uWS.attach(express(), createEcho()), /^TypeError: server must be an http.Server.*Express/);
});

test('middleware of Express that is asked before the connection is handed over', async () => {
  const site = express();
  const middleware = (request, response, done) => {
    setTimeout(() => {
      request.user = new URL(request.url, 'http://x').searchParams.get('user');
      done();
    }, 10);
  };
  site.use(middleware);
  const app = createApp({ threads: 1 }).ws('/ours', {
    upgrade: (res, req, context) => res.upgrade({ user: context.request.user }), open: (ws) => ws.send(ws.user),
  });
  const server = http.createServer(site);
  server.on('upgrade', (request, socket, head) => middleware(request, {}, () => app.handleUpgrade(request, socket, head)));
  const port = await open(server);
  assert.equal(await heard(port, '/ours?user=ann'), 'ann');
});
