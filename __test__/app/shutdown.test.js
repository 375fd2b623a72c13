'use strict';

// app.shutdown: nobody is cut off who finishes in time, everybody is told, and it resolves when the last one is gone.

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { ClosingServer, closed, textOf } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen, listenToken } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

const TEXT = 'Server is shutting down';
/** What `onAborted` is told. */
const aborted = (reason = TEXT) => [reason, { cause: 'CLOSED_BY_SHUTDOWN', initiator: 'local', wasClean: false, ...RESPONSE_FACTS }];
/** What a `close` handler is told. */
const told = (code = 1001, reason = TEXT) => closed(code, reason, 'CLOSED_BY_SHUTDOWN', 'local', true);
/** Longer than any test: what ends, ends by itself. */
const PATIENT = { timeout: 2 ** 31 - 1 };

/** A server whose responses are given out to be answered later. */
class SlowServer {
  /** Responses in the order of their requests. */
  requests = new Mailbox();
  /** What `onAborted` was told. */
  aborts = new Mailbox();

  constructor(app = createApp()) {
    this.app = app;
    app.any('/quick', (res) => res.end('quick'));
    app.any('/*', (res, req) => {
      res.onAborted((...told) => this.aborts.put(told));
      res.url = req.getUrl();
      this.requests.put(res);
    });
    this.port = listen(app);
  }

  /** A client with a request that waits for its answer. */
  async ask(path = '/slow') {
    const client = await RawClient.connect(this.port);
    await client.send(request('GET', path));
    return { client, res: await this.requests.take() };
  }

  /** A client whose connection has served a request, and is idle. */
  async idle() {
    const client = await RawClient.connect(this.port);
    expect((await client.get('/quick')).text).toBe('quick');
    return client;
  }
}

/** Whether a promise has settled, once everything that is on its way has arrived. */
async function isSettled(promise, port) {
  let settled = false;
  promise.then(() => { settled = true; });
  const client = await RawClient.connect(port);
  await client.get('/quick', 'Connection: close');
  await client.rest();
  return settled;
}

async function connects(port) {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.on('connect', () => { socket.destroy(); resolve(true); });
    socket.on('error', () => resolve(false));
  });
}

describe('accepting', () => {
  test('the port is free when the call returns, and nobody is accepted any more', async () => {
    const { app, port } = new SlowServer();
    const finished = app.shutdown();
    const other = net.createServer().listen({ port, host: '127.0.0.1', exclusive: true });
    afterTest(() => other.close());
    await once(other, 'listening');
    expect(await finished).toEqual({ forced: 0 });
  });

  test('every listening socket of the app is closed, as its tokens say', async () => {
    const app = createApp({ threads: 2 }).any('/*', (res) => res.end());
    const tokens = [1, 2, 3].map(() => listenToken(app));
    const ports = tokens.map((token) => uWS.us_socket_local_port(token));
    const finished = app.shutdown();
    for (const port of ports) expect(await connects(port)).toBe(false);
    expect(tokens.map((token) => uWS.us_socket_local_port(token))).toEqual([-1, -1, -1]);
    await finished;
  });

  test.each([1, 3])('with %i threads, who has connected before the call is served, whether or not accepted', async (threads) => {
    const app = createApp({ threads }).any('/*', (res) => res.end('served'));
    const port = listen(app);
    const sockets = Array.from({ length: 50 }, () => net.connect(port, '127.0.0.1'));
    afterTest(() => sockets.forEach((socket) => socket.destroy()));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const clients = sockets.map((socket) => new RawClient(socket));
    const finished = app.shutdown(PATIENT);
    for (const client of clients) await client.send(request('GET', '/'));
    for (const client of clients) {
      const response = await client.response();
      expect([response.text, response.values('connection')]).toEqual(['served', ['close']]);
      expect(await client.rest()).toBe('');
      client.finish();
    }
    expect(await finished).toEqual({ forced: 0 });
  });

  test('a new connection that sends nothing is closed without a word, after a moment', async () => {
    const { app, port } = new SlowServer();
    const client = await RawClient.connect(port);
    const finished = app.shutdown(PATIENT);
    expect(await client.rest()).toBe('');
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
  });
});

