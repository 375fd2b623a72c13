'use strict';

// Whatever ends a connection by itself says so in a GOAWAY: a code, the last stream that is served, and why. What concerns one
// stream ends that one. Rules that a client breaks: http2-limits.test.js.

const { once } = require('node:events');

const {
  RawHttp2, ask, connectHttp2, createHttp2App, frameOf, goawayOf, headersFrame, numbers, openWebSocket,
} = require('../helpers/http2-client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { listen } = require('../helpers/server.js');

/** The last stream of a GOAWAY that refuses nothing. */
const ALL = 2 ** 31 - 1;

/** SETTINGS that give streams no window. */
const NO_WINDOW = frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(0)]) });

/** An app whose route /wait is answered when the test does, and all else at once; `begun` gets the responses of the former. */
function serveWaiting(options) {
  const begun = new Mailbox();
  const app = createHttp2App(true, options);
  app.any('/wait', (res) => {
    res.onAborted(() => {});
    begun.put(res);
  });
  app.any('/*', (res) => res.end('answered'));
  return { app, begun, port: listen(app) };
}

/** A client with an open stream, 1. */
async function waitOn({ port, begun }) {
  const client = await RawHttp2.connect(port);
  client.send(headersFrame(1, { fields: { ':path': '/wait' } }));
  return { client, res: await begun.take() };
}

describe('a GOAWAY has the reason', () => {
  test('of app.close(), with a stream that is open', async () => {
    const server = serveWaiting();
    const { client } = await waitOn(server);
    server.app.close();
    expect(await client.goaway()).toStrictEqual({ last: 1, code: 'NO_ERROR', reason: 'CLOSED_BY_APP_CLOSE: Application called app.close()' });
  });

  test('of app.close(), behind a response that was written before', async () => {
    const { app, port } = serveWaiting();
    app.get('/last', (res) => {
      res.end('last');
      app.close();
    });
    const client = await RawHttp2.connect(port);
    client.send(headersFrame(1, { fields: { ':path': '/last' } }));
    expect((await client.next('DATA', 1)).payload.toString()).toBe('last');
    expect(await client.goaway()).toMatchObject({ last: 1, code: 'NO_ERROR' });
  });

  test.each([
    ['the usual one', {}, 'CLOSED_BY_SHUTDOWN: Server is shutting down'],
    ['one of the program', { reason: 'moved to another place' }, 'CLOSED_BY_SHUTDOWN: moved to another place'],
    ['a long one', { reason: '€'.repeat(10_000) }, expect.stringMatching(/^CLOSED_BY_SHUTDOWN: €{300,341}$/)],
  ])('of app.shutdown(), %s, at once and with the last stream that is served', async (title, options, reason) => {
    const server = serveWaiting();
    const { client, res } = await waitOn(server);
    const ended = server.app.shutdown(options);
    expect(goawayOf(await client.next('GOAWAY'))).toStrictEqual({ last: ALL, code: 'NO_ERROR', reason });
    const { payload } = await client.next('PING');
    client.send(frameOf('PING', { flags: 1, payload }));
    expect(goawayOf(await client.next('GOAWAY'))).toStrictEqual({ last: 1, code: 'NO_ERROR', reason });
    client.send(headersFrame(3));
    expect(await client.reset(3)).toBe('REFUSED_STREAM');
    res.end('served');
    expect((await client.next('DATA', 1)).payload.toString()).toBe('served');
    expect(await ended).toMatchObject({ forced: 0 });
  });

  test('of the timeout of app.shutdown()', async () => {
    const server = serveWaiting();
    const { client } = await waitOn(server);
    const ended = server.app.shutdown({ timeout: 50 });
    expect(await client.goaway()).toStrictEqual({ last: 1, code: 'NO_ERROR', reason: 'CLOSED_BY_SHUTDOWN: Server is shutting down' });
    expect(await ended).toMatchObject({ forced: 1 });
  });

  test('of keepAliveTimeout', async () => {
    const { port } = serveWaiting({ keepAliveTimeout: 100 });
    const client = await RawHttp2.connect(port);
    client.send(headersFrame(1));
    expect(await client.goaway()).toStrictEqual({ last: 1, code: 'NO_ERROR', reason: 'CLOSED_WITHOUT_REQUEST: no request arrived in time' });
  });

  (process.platform === 'win32' ? test.skip : test)('of a connection that has to make room for new ones', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 1, http2: true, headersTimeout: 0, keepAliveTimeout: 0 }).any('/*', (res) => res.end('served'));
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { descriptors: 100 });
    const port = await program.hear();
    const client = await RawHttp2.connect(port);
    client.send(headersFrame(1));
    await client.next('DATA', 1);
    let goaway;
    client.goaway().then((it) => {
      goaway = it;
    });
    for (let count = 0; goaway === undefined && count < 1000; count++) {
      const other = await RawHttp2.connect(port);
      other.send(headersFrame(1));
      await Promise.race([other.next('DATA', 1), other.goaway()]).catch(() => {});
    }
    expect(goaway).toStrictEqual({ last: 1, code: 'NO_ERROR', reason: 'CLOSED_FOR_ROOM: the process has no descriptors left' });
  });
});

