'use strict';

// What a runtime has to provide for Ferrows: `<runtime> __test__/runtimes/check.js <name>` proves one promise and ends by
// itself with 0. `npm run test:runtimes` runs all of them, each in a process of its own, because one may end it.

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const process = require('node:process');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');

const uWS = require('../..');

/** How long a check may take, in milliseconds. Far beyond what it needs: it only keeps a hang from lasting. */
const PATIENCE = 40_000;

const CHECKS = {
  /** Every promise of the handlers of one event is kept before the next event. */
  async 'microtasks and nextTicks run between two messages of one packet'() {
    const order = [];
    const done = new Gate();
    const port = serve(uWS.App({ threads: 1 }).ws('/*', {
      message(ws, message) {
        const number = new Uint8Array(message)[0];
        order.push(`message ${number}`);
        process.nextTick(() => order.push(`tick ${number}`));
        Promise.resolve().then(() => order.push(`promise ${number}`));
        if (number === 3) setTimeout(() => done.open(ws.close()), 10);
      },
    }));
    const client = await WebSocketClient.open(port);
    client.socket.write(Buffer.concat([1, 2, 3].map((number) => frame(2, Buffer.of(number)))));
    await done.passed;
    // Whether ticks or promises go first is a matter of the runtime; what counts is that they do not wait.
    const groups = [0, 3, 6].map((at) => [order[at], ...order.slice(at + 1, at + 3).sort()]);
    assert.deepEqual(groups, [1, 2, 3].map((number) => [`message ${number}`, `promise ${number}`, `tick ${number}`]));
  },

  async 'a WebSocket of a server of node:http is taken over, with all that is sent meanwhile, and its end is heard of'() {
    const app = uWS.App({ threads: 1 });
    const closed = new Gate();
    app.ws('/*', {
      upgrade: (res, req, context) => res.upgrade({ host: context.request.headers.host }),
      open: (ws) => ws.send(ws.host),
      message: (ws, message) => ws.send(message),
      close: (ws, code) => closed.open(code),
    });
    const server = http.createServer();
    server.on('upgrade', (request, socket, head) => {
      setTimeout(() => app.handleUpgrade(request, socket, head), 20);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = await WebSocketClient.open(server.address().port);
    client.socket.write(frame(1, 'echo'));
    assert.notEqual(await client.text(), '');
    assert.equal(await client.text(), 'echo');
    client.socket.write(frame(8, Buffer.of(0x0f, 0xa0)));
    assert.equal(await closed.passed, 4000);
    client.socket.destroy();
    server.close();
    app.close();
  },

  async 'what a handler throws is an uncaughtException, and the next event is delivered'() {
    const caught = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    const port = serve(uWS.App({ threads: 1 }).ws('/*', {
      message(ws, message) {
        const text = Buffer.from(message).toString();
        if (text === 'throw') throw new Error('thrown by a handler');
        ws.send(text);
      },
    }));
    const client = await WebSocketClient.open(port);
    client.socket.write(Buffer.concat([frame(1, 'throw'), frame(1, 'echo')]));
    assert.equal(await client.text(), 'echo');
    assert.deepEqual(caught, ['thrown by a handler']);
  },

  async 'what an async handler rejects with is an unhandledRejection'() {
    const caught = new Gate();
    process.on('unhandledRejection', (error) => caught.open(error.message));
    const port = serve(uWS.App().get('/', async (res) => {
      res.end('answered');
      await null;
      throw new Error('rejected by a handler');
    }));
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'answered');
    assert.equal(await caught.passed, 'rejected by a handler');
  },

  async 'a handler does not see the AsyncLocalStorage store of another'() {
    const storage = new AsyncLocalStorage();
    const seen = [];
    const port = serve(uWS.App({ threads: 1 }).get('/', (res) => {
      seen.push(storage.getStore());
      res.onAborted(() => {});
      storage.run('of this request', () => setImmediate(() => {
        seen.push(storage.getStore());
        res.end();
      }));
    }));
    for (let time = 0; time < 3; time += 1) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.deepEqual(seen, Array(3).fill([undefined, 'of this request']).flat());
  },

  async 'the buffer of a message is detached behind its handler, and stays for a promise'() {
    const kept = [];
    const port = serve(uWS.App({ threads: 1 }).ws('/now', {
      message(ws, message) {
        kept.push(message);
        ws.send(`${message.byteLength}`);
      },
    }).ws('/later', {
      async message(ws, message) {
        kept.push(message);
        await new Promise(setImmediate);
        ws.send(`${message.byteLength}`);
      },
    }));
    for (const path of ['/now', '/later']) {
      const client = await WebSocketClient.open(port, path);
      client.socket.write(frame(2, 'five!'));
      assert.equal(await client.text(), '5');
    }
    assert.deepEqual(kept.map(({ byteLength }) => byteLength), [0, 5]);
  },

  async 'large messages and bodies come whole'() {
    const large = Buffer.alloc(5_000_000, 'large');
    const port = serve(uWS.App().ws('/*', {
      maxPayloadLength: large.length,
      maxBackpressure: 0,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
    }).post('/', (res) => {
      res.onAborted(() => {});
      res.collectBody(large.length, (body) => res.end(body));
    }));
    const client = await WebSocketClient.open(port);
    client.socket.write(frame(2, large));
    assert.ok(large.equals(await client.message()));
    const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: large });
    assert.ok(large.equals(Buffer.from(await answer.arrayBuffer())));
  },

  async 'a close has a reason and a cause, and its handler runs inside of end'() {
    const closes = [];
    const port = serve(uWS.App().ws('/*', {
      message(ws) {
        ws.end(4001, 'enough');
        closes.push('behind end');
        assert.throws(() => ws.send('more'), { code: 'ERR_WEBSOCKET_CLOSED' });
      },
      close: (ws, code, message, info) => closes.push([code, Buffer.from(message).toString(), info.cause]),
    }));
    const client = await WebSocketClient.open(port);
    client.socket.write(frame(1, 'end it'));
    await client.closed;
    assert.deepEqual(closes, [[4001, 'enough', 'CLOSED_BY_END'], 'behind end']);
  },

  async 'an abort is told, and the response throws from then on'() {
    const told = new Gate();
    const port = serve(uWS.App().get('/', (res) => {
      res.onAborted((reason, info) => told.open([info.cause, res]));
      res.write('begun');
    }));
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    const [cause, res] = await told.passed;
    assert.match(cause, /^ERR_/);
    assert.equal(res.aborted, true);
    assert.throws(() => res.end(), { code: 'ERR_HTTP_RESPONSE_CLOSED' });
  },

  async 'a missing answer is a warning'() {
    const warned = new Gate();
    process.on('warning', (warning) => warned.open(warning.code));
    const port = serve(uWS.App().get('/', (res) => { setTimeout(() => res.end(), 20); }));
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.equal(await warned.passed, 'FERROWS_UNANSWERED');
  },

  async 'setLogger hears of connections'() {
    const heard = new Gate();
    uWS.setLogger('debug', ({ message, fields }) => {
      if (message === 'request received') heard.open(fields.path);
    });
    const port = serve(uWS.App().get('/*', (res) => res.end()));
    await (await fetch(`http://127.0.0.1:${port}/path`)).text();
    assert.equal(await heard.passed, '/path');
    uWS.setLogger('off');
  },

  async 'a published message reaches a hundred subscribers'() {
    const app = uWS.App().ws('/*', { open: (ws) => ws.subscribe('all') });
    const port = serve(app);
    const clients = await Promise.all(Array.from({ length: 100 }, () => WebSocketClient.open(port)));
    while (app.numSubscribers('all') < 100) await new Promise(setImmediate);
    for (let count = 0; count < 20; count += 1) app.publish('all', `message ${count}`);
    await Promise.all(clients.map(async (client) => {
      for (let count = 0; count < 20; count += 1) assert.equal(await client.text(), `message ${count}`);
    }));
  },

  async 'ten thousand requests and messages with garbage collections in between'() {
    const collect = globalThis.Bun ? () => globalThis.Bun.gc(true) : globalThis.gc ?? (() => {});
    const port = serve(uWS.App()
      .get('/*', (res, req) => {
        res.onAborted(() => {});
        setImmediate(() => res.end(req.getUrl()));
      })
      .ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) }));
    await Promise.all(Array.from({ length: 10 }, async (_, number) => {
      const client = await WebSocketClient.open(port);
      for (let count = 0; count < 500; count += 1) {
        client.socket.write(frame(1, `${number} ${count}`));
        assert.equal(await client.text(), `${number} ${count}`);
        const answer = await fetch(`http://127.0.0.1:${port}/${number}/${count}`);
        assert.equal(await answer.text(), `/${number}/${count}`);
        if (count % 100 === 0) collect();
      }
    }));
  },

  async 'shutdown resolves when the last connection has gone'() {
    const app = uWS.App().ws('/*', {});
    const client = await WebSocketClient.open(serve(app));
    const ended = app.shutdown({ reason: 'restarting' });
    await client.closed;
    assert.deepEqual(await ended, { forced: 0 });
  },

  async 'what was sent leaves the process before process.exit ends it'() {
    const child = spawn(process.execPath, [...process.execArgv, __filename, 'end with a word'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: process.env,
    });
    const [port] = await once(child.stdout, 'data');
    const client = await WebSocketClient.open(Number(String(port)));
    client.socket.write(frame(1, 'go'));
    assert.deepEqual(await client.closed, [1001, 'the last word']);
    if (child.exitCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 0);
  },

  async 'worker threads serve, share the store, and may be terminated while they do'() {
    uWS.setInteger('threads', 5, 'runtimes');
    const acceptor = uWS.App({ threads: 1 });
    const workers = [new Worker(__filename, { workerData: 'serve' }), new Worker(__filename, { workerData: 'serve' })];
    const descriptors = await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (const [descriptor] of descriptors) acceptor.addChildAppDescriptor(descriptor);
    const port = serve(acceptor);
    const ask = async () => (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();
    const answers = new Set();
    for (let time = 0; time < 6; time += 1) answers.add(await ask());
    assert.deepEqual([...answers].map((answer) => answer.split(' ')[0]), ['5', '5']);
    const client = await WebSocketClient.open(port);
    await workers[0].terminate();
    await workers[1].terminate();
    await client.closed;
    acceptor.get('/', (res) => res.end('served alone'));
    assert.equal(await ask(), 'served alone');
  },
};