describe('requests', () => {
  test('a response that has not begun is finished, says Connection: close, and ends its connection', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask();
    const finished = server.app.shutdown(PATIENT);
    const other = new SlowServer();
    expect(await isSettled(finished, other.port)).toBe(false);
    res.end('late');
    const response = await client.response();
    expect([response.status, response.text, response.values('connection')]).toEqual([200, 'late', ['close']]);
    expect(await client.rest()).toBe('');
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
    expect(server.aborts.size).toBe(0);
  });

  test('a response that has begun is finished as it was, and its connection ends', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask();
    res.write('one');
    const finished = server.app.shutdown(PATIENT);
    res.write('two');
    res.end('three');
    const response = await client.response();
    expect([response.text, response.values('connection')]).toEqual(['onetwothree', []]);
    expect(await client.rest()).toBe('');
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
  });

  test('a large response is delivered in full to a client that reads slowly', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask();
    client.pause();
    res.end(Buffer.alloc(12e6, 'x'));
    const finished = server.app.shutdown(PATIENT);
    const other = new SlowServer();
    expect(await isSettled(finished, other.port)).toBe(false);
    client.resume();
    expect((await client.response()).body.equals(Buffer.alloc(12e6, 'x'))).toBe(true);
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
  });

  test('pipelined behind the last response: they are not processed', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask('/first');
    await client.send(request('GET', '/second') + request('GET', '/third'));
    const finished = server.app.shutdown(PATIENT);
    res.end('first');
    const response = await client.response();
    expect([response.text, response.values('connection')]).toEqual(['first', ['close']]);
    expect(await client.rest()).toBe('');
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
    expect(server.requests.size).toBe(0);
  });

  test('pipelined behind a response that had begun: the next one is served, as the last', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask('/first');
    res.write('fi');
    await client.send(request('GET', '/second') + request('GET', '/third'));
    const finished = server.app.shutdown(PATIENT);
    res.end('rst');
    expect((await client.response()).text).toBe('first');
    (await server.requests.take()).end('second');
    const response = await client.response();
    expect([response.text, response.values('connection')]).toEqual(['second', ['close']]);
    expect(await client.rest()).toBe('');
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
    expect(server.requests.size).toBe(0);
  });

  test('a head that has arrived in part, and a body, are read to their ends and answered', async () => {
    const server = new SlowServer();
    const head = await RawClient.connect(server.port);
    await head.send('GET /head HTTP/1.1\r\nHo');
    const { client: body, res } = await (async () => {
      const client = await RawClient.connect(server.port);
      await client.send('POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe');
      return { client, res: await server.requests.take() };
    })();
    // The worker has one thread: by now it has read the part of the head too.
    const finished = server.app.shutdown(PATIENT);
    res.onData((chunk, isLast) => { if (isLast) res.end('body'); });
    await head.send('st: h\r\n\r\n');
    await body.send('llo');
    (await server.requests.take()).end('head');
    for (const client of [head, body]) {
      const response = await client.response();
      expect([response.text, response.values('connection')]).toEqual([client === head ? 'head' : 'body', ['close']]);
      expect(await client.rest()).toBe('');
      client.finish();
    }
    expect(await finished).toEqual({ forced: 0 });
  });

  test('requests that have arrived while JavaScript was busy are served', async () => {
    const server = new SlowServer();
    const clients = await Promise.all(Array.from({ length: 20 }, () => server.idle()));
    await Promise.all(clients.map((client) => client.send(request('GET', '/quick'))));
    const finished = server.app.shutdown(PATIENT);
    for (const client of clients) {
      const response = await client.response();
      expect([response.text, response.values('connection')]).toEqual(['quick', ['close']]);
      client.finish();
    }
    expect(await finished).toEqual({ forced: 0 });
  });

  test('idle keep-alive connections are closed without a word', async () => {
    const server = new SlowServer();
    const clients = await Promise.all([server.idle(), server.idle(), server.idle()]);
    const finished = server.app.shutdown(PATIENT);
    for (const client of clients) {
      expect(await client.rest()).toBe('');
      client.finish();
    }
    expect(await finished).toEqual({ forced: 0 });
  });

  test('an agent that keeps connections alive loses no request', async () => {
    const server = new SlowServer();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    afterTest(() => agent.destroy());
    const get = (path) => new Promise((resolve, reject) => {
      const options = { port: server.port, host: '127.0.0.1', agent, path };
      http.get(options, (response) => {
        response.resume().on('end', () => resolve(response.headers.connection));
      }).on('error', reject);
    });
    await Promise.all(Array.from({ length: 12 }, () => get('/quick')));
    const running = Array.from({ length: 4 }, () => get('/slow'));
    const responses = [];
    for (let count = 0; count < 4; count++) responses.push(await server.requests.take());
    const finished = server.app.shutdown(PATIENT);
    responses.forEach((res) => res.end('late'));
    expect(await Promise.all(running)).toEqual(Array(4).fill('close'));
    expect(await finished).toEqual({ forced: 0 });
  });
});

