'use strict';

// The object that stands for a WebSocket: what it is, its addresses, `cork`, and what is left of it once it is closed.

const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp } = require('../helpers/server.js');
const { openWebSocket: open, serveWebSocket: serve } = require('../helpers/websocket-server.js');

const CLOSED = {
  name: 'Error',
  code: 'ERR_WEBSOCKET_CLOSED',
  message: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.',
};

const echo = (ws, message, isBinary) => ws.send(message, isBinary);
const text = (buffer) => Buffer.from(buffer).toString();

describe('the object', () => {
  test('its constructor is called uWS.WebSocket, and nobody else makes one', async () => {
    const { ws } = await open({});
    expect(ws.constructor.name).toBe('uWS.WebSocket');
    expect(failureOf(() => new ws.constructor())).toMatchObject({ name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  });

  test('is the same from open to close, and programs may keep things on it and use it as a key', async () => {
    const events = new Mailbox();
    const known = new Map();
    const port = serve({
      open(ws) {
        ws.count = 0;
        known.set(ws, 'mine');
      },
      message(ws) {
        ws.count++;
        ws.sendJson = (value) => ws.send(JSON.stringify(value));
        ws.sendJson({ count: ws.count });
      },
      ping: (ws) => events.put(['ping', ws.count, known.get(ws)]),
      close: (ws) => events.put(['close', ws.count, known.get(ws)]),
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'x'), frame('text', 'x'), frame('ping'), closeFrame(1000));
    expect(await events.take()).toEqual(['ping', 2, 'mine']);
    expect(await events.take()).toEqual(['close', 2, 'mine']);
    const frames = (await client.rest()).frames.filter(([name]) => name === 'text');
    expect(frames).toEqual([['text', '{"count":1}'], ['text', '{"count":2}']]);
  });

  test('its methods are on its prototype and refuse foreign objects', async () => {
    const { ws } = await open({});
    expect(Object.keys(ws)).toEqual([]);
    const names = Object.getOwnPropertyNames(ws.constructor.prototype).filter((name) => name !== 'constructor');
    for (const name of names) {
      const { value, get } = Object.getOwnPropertyDescriptor(ws.constructor.prototype, name);
      for (const target of [{}, undefined, Object.create(ws)]) {
        const failure = failureOf(() => (value ?? get).call(target, 'x', 'x'));
        expect([name, failure.code]).toEqual([name, 'ERR_INVALID_THIS']);
      }
    }
  });
});

describe('addresses', () => {
  /** What a connection says of its peer, in open and in a later message. */
  async function addressesOf(...where) {
    const told = new Mailbox();
    const tell = (ws) => told.put({
      bytes: [...new Uint8Array(ws.getRemoteAddress())],
      text: text(ws.getRemoteAddressAsText()),
      port: ws.getRemotePort(),
    });
    const port = serve({ open: tell, message: tell }, ...where);
    const client = await RawWebSocket.open(port);
    client.sendText('x');
    const [atOpen, later] = [await told.take(), await told.take()];
    expect(later).toEqual(atOpen);
    return { ...atOpen, clientPort: client.socket.localPort };
  }

  test('IPv4: 4 bytes, dotted text, the port of the peer', async () => {
    const { bytes, text: address, port, clientPort } = await addressesOf('127.0.0.1', 0);
    expect([bytes, address, port]).toEqual([[127, 0, 0, 1], '127.0.0.1', clientPort]);
  });

  test('without a host: an IPv4 peer is IPv4-mapped, 16 bytes', async () => {
    const { bytes, text: address, port, clientPort } = await addressesOf(0);
    expect(bytes).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);
    expect([address, port]).toEqual(['0000:0000:0000:0000:0000:ffff:7f00:0001', clientPort]);
  });

  test('Unix socket: empty, port 0; messages work', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ferrows-'));
    afterTest(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const told = new Mailbox();
    const app = createApp();
    app.ws('/*', {
      open(ws) {
        told.put([ws.getRemoteAddress().byteLength, ws.getRemoteAddressAsText().byteLength, ws.getRemotePort()]);
      },
      message: echo,
    });
    app.listen_unix((token) => expect(token).toBeTruthy(), path);
    const client = await RawWebSocket.open({ path });
    expect(await told.take()).toEqual([0, 0, 0]);
    client.sendText('over a file');
    expect(await client.frame()).toEqual(['text', 'over a file']);
  });
});

describe('ws.cork', () => {
  test('runs the callback at once, returns the WebSocket, and what is sent leaves in order', async () => {
    const { client, ws } = await open({});
    let ran = false;
    const result = ws.cork(() => {
      ran = true;
      ws.send('one');
      ws.cork(() => ws.send('two'));
      ws.ping('three');
    });
    expect([ran, result]).toEqual([true, ws]);
    expect(await client.frame()).toEqual(['text', 'one']);
    expect(await client.frame()).toEqual(['text', 'two']);
    expect(await client.frame()).toEqual(['ping', 'three']);
  });

  test('what is sent leaves in one piece, however many messages it is', async () => {
    const { client, ws } = await open({});
    let pieces = 0;
    client.socket.on('data', () => { pieces++; });
    ws.subscribe('topic');
    ws.cork(() => {
      for (let count = 0; count < 5; count++) ws.send('message');
      ws.publish('topic', 'not to myself');
      for (let count = 0; count < 5; count++) ws.send('message');
    });
    for (let count = 0; count < 10; count++) expect(await client.frame()).toEqual(['text', 'message']);
    expect(pieces).toBe(1);
  });

  test('send returns 1 and getBufferedAmount 0 in it, as long as no more waits than the system would take', async () => {
    const { client, ws } = await open({ maxBackpressure: 1 });
    const seen = [];
    ws.cork(() => {
      for (let count = 0; count < 16; count++) seen.push(ws.send('x'.repeat(16 * 1024)), ws.getBufferedAmount());
    });
    expect(new Set(seen)).toEqual(new Set([1, 0]));
    for (let count = 0; count < 16; count++) expect((await client.frame())[1].length).toBe(16 * 1024);
  });

  test('throws what the callback throws, and what was sent before leaves all the same', async () => {
    const { client, ws } = await open({});
    expect(failureOf(() => ws.cork(() => {
      ws.send('before');
      throw new Error('mine');
    })).message).toBe('mine');
    expect(await client.frame()).toEqual(['text', 'before']);
    ws.send('after');
    expect(await client.frame()).toEqual(['text', 'after']);
  });

  test('returns the WebSocket also if the callback closed it', async () => {
    const { client, ws } = await open({});
    expect(ws.cork(() => ws.end(4000, 'bye'))).toBe(ws);
    expect(await client.frame()).toEqual(['close', 4000, 'bye']);
  });

  test.each([undefined, null, 7, {}])('throws for %p', async (callback) => {
    const { ws } = await open({});
    const message = 'Passed callback is not a valid function.';
    expect(failureOf(() => ws.cork(callback))).toEqual({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
  });
});

describe('a closed WebSocket', () => {
  const CALLS = {
    send: (ws) => ws.send('x'),
    sendFirstFragment: (ws) => ws.sendFirstFragment('x'),
    sendFragment: (ws) => ws.sendFragment('x'),
    sendLastFragment: (ws) => ws.sendLastFragment('x'),
    ping: (ws) => ws.ping(),
    getBufferedAmount: (ws) => ws.getBufferedAmount(),
    end: (ws) => ws.end(),
    close: (ws) => ws.close(),
    cork: (ws) => ws.cork(() => {}),
    subscribe: (ws) => ws.subscribe('t'),
    unsubscribe: (ws) => ws.unsubscribe('t'),
    isSubscribed: (ws) => ws.isSubscribed('t'),
    getTopics: (ws) => ws.getTopics(),
    publish: (ws) => ws.publish('t', 'x'),
    getRemoteAddress: (ws) => ws.getRemoteAddress(),
    getRemoteAddressAsText: (ws) => ws.getRemoteAddressAsText(),
    getRemotePort: (ws) => ws.getRemotePort(),
    getProxiedRemoteAddress: (ws) => ws.getProxiedRemoteAddress(),
    getProxiedRemoteAddressAsText: (ws) => ws.getProxiedRemoteAddressAsText(),
    getProxiedRemotePort: (ws) => ws.getProxiedRemotePort(),
  };
  const ENDS = {
    'ended here': (ws) => ws.end(),
    'closed here': (ws) => ws.close(),
    'closed by the peer': (ws, client) => client.send(closeFrame(1000)),
    'reset by the peer': (ws, client) => client.reset(),
  };

  test('the calls below are all of its methods', async () => {
    const { ws } = await open({});
    const names = Object.getOwnPropertyNames(ws.constructor.prototype);
    expect(names.sort()).toEqual(['constructor', 'getUserData', 'remoteAddress', ...Object.keys(CALLS)].sort());
  });

  test.each(Object.entries(ENDS))('%s: every method but getUserData throws, in close and later', async (_, end) => {
    const inside = new Mailbox();
    const failuresOf = (ws) => Object.values(CALLS).map((call) => failureOf(() => call(ws)));
    const { client, ws } = await open({
      close: (socket) => inside.put([failuresOf(socket), socket.getUserData() === socket]),
    });
    end(ws, client);
    const all = Object.values(CALLS).map(() => CLOSED);
    expect(await inside.take()).toEqual([all, true]);
    await new Promise(setImmediate);
    expect(failuresOf(ws)).toEqual(all);
    expect(ws.getUserData()).toBe(ws);
  });

  test('a kept one never reaches the connection that came after it', async () => {
    const opened = new Mailbox();
    const port = serve({ open: (ws) => opened.put(ws), close: () => opened.put('closed') });
    const first = await RawWebSocket.open(port);
    const old = await opened.take();
    first.reset();
    expect(await opened.take()).toBe('closed');
    const second = await RawWebSocket.open(port);
    const current = await opened.take();
    expect(current).not.toBe(old);
    expect(failureOf(() => old.send('to the wrong one'))).toEqual(CLOSED);
    expect(failureOf(() => old.end())).toEqual(CLOSED);
    current.send('to the right one');
    expect(await second.frame()).toEqual(['text', 'to the right one']);
  });

  test('the reason given to close is detached when the handler returns, unless it returned a promise', async () => {
    const reasons = new Mailbox();
    let isAsync = false;
    const port = serve({
      close(ws, code, message) {
        reasons.put(message);
        return isAsync ? Promise.resolve() : undefined;
      },
    });
    for (const length of [0, 4]) {
      const client = await RawWebSocket.open(port);
      client.send(closeFrame(1000, 'done'));
      const reason = await reasons.take();
      await client.rest();
      expect(reason.byteLength).toBe(length);
      isAsync = true;
    }
  });
});
