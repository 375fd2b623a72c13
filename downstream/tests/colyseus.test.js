'use strict';

// Colyseus on @colyseus/uwebsockets-transport: matchmaking over HTTP, rooms, messages both ways, state, express, and leaving.

const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const { after, before } = require('node:test');

const { Room, Server } = require('@colyseus/core');
const { schema, t } = require('@colyseus/schema');
const { Client } = require('@colyseus/sdk');
const { uWebSocketsTransport } = require('@colyseus/uwebsockets-transport');
const uWS = require('uWebSockets.js');

const { afterTest, Mailbox, test } = require('../helpers/project.js');

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
const LARGE = randomBytes(700_000);

/** What the rooms hear: `['join' | 'leave', name, …]`. */
const events = new Mailbox();

const State = schema({ names: t.map('string') }, 'State');

class Chat extends Room {
  state = new State();

  onCreate() {
    this.onMessage('say', (client, text) => this.broadcast('said', { by: client.userData.name, text }));
    this.onMessage('echo', (client, value) => client.send('echo', value));
    this.onMessage('large', (client) => client.sendBytes('large', LARGE));
    this.onMessage('go away', (client) => client.leave(4321));
  }

  onAuth(client, { name }) {
    if (name === 'nobody') throw new Error('not you');
    return true;
  }

  onJoin(client, { name }) {
    client.userData = { name };
    this.state.names.set(client.sessionId, name);
    events.put(['join', name]);
  }

  onLeave(client, code) {
    this.state.names.delete(client.sessionId);
    events.put(['leave', client.userData.name, code]);
  }
}

/** One for all tests: its matchmaker is one for the whole process. */
let server;
let port;

before(async () => {
  const transport = new uWebSocketsTransport({ maxPayloadLength: 1024 * 1024 });
  const express = (app) => app.get('/hello/:name', (request, response) => response.json({ hello: request.params.name }));
  server = new Server({ transport, express, greet: false, gracefullyShutdown: false });
  server.define('chat', Chat);
  await server.listen(0);
  port = uWS.us_socket_local_port(transport._listeningSocket);
});

after(() => server.gracefullyShutdown(false));

/** A member of a room, everything it hears of these messages, and how it left. */
async function join(name, ...types) {
  const room = await new Client(`ws://127.0.0.1:${port}`).joinOrCreate('chat', { name });
  assert.deepEqual(await events.take(), ['join', name]);
  const heard = new Mailbox();
  for (const type of types) room.onMessage(type, (message) => heard.put([type, message]));
  const left = new Promise((resolve) => {
    room.onLeave(resolve);
  });
  afterTest(async () => {
    if (room.connection.isOpen) await room.leave();
    while (events.size > 0) await events.take();
  });
  return { room, heard, left };
}

test('colyseus: messages both ways and to all, state, and leaving', async () => {
  const [ann, bob] = [await join('ann', 'said', 'echo'), await join('bob', 'said')];
  assert.equal(ann.room.roomId, bob.room.roomId);
  ann.room.send('say', 'é✓😀');
  for (const { heard } of [ann, bob]) assert.deepEqual(await heard.take(), ['said', { by: 'ann', text: 'é✓😀' }]);
  const value = { list: [1, 'two', null], nested: { yes: true } };
  ann.room.send('echo', value);
  assert.deepEqual(await ann.heard.take(), ['echo', value]);

  const names = (room) => [...room.state.names.values()].sort();
  while (names(ann.room).length < 2) await new Promise((resolve) => ann.room.onStateChange.once(resolve));
  assert.deepEqual(names(ann.room), ['ann', 'bob']);

  assert.equal(await bob.room.leave(), 4000);
  assert.deepEqual(await events.take(), ['leave', 'bob', 4000]);
  while (names(ann.room).length > 1) await new Promise((resolve) => ann.room.onStateChange.once(resolve));
});

test('colyseus: large messages', async () => {
  const { room, heard } = await join('ann', 'large', 'echo');
  room.send('large');
  const [, bytes] = await heard.take();
  assert.equal(hash(bytes), hash(LARGE));
  const text = 'x'.repeat(500_000);
  room.send('echo', text);
  assert.deepEqual(await heard.take(), ['echo', text]);
});

test('colyseus: who is sent away, breaks off or is not let in', async () => {
  const ann = await join('ann');
  ann.room.reconnection.enabled = false;
  ann.room.send('go away');
  assert.equal(await ann.left, 4321);
  assert.deepEqual((await events.take()).slice(0, 2), ['leave', 'ann']);

  const bob = await join('bob');
  bob.room.reconnection.enabled = false;
  bob.room.connection.transport.ws.terminate();
  assert.deepEqual(await events.take(), ['leave', 'bob', 1006]);

  await assert.rejects(join('nobody'), /not you/);
});

test('colyseus: express beside it, and CORS', async () => {
  const response = await fetch(`http://127.0.0.1:${port}/hello/you`, { headers: { Origin: 'http://elsewhere' } });
  assert.deepEqual(await response.json(), { hello: 'you' });
  assert.ok(response.headers.get('access-control-allow-origin'));
  const preflight = await fetch(`http://127.0.0.1:${port}/matchmake/joinOrCreate/chat`, { method: 'OPTIONS' });
  assert.equal(preflight.status, 204);
});