describe('WebSockets', () => {
  test.each([
    ['nothing given', [], 1001, TEXT, ['close', 1001, TEXT]],
    ['null given', [null], 1001, TEXT, ['close', 1001, TEXT]],
    ['undefined for everything', [{ timeout: undefined, code: undefined, reason: undefined }], 1001, TEXT, ['close', 1001, TEXT]],
    ['a code and a reason', [{ code: 1012, reason: 'new version' }], 1012, 'new version', ['close', 1012, 'new version']],
    ['an empty reason', [{ code: 4000, reason: '' }], 4000, TEXT, ['close', 4000, TEXT]],
    ['a reason in a buffer', [{ reason: Buffer.from('tschüss') }], 1001, 'tschüss', ['close', 1001, 'tschüss']],
    ['a reason that is too long for the frame', [{ reason: 'é'.repeat(100) }], 1001, 'é'.repeat(100), ['close', 1001, 'é'.repeat(61)]],
    ['the code 0', [{ code: 0 }], 0, TEXT, ['close']],
  ])('with %s: the handlers run inside the call, once; the peers get a Close frame', async (title, args, code, reason, wire) => {
    const server = new ClosingServer();
    const clients = await Promise.all([1, 2, 3].map(() => RawWebSocket.open(server.port)));
    const finished = server.app.shutdown(...args);
    expect(server.closes.size).toBe(3);
    for (const client of clients) {
      expect(await client.frame()).toEqual(wire);
      client.send(closeFrame(1001));
      expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
      expect(await server.closes.take()).toStrictEqual(told(code, reason));
    }
    expect(await finished).toEqual({ forced: 0 });
    expect(server.closes.size).toBe(0);
  });

  test('what was sent and published before arrives in front of the Close frame', async () => {
    const server = new ClosingServer({ open: (ws) => ws.subscribe('all'), message: (ws) => {
      ws.send('sent');
      server.app.publish('all', 'published');
      server.finished = server.app.shutdown(PATIENT);
    } });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect([await client.frame(), await client.frame(), await client.frame()])
      .toEqual([['text', 'sent'], ['text', 'published'], ['close', 1001, TEXT]]);
    client.send(closeFrame(1001));
    expect(await server.finished).toEqual({ forced: 0 });
  });

  test('messages that come behind are not delivered', async () => {
    const messages = [];
    const server = new ClosingServer({ message: (ws, message) => messages.push(textOf(message)) });
    const client = await RawWebSocket.open(server.port);
    const finished = server.app.shutdown(PATIENT);
    client.send(frame('text', 'late'), closeFrame(1001));
    expect(await client.rest()).toEqual({ frames: [['close', 1001, TEXT]], end: 'FIN' });
    expect(await finished).toEqual({ forced: 0 });
    expect(messages).toEqual([]);
  });

  test.each([
    ['with an upgrade handler that waits', { upgrade: true }],
    ['without an upgrade handler', {}],
  ])('one that opens during the shutdown is told when open has returned, %s', async (title, { upgrade }) => {
    const upgrades = new Mailbox();
    const server = new ClosingServer({
      open: (ws) => ws.send('welcome'),
      ...(upgrade && {
        upgrade: (res, req, context) => {
          res.onAborted(() => {});
          const key = req.getHeader('sec-websocket-key');
          upgrades.put(() => res.upgrade({}, key, '', '', context));
        },
      }),
    });
    const opening = RawWebSocket.open(server.port);
    let finished;
    if (upgrade) {
      const accept = await upgrades.take();
      finished = server.app.shutdown({ ...PATIENT, reason: 'restart' });
      accept();
      expect(server.closes.size).toBe(1);
    } else {
      // The handshake arrives with the connection, at a server that is busy until it shuts down.
      await new Promise(setImmediate);
      finished = server.app.shutdown({ ...PATIENT, reason: 'restart' });
    }
    const client = await opening;
    expect([await client.frame(), await client.frame()]).toEqual([['text', 'welcome'], ['close', 1001, 'restart']]);
    client.send(closeFrame(1001));
    expect(await finished).toEqual({ forced: 0 });
    expect(await server.closes.take()).toStrictEqual(told(1001, 'restart'));
    expect(server.closes.size).toBe(0);
  });

  test('a peer that closes at the same moment changes nothing', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(closeFrame(4000, 'mine'));
    const finished = server.app.shutdown(PATIENT);
    expect((await client.rest()).end).toBe('FIN');
    expect(await finished).toEqual({ forced: 0 });
    await expect(server.closes.take()).resolves.toStrictEqual(told());
    expect(server.closes.size).toBe(0);
  });
});

