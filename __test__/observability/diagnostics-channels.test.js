'use strict';

// What is told on channels of node:diagnostics_channel, and that it disturbs nobody.

const { channel } = require('node:diagnostics_channel');

const { passBarrier, textOf } = require('../helpers/closing-server.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const DROPPED = 2;
const SIZE = 64 * 1024;

/** Subscribes until the test is over. What subscriber and handlers report goes into the same mailbox, in order. */
function subscribe(name, handle) {
  const subscriber = (message, from) => {
    expect(from).toBe(name);
    handle(message);
  };
  // Kept by the closure: Node may forget a channel that nobody holds.
  const subscribed = channel(name);
  subscribed.subscribe(subscriber);
  const unsubscribe = () => subscribed.unsubscribe(subscriber);
  afterTest(unsubscribe);
  return unsubscribe;
}

test('open: the WebSocket, before its open handler', async () => {
  const told = new Mailbox();
  const app = createApp();
  subscribe('ferrows:websocket:open', (message) => told.put(message));
  app.ws('/*', {
    upgrade: (res, req, context) => res.upgrade({ name: 'Ada' }, req.getHeader('sec-websocket-key'), '', '', context),
    open: (ws) => told.put(ws),
  });
  await RawWebSocket.open(listen(app));
  const [message, ws] = [await told.take(), await told.take()];
  expect(Object.keys(message)).toEqual(['ws']);
  expect(message.ws).toBe(ws);
  expect(message.ws.name).toBe('Ada');
});

test('open: a WebSocket that a subscriber has closed is not opened to its handler', async () => {
  const told = new Mailbox();
  subscribe('ferrows:websocket:open', ({ ws }) => {
    ws.end(4000, 'unwanted');
    told.put('subscriber');
  });
  const app = createApp().ws('/*', {
    open: () => told.put('open'),
    close: (ws, code) => told.put(['close', code]),
  }).any('/*', (res) => res.end());
  const port = listen(app);
  await RawWebSocket.open(port);
  await passBarrier(port);
  expect([await told.take(), await told.take(), told.size]).toEqual([['close', 4000], 'subscriber', 0]);
  expect(app.getStats().connections.webSocket).toEqual({ open: 0, total: 1 });
});

test.each([
  ['the peer closed', (client) => client.send(closeFrame(4000, 'bye')), [4000, 'bye', 'CLOSED_BY_PEER']],
  ['the peer is gone', (client) => client.reset(), [1006, 'Connection reset by peer', 'ERR_CONNECTION_RESET']],
  ['the application closed', (client, ws) => ws.end(4001, 'enough'), [4001, 'enough', 'CLOSED_BY_END']],
])('close: what the close handler is told, before it, when %s', async (title, end, [code, reason, cause]) => {
  const [told, opened] = [new Mailbox(), new Mailbox()];
  const app = createApp();
  subscribe('ferrows:websocket:close', (message) => told.put(message));
  app.ws('/*', {
    open: (ws) => opened.put(ws),
    close: (ws, closeCode, message, info) => told.put({ ws, code: closeCode, reason: textOf(message), info }),
  });
  const client = await RawWebSocket.open(listen(app));
  end(client, await opened.take());
  const [message, handler] = [await told.take(), await told.take()];
  expect(message).toEqual(handler);
  expect(message).toMatchObject({ code, reason, info: { cause } });
  expect(message.ws).toBe(handler.ws);
});

test('close: what a subscriber does to the info is not seen by the handler', async () => {
  const told = new Mailbox();
  const app = createApp();
  subscribe('ferrows:websocket:close', ({ info }) => {
    info.cause = 'changed';
  });
  app.ws('/*', { close: (ws, code, message, info) => told.put(info.cause) });
  (await RawWebSocket.open(listen(app))).finish();
  expect(await told.take()).toBe('ERR_FIN_WITHOUT_CLOSE');
});

describe('dropped', () => {
  /** A WebSocket whose peer does not read and that has missed a message of `send`. */
  async function slowSocket(behavior) {
    const opened = new Mailbox();
    const app = createApp();
    app.get('/barrier', (res) => res.end());
    app.ws('/*', { maxBackpressure: SIZE, open: (ws) => opened.put(ws), ...behavior });
    const port = listen(app);
    const client = await RawWebSocket.open(port);
    client.pause();
    const ws = await opened.take();
    while (ws.send(Buffer.alloc(SIZE, 's'), true) !== DROPPED);
    return { app, port, ws };
  }

  const describeMessage = ({ ws, message, isBinary, unreported }) => {
    return { ws, length: message.byteLength, first: textOf(message)[0], isBinary, unreported };
  };

  test.each([
    ['without a dropped handler', undefined],
    ['before the dropped handler', (told) => ({ dropped: (ws, message) => told.put(['handler', message.byteLength]) })],
  ])('messages of send and of publish, %s', async (title, behaviorOf) => {
    const told = new Mailbox();
    subscribe('ferrows:websocket:dropped', (message) => told.put(describeMessage(message)));
    const { app, ws } = await slowSocket(behaviorOf?.(told));
    const expectDrop = async (expected) => {
      expect(await told.take()).toEqual({ ws, unreported: 0, ...expected });
      if (behaviorOf !== undefined) expect(await told.take()).toEqual(['handler', expected.length]);
    };
    await expectDrop({ length: SIZE, first: 's', isBinary: true });
    ws.subscribe('news');
    app.publish('news', 'published');
    await expectDrop({ length: 9, first: 'p', isBinary: false });
  });

  test('the handler is told nothing of a WebSocket that a subscriber has closed', async () => {
    const told = new Mailbox();
    subscribe('ferrows:websocket:dropped', ({ ws }) => {
      ws.close();
      told.put('subscriber');
    });
    const { port } = await slowSocket({ dropped: () => told.put('handler'), close: () => told.put('close') });
    await passBarrier(port);
    expect([await told.take(), await told.take(), told.size]).toEqual(['close', 'subscriber', 0]);
  });

  test('no longer told than somebody is subscribed', async () => {
    const told = new Mailbox();
    const unsubscribe = subscribe('ferrows:websocket:dropped', (message) => told.put(describeMessage(message).first));
    const { app, port, ws } = await slowSocket();
    ws.subscribe('news');
    app.publish('news', 'a');
    expect([await told.take(), await told.take()]).toEqual(['s', 'a']);
    unsubscribe();
    app.publish('news', 'b');
    await passBarrier(port);
    subscribe('ferrows:websocket:dropped', (message) => told.put(describeMessage(message).first));
    app.publish('news', 'c');
    expect(await told.take()).toBe('c');
  });
});

test.each([
  ['the client is gone', (client) => client.finish(), 'ERR_FIN_BEFORE_RESPONSE'],
  ['the application closed', (client, res) => res.close(), 'CLOSED_BY_APPLICATION'],
])('aborted: what onAborted is told, before it, when %s', async (title, end, cause) => {
  const [told, begun] = [new Mailbox(), new Mailbox()];
  subscribe('ferrows:http:aborted', (message) => told.put(message));
  const app = createApp().get('/', (res) => {
    res.onAborted((reason, info) => told.put({ res, reason, info }));
    begun.put(res);
  });
  const client = await RawClient.connect(listen(app));
  await client.send(request('GET', '/'));
  end(client, await begun.take());
  const [message, handler] = [await told.take(), await told.take()];
  expect(message).toEqual(handler);
  expect(message.res).toBe(handler.res);
  expect(message.info.cause).toBe(cause);
});

test('a subscriber that throws is reported as uncaught, and handlers and other subscribers go on', async () => {
  const program = new Program(`
    const { channel } = require('node:diagnostics_channel');
    const { get } = require('node:http');
    const { WebSocket } = require('ws');
    process.on('uncaughtException', (error) => say('uncaught ' + error.message));
    const channels = ['websocket:open', 'websocket:close', 'http:aborted'].map((name) => channel('ferrows:' + name));
    for (const it of channels) {
      it.subscribe((message, name) => { throw new Error(name); });
      it.subscribe((message, name) => say(name));
    }
    const app = uWS.App({ threads: 1 });
    app.get('/', (res) => {
      res.onAborted(() => say('onAborted'));
      setImmediate(() => res.close());
    });
    app.ws('/ws', {
      open: (ws) => {
        say('open');
        setImmediate(() => ws.end());
      },
      close: () => {
        say('close');
        setImmediate(() => app.close());
      },
    });
    app.listen('127.0.0.1', 0, (token) => {
      const port = uWS.us_socket_local_port(token);
      get({ port, host: '127.0.0.1' }).on('error', () => new WebSocket('ws://127.0.0.1:' + port + '/ws').on('error', () => {}));
    });
  `);
  for (const [name, handler] of [['http:aborted', 'onAborted'], ['websocket:open', 'open'], ['websocket:close', 'close']]) {
    const heard = [await program.hear(), await program.hear(), await program.hear()];
    expect(heard).toEqual([`ferrows:${name}`, handler, `uncaught ferrows:${name}`]);
  }
  expect(await program.end()).toMatchObject({ code: 0, signal: null });
});
