'use strict';

// `maxBufferedOutput`: what waits for all clients of an app together has a bound, and memory goes back after a peak.

const uWS = require('../..');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');
const { RESPONSE_FACTS, WEBSOCKET_FACTS } = require('../helpers/facts.js');

const MEGABYTE = 1024 * 1024;
const LIMIT = 32 * MEGABYTE;
const REASON = 'Output limit of the app exceeded: peer reads too slowly';
const INFO = { cause: 'ERR_OUTPUT_LIMIT', initiator: 'local', wasClean: false, ...RESPONSE_FACTS };

/** More than the kernel keeps for one connection. */
const LARGE = Buffer.alloc(16 * MEGABYTE, 'x');

/** About as much as it keeps. */
const SHORT = Buffer.alloc(MEGABYTE, 'y');

/** Asks for a path, and reads nothing. */
async function askAndWait(port, path) {
  const client = await RawClient.connect(port);
  client.pause();
  await client.send(request('GET', path));
  return client;
}

/** Resolves when no more waits than may. Threads do not end their readers at the same moment. */
async function untilWithin(app) {
  while (app.getStats().queues.backpressure > LIMIT) await new Promise(setImmediate);
}

describe('the option', () => {
  test.each([-1, 0.5, 2 ** 53, NaN])('%p is out of range', (maxBufferedOutput) => {
    expect(() => uWS.App({ maxBufferedOutput })).toThrow(expect.objectContaining({
      code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('maxBufferedOutput'),
    }));
  });

  test('text is no number', () => {
    expect(() => uWS.App({ maxBufferedOutput: '1 GB' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
  });

  test('is told by getStats, and has a default that follows the memory', () => {
    const limitOf = (options) => uWS.App(options).getStats().queues.maxBufferedOutput;
    expect(limitOf({ maxBufferedOutput: LIMIT })).toBe(LIMIT);
    expect(limitOf({ maxBufferedOutput: 0 })).toBe(0);
    expect(limitOf({})).toBeGreaterThan(0);
    expect(limitOf({})).toBeLessThanOrEqual(require('os').totalmem() / 4);
  });
});

describe.each([1, 3])('with %i I/O threads', (threads) => {
  test('those who do not read are dropped beyond the limit, and one who reads gets everything', async () => {
    const aborted = new Mailbox();
    const app = createApp({ threads, maxBufferedOutput: LIMIT })
      .get('/short', (res) => res.end(SHORT))
      .get('/stream', (res) => {
        res.onAborted((reason, info) => aborted.put({ reason, info }));
        // Without an end: the response is still the application's when it is dropped.
        res.write(LARGE);
      })
      .get('/stats', (res) => res.end(JSON.stringify(app.getStats().queues)));
    const port = listen(app);
    const slow = [];
    for (let count = 0; count < 8; count++) {
      slow.push(await askAndWait(port, '/stream'));
      const reader = await RawClient.connect(port);
      await reader.send(request('GET', '/short', ['Connection: close']));
      expect((await reader.response()).body).toHaveLength(SHORT.length);
    }
    const stats = await RawClient.connect(port);
    await stats.send(request('GET', '/stats'));
    expect((await stats.response()).status).toBe(200);
    await untilWithin(app);
    expect(await aborted.take()).toEqual({ reason: REASON, info: INFO });
    expect(app.getStats().closes.aborted.ERR_OUTPUT_LIMIT).toBeGreaterThan(0);
    slow.forEach((client) => client.reset());
  });

  test('a WebSocket is told why in its close handler', async () => {
    const closed = new Mailbox();
    const app = createApp({ threads, maxBufferedOutput: LIMIT }).ws('/*', {
      maxBackpressure: 0,
      open: (ws) => ws.send(LARGE, true),
      close: (ws, code, reason, info) => closed.put({ code, reason: Buffer.from(reason).toString(), info }),
    });
    const port = listen(app);
    for (let count = 0; count < 8; count++) (await RawWebSocket.open(port)).pause();
    expect(await closed.take()).toEqual({ code: 1006, reason: REASON, info: { ...INFO, reason: REASON, ...WEBSOCKET_FACTS } });
    await untilWithin(app);
  });
});

test('0 is no limit', async () => {
  const app = createApp({ threads: 1, maxBufferedOutput: 0 }).get('/', (res) => res.end(LARGE));
  const port = listen(app);
  const clients = [];
  for (let count = 0; count < 3; count++) clients.push(await askAndWait(port, '/'));
  for (const client of clients) {
    client.resume();
    expect((await client.response()).body).toHaveLength(LARGE.length);
  }
});

// Elsewhere the allocator gives memory back when it likes to, or RSS tells something else.
const isGlibc = process.report?.getReport().header.glibcVersionRuntime !== undefined;
(isGlibc ? test : test.skip)('memory goes back to the system after a peak', async () => {
  const program = new Program(`
    // Much more than the kernel keeps for one connection, which may be all that there is of a shorter one.
    const body = Buffer.alloc(16 * 1024 * 1024);
    const app = uWS.App().get('/', (res) => res.end(body)).get('/rss', (res) => res.end(String(process.memoryUsage.rss())));
    app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
  `);
  const port = await program.hear();
  const rss = async () => {
    const client = await RawClient.connect(port);
    await client.send(request('GET', '/rss', ['Connection: close']));
    return Number((await client.response()).text);
  };
  const before = await rss();
  const clients = await Promise.all(Array.from({ length: 25 }, () => askAndWait(port, '/')));
  while (await rss() < 3 * before);
  clients.forEach((client) => client.reset());
  while (await rss() > 1.5 * before) await new Promise((resolve) => { setTimeout(resolve, 100); });
});
