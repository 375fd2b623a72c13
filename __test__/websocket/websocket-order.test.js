'use strict';

// When handlers run: in the order of the bytes, one at a time, with everything that they left to microtasks and
// `process.nextTick` done before the next one; and what becomes of their exceptions.

const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');

const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const text = (buffer) => Buffer.from(buffer).toString();

function serve(behavior) {
  const app = createApp();
  app.ws('/*', behavior);
  return { app, port: listen(app) };
}

describe('order', () => {
  test('all events of a connection arrive in the order of its bytes', async () => {
    const events = new Mailbox();
    const { port } = serve({
      open: () => events.put('open'),
      message: (ws, message) => events.put(text(message)),
      ping: (ws, message) => events.put(`ping ${text(message)}`),
      pong: (ws, message) => events.put(`pong ${text(message)}`),
      close: (ws, code) => events.put(`close ${code}`),
    });
    const frames = [['text', 'a'], ['ping', 'b'], ['binary', 'c'], ['pong', 'd']].map((args) => frame(...args));
    const client = await RawWebSocket.open(port, { behind: Buffer.concat([...frames, closeFrame(4000)]) });
    await client.rest();
    const seen = [];
    while (events.size > 0) seen.push(await events.take());
    expect(seen).toEqual(['open', 'a', 'ping b', 'c', 'pong d', 'close 4000']);
  });

  test('a thousand messages of each of ten connections arrive in order', async () => {
    const { port } = serve({ message: (ws, message) => ws.send(message), maxBackpressure: 0 });
    const words = Array.from({ length: 1000 }, (_, index) => `${index}`);
    await Promise.all(Array.from({ length: 10 }, async () => {
      const client = await RawWebSocket.open(port);
      for (const word of words) client.sendText(word);
      const answers = [];
      while (answers.length < words.length) answers.push((await client.frame())[1]);
      expect(answers).toEqual(words);
    }));
  });

  test('what handlers send arrives in the order of the calls, whatever is sent', async () => {
    const { port } = serve({
      message(ws) {
        ws.send('1');
        ws.ping('2');
        ws.send('x'.repeat(100_000));
        ws.send('3', true);
        ws.subscribe('topic');
        ws.send('4');
        ws.end(4000, '5');
      },
    });
    const client = await RawWebSocket.open(port);
    client.sendText('go');
    const frames = [];
    for (let count = 0; count < 6; count++) frames.push(await client.frame());
    expect(frames).toEqual([
      ['text', '1'], ['ping', '2'], ['text', 'x'.repeat(100_000)], ['binary', Buffer.from('3')], ['text', '4'],
      ['close', 4000, '5'],
    ]);
  });

  test('nothing comes after close: not a message of the same batch, not a drain', async () => {
    const events = new Mailbox();
    const { app, port } = serve({
      maxBackpressure: 0,
      message(ws, message) {
        events.put(text(message));
        // More than the peer takes at once, so that a drain would follow.
        for (let count = 0; count < 100; count++) ws.send('x'.repeat(100_000));
        ws.getBufferedAmount();
        ws.end(4000);
      },
      drain: () => events.put('drain'),
      close: () => events.put('close'),
    });
    app.get('/barrier', (res) => res.end());
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'one'), frame('text', 'two'));
    let last;
    do last = await client.frame(); while (last[0] !== 'close');
    client.send(closeFrame(4000));
    await client.rest();
    await (await RawClient.connect(port)).get('/barrier');
    expect([await events.take(), await events.take(), events.size]).toEqual(['one', 'close', 0]);
  });
});