describe('maxBufferedOutput', () => {
  const LIMIT = 4 << 20;
  const LARGE = Buffer.alloc(LIMIT + (1 << 20), 'x');

  /** An app with that limit, whose /large goes beyond it; `aborts` gets the causes, `begun` the response of /some. */
  function serveLarge() {
    const [aborts, begun] = [new Mailbox(), new Mailbox()];
    const app = createHttp2App(true, { maxBufferedOutput: LIMIT });
    app.get('/large', (res) => {
      res.onAborted((reason, { cause }) => aborts.put(cause));
      res.write(LARGE);
    });
    app.get('/some', (res) => {
      res.onAborted((reason, { cause }) => aborts.put(`some: ${cause}`));
      res.write('some');
      begun.put(res);
    });
    app.any('/*', (res) => res.end('answered'));
    return { app, aborts, begun };
  }

  test('resets the stream whose client takes nothing, and leaves the others of its connection', async () => {
    const { app, aborts, begun } = serveLarge();
    const client = await RawHttp2.connect(listen(app), { settings: NO_WINDOW });
    client.send(headersFrame(1, { fields: { ':path': '/some' } }), frameOf('WINDOW_UPDATE', { stream: 1, payload: numbers(1000) }));
    expect((await client.next('DATA', 1)).payload.toString()).toBe('some');
    client.send(headersFrame(3, { fields: { ':path': '/large' } }));
    expect(await client.reset(3)).toBe('ENHANCE_YOUR_CALM');
    expect(await aborts.take()).toBe('ERR_OUTPUT_LIMIT');
    client.send(headersFrame(5), frameOf('WINDOW_UPDATE', { stream: 5, payload: numbers(100) }));
    expect((await client.next('DATA', 5)).payload.toString()).toBe('answered');
    (await begun.take()).end('more');
    expect((await client.next('DATA', 1)).payload.toString()).toBe('more');
    expect(aborts.size).toBe(0);
    expect(app.getStats().closes.aborted).toMatchObject({ ERR_OUTPUT_LIMIT: 1 });
  });

  test('ends a WebSocket of a connection, and no other, nor its requests', async () => {
    const closes = new Mailbox();
    const { app } = serveLarge();
    app.ws('/*', {
      maxBackpressure: 0,
      message: (ws, message) => (ws.getUserData().path === '/large' ? ws.send(LARGE, true) : ws.send(message, true)),
      upgrade: (res, req) => res.upgrade({ path: req.getUrl() }),
      close: (ws, code, reason, { cause }) => closes.put([ws.getUserData().path, cause]),
    });
    const session = await connectHttp2(listen(app));
    const [slow, other] = [await openWebSocket(session, '/large'), await openWebSocket(session, '/other')];
    slow.socket.pause();
    slow.stream.pause();
    slow.socket.send('go');
    expect(await closes.take()).toStrictEqual(['/large', 'ERR_OUTPUT_LIMIT']);
    other.socket.send('still here');
    expect(String((await once(other.socket, 'message'))[0])).toBe('still here');
    await expect(ask(session, { ':path': '/small' })).resolves.toMatchObject({ text: 'answered' });
    expect(closes.size).toBe(0);
  });

  test('ends a connection that takes nothing at all, and nobody else', async () => {
    const { app, aborts } = serveLarge();
    const port = listen(app);
    const settings = frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(2 ** 31 - 1)]) });
    const other = await connectHttp2(port);
    for (let count = 0; aborts.size === 0 && count < 100; count++) {
      const client = await RawHttp2.connect(port, { settings });
      client.socket.pause();
      client.send(frameOf('WINDOW_UPDATE', { payload: numbers(1 << 30) }), headersFrame(1, { fields: { ':path': '/large' } }));
      await expect(ask(other, { ':path': '/small' })).resolves.toMatchObject({ text: 'answered' });
    }
    expect(await aborts.take()).toBe('ERR_OUTPUT_LIMIT');
  });
});