describe('the deadline', () => {
  test('with timeout 0 everything is dropped at once: onAborted runs, and it resolves', async () => {
    const server = new SlowServer();
    const { client } = await server.ask();
    const started = await server.ask();
    started.res.write('begun');
    await server.idle();
    expect(await server.app.shutdown({ timeout: 0, reason: 'now' })).toEqual({ forced: 2 });
    expect([await server.aborts.take(), await server.aborts.take()]).toEqual([aborted('now'), aborted('now')]);
    await client.over();
    await started.client.over();
    expect(() => started.res.end()).toThrow(expect.objectContaining({ code: 'ERR_HTTP_RESPONSE_CLOSED' }));
  });

  test('onAborted does not run in the call, and has run when the promise resolves', async () => {
    const server = new SlowServer();
    await server.ask();
    const finished = server.app.shutdown({ timeout: 50 });
    expect(server.aborts.size).toBe(0);
    expect(await finished).toEqual({ forced: 1 });
    expect(server.aborts.size).toBe(1);
    expect(await server.aborts.take()).toEqual(aborted());
  });

  test('a WebSocket whose peer does not answer the Close frame is dropped; its handler does not run again', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    expect(await server.app.shutdown({ timeout: 50 })).toEqual({ forced: 1 });
    expect((await client.rest()).frames).toEqual([['close', 1001, TEXT]]);
    expect(server.closes.size).toBe(1);
  });

  test('with timeout 0 the Close frame is still sent', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    expect(await server.app.shutdown({ timeout: 0 })).toEqual({ forced: 1 });
    expect((await client.rest()).frames).toEqual([['close', 1001, TEXT]]);
  });

  test('a response that its client does not read is dropped', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask();
    client.pause();
    res.end(Buffer.alloc(20e6));
    expect(await server.app.shutdown({ timeout: 100 })).toEqual({ forced: 1 });
    expect(server.aborts.size).toBe(0);
  });

  test('a client that has everything but does not close its side is waited for, and not counted', async () => {
    const server = new SlowServer();
    const client = await server.idle();
    expect(await server.app.shutdown({ timeout: 100 })).toEqual({ forced: 0 });
    expect(await client.rest()).toBe('');
  });
});

