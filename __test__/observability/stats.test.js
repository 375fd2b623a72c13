'use strict';

// app.getStats(): every number against what clients did and what handlers were told.

const { connect } = require('../..');
const { textOf } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const DROPPED = 2;
const SIZE = 64 * 1024;

/** A server whose `/stats` answers with its own numbers, taken inside the handler: all that came before is counted. */
class CountingServer {
  closes = new Mailbox();
  opened = new Mailbox();

  constructor(behavior = {}, options = { threads: 1 }) {
    this.app = createApp(options);
    this.app.get('/stats', (res) => res.end(JSON.stringify(this.app.getStats())));
    this.app.ws('/*', {
      open: (ws) => this.opened.put(ws),
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, message, { cause }) => this.closes.put(cause),
      ...behavior,
    });
    this.port = listen(this.app);
  }

  async stats() {
    const client = await RawClient.connect(this.port);
    const response = await client.get('/stats', 'Connection: close');
    await client.rest();
    return JSON.parse(response.text);
  }

  async enter() {
    const client = await RawWebSocket.open(this.port);
    return { client, ws: await this.opened.take() };
  }
}

test('an app that nobody has talked to has gone through nothing', () => {
  expect(createApp().getStats()).toEqual({
    uptime: expect.any(Number),
    connections: { http: { open: 0, total: 0 }, webSocket: { open: 0, total: 0 } },
    requests: 0,
    messages: { received: 0, sent: 0, dropped: 0 },
    bytes: { received: 0, sent: 0 },
    closes: { webSocket: {}, aborted: {}, refused: {} },
    handshakeFailures: { tls: 0, webSocket: 0 },
    patterns: [],
    queues: { events: expect.any(Number), eventBytes: expect.any(Number), commands: expect.any(Number), backpressure: 0, maxBufferedOutput: expect.any(Number) },
    workers: expect.any(Array),
  });
});

test('uptime counts seconds since the app was made', async () => {
  const before = process.hrtime.bigint();
  const app = createApp();
  const { uptime } = app.getStats();
  await new Promise(setImmediate);
  const later = app.getStats().uptime;
  const passed = Number(process.hrtime.bigint() - before) / 1e9;
  expect(uptime).toBeGreaterThan(0);
  expect(later).toBeGreaterThan(uptime);
  expect(later).toBeLessThanOrEqual(passed);
});

test('connections: those of WebSockets are counted apart from those that speak HTTP', async () => {
  const server = new CountingServer();
  const idle = await RawClient.connect(server.port);
  await idle.get('/stats');
  const { client } = await server.enter();
  expect((await server.stats()).connections).toEqual({
    // The idle one and the one that asks.
    http: { open: 2, total: 3 },
    webSocket: { open: 1, total: 1 },
  });
  client.finish();
  await server.closes.take();
  idle.finish();
  await idle.rest();
  expect((await server.stats()).connections).toEqual({ http: { open: 1, total: 4 }, webSocket: { open: 0, total: 1 } });
});

test('connections: a WebSocket is open in its open handler, and no more in its close handler', async () => {
  const seen = [];
  const done = new Mailbox();
  const app = createApp();
  const look = () => seen.push(app.getStats().connections.webSocket.open);
  app.ws('/*', {
    open: look,
    close: () => {
      look();
      done.put();
    },
  });
  const client = await RawWebSocket.open(listen(app));
  client.finish();
  await done.take();
  expect(seen).toEqual([1, 0]);
});

test('requests and bytes are those on the wire', async () => {
  const server = new CountingServer();
  server.app.post('/', (res) => res.end('answer'));
  const client = await RawClient.connect(server.port);
  let [sent, received] = [0, 0];
  const exchange = async (text) => {
    sent += text.length;
    await client.send(text);
    const response = await client.response();
    received += response.headText.length + response.body.length;
    return response;
  };
  await exchange(request('POST', '/', [], 'x'.repeat(100_000)));
  await exchange(request('POST', '/', ['Transfer-Encoding: chunked']) + '5\r\nhello\r\n0\r\n\r\n');
  const before = received;
  const stats = JSON.parse((await exchange(request('GET', '/stats'))).text);
  expect([stats.requests, stats.bytes]).toEqual([3, { received: sent, sent: before }]);
});

test('bytes: large bodies and streamed ones count as they go out', async () => {
  const server = new CountingServer();
  server.app.get('/large', (res) => res.end('x'.repeat(3_000_000)));
  server.app.get('/pieces', (res) => {
    for (let count = 0; count < 20; count++) res.write('y'.repeat(50_000));
    res.end();
  });
  const client = await RawClient.connect(server.port);
  let received = 0;
  for (const path of ['/large', '/pieces']) {
    const { headText, body, chunks } = await client.get(path);
    const framing = chunks === undefined ? 0 : chunks.reduce((sum, { length }) => sum + length.toString(16).length + 4, 5);
    received += headText.length + body.length + framing;
  }
  expect(JSON.parse((await client.get('/stats')).text).bytes.sent).toBe(received);
});

