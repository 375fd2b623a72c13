'use strict';

// app.shutdown with `delay` and `spread`: the load balancer notices first, and clients do not all come back at once.

const { once } = require('node:events');
const net = require('node:net');

const { ClosingServer, closed } = require('../helpers/closing-server.js');
const { failureOf } = require('../helpers/failure.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const TEXT = 'Server is shutting down';
const TOLD = closed(1001, TEXT, 'CLOSED_BY_SHUTDOWN', 'local', true);
/** Longer than any test, in milliseconds. */
const LONG = 2 ** 31 - 1;

/** Answers the Close frame of the server, which it returns. */
async function takeClose(client) {
  const received = await client.frame();
  client.send(closeFrame(1001));
  return received;
}

/** Whether something listens on a port. */
async function isListening(port) {
  const socket = net.connect(port, '127.0.0.1');
  const isConnected = await once(socket, 'connect').then(() => true, () => false);
  socket.destroy();
  return isConnected;
}

describe('delay', () => {
  test('the app says so at once, and serves until it is over', async () => {
    const app = createApp();
    const server = new ClosingServer({}, app);
    expect(app.isShuttingDown).toBe(false);
    const early = await RawWebSocket.open(server.port);
    const done = app.shutdown({ delay: 300 });
    expect(app.isShuttingDown).toBe(true);
    expect((await (await RawClient.connect(server.port)).get('/barrier')).status).toBe(200);
    const late = await RawWebSocket.open(server.port);
    late.sendText('hello');
    expect(await late.frame()).toEqual(['text', 'hello']);
    for (const client of [early, late]) expect(await takeClose(client)).toEqual(['close', 1001, TEXT]);
    expect([await server.closes.take(), await server.closes.take()]).toEqual([TOLD, TOLD]);
    expect(await done).toEqual({ forced: 0 });
    expect(await isListening(server.port)).toBe(false);
    expect(app.isShuttingDown).toBe(true);
    listen(app);
    expect(app.isShuttingDown).toBe(false);
  });

  test('a second call ends it before it returns', async () => {
    const app = createApp();
    const server = new ClosingServer({}, app);
    const client = await RawWebSocket.open(server.port);
    const first = app.shutdown({ delay: LONG, reason: 'one' });
    const second = app.shutdown({ reason: 'two' });
    expect(server.closes.size).toBe(1);
    expect(await takeClose(client)).toEqual(['close', 1001, 'one']);
    expect(await Promise.all([first, second])).toEqual([{ forced: 0 }, { forced: 0 }]);
  });

  test('close ends it, and an app that listens again right then is not shut down', async () => {
    const app = createApp().get('/*', (res) => res.end('served'));
    listen(app);
    const done = app.shutdown({ delay: LONG });
    app.close();
    const port = listen(app);
    expect(await done).toEqual({ forced: 0 });
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
  });
});

describe('spread', () => {
  test('the port is free at once, and the WebSockets are closed over the time, with the cause of a shutdown', async () => {
    const app = createApp();
    const server = new ClosingServer({}, app);
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawWebSocket.open(server.port)));
    const done = app.shutdown({ spread: 500, code: 4001, reason: Buffer.from('moved') });
    expect(app.webSockets.size).toBeGreaterThan(30);
    expect(await isListening(server.port)).toBe(false);
    const sizes = new Set();
    const expected = closed(4001, 'moved', 'CLOSED_BY_SHUTDOWN', 'local', true);
    const closes = (async () => {
      for (let count = 0; count < clients.length; count++) {
        expect(await server.closes.take()).toEqual(expected);
        sizes.add(app.webSockets.size);
      }
    })();
    for (const close of await Promise.all(clients.map(takeClose))) expect(close).toEqual(['close', 4001, 'moved']);
    await closes;
    expect(await done).toEqual({ forced: 0 });
    // Not all in one turn of the event loop.
    expect(sizes.size).toBeGreaterThan(2);
  });

  test('comes behind delay, and a second call ends both', async () => {
    const app = createApp();
    const server = new ClosingServer({}, app);
    const clients = await Promise.all(Array.from({ length: 3 }, () => RawWebSocket.open(server.port)));
    const first = app.shutdown({ delay: 1, spread: LONG });
    while (await isListening(server.port));
    expect(app.webSockets.size).toBeGreaterThanOrEqual(2);
    const second = app.shutdown();
    expect(app.webSockets.size).toBe(0);
    for (const close of await Promise.all(clients.map(takeClose))) expect(close).toEqual(['close', 1001, TEXT]);
    expect(await Promise.all([first, second])).toEqual([{ forced: 0 }, { forced: 0 }]);
  });

  test('a close handler may shut down again, or close the app', async () => {
    for (const act of ['shutdown', 'close']) {
      const app = createApp();
      let calls = 0;
      const server = new ClosingServer({ close: () => { if (calls++ === 0) app[act](); } }, app);
      await Promise.all(Array.from({ length: 5 }, () => RawWebSocket.open(server.port)));
      await app.shutdown({ spread: 50, timeout: 0 });
      expect(calls).toBe(5);
      expect(app.webSockets.size).toBe(0);
    }
  });

  test('without WebSockets, and without a connection at all, it ends', async () => {
    expect(await createApp().shutdown({ delay: 1, spread: 1 })).toEqual({ forced: 0 });
    const app = createApp();
    listen(app);
    expect(await app.shutdown({ spread: LONG })).toEqual({ forced: 0 });
  });
});

test.each([
  ['a delay that is no number', { delay: '1' }, 'ERR_INVALID_ARG_TYPE'],
  ['a delay below 0', { delay: -1 }, 'ERR_OUT_OF_RANGE'],
  ['a spread that is too long', { spread: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
  ['a spread that is no integer', { spread: 0.5 }, 'ERR_OUT_OF_RANGE'],
  ['a timeout out of range, before the delay', { delay: LONG, timeout: -1 }, 'ERR_OUT_OF_RANGE'],
  ['a code out of range, before the delay', { delay: LONG, code: 1 }, 'ERR_OUT_OF_RANGE'],
  ['a reason that is no text, before the delay', { delay: LONG, reason: 1 }, 'ERR_INVALID_ARG_TYPE'],
])('%s is refused, without effect', async (title, options, code) => {
  const app = createApp();
  const port = listen(app);
  await expect(app.shutdown(options)).rejects.toMatchObject({ code });
  expect(app.isShuttingDown).toBe(false);
  expect(await isListening(port)).toBe(true);
  expect(failureOf(() => Object.create(app).isShuttingDown).code).toBe('ERR_INVALID_THIS');
});