/** Programs that checks start. */
const PROGRAMS = {
  'end with a word'() {
    const port = serve(uWS.App().ws('/*', {
      message(ws) {
        ws.end(1001, 'the last word');
        process.exit(0);
      },
    }));
    console.log(port);
  },
};

/** A promise, to be resolved from elsewhere. */
class Gate {
  constructor() {
    this.passed = new Promise((resolve) => { this.open = resolve; });
  }
}

/** A frame of a client. */
function frame(opcode, payload) {
  const body = Buffer.from(payload);
  const key = Buffer.from('37fa213d', 'hex');
  for (let index = 0; index < body.length; index += 1) body[index] ^= key[index % 4];
  const head = Buffer.alloc(10);
  head[0] = 0x80 | opcode;
  if (body.length <= 125) {
    head[1] = 0x80 | body.length;
    return Buffer.concat([head.subarray(0, 2), key, body]);
  }
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, key, body]);
}

/** A client by hand: those of the runtimes differ, and nothing is to be proved about them. */
class WebSocketClient {
  #received = Buffer.alloc(0);
  #messages = [];
  #wake = () => {};

  static async open(port, path = '/') {
    const socket = net.connect(port, '127.0.0.1');
    const client = new WebSocketClient(socket);
    const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n${fields}\r\n\r\n`);
    await client.opened;
    return client;
  }

  constructor(socket) {
    this.socket = socket;
    const opened = new Gate();
    const closed = new Gate();
    /** Resolves with the handshake. */
    this.opened = opened.passed;
    /** Resolves to what the server's Close frame said, or to nothing if there was none. */
    this.closed = closed.passed;
    let close = [];
    let isOpen = false;
    socket.on('error', () => {});
    socket.on('close', () => closed.open(close));
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      if (!isOpen) {
        const end = this.#received.indexOf('\r\n\r\n');
        if (end < 0) return;
        isOpen = true;
        this.#received = this.#received.subarray(end + 4);
        opened.open();
      }
      for (let message = this.#next(); message !== undefined; message = this.#next()) {
        if (message.opcode === 8) close = [message.payload.readUInt16BE(0), message.payload.toString('utf8', 2)];
        else this.#messages.push(message.payload);
      }
      this.#wake();
    });
  }

  /** The next message. */
  async message() {
    while (this.#messages.length === 0) await new Promise((resolve) => { this.#wake = resolve; });
    return this.#messages.shift();
  }

  async text() {
    return (await this.message()).toString();
  }

  #next() {
    const bytes = this.#received;
    if (bytes.length < 2) return undefined;
    const size = { 126: 4, 127: 10 }[bytes[1]] ?? 2;
    if (bytes.length < size) return undefined;
    const length = { 2: () => bytes[1], 4: () => bytes.readUInt16BE(2), 10: () => Number(bytes.readBigUInt64BE(2)) }[size]();
    if (bytes.length < size + length) return undefined;
    this.#received = bytes.subarray(size + length);
    return { opcode: bytes[0] & 0x0f, payload: bytes.subarray(size, size + length) };
  }
}

const apps = [];

/** Has an app listen, closes it when the check is over, and returns its port. */
function serve(app) {
  let port;
  apps.push(app);
  app.listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    port = uWS.us_socket_local_port(token);
  });
  return port;
}

async function main() {
  const name = process.argv[2];
  if (name === undefined) return console.log(JSON.stringify(Object.keys(CHECKS)));
  if (PROGRAMS[name] !== undefined) return PROGRAMS[name]();
  // Unreferenced: the process must end by itself, without waiting for this.
  setTimeout(() => {
    console.error(`still running after ${PATIENCE} ms`);
    process.exit(1);
  }, PATIENCE).unref();
  await CHECKS[name]();
  for (const app of apps) app.close();
  return undefined;
}

/** What a worker thread of a check does. */
function serveAsChild() {
  const number = uWS.getInteger('threads', 'runtimes');
  const app = uWS.App({ threads: 1 })
    .get('/', (res) => res.end(`${number} ${require('node:worker_threads').threadId}`))
    .ws('/*', {});
  parentPort.postMessage(app.getDescriptor());
}

if (!isMainThread && workerData === 'serve') {
  serveAsChild();
} else {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