test('messages: one in fragments counts once, a published one for everybody who gets it', async () => {
  const server = new CountingServer();
  const { client, ws } = await server.enter();
  const { ws: other } = await server.enter();
  client.send(frame('text', 'a', { fin: false }), frame('ping', ''), frame('continuation', 'b'));
  client.sendText('c');
  expect([await client.frame(), await client.frame(), await client.frame()]).toEqual([['pong', ''], ['text', 'ab'], ['text', 'c']]);
  ws.sendFirstFragment('d');
  ws.sendFragment('e');
  ws.sendLastFragment('f');
  ws.subscribe('news');
  other.subscribe('news');
  server.app.publish('news', 'g');
  ws.publish('news', 'h');
  expect((await server.stats()).messages).toEqual({ received: 2, sent: 6, dropped: 0 });
});

test.each([
  ['with a dropped handler', { dropped: () => {} }],
  ['without one', {}],
])('messages: what maxBackpressure keeps back is dropped and not sent, %s', async (title, behavior) => {
  const server = new CountingServer({ maxBackpressure: SIZE, ...behavior });
  const { client, ws } = await server.enter();
  client.pause();
  const payload = Buffer.alloc(SIZE);
  let sent = 0;
  while (ws.send(payload, true) !== DROPPED) sent++;
  expect(ws.send(payload, true)).toBe(DROPPED);
  ws.subscribe('news');
  server.app.publish('news', payload, true);
  expect((await server.stats()).messages).toEqual({ received: 0, sent, dropped: 3 });
});

test('back-pressure: what peers do not take is counted until they take it, or are gone', async () => {
  const server = new CountingServer({ maxBackpressure: 0 });
  server.app.get('/large', (res) => res.end('x'.repeat(20_000_000)));
  const backpressure = async () => (await server.stats()).queues.backpressure;
  const reader = await RawClient.connect(server.port);
  reader.pause();
  await reader.send(request('GET', '/large'));
  await server.stats();
  const ofResponse = await backpressure();
  expect(ofResponse).toBeGreaterThan(0);
  const { client, ws } = await server.enter();
  client.pause();
  ws.send(Buffer.alloc(20_000_000), true);
  await server.stats();
  expect(await backpressure()).toBeGreaterThan(ofResponse);
  reader.resume();
  expect((await reader.response()).body.length).toBe(20_000_000);
  expect(await backpressure()).toBeGreaterThan(0);
  client.resume();
  expect((await client.frame())[1].length).toBe(20_000_000);
  expect(await backpressure()).toBe(0);
  client.pause();
  ws.send(Buffer.alloc(20_000_000), true);
  await server.stats();
  expect(await backpressure()).toBeGreaterThan(0);
  ws.close();
  expect(await backpressure()).toBe(0);
});

test('closes: WebSockets count by the cause that their close handler was told', async () => {
  const told = {};
  const closed = new Mailbox();
  const server = new CountingServer({
    close: (ws, code, message, { cause }) => {
      told[cause] = (told[cause] ?? 0) + 1;
      closed.put();
    },
  });
  const ends = [
    ({ client }) => client.send(closeFrame(1000)),
    ({ client }) => client.send(closeFrame(4000, 'bye')),
    ({ client }) => client.send(frame('close')),
    ({ client }) => client.finish(),
    ({ client }) => client.reset(),
    ({ client }) => client.send(frame(3)),
    ({ ws }) => ws.end(1000),
    ({ ws }) => ws.close(),
  ];
  for (const end of ends) {
    end(await server.enter());
    await closed.take();
  }
  await server.enter();
  server.app.close();
  expect(Object.keys(told)).toHaveLength(8);
  const { closes, connections } = server.app.getStats();
  expect(closes.webSocket).toEqual(told);
  expect(connections.webSocket).toEqual({ open: 0, total: ends.length + 1 });
});

