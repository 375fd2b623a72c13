'use strict';

// The life of a process that serves: what keeps it alive, what lets it end, and what leaves it before it does.

const { once } = require('node:events');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** How a program ends that has nothing left to do. */
const BY_ITSELF = { code: 0, signal: null, stderr: '' };
/** Listens on a free port and says it. */
const LISTEN = "app.listen('127.0.0.1', 0, (t) => { token = t; say(uWS.us_socket_local_port(t)); });";
const FIXTURES = join(__dirname, '../fixtures');

/** A program around an app. `app` and `token` are defined in it; it has said its port. */
async function serve(source, before = '') {
  const program = new Program(`${before} let token; const app = uWS.App({ threads: 2 }); ${source}; ${LISTEN}`);
  return { program, port: await program.hear() };
}

/** One answer from a fresh connection. */
async function ask(port, path = '/') {
  const client = await RawClient.connect(port);
  const { text } = await client.get(path, 'Connection: close');
  return text;
}

/** Waits until the next event of a worker. */
const next = async (worker, event) => (await once(worker, event))[0];

describe('what keeps Node alive', () => {
  test.each([
    ['nothing: the addon alone', ''],
    ['nothing: an app that does not listen', "uWS.App().get('/*', () => {}).ws('/*', {})"],
    ['nothing: a listen that failed', "uWS.App().listen_unix((token) => say(token), '/no/such/folder/socket')"],
    ['nothing: a socket that was closed inside the listen callback',
      "uWS.App().listen('127.0.0.1', 0, (token) => uWS.us_listen_socket_close(token))"],
    ['nothing: an app that was closed inside the listen callback',
      "const app = uWS.App(); app.listen('127.0.0.1', 0, () => app.close())"],
  ])('%s', async (_, source) => {
    expect(await new Program(source).end()).toEqual(BY_ITSELF);
  });

  test('a listening socket: closed in a timer, the program ends by itself', async () => {
    const { program, port } = await serve("app.get('/', (res) => res.end('hi'))"
      + ".get('/close', (res) => { res.end('bye'); setTimeout(() => uWS.us_listen_socket_close(token), 1); })");
    expect(await ask(port)).toBe('hi');
    expect(await ask(port, '/close')).toBe('bye');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('an open WebSocket: served after the listening socket is closed, and the last thing to wait for', async () => {
    const { program, port } = await serve("app.ws('/*', { open: () => uWS.us_listen_socket_close(token), "
      + "message: (ws, m, b) => ws.send(m, b), close: () => say('closed') })");
    const client = await RawWebSocket.open(port);
    client.sendText('still there?');
    expect(await client.frame()).toEqual(['text', 'still there?']);
    client.send(closeFrame(1000));
    expect(await program.hear()).toBe('closed');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('an idle keep-alive connection: the program ends once its client leaves', async () => {
    const { program, port } = await serve("app.get('/', (res) => { uWS.us_listen_socket_close(token); res.end('hi'); })"
      + ".get('/again', (res) => res.end('again'))");
    const client = await RawClient.connect(port);
    expect((await client.get('/')).text).toBe('hi');
    expect((await client.get('/again')).text).toBe('again');
    client.finish();
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('a response that is under way', async () => {
    const { program, port } = await serve("let answer; app.get('/', (res) => { res.onAborted(() => {}); answer = () => res.end('late'); say('asked'); })"
      + ".get('/close', (res) => { uWS.us_listen_socket_close(token); res.end('', true); setTimeout(() => answer()).unref(); })");
    const client = await RawClient.connect(port);
    await client.send(request('GET', '/', ['Connection: close']));
    expect(await program.hear()).toBe('asked');
    await ask(port, '/close');
    // The timer does not keep the program alive, the connection does.
    expect((await client.response()).text).toBe('late');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test.each([
    ['a route', "app.get('/', (res) => { res.end(); app.close(); })"],
    ['a timer', "app.get('/', (res) => { res.end(); setTimeout(() => app.close(), 1); })"],
    ['a message handler', "app.ws('/*', { message: () => app.close() })"],
    ['a close handler', "app.ws('/*', { message: (ws) => ws.close(), close: () => app.close() })"],
  ])('nothing after app.close() in %s, whoever is connected still', async (_, source) => {
    const { program, port } = await serve(`app.ws('/idle', {}).get('/idle', (res) => res.end()); ${source}`);
    // None of these closes its side, however the server ends.
    const idle = await RawClient.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await idle.get('/idle');
    await RawClient.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await RawWebSocket.open({ port, host: '127.0.0.1', allowHalfOpen: true }, { path: '/idle' });
    if (source.includes("'/*'")) (await RawWebSocket.open(port)).sendText('close');
    else await (await RawClient.connect(port)).send(request('GET', '/'));
    expect(await program.end()).toEqual(BY_ITSELF);
  });
});

describe('several loads in one process', () => {
  test('jest.isolateModules: each serves its own apps, and refuses objects of the other', async () => {
    const loads = [0, 1].map(() => {
      let uWS;
      jest.isolateModules(() => { uWS = require('../..'); });
      return uWS;
    });
    const apps = loads.map((uWS, index) => uWS.App({ threads: 1 }).any('/*', (res) => res.end(`load ${index}`)));
    apps.forEach((app) => afterTest(() => app.close()));
    const tokens = apps.map((app) => {
      let token;
      app.listen('127.0.0.1', 0, (given) => { token = given; });
      return token;
    });
    const ports = tokens.map((token, index) => loads[index].us_socket_local_port(token));
    expect(await Promise.all(ports.map((port) => ask(port)))).toEqual(['load 0', 'load 1']);
    expect(() => loads[0].us_socket_local_port(tokens[1])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => loads[0].App.call(apps[1]).get.call(apps[1], '/', () => {}))
      .toThrow(expect.objectContaining({ code: 'ERR_INVALID_THIS' }));
  });

  test.each([
    ['index.js', "delete require.cache[require.resolve('ferrows')]"],
    ['everything', 'for (const key of Object.keys(require.cache)) delete require.cache[key]'],
  ])('require.cache without %s: thirty loads serve at once, warn of nothing, and flush at the exit', async (_, forget) => {
    const program = new Program(`
      const ports = [];
      for (let index = 0; index < 30; index++) {
        ${forget};
        const uWS = require('ferrows');
        uWS.App({ threads: 1 })
          .get('/', (res) => res.end('load ' + index))
          .get('/exit', (res) => { res.end('flushed'); process.exit(); })
          .listen('127.0.0.1', 0, (token) => ports.push(uWS.us_socket_local_port(token)));
      }
      say(ports);
    `);
    const ports = await program.hear();
    expect(await Promise.all(ports.map((port) => ask(port)))).toEqual(ports.map((_port, index) => `load ${index}`));
    expect(await ask(ports[29], '/exit')).toBe('flushed');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('vm contexts: handlers of another context run, and ticks and microtasks run between them', async () => {
    const program = new Program("require('./__test__/fixtures/other-context.js').serveFromOtherContext(say)");
    const client = await RawWebSocket.open(await program.hear());
    client.send(...Array(4).fill(frame('text', 'message')));
    const turn = ['message', 'tick', 'microtask'];
    expect(await program.hear()).toEqual([...turn, ...turn, ...turn, 'message']);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('import: a module serves, and ends by itself', async () => {
    const program = new Program(`
      import uWS, { App, us_socket_local_port } from 'ferrows';
      const app = App().get('/', (res) => { res.end('imported'); app.close(); });
      app.listen('127.0.0.1', 0, (token) => say(us_socket_local_port(token)));
    `, { module: true });
    const client = await RawClient.connect(await program.hear());
    expect((await client.get('/')).text).toBe('imported');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  // Elsewhere the system does not share connections out.
  (process.platform === 'linux' ? test : test.skip)(
    'worker_threads: several serve one port together with the main thread, and all end by themselves', async () => {
      const program = new Program("require('./__test__/fixtures/share-port.js').sharePort(uWS, say)");
      const { ports, control } = await program.hear();
      expect(new Set(ports).size).toBe(1);
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask(ports[0])));
      expect(new Set(answers)).toEqual(new Set(['main thread', 'worker of 1', 'worker of 2', 'worker of 3']));
      await ask(control);
      expect(await program.end()).toEqual(BY_ITSELF);
    },
  );
});

/** For a program: names of its threads, descriptors, garbage collection, and waiting until the threads have ended. */
const COUNTING = `
  const { readdirSync, readFileSync } = require('fs');
  require('v8').setFlagsFromString('--expose-gc');
  const gc = require('vm').runInNewContext('gc');
  const turn = (time = 0) => new Promise((resolve) => setTimeout(resolve, time));
  // A thread may end between the two.
  const nameOf = (id) => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8'); } catch { return ''; } };
  const threads = () => readdirSync('/proc/self/task').filter((id) => nameOf(id).startsWith('ferrows-')).length;
  const rest = async () => { while (threads() > 0) await turn(5); };
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const listen = (app) => new Promise((resolve) => app.listen('127.0.0.1', 0, (token) => resolve(uWS.us_socket_local_port(token))));
  const ask = (port) => new Promise((resolve) => {
    let text = '';
    require('net').connect(port, '127.0.0.1', function () { this.end('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); })
      .on('data', (data) => { text += data; }).on('close', () => resolve(text.split('\\r\\n\\r\\n')[1]));
  });
`;

// Elsewhere threads and descriptors cannot be counted without help.
(process.platform === 'linux' ? describe : describe.skip)('what is left when nothing is to be done', () => {
  test('threads and their descriptors go after the last connection, and come back with the next thing to do', async () => {
    const program = new Program(`${COUNTING} (async () => {
      const said = [threads()];
      const app = uWS.App({ threads: 3 }).get('/', (res) => res.end('hi')).ws('/*', {});
      said.push(threads());
      const open = [];
      for (let round = 0; round < 3; round++) {
        const port = await listen(app);
        said.push(await ask(port));
        // They name themselves when they begin to run.
        while (threads() < 3) await turn();
        app.close();
        await rest();
        open.push(descriptors());
      }
      // The first round has opened some for the client.
      said.push(open[2] - open[0]);
      const port = await listen(app);
      const ws = await uWS.connect('ws://127.0.0.1:' + port, {});
      app.close();
      ws.close();
      await rest();
      await uWS.connect('ws://127.0.0.1:' + port, {}).catch((error) => said.push(error.code));
      await rest();
      say({ said, workers: app.getStats().workers.length });
    })()`);
    expect(await program.hear()).toEqual({
      said: [0, 0, 'hi', 'hi', 'hi', 0, 'ERR_CONNECT_REFUSED'], workers: 3,
    });
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('objects of connections from before do not reach those that come after', async () => {
    const program = new Program(`${COUNTING} (async () => {
      const all = [];
      const heard = [];
      const app = uWS.App({ threads: 1 }).ws('/*', { open: (ws) => all.push(ws) });
      for (let round = 0; round < 3; round++) {
        const port = await listen(app);
        const client = await uWS.connect('ws://127.0.0.1:' + port, { message: (ws, message) => heard.push(Buffer.from(message).toString()) });
        while (all.length === round) await turn();
        for (const old of all.slice(0, round)) {
          try { old.send('stale'); } catch (error) { heard.push(error.code); }
        }
        all[round].send('round ' + round);
        while (!heard.includes('round ' + round)) await turn();
        app.close();
        await rest();
      }
      say(heard);
    })()`);
    const closed = 'ERR_WEBSOCKET_CLOSED';
    expect(await program.hear()).toEqual(['round 0', closed, 'round 1', closed, closed, 'round 2']);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('a client that reads slowly gets the rest of its response, although the app was shut down long ago', async () => {
    const { program, port } = await serve("app.get('/', (res) => { res.end(Buffer.alloc(8e6, 'x')); app.shutdown(); })");
    const client = await RawClient.connect(port);
    client.pause();
    await client.send(request('GET', '/'));
    // Longer than threads wait for the next thing to do.
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    client.resume();
    expect((await client.response()).body).toHaveLength(8e6);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('records reach the listener of a load whose threads have ended', async () => {
    const program = new Program(`${COUNTING} (async () => {
      const records = [];
      uWS.setLogger('info', (record) => records.push(record.message));
      for (let round = 0; round < 2; round++) {
        const app = uWS.App();
        await listen(app);
        app.close();
        await rest();
      }
      while (records.length < 4) await turn();
      say(records);
    })()`);
    expect(await program.hear()).toEqual(['listening', 'stopped listening', 'listening', 'stopped listening']);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test.each([
    ['closed', 'app.close();'],
    ['shut down', 'await app.shutdown();'],
    ['no longer listening', 'uWS.us_listen_socket_close(token);'],
    ['never asked to listen', ''],
  ])('500 apps, each used, %s and dropped, are collected with their handlers, beside one that serves', async (_, end) => {
    const program = new Program(`${COUNTING} (async () => {
      let collected = 0;
      const registry = new FinalizationRegistry(() => { collected += 1; });
      const port = await listen(uWS.App().get('/', (res) => res.end('served all the time')));
      // Opens some descriptors for the client.
      await ask(port);
      const use = async (round) => {
        const ballast = Buffer.alloc(100e3);
        const app = uWS.App({ threads: 1 });
        registry.register(app, round);
        // Handlers know their app, as nearly always.
        app.get('/', (res) => { app.numSubscribers('topic'); res.end('round ' + round); }).ws('/*', { open() { app; } }).filter(() => { ballast; });
        if (${end === ''}) return;
        const token = await new Promise((resolve) => app.listen('127.0.0.1', 0, resolve));
        if (await ask(uWS.us_socket_local_port(token)) !== 'round ' + round) throw new Error('not served');
        ${end}
      };
      const settle = async (count) => { while (collected < count) { gc(); await turn(); } };
      let before;
      for (let round = 1; round <= 500; round++) {
        await use(round);
        if (round % 100 === 0) await settle(round);
        if (round === 200) before = { external: process.memoryUsage().external, descriptors: descriptors(), threads: threads() };
      }
      // Buffers are freed by and by.
      while (process.memoryUsage().external > before.external + 10e6) { gc(); await turn(); }
      say([await ask(port), descriptors() - before.descriptors, threads() - before.threads]);
      process.exit();
    })()`);
    expect(await program.hear()).toEqual(['served all the time', 0, 0]);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('an app whose object was collected serves, until nobody listens for it and its last connection is gone', async () => {
    const program = new Program(`${COUNTING} (async () => {
      let collected = 0;
      const registry = new FinalizationRegistry(() => { collected += 1; });
      const make = (name) => {
        const app = uWS.App().filter((it, count) => { if (count < 0) closed.push(name); }).get('/', (res) => res.end(name))
          .ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });
        registry.register(app, name);
        return app;
      };
      const serve = (name) => new Promise((resolve) => { make(name).listen('127.0.0.1', 0, resolve); });
      const closed = [];
      const heard = [];
      const token = await serve('orphan');
      while (collected < 1) { gc(); await turn(); }
      const port = uWS.us_socket_local_port(token);
      heard.push(await ask(port));
      const ws = await uWS.connect('ws://127.0.0.1:' + port, { message: (_, message) => heard.push(Buffer.from(message).toString()) });
      uWS.us_listen_socket_close(token);
      ws.send('still there?');
      while (heard.length < 2) await turn();
      ws.end();
      while (closed.length < 2) await turn();
      await rest();
      // Its number is another app's now.
      const successor = await serve('successor');
      heard.push(await ask(uWS.us_socket_local_port(successor)));
      while (closed.length < 3) await turn();
      say({ heard, closed });
      uWS.us_listen_socket_close(successor);
    })()`);
    expect(await program.hear()).toEqual({ heard: ['orphan', 'still there?', 'successor'], closed: ['orphan', 'orphan', 'successor'] });
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('an app that was closed keeps its handlers, and its numbers, for the next time it listens', async () => {
    const program = new Program(`${COUNTING} (async () => {
      const heard = [], counts = [];
      const app = uWS.App().get('/', (res) => res.end('hi')).filter((it, count) => counts.push(count));
      for (let round = 0; round < 3; round++) {
        const text = await ask(await listen(app));
        // The client may see the end before the filter does.
        while (counts.length < 2) await turn();
        heard.push(...counts.splice(0), text);
        app.close();
        await rest();
        gc();
        heard.push(app.publish('topic', 'message'), app.numSubscribers('topic'), app.getStats().requests);
      }
      say(heard);
    })()`);
    const round = (requests) => [1, -1, 'hi', false, 0, requests];
    expect((await program.hear()).join()).toBe([...round(1), ...round(2), ...round(3)].join());
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('each load is collected, with all that it has, once nobody uses it', async () => {
    const program = new Program(`${COUNTING} (async () => {
      const { collected, loadOnce } = require('./__test__/fixtures/load-once.js');
      let before;
      for (let round = 0; round < 12; round++) {
        await loadOnce(ask, round);
        await rest();
        before ??= descriptors();
      }
      // The last one is in require.cache.
      while (collected() < 11) { gc(); await turn(); }
      say(descriptors() - before);
    })()`);
    expect(await program.hear()).toBe(0);
    expect(await program.end()).toEqual(BY_ITSELF);
  });
});

describe('worker.terminate()', () => {
  test('under traffic, twenty at a time: nothing crashes or hangs, and every port is free at once', async () => {
    const program = new Program("require('./__test__/fixtures/terminate-workers.js').terminateWorkers(say, 20)");
    expect(await program.hear()).toEqual({ terminated: 20, freed: 20 });
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('peers see the end of their connections', async () => {
    const worker = new Worker(join(FIXTURES, 'busy-worker.js'));
    afterTest(() => worker.terminate());
    const port = await next(worker, 'message');
    const client = await RawWebSocket.open(port);
    const idle = await RawClient.connect(port);
    await idle.get('/');
    expect(await worker.terminate()).toBe(1);
    await idle.over();
    expect(['FIN', 'RST']).toContain((await client.rest()).end);
  });
});

describe('process.exit()', () => {
  /** Has the server of exit-in-handler.js run into its exit. */
  async function provoke(port, handler) {
    const socket = (path = '/') => RawWebSocket.open(port, { path }).catch(() => undefined);
    switch (handler) {
      case 'listen':
        return;
      case 'onData':
        return (await RawClient.connect(port)).send(request('POST', '/', [], 'body'));
      case 'onAborted': {
        const client = await RawClient.connect(port);
        await client.send(request('GET', '/'));
        return client.reset();
      }
      case 'upgrade':
      case 'open':
      case 'subscription':
        return void await socket();
      case 'message':
      case 'ws.end':
      case 'app.close':
        return (await socket()).sendText('message');
      case 'dropped':
      case 'drain': {
        const client = await socket();
        client.pause();
        client.send(frame('binary', Buffer.alloc(15_000)));
        return client.resume();
      }
      case 'ping':
      case 'pong':
        return (await socket()).send(frame(handler));
      case 'close':
        return (await socket()).send(closeFrame(1000));
      default:
        return (await RawClient.connect(port)).send(request('GET', '/'));
    }
  }

  test.each([
    'route', 'cork', 'forEach', 'microtask', 'nextTick', 'timer', 'uncaughtException', 'res.close', 'onAborted', 'onData',
    'listen', 'upgrade', 'open', 'message', 'ws.end', 'app.close', 'dropped', 'drain', 'ping', 'pong', 'subscription', 'close',
  ])('in %s: ends the process with its code', async (handler) => {
    const source = `require('./__test__/fixtures/exit-in-handler.js').exitInHandler(uWS, say, ${JSON.stringify(handler)})`;
    const program = new Program(source);
    if (handler !== 'listen') await provoke(await program.hear(), handler);
    expect(await program.end()).toEqual({ code: 7, signal: null, stderr: '' });
  });

  test.each([
    ['a message handler', "app.ws('/*', { message: (ws) => { ws.end(1001, 'bye'); process.exit(); } })"],
    ['a timer', "app.ws('/*', { message: (ws) => { setTimeout(() => { ws.end(1001, 'bye'); process.exit(); }) } })"],
    ['cork', "app.ws('/*', { message: (ws) => ws.cork(() => { ws.end(1001, 'bye'); process.exit(); }) })"],
    ['SIGTERM', "let all = []; app.ws('/*', { open: (ws) => all.push(ws), message: () => process.kill(process.pid, 'SIGTERM') });"
      + "process.on('SIGTERM', () => { all.forEach((ws) => ws.end(1001, 'bye')); process.exit(); })"],
  ])('right after ws.end(1001, ...) in %s: every peer gets the Close frame', async (_, source) => {
    const { program, port } = await serve(source);
    const clients = await Promise.all(Array.from({ length: source.includes('all') ? 20 : 1 }, () => RawWebSocket.open(port)));
    clients[0].sendText('exit');
    for (const client of clients) expect(await client.frame()).toEqual(['close', 1001, 'bye']);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('right after res.end() of more than the system buffers: a peer that reads gets all of it', async () => {
    const { program, port } = await serve("app.get('/', (res) => { res.end(Buffer.alloc(12e6, 'x')); process.exit(); })");
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(Buffer.alloc(12e6, 'x').equals(Buffer.from(await response.arrayBuffer()))).toBe(true);
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('right after res.end() of as much: a peer that does not read gets what the system took, and holds nobody up', async () => {
    const { program, port } = await serve("app.get('/', (res) => { res.end(Buffer.alloc(20e6, 'x')); process.exit(); })");
    const client = await RawClient.connect(port);
    client.pause();
    await client.send(request('GET', '/'));
    expect(await program.end()).toEqual(BY_ITSELF);
    client.resume();
    expect(await client.bytes(100_000)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("in an 'exit' listener, registered before or after the addon was loaded, messages are still sent", async () => {
    const program = new Program(`
      process.on('exit', () => socket.send('before'));
      const { default: uWS } = await import('ferrows');
      process.on('exit', () => socket.send('after'));
      let socket;
      uWS.App({ threads: 1 })
        .ws('/*', { open: (ws) => { socket = ws; }, message: () => process.exit(5) })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { module: true });
    const client = await RawWebSocket.open(await program.hear());
    client.sendText('exit');
    expect((await client.rest()).frames).toEqual([['text', 'before'], ['text', 'after']]);
    expect((await program.end()).code).toBe(5);
  });

  test("in an 'exit' listener a hundred peers can be told, although one of them does not read", async () => {
    const { program, port } = await serve(`
      const all = [];
      app.ws('/*', { maxBackpressure: 0, open: (ws) => all.push(ws), message: (ws) => {
        ws.send(Buffer.alloc(20e6), true);
        process.on('exit', () => all.forEach((each) => each.send('bye')));
        process.exit();
      } });
    `);
    const stuck = await RawWebSocket.open(port);
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawWebSocket.open(port)));
    stuck.pause();
    stuck.sendText('exit');
    // With a second for each of them, this test would run out of time.
    expect(await program.end()).toEqual(BY_ITSELF);
    const heard = await Promise.all(clients.map(async (client) => (await client.rest()).frames));
    expect(heard.slice(0, 10)).toEqual(Array(10).fill([['text', 'bye']]));
  });
});

describe('an exception that nobody catches', () => {
  test.each([
    ['a route', "app.get('/', () => { throw new Error('oops'); })"],
    ['process.nextTick', "app.get('/', (res) => { res.end(); process.nextTick(() => { throw new Error('oops'); }); })"],
    ['a microtask', "app.get('/', (res) => { res.end(); queueMicrotask(() => { throw new Error('oops'); }); })"],
    ['an async route', "app.get('/', async (res) => { res.onAborted(() => {}); throw new Error('oops'); })"],
    ['onData', "app.any('/*', (res) => res.onAborted(() => {}).onData(() => { throw new Error('oops'); }))"],
  ])('in %s: ends the process as Node does, with code 1 and the stack', async (_, source) => {
    const { program, port } = await serve(source);
    await (await RawClient.connect(port)).send(request('GET', '/'));
    const { code, signal, stderr } = await program.end();
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toMatch(/Error: oops\n +at .*\[eval\]/);
  });

  test('in the listener of uncaughtException: ends the process with code 7', async () => {
    const { program, port } = await serve("process.on('uncaughtException', (error) => { throw error; });"
      + "app.get('/', () => { throw new Error('oops'); })");
    await (await RawClient.connect(port)).send(request('GET', '/'));
    expect((await program.end()).code).toBe(7);
  });

  test('is heard by uncaughtException, and what came behind it is served', async () => {
    const { program, port } = await serve("process.on('uncaughtException', (error) => say(error.message));"
      + "app.get('/throw', (res) => { res.end(); throw new Error('oops'); }).get('/', (res) => { res.end('served'); app.close(); })");
    await (await RawClient.connect(port)).send(request('GET', '/throw'));
    expect(await program.hear()).toBe('oops');
    expect(await ask(port)).toBe('served');
    expect(await program.end()).toEqual(BY_ITSELF);
  });
});

describe('what the program makes of its surroundings', () => {
  test('SIGTERM: a program that stops listening and ends its WebSockets ends by itself', async () => {
    const { program, port } = await serve("const all = new Set();"
      + "app.ws('/*', { open: (ws) => all.add(ws), close: (ws) => all.delete(ws) });"
      + "process.once('SIGTERM', () => { uWS.us_listen_socket_close(token); all.forEach((ws) => ws.end(1012, 'restart')); });"
      + 'say(process.pid)');
    // The first word was the process id.
    const pid = port;
    const client = await RawWebSocket.open(await program.hear());
    process.kill(pid, 'SIGTERM');
    expect(await client.frame()).toEqual(['close', 1012, 'restart']);
    client.send(closeFrame(1012));
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test('SIGTERM: a program without a handler is ended by it', async () => {
    const { program, port: pid } = await serve('say(process.pid)');
    await program.hear();
    process.kill(pid, 'SIGTERM');
    expect(await program.end()).toEqual({ code: null, signal: 'SIGTERM', stderr: '' });
  });

  test('a process.emitWarning that throws costs one exception, and no request', async () => {
    const { program, port } = await serve("process.on('uncaughtException', (error) => say(error.message));"
      + "process.emitWarning = () => { throw new Error('no warnings here'); };"
      + "app.get('/forgotten', () => {}).get('/', (res) => { res.end('served'); app.close(); })");
    await (await RawClient.connect(port)).send(request('GET', '/forgotten'));
    expect(await program.hear()).toBe('no warnings here');
    expect(await ask(port)).toBe('served');
    expect(await program.end()).toEqual(BY_ITSELF);
  });

  test("a framework's fake timers do not stop the server", async () => {
    const seen = [];
    const app = createApp().ws('/*', {
      message: (ws, message) => {
        // A millisecond is long enough for the server to let other work of the loop go first, now and then.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        seen.push(message.byteLength);
        if (seen.length === 200) ws.send('all');
      },
    });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/`);
    await once(client, 'open');
    jest.useFakeTimers();
    afterTest(() => jest.useRealTimers());
    for (let count = 0; count < 200; count++) client.send('message');
    const [answer] = await once(client, 'message');
    expect(String(answer)).toBe('all');
    client.terminate();
  });
});