describe('responseTimeout', () => {
  const LARGE = Buffer.alloc(32 << 20, 'x');

  /** An app with that timeout, whose /large goes beyond any buffer; `aborts` gets the causes. */
  function serveSlow() {
    const aborts = new Mailbox();
    const app = createHttp2App(true, { responseTimeout: 300, maxBufferedOutput: 0 });
    app.get('/large', (res) => {
      res.onAborted((reason, { cause }) => aborts.put(cause));
      res.write(LARGE);
    });
    app.any('/*', (res) => res.end('answered'));
    return { app, aborts, port: listen(app) };
  }

  test('resets the stream whose client opens no window, and leaves the others of its connection', async () => {
    const { app, aborts, port } = serveSlow();
    const client = await RawHttp2.connect(port, { settings: NO_WINDOW });
    client.send(headersFrame(1, { fields: { ':path': '/large' } }));
    expect(await client.reset(1)).toBe('CANCEL');
    expect(await aborts.take()).toBe('ERR_HTTP_RESPONSE_TIMEOUT');
    client.send(headersFrame(3), frameOf('WINDOW_UPDATE', { stream: 3, payload: numbers(100) }));
    expect((await client.next('DATA', 3)).payload.toString()).toBe('answered');
    expect(app.getStats().closes.aborted).toMatchObject({ ERR_HTTP_RESPONSE_TIMEOUT: 1 });
  });

  test('ends a connection that takes nothing at all, and nobody else', async () => {
    const { aborts, port } = serveSlow();
    const settings = frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(2 ** 31 - 1)]) });
    const [other, client] = [await connectHttp2(port), await RawHttp2.connect(port, { settings })];
    client.socket.pause();
    client.send(frameOf('WINDOW_UPDATE', { payload: numbers(1 << 30) }), headersFrame(1, { fields: { ':path': '/large' } }));
    expect(await aborts.take()).toBe('ERR_HTTP_RESPONSE_TIMEOUT');
    await expect(ask(other)).resolves.toMatchObject({ text: 'answered' });
    client.socket.resume();
    // What the system had taken arrives, and the GOAWAY if that took it, too.
    const goaway = await client.goaway();
    expect(goaway ?? { code: 'ENHANCE_YOUR_CALM' }).toMatchObject({ code: 'ENHANCE_YOUR_CALM' });
  });
});

test('a connection of HTTP/1.1 is not told of any of this', async () => {
  const { app, port } = serveWaiting();
  const client = await RawClient.connect(port);
  expect((await client.get('/')).text).toBe('answered');
  app.close();
  expect(await client.rest()).toBe('');
});
