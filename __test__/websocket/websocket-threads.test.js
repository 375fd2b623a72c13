'use strict';

// Several I/O threads: connections are spread over them, and a program must not notice. What concerns topics is in
// pubsub.test.js.

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const WebSocketClient = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const THREADS = 3;
const text = (buffer) => Buffer.from(buffer).toString();
const echo = (ws, message, isBinary) => ws.send(message, isBinary);

function serve(behavior) {
  const app = createApp({ threads: THREADS });
  app.ws('/*', behavior);
  return { app, port: listen(app) };
}

function openMany(count, port, options) {
  return Promise.all(Array.from({ length: count }, () => RawWebSocket.open(port, options)));
}

test('100 connections at once: each is opened, heard, answered and closed, once and in order', async () => {
  const COUNT = 100;
  const histories = new Map();
  const closed = new Mailbox();
  const { port } = serve({
    open: (ws) => histories.set(ws, ['open']),
    message(ws, message) {
      histories.get(ws).push(text(message));
      ws.send(message);
    },
    close(ws, code, message) {
      histories.get(ws).push(`close ${code} ${text(message)}`);
      closed.put(ws);
    },
  });
  const clients = await openMany(COUNT, port);
  for (let round = 0; round < 10; round++) clients.forEach((client, index) => client.sendText(`${index}/${round}`));
  for (const [index, client] of clients.entries()) {
    for (let round = 0; round < 10; round++) expect(await client.frame()).toEqual(['text', `${index}/${round}`]);
    client.send(closeFrame(4000 + index, 'done'));
  }
  for (let count = 0; count < COUNT; count++) await closed.take();
  expect(histories.size).toBe(COUNT);
  const expected = clients.map((_, index) => {
    return ['open', ...Array.from({ length: 10 }, (__, round) => `${index}/${round}`), `close ${4000 + index} done`];
  });
  expect([...histories.values()].sort()).toEqual(expected.sort());
});

test('npm ws, 1 MB messages on 12 connections at once', async () => {
  const { port } = serve({ maxPayloadLength: 1024 * 1024, maxBackpressure: 0, message: echo });
  await Promise.all(Array.from({ length: 12 }, async () => {
    const client = new WebSocketClient(`ws://127.0.0.1:${port}/`);
    afterTest(() => client.terminate());
    await once(client, 'open');
    const payload = randomBytes(1024 * 1024);
    client.send(payload);
    const [message] = await once(client, 'message');
    expect(message.equals(payload)).toBe(true);
  }));
});

test('a handler reaches WebSockets of all threads', async () => {
  const sockets = [];
  const { port } = serve({
    open: (ws) => sockets.push(ws),
    message: (ws, message) => sockets.forEach((other) => other.send(message)),
    ping: () => sockets.forEach((other) => other.ping('from all')),
    pong: () => sockets.forEach((other) => other.end(4000, 'bye')),
  });
  const clients = await openMany(9, port);
  for (const [index, sender] of clients.entries()) {
    sender.sendText(`${index}`);
    for (const client of clients) expect(await client.frame()).toEqual(['text', `${index}`]);
  }
  clients[4].send(frame('ping', 'p'));
  const answers = [await clients[4].frame(), await clients[4].frame()];
  expect(answers).toEqual(expect.arrayContaining([['pong', 'p'], ['ping', 'from all']]));
  for (const client of clients) if (client !== clients[4]) expect(await client.frame()).toEqual(['ping', 'from all']);
  clients[7].send(frame('pong'));
  for (const client of clients) {
    expect(await client.frame()).toEqual(['close', 4000, 'bye']);
    client.send(closeFrame(4000));
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
  }
});

test('upgrades at once and later, side by side, keep their user data', async () => {
  const { port } = serve({
    upgrade(res, req, context) {
      const userData = { url: req.getUrl() };
      const key = req.getHeader('sec-websocket-key');
      const upgrade = () => res.upgrade(userData, key, '', '', context);
      res.onAborted(() => {});
      if (userData.url.endsWith('later')) setImmediate(upgrade);
      else upgrade();
    },
    open: (ws) => ws.send(ws.url),
  });
  const paths = Array.from({ length: 30 }, (_, index) => `/${index}/${index % 2 === 0 ? 'later' : 'now'}`);
  await Promise.all(paths.map(async (path) => {
    const client = await RawWebSocket.open(port, { path });
    expect(await client.frame()).toEqual(['text', path]);
  }));
});

test('one connection breaks a rule: it alone is closed', async () => {
  const closes = new Mailbox();
  const { port } = serve({ message: echo, close: (ws, code, message, { cause }) => closes.put(cause) });
  const clients = await openMany(6, port);
  clients[2].send(frame(3));
  clients[3].reset();
  const causes = [await closes.take(), await closes.take()];
  expect(causes.sort()).toEqual(['ERR_CONNECTION_RESET', 'ERR_FRAME_RESERVED_OPCODE']);
  for (const index of [0, 1, 4, 5]) {
    clients[index].sendText('still here');
    expect(await clients[index].frame()).toEqual(['text', 'still here']);
  }
  expect(closes.size).toBe(0);
});

test('app.close closes the connections of all threads inside the call', async () => {
  const closes = [];
  const { app, port } = serve({ close: (ws, code, message, { cause }) => closes.push([code, cause]) });
  const clients = await openMany(30, port);
  app.close();
  expect(closes).toEqual(Array(30).fill([1006, 'CLOSED_BY_APP_CLOSE']));
  for (const client of clients) {
    expect(await client.rest()).toEqual({ frames: [['close', 1001, 'Application called app.close()']], end: 'FIN' });
  }
});

test('connections come and go: a thousand of them, none is mixed up with another', async () => {
  const { port } = serve({ message: echo });
  await Promise.all(Array.from({ length: 20 }, async (_, lane) => {
    for (let round = 0; round < 50; round++) {
      const word = `${lane}/${round}`;
      const client = await RawWebSocket.open(port, { behind: frame('text', word) });
      expect(await client.frame()).toEqual(['text', word]);
      if (round % 3 === 0) client.reset();
      else if (round % 3 === 1) client.finish();
      else client.send(closeFrame(1000));
    }
  }));
});