describe('again, and at odd moments', () => {
  test('a second call has a deadline of its own: it shortens the first, and both resolve', async () => {
    const server = new SlowServer();
    const { client } = await server.ask();
    const first = server.app.shutdown(PATIENT);
    const second = server.app.shutdown({ timeout: 0, reason: 'second' });
    expect(await Promise.all([first, second])).toEqual([{ forced: 1 }, { forced: 1 }]);
    // The first word counts.
    expect(await server.aborts.take()).toEqual(aborted());
    await client.over();
  });

  test('a second call does not prolong the first, and tells nobody twice', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    // Long enough for both calls to reach the I/O thread before it is over.
    const first = server.app.shutdown({ timeout: 500 });
    const second = server.app.shutdown(PATIENT);
    expect(await Promise.all([first, second])).toEqual([{ forced: 1 }, { forced: 1 }]);
    expect((await client.rest()).frames).toEqual([['close', 1001, TEXT]]);
    expect(server.closes.size).toBe(1);
  });

  test.each([
    ['that never listened', (app) => app],
    ['that was closed', (app) => { listen(app); return app.close(); }],
  ])('an app %s: it resolves', async (title, prepare) => {
    const app = prepare(createApp());
    expect(await app.shutdown(PATIENT)).toEqual({ forced: 0 });
    expect(await app.shutdown()).toEqual({ forced: 0 });
  });

  test('close during the shutdown ends it at once, with its own cause', async () => {
    const server = new SlowServer();
    const { client } = await server.ask();
    const finished = server.app.shutdown(PATIENT);
    server.app.close();
    expect(server.aborts.size).toBe(1);
    expect((await server.aborts.take())[1].cause).toBe('CLOSED_BY_APP_CLOSE');
    expect(await finished).toEqual({ forced: 1 });
    await client.over();
  });

  test('the app may listen again while it shuts down; those connections are not part of it', async () => {
    const server = new SlowServer();
    const { client, res } = await server.ask();
    const finished = server.app.shutdown(PATIENT);
    const port = listen(server.app);
    const newcomer = await RawClient.connect(port);
    expect((await newcomer.get('/quick')).text).toBe('quick');
    res.end('late');
    expect((await client.response()).values('connection')).toEqual(['close']);
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
    const response = await newcomer.get('/quick');
    expect([response.text, response.values('connection')]).toEqual(['quick', []]);
    // The second shutdown is about them.
    const second = server.app.shutdown(PATIENT);
    expect(await newcomer.rest()).toBe('');
    newcomer.finish();
    expect(await second).toEqual({ forced: 0 });
  });

  test('other apps on the same threads are not touched', async () => {
    const [server, other] = [new SlowServer(), new SlowServer()];
    const socket = new ClosingServer();
    const { client, res } = await other.ask();
    const idle = await other.idle();
    const ws = await RawWebSocket.open(socket.port);
    expect(await server.app.shutdown({ timeout: 0 })).toEqual({ forced: 0 });
    res.end('still here');
    expect((await client.response()).values('connection')).toEqual([]);
    expect((await idle.get('/quick')).text).toBe('quick');
    ws.sendText('echo');
    expect(await ws.frame()).toEqual(['text', 'echo']);
    expect(socket.closes.size).toBe(0);
  });

  test('inside a route: its own response is finished', async () => {
    let finished;
    const app = createApp().any('/*', (res) => {
      finished = app.shutdown(PATIENT);
      res.end('bye');
    });
    const client = await RawClient.connect(listen(app));
    const response = await client.get('/');
    expect([response.text, response.values('connection')]).toEqual(['bye', ['close']]);
    client.finish();
    expect(await finished).toEqual({ forced: 0 });
  });

  test('inside close handlers, where others are closed too: each is told once', async () => {
    const server = new ClosingServer({ close: (ws, code, message, info) => {
      server.closes.put(info.cause);
      server.promises.push(server.app.shutdown({ timeout: 0 }));
    } });
    server.promises = [];
    await Promise.all([1, 2, 3].map(() => RawWebSocket.open(server.port)));
    const finished = server.app.shutdown(PATIENT);
    expect(server.closes.size).toBe(3);
    expect(await finished).toEqual({ forced: 3 });
    await Promise.all(server.promises);
    for (let count = 0; count < 3; count++) expect(await server.closes.take()).toBe('CLOSED_BY_SHUTDOWN');
  });

  test.each([
    [{ timeout: -1 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ timeout: 0.5 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ timeout: NaN }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ timeout: Infinity }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ timeout: 2 ** 31 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ timeout: '10' }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ timeout: 10n }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ code: 999 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ code: 5000 }, 'RangeError', 'ERR_OUT_OF_RANGE'],
    [{ code: '1001' }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [{ reason: 5 }, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [5, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    [() => {}, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
  ])('%p: rejects, and nothing happens', async (options, name, code) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    await expect(server.app.shutdown(options)).rejects.toMatchObject({ name, code });
    client.sendText('still open');
    expect(await client.frame()).toEqual(['text', 'still open']);
    expect(server.closes.size).toBe(0);
    expect(await connects(server.port)).toBe(true);
  });

  test('on a foreign object: rejects', async () => {
    await expect(createApp().shutdown.call({})).rejects.toMatchObject({ code: 'ERR_INVALID_THIS' });
  });
});