test('closes: aborted responses count by the cause that onAborted was told', async () => {
  const told = {};
  const [begun, ended] = [new Mailbox(), new Mailbox()];
  const server = new CountingServer();
  server.app.any('/wait', (res) => {
    res.onAborted((reason, { cause }) => {
      told[cause] = (told[cause] ?? 0) + 1;
      ended.put();
    });
    begun.put(res);
  });
  const ends = [
    (client) => client.finish(),
    (client) => client.reset(),
    (client, res) => res.close(),
    (client, res) => res.close(),
  ];
  for (const end of ends) {
    const client = await RawClient.connect(server.port);
    await client.send(request('GET', '/wait'));
    end(client, await begun.take());
    await ended.take();
  }
  const client = await RawClient.connect(server.port);
  await client.send(request('POST', '/wait', ['Transfer-Encoding: chunked']) + 'nonsense\r\n');
  await ended.take();
  expect(told).toEqual({
    ERR_FIN_BEFORE_RESPONSE: 1, ERR_CONNECTION_RESET: 1, CLOSED_BY_APPLICATION: 2, ERR_HTTP_INVALID_BODY: 1,
  });
  const { closes } = await server.stats();
  expect(closes).toEqual({ webSocket: {}, aborted: told, refused: { ERR_HTTP_CHUNK_SIZE: 1 } });
});

test('closes: requests that break a rule count by its name, those of the PROXY protocol too', async () => {
  const server = new CountingServer({}, { threads: 1, headersTimeout: 50, proxyProtocol: { trust: ['127.0.0.1'] } });
  const broken = [
    'GET / HTTP/1.1\nHost: test\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost:',
    '\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0',
  ];
  for (const bytes of broken) {
    const client = await RawClient.connect(server.port);
    await client.send(bytes);
    await client.rest();
  }
  expect((await server.stats()).closes.refused).toEqual({
    ERR_HTTP_BARE_LF: 1, ERR_HTTP_MISSING_HOST: 2, ERR_HTTP_REQUEST_TIMEOUT: 1, ERR_PROXY_VERSION: 1,
  });
});

test('handshakes that break a rule are counted, and those of other requests are not', async () => {
  const server = new CountingServer();
  for (const fault of ['Sec-WebSocket-Version: 8', 'Connection: close', 'Upgrade: h2c']) {
    const [name] = fault.split(':');
    const client = await RawClient.connect(server.port);
    await client.send(handshake('/').replace(new RegExp(`${name}: .*`), fault));
    expect([400, 426]).toContain((await client.response()).status);
  }
  await server.enter();
  expect((await server.stats()).handshakeFailures).toEqual({ tls: 0, webSocket: 3 });
});

test('queues: events that wait behind the running handler, and commands that it has given', async () => {
  const seen = new Mailbox();
  const app = createApp();
  const look = () => app.getStats().queues;
  app.ws('/*', {
    message: (ws, message) => {
      const before = look();
      ws.send(message);
      seen.put({ text: textOf(message), events: before.events, commands: look().commands - before.commands });
    },
  });
  const client = await RawWebSocket.open(listen(app));
  client.send(frame('text', 'a'), frame('text', 'b'), frame('text', 'c'));
  for (const [text, events] of [['a', 2], ['b', 1], ['c', 0]]) {
    expect(await seen.take()).toEqual({ text, events, commands: 1 });
  }
});

test('workers: each has a name, and processor time where the system tells', async () => {
  const server = new CountingServer({}, { threads: 2 });
  const first = await server.stats();
  expect(first.workers.length).toBeGreaterThanOrEqual(2);
  const { workers } = await server.stats();
  workers.forEach(({ name, cpu }, index) => {
    expect(name).toBe(`ferrows-${index}`);
    if (process.platform === 'linux') expect(cpu).toBeGreaterThan(0);
    else expect(cpu).toBeUndefined();
  });
  const total = (list) => list.reduce((sum, { cpu }) => sum + cpu, 0);
  if (process.platform === 'linux') expect(total(workers)).toBeGreaterThan(total(first.workers));
});

test('apps count apart, and go on counting after app.close()', async () => {
  const [first, second] = [new CountingServer(), new CountingServer({}, { threads: 2 })];
  await first.stats();
  first.app.close();
  expect(first.app.getStats()).toMatchObject({ requests: 1, connections: { http: { open: 0, total: 1 } } });
  first.port = listen(first.app);
  await first.stats();
  expect((await second.stats()).requests).toBe(1);
  expect((await first.stats()).requests).toBe(3);
});

test('WebSockets that connect has opened are not those of an app', async () => {
  const server = new CountingServer();
  const closed = new Mailbox();
  connect(`ws://127.0.0.1:${server.port}/`, {
    open: (ws) => ws.send('hello'),
    message: (ws) => ws.end(1000),
    close: () => closed.put(),
  });
  await closed.take();
  await server.closes.take();
  const { connections, messages, closes } = await server.stats();
  expect(connections.webSocket).toEqual({ open: 0, total: 1 });
  expect(messages).toEqual({ received: 1, sent: 1, dropped: 0 });
  expect(closes.webSocket).toEqual({ CLOSED_BY_PEER: 1 });
});

test('getStats is refused on other objects', () => {
  const { getStats } = createApp();
  expect(() => getStats.call({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_THIS' }));
});