describe('microtasks and process.nextTick', () => {
  test('run between any two of three messages that came in one segment', async () => {
    const order = [];
    const done = new Mailbox();
    const { port } = serve({
      message(ws, message) {
        const number = text(message);
        order.push(`m${number}`);
        Promise.resolve().then(() => order.push(`p${number}`));
        process.nextTick(() => order.push(`t${number}`));
        if (number === '3') setImmediate(() => done.put(order));
      },
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', '1'), frame('text', '2'), frame('text', '3'));
    expect(await done.take()).toEqual(['m1', 't1', 'p1', 'm2', 't2', 'p2', 'm3', 't3', 'p3']);
  });

  test('run between any two events of other kinds', async () => {
    const order = [];
    const done = new Mailbox();
    const note = (name) => {
      order.push(name);
      process.nextTick(() => order.push(`${name} t`));
      queueMicrotask(() => order.push(`${name} p`));
    };
    const { port } = serve({
      upgrade(res, req, context) {
        note('upgrade');
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
      },
      open: () => note('open'),
      message: () => note('message'),
      ping: () => note('ping'),
      pong: () => note('pong'),
      close() {
        note('close');
        setImmediate(() => done.put(order));
      },
    });
    const behind = Buffer.concat([frame('text', 'x'), frame('ping'), frame('pong'), closeFrame(1000)]);
    await RawWebSocket.open(port, { behind });
    const others = ['message', 'ping', 'pong', 'close'].flatMap((name) => [name, `${name} t`, `${name} p`]);
    // open runs inside res.upgrade, as part of the same event.
    expect(await done.take()).toEqual(['upgrade', 'open', 'upgrade t', 'open t', 'upgrade p', 'open p', ...others]);
  });

  test('however long their chains are', async () => {
    const order = [];
    const done = new Mailbox();
    const { port } = serve({
      async message(ws, message) {
        const number = text(message);
        for (let count = 0; count < 50; count++) {
          await null;
          await new Promise(process.nextTick);
        }
        order.push(number);
        if (number === '3') done.put(order);
      },
      ping: () => order.push('ping'),
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', '1'), frame('text', '2'), frame('ping'), frame('text', '3'));
    expect(await done.take()).toEqual(['1', '2', 'ping', '3']);
  });

  test('timers and setImmediate run while messages keep coming', async () => {
    let received = 0;
    const { port } = serve({ message: () => { received++; } });
    const client = await RawWebSocket.open(port);
    let isOver = false;
    const flood = (async () => {
      const many = Buffer.concat(Array(1000).fill(frame('text', 'x')));
      while (!isOver) {
        client.send(many);
        await new Promise(setImmediate);
      }
    })();
    for (let count = 0; count < 20; count++) await new Promise((resolve) => { setTimeout(resolve, 1); });
    while (received === 0) await new Promise(setImmediate);
    isOver = true;
    await flood;
  });
});

describe('a handler that throws', () => {
  /** A program with an echo route whose handlers can be made to throw, and a client of it. */
  async function start(listener) {
    const program = new Program(`
      ${listener}
      const handlers = {
        message(ws, message) {
          const word = Buffer.from(message).toString();
          if (word === 'throw') throw new Error('in message');
          if (word === 'tick') process.nextTick(() => { throw new Error('in nextTick'); });
          if (word === 'ticks') {
            process.nextTick(() => { throw new Error('in the first'); });
            process.nextTick(() => { throw new Error('in the second'); });
            process.nextTick(() => ws.send('third'));
          }
          if (word === 'microtask') queueMicrotask(() => { throw new Error('in microtask'); });
          if (word === 'reject') return Promise.reject(new Error('in promise'));
          if (word === 'open') throw null;
          if (word === 'end') { ws.end(4000, 'bye'); return; }
          ws.send(word);
        },
        ping() { throw new Error('in ping'); },
        pong() { throw new Error('in pong'); },
        subscription() { throw new Error('in subscription'); },
        open(ws) { ws.subscribe('topic'); ws.send('opened'); throw new Error('in open'); },
        close() { throw new Error('in close'); },
      };
      const app = uWS.App({ threads: 1 }).ws('/*', handlers);
      app.get('/throw', (res) => { res.end('x'); throw new Error('in get'); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    return { program, port };
  }

  const REPORT = `
    process.on('uncaughtException', (error, origin) => say([origin, error && error.message]));
  `;

  test('raises uncaughtException, and the rest of the batch is delivered', async () => {
    const { program, port } = await start(REPORT);
    const client = await RawWebSocket.open(port);
    expect(await program.hear()).toEqual(['uncaughtException', 'in subscription']);
    expect(await program.hear()).toEqual(['uncaughtException', 'in open']);
    expect(await client.frame()).toEqual(['text', 'opened']);

    const words = ['a', 'throw', 'b', 'tick', 'c', 'microtask', 'd', 'open', 'e', 'reject', 'f'];
    client.send(...words.map((word) => frame('text', word)), frame('ping'), frame('pong'), frame('text', 'last'));
    const answers = [];
    while (answers.at(-1) !== 'last') {
      const [name, word] = await client.frame();
      if (name === 'text') answers.push(word);
    }
    expect(answers).toEqual(['a', 'b', 'tick', 'c', 'microtask', 'd', 'e', 'f', 'last']);
    const said = [];
    for (let count = 0; count < 7; count++) said.push(await program.hear());
    expect(said).toEqual([
      ['uncaughtException', 'in message'],
      ['uncaughtException', 'in nextTick'],
      ['uncaughtException', 'in microtask'],
      ['uncaughtException', null],
      ['unhandledRejection', 'in promise'],
      ['uncaughtException', 'in ping'],
      ['uncaughtException', 'in pong'],
    ]);
  });

  test('raises uncaughtException, and what comes alone is answered', async () => {
    const { program, port } = await start(REPORT);
    const client = await RawWebSocket.open(port);
    for (let count = 0; count < 2; count++) await program.hear();
    expect(await client.frame()).toEqual(['text', 'opened']);
    const exchange = async (word, ...answers) => {
      client.sendText(word);
      for (const answer of answers) expect(await client.frame()).toEqual(['text', answer]);
    };
    await exchange('tick', 'tick');
    expect(await program.hear()).toEqual(['uncaughtException', 'in nextTick']);
    await exchange('microtask', 'microtask');
    expect(await program.hear()).toEqual(['uncaughtException', 'in microtask']);
    await exchange('ticks', 'ticks', 'third');
    expect(await program.hear()).toEqual(['uncaughtException', 'in the first']);
    expect(await program.hear()).toEqual(['uncaughtException', 'in the second']);
    client.sendText('throw');
    expect(await program.hear()).toEqual(['uncaughtException', 'in message']);
    client.sendText('reject');
    expect(await program.hear()).toEqual(['unhandledRejection', 'in promise']);
    await exchange('a', 'a');
  });

  test('is reported for close as well, inside ws.end and after it', async () => {
    const { program, port } = await start(REPORT);
    const client = await RawWebSocket.open(port);
    client.sendText('end');
    const said = [];
    for (let count = 0; count < 4; count++) said.push((await program.hear())[1]);
    expect(said).toEqual(['in subscription', 'in open', 'in subscription', 'in close']);
    expect(await client.frame()).toEqual(['text', 'opened']);
    expect(await client.frame()).toEqual(['close', 4000, 'bye']);
  });

  test('is reported for routes as well, and the response leaves', async () => {
    const { program, port } = await start(REPORT);
    const client = await RawClient.connect(port);
    expect((await client.get('/throw')).text).toBe('x');
    expect(await program.hear()).toEqual(['uncaughtException', 'in get']);
    expect((await client.get('/throw')).text).toBe('x');
  });

  test('ends the process if nobody listens for it, with the stack on stderr', async () => {
    const { program, port } = await start("process.once('uncaughtException', () => {});");
    const client = await RawWebSocket.open(port);
    const { code, signal, stderr } = await program.end();
    expect([code, signal]).toEqual([1, null]);
    expect(stderr).toMatch(/Error: in open\n +at /);
    await client.rest();
  });
});

describe('AsyncLocalStorage', () => {
  test('a handler that runs in a store keeps it across awaits, whatever other connections do', async () => {
    const storage = new AsyncLocalStorage();
    const { port } = serve({
      message: (ws, message) => storage.run(text(message), async () => {
        for (let count = 0; count < 5; count++) {
          await null;
          await new Promise(setImmediate);
        }
        ws.send(storage.getStore());
      }),
    });
    const clients = await Promise.all(Array.from({ length: 5 }, () => RawWebSocket.open(port)));
    clients.forEach((client, index) => client.send(frame('text', `${index} a`), frame('text', `${index} b`)));
    for (const [index, client] of clients.entries()) {
      const answers = [await client.frame(), await client.frame()];
      expect(answers).toEqual([['text', `${index} a`], ['text', `${index} b`]]);
    }
  });

  test('the store of one event is not seen by the next', async () => {
    const storage = new AsyncLocalStorage();
    const seen = new Mailbox();
    const { port } = serve({
      message(ws, message) {
        seen.put(storage.getStore());
        return storage.run(text(message), () => new Promise(setImmediate));
      },
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'one'), frame('text', 'two'), frame('text', 'three'));
    expect([await seen.take(), await seen.take(), await seen.take()]).toEqual([undefined, undefined, undefined]);
  });

  test('a store that a handler enters without leaving it is gone with its event', async () => {
    const storage = new AsyncLocalStorage();
    const seen = new Mailbox();
    const { port } = serve({
      async message(ws, message) {
        seen.put(storage.getStore());
        storage.enterWith(text(message));
        await null;
        seen.put(storage.getStore());
      },
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'one'), frame('text', 'two'));
    expect([await seen.take(), await seen.take()]).toEqual([undefined, 'one']);
    expect([await seen.take(), await seen.take()]).toEqual([undefined, 'two']);
  });

  // Until somebody looks, handlers share one async resource: what the first one leaves in it is to be gone, too.
  test.each([
    ['a store that it enters', "storage.enterWith('left')", 'storage.getStore()'],
    ['what it stores in its resource', "executionAsyncResource().left = 'left'", 'executionAsyncResource().left'],
  ])('the first handler of a process that does so leaves nothing behind: %s', async (_, leave, look) => {
    const program = new Program(`
      const { AsyncLocalStorage, executionAsyncResource } = require('node:async_hooks');
      const storage = new AsyncLocalStorage();
      const app = uWS.App().ws('/*', {
        message(ws, message) {
          const text = Buffer.from(message).toString();
          if (text === 'leave') ${leave};
          else if (text === 'look') ws.send(String(${look}));
        },
      });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const client = await RawWebSocket.open(await program.hear());
    const [nothing, leaves, looks] = ['nothing', 'leave', 'look'].map((text) => frame('text', text));
    client.send(nothing, nothing, leaves, looks, looks);
    expect([await client.frame(), await client.frame()]).toEqual(Array(2).fill(['text', 'undefined']));
    client.send(looks, leaves, looks);
    expect([await client.frame(), await client.frame()]).toEqual(Array(2).fill(['text', 'undefined']));
    await program.kill();
  });

  test('handlers do not see the store of a call that made events deliverable', async () => {
    const storage = new AsyncLocalStorage();
    const requests = new Mailbox();
    const seen = new Mailbox();
    const app = createApp();
    app.post('/*', (res, req) => {
      res.onAborted(() => {});
      requests.put([req.getUrl(), res]);
    });
    const port = listen(app);
    for (const path of ['/a', '/b']) {
      await (await RawClient.connect(port)).send(`POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi`);
    }
    const waiting = [await requests.take(), await requests.take()];
    await new Promise(setImmediate);
    for (const [path, res] of waiting) {
      storage.run(path, () => res.onData((chunk, isLast) => {
        if (isLast) seen.put([path, storage.getStore()]);
      }));
    }
    const others = [];
    for (let count = 0; count < 2; count++) {
      const [path, store] = await seen.take();
      if (store !== undefined && store !== path) others.push([path, store]);
    }
    expect(others).toEqual([]);
  });

  test('client and server can both run in one store', async () => {
    const storage = new AsyncLocalStorage();
    const { port } = serve({ message: (ws) => ws.send('x') });
    await storage.run('mine', async () => {
      const client = await RawWebSocket.open(port);
      client.sendText('x');
      await client.frame();
      expect(storage.getStore()).toBe('mine');
      client.finish();
      await once(client.socket, 'close');
    });
  });
});