describe('the process', () => {
  const LISTEN = "app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));";

  test('lives until the promise has resolved, and then ends by itself', async () => {
    const program = new Program('const app = uWS.App({ threads: 2 })'
      + ".get('/', (res) => { app.shutdown().then((summary) => say(summary)); res.end('bye'); });" + LISTEN);
    const client = await RawClient.connect(await program.hear());
    expect((await client.get('/')).text).toBe('bye');
    client.finish();
    expect(await program.hear()).toEqual({ forced: 0 });
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('ends by itself at the deadline, although a handler never answers', async () => {
    const program = new Program('const app = uWS.App({ threads: 2 })'
      + ".get('/', (res) => { res.onAborted((reason) => say(reason)); app.shutdown({ timeout: 20 }).then(say); });" + LISTEN);
    const client = await RawClient.connect(await program.hear());
    await client.send(request('GET', '/'));
    expect(await program.hear()).toBe(TEXT);
    expect(await program.hear()).toEqual({ forced: 1 });
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('a thousand connections of every kind: each gets what it is owed', async () => {
    const server = new SlowServer(createApp({ threads: 3 }));
    const clients = await Promise.all(Array.from({ length: 1000 }, async (_, index) => {
      const client = await RawClient.connect(server.port);
      if (index % 2 === 0) await client.get('/quick');
      else await client.send(request('GET', `/slow/${index}`));
      return client;
    }));
    const waiting = [];
    while (waiting.length < 500) waiting.push(await server.requests.take());
    const finished = server.app.shutdown(PATIENT);
    waiting.forEach((res) => res.end(res.url));
    await Promise.all(clients.map(async (client, index) => {
      if (index % 2 === 1) expect((await client.response()).text).toBe(`/slow/${index}`);
      expect(await client.rest()).toBe('');
      client.finish();
    }));
    expect(await finished).toEqual({ forced: 0 });
  });
});
