'use strict';

// How long WebSockets of `ferrows/ws` live, and what misuse costs.

const { once } = require('node:events');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

const { Program } = require('../helpers/program.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { WebSocket, connect, pair, serve } = require('../helpers/ws.js');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** Collects garbage until the condition holds. */
async function collectUntil(condition) {
  do {
    // What `deref` returned lives as long as this turn.
    await nextTurn();
    collect();
  } while (!condition());
}

describe('garbage collection', () => {
  test('takes closed WebSockets', async () => {
    const server = await serve();
    const open = async (end) => {
      const [ws, client] = await pair(server);
      const closed = [once(ws, 'close'), once(client, 'close')];
      end(ws, client);
      await Promise.all(closed);
      return new WeakRef(ws);
    };
    const watched = [];
    for (let count = 0; count < 10; count++) {
      watched.push(await open((ws, client) => (count % 2 === 0 ? ws.terminate() : client.close())));
    }
    // The latest may still be on the stack.
    await collectUntil(() => watched.filter((reference) => reference.deref() === undefined).length >= 9);
  });

  test('leaves open ones alone to which nobody refers', async () => {
    const server = await serve({ clientTracking: false });
    server.on('connection', (ws) => ws.on('message', (data) => ws.send(String(data))));
    const raw = await RawWebSocket.open(server.port);
    for (let round = 0; round < 20; round++) {
      collect();
      raw.sendText(`${round}`);
      expect(await raw.frame()).toEqual(['text', `${round}`]);
    }
  });
});

test('a handler that throws ends nothing: the next message arrives, and so do those of others', async () => {
  const program = new Program(`
    const { WebSocketServer } = require('ferrows/ws');
    process.on('uncaughtException', (error) => say(error.message));
    const server = new WebSocketServer({ port: 0 }, () => say(server.address().port));
    server.on('connection', (ws) => {
      for (const name of ['message', 'ping', 'pong', 'close']) ws.on(name, (data) => { throw new Error(name + ' ' + data); });
    });
  `);
  const port = await program.hear();
  const raw = await RawWebSocket.open(port);
  raw.send(frame('text', 'a'), frame('ping', 'b'), frame('pong', 'c'), frame('text', 'd'));
  for (const text of ['message a', 'ping b', 'pong c', 'message d']) expect(await program.hear()).toBe(text);
  raw.finish();
  expect(await program.hear()).toBe('close 1006');
  const other = await RawWebSocket.open(port);
  other.sendText('e');
  expect(await program.hear()).toBe('message e');
});

test('methods with anything as arguments throw, or do what they can; no WebSocket suffers', async () => {
  const [server, client] = await pair(await serve());
  const things = [undefined, null, 0, -1, NaN, 1e9, '', 'x', 'x'.repeat(200), Symbol('s'), {}, [], () => {}, new Map(), 10n, Object.create(null)];
  const names = ['send', 'ping', 'pong', 'subscribe', 'unsubscribe', 'addEventListener', 'removeEventListener'];
  client.on('error', (error) => { throw error; });
  for (const name of names) {
    for (const first of things) {
      for (const second of things) {
        try {
          client[name](first, second);
        } catch (error) {
          expect(error.name).toMatch(/Error$/);
        }
      }
    }
  }
  for (const code of things) {
    if (code === undefined) continue;
    expect(() => client.close(code)).toThrow(expect.objectContaining({ name: 'TypeError' }));
  }
  for (const value of things) client.binaryType = value;
  expect([client.readyState, client.binaryType]).toEqual([WebSocket.OPEN, 'nodebuffer']);
  const heard = new Promise((resolve) => { server.on('message', (data) => String(data) === 'end' && resolve()); });
  client.send('end');
  await heard;
});

test('terminate while everything else is under way', async () => {
  const server = await serve({ perMessageDeflate: { threshold: 0 }, topics: true });
  server.on('connection', (ws) => {
    ws.subscribe('all');
    ws.on('message', () => {
      server.publish('all', 'x'.repeat(1000));
      for (const other of server.clients) other.send('y', () => other.terminate());
      ws.ping();
      ws.send(new Blob(['z']));
      ws.terminate();
      ws.terminate();
    });
  });
  for (let round = 0; round < 5; round++) {
    const clients = Array.from({ length: 10 }, () => connect(server.port).on('error', () => {}));
    const closed = clients.map((client) => once(client, 'close'));
    for (const client of clients) client.on('open', () => client.send('go'));
    await Promise.all(closed);
  }
  while (server.clients.size > 0) await nextTurn();
});
