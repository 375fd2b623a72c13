'use strict';

// From a handshake to an open WebSocket: what `upgrade` handlers may do, when, and what the peer is answered.

const { promisify } = require('node:util');
const { Worker } = require('node:worker_threads');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { KEY, RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const RESPONSE_CLOSED = {
  name: 'Error',
  code: 'ERR_HTTP_RESPONSE_CLOSED',
  message: 'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful '
    + 'response. See documentation for uWS.HttpResponse and consult the user manual.',
};

/** Serves one WebSocket route. */
function serve(behavior, path = '/ws') {
  const app = createApp();
  app.ws(path, behavior);
  return { app, port: listen(app) };
}

/** Upgrades with what the request says, and this user data. */
function accept(res, req, context, userData = {}) {
  const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) => {
    return req.getHeader(`sec-websocket-${name}`);
  });
  res.upgrade(userData, key, protocol, extensions, context);
}

/** Sends bytes and returns the response to them, and the connection. */
async function ask(port, request) {
  const client = await RawClient.connect(port);
  await client.send(request);
  return { client, response: await client.response() };
}

/** The values of a field in the answer to a handshake. */
function valuesIn(client, name) {
  const lines = client.head.split('\r\n').slice(1).map((line) => line.split(': '));
  return lines.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value);
}

describe('without an upgrade handler', () => {
  test('every handshake is accepted: 101, with Upgrade, Connection, Sec-WebSocket-Accept and Date', async () => {
    const { port } = serve({});
    const client = await RawWebSocket.open(port, { path: '/ws' });
    const names = client.head.split('\r\n').slice(1).map((line) => line.split(': ')[0]);
    expect(names).toEqual(['Upgrade', 'Connection', 'Sec-WebSocket-Accept', 'Date']);
    expect(client.head.split('\r\n')[0]).toBe('HTTP/1.1 101 Switching Protocols');
  });

  test.each([
    ['chat', ['chat']],
    ['graphql-transport-ws, graphql-ws', ['graphql-transport-ws']],
    ['  v1.chat  ,v2.chat', ['v1.chat']],
  ])('the first subprotocol offered is selected: %s', async (offer, expected) => {
    const { port } = serve({});
    const client = await RawWebSocket.open(port, { path: '/ws', fields: [`Sec-WebSocket-Protocol: ${offer}`] });
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual(expected);
  });

  test('user data is empty, and getUserData() is the WebSocket', async () => {
    const seen = new Mailbox();
    const { port } = serve({ open: (ws) => seen.put([Object.keys(ws), ws.getUserData() === ws]) });
    await RawWebSocket.open(port, { path: '/ws' });
    expect(await seen.take()).toEqual([[], true]);
  });
});

describe('upgrade inside the handler', () => {
  test('open runs before res.upgrade returns, and upgrade returns undefined', async () => {
    const order = new Mailbox();
    const { port } = serve({
      upgrade(res, req, context) {
        order.put('before');
        const result = res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
        order.put(['after', result]);
      },
      open: () => order.put('open'),
    });
    await RawWebSocket.open(port, { path: '/ws' });
    const seen = [await order.take(), await order.take(), await order.take()];
    expect(seen).toEqual(['before', 'open', ['after', undefined]]);
  });

  test('afterwards the response is over and every method of it throws', async () => {
    const failures = new Mailbox();
    const { port } = serve({
      upgrade(res, req, context) {
        accept(res, req, context);
        for (const call of [
          () => res.end(),
          () => res.write('x'),
          () => res.writeHeader('a', 'b'),
          () => res.close(),
          () => res.cork(() => {}),
          () => res.upgrade({}, KEY, '', '', context),
          () => res.getRemotePort(),
        ]) failures.put(failureOf(call));
      },
    });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    for (let count = 0; count < 7; count++) expect(await failures.take()).toEqual(RESPONSE_CLOSED);
    client.send(closeFrame(1000));
    expect((await client.rest()).frames).toEqual([['close', 1000, '']]);
  });

  test('what open sends comes right behind the 101', async () => {
    const { port } = serve({ upgrade: accept, open: (ws) => ws.send('welcome') });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(await client.frame()).toEqual(['text', 'welcome']);
  });

  test('frames that came in one piece with the handshake are delivered, after open', async () => {
    const events = new Mailbox();
    const { port } = serve({
      upgrade: accept,
      open: () => events.put('open'),
      message: (ws, message) => events.put(Buffer.from(message).toString()),
    });
    const behind = Buffer.concat([frame('text', 'one'), frame('text', 'two')]);
    await RawWebSocket.open(port, { path: '/ws', behind });
    expect([await events.take(), await events.take(), await events.take()]).toEqual(['open', 'one', 'two']);
  });

  test('parameters and query of the request are there', async () => {
    const seen = new Mailbox();
    const { port } = serve({
      upgrade(res, req, context) {
        seen.put([req.getParameter(0), req.getParameter('room'), req.getQuery('nick'), req.getUrl()]);
        accept(res, req, context);
      },
    }, '/rooms/:room');
    await RawWebSocket.open(port, { path: '/rooms/kitchen?nick=a%20b' });
    expect(await seen.take()).toEqual(['kitchen', 'kitchen', 'a b', '/rooms/kitchen']);
  });

  test('inside res.cork', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        expect(res.cork(() => accept(res, req, context))).toBe(res);
      },
      open: (ws) => ws.send('welcome'),
    });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(await client.frame()).toEqual(['text', 'welcome']);
  });
});

describe('upgrade later', () => {
  const pause = promisify(setTimeout);

  test.each([
    ['after an await', () => Promise.resolve()],
    ['after many awaits', async () => { for (let count = 0; count < 50; count++) await null; }],
    ['after setImmediate', () => new Promise(setImmediate)],
    ['after setTimeout', () => pause(1)],
  ])('%s; the request can be read still', async (title, wait) => {
    const events = new Mailbox();
    const { port } = serve({
      async upgrade(res, req, context) {
        res.onAborted(() => events.put('aborted'));
        await wait();
        accept(res, req, context, { nick: req.getQuery('nick') });
        events.put('upgraded');
      },
      open: (ws) => events.put(['open', ws.nick]),
      message: (ws, message) => ws.send(message),
    });
    const client = await RawWebSocket.open(port, { path: '/ws?nick=ali', behind: frame('text', 'early') });
    expect([await events.take(), await events.take()]).toEqual([['open', 'ali'], 'upgraded']);
    expect(await client.frame()).toEqual(['text', 'early']);
    expect(events.size).toBe(0);
  });

  test('with copies of the headers, as programs for uWebSockets.js do', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        const copies = ['key', 'protocol', 'extensions'].map((name) => req.getHeader(`sec-websocket-${name}`));
        let isAborted = false;
        res.onAborted(() => { isAborted = true; });
        setTimeout(() => {
          if (!isAborted) res.cork(() => res.upgrade({ url: '/ws' }, ...copies, context));
        }, 1);
      },
      open: (ws) => ws.send(ws.url),
    });
    const client = await RawWebSocket.open(port, { path: '/ws', fields: ['Sec-WebSocket-Protocol: chat'] });
    expect(await client.frame()).toEqual(['text', '/ws']);
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual(['chat']);
  });

  test('after the peer has gone: res.upgrade throws, and nothing opens', async () => {
    const requests = new Mailbox();
    const aborts = new Mailbox();
    const opened = [];
    const { port } = serve({
      upgrade(res, req, context) {
        res.onAborted((reason, info) => aborts.put([reason, info.cause]));
        requests.put({ res, context });
      },
      open: (ws) => opened.push(ws),
    });
    const client = await RawClient.connect(port);
    await client.send(handshake('/ws'));
    const { res, context } = await requests.take();
    client.reset();
    expect(await aborts.take()).toEqual(['Connection reset by peer', 'ERR_CONNECTION_RESET']);
    expect(failureOf(() => res.upgrade({}, KEY, '', '', context))).toEqual(RESPONSE_CLOSED);
    expect(res.aborted).toBe(true);
    expect(opened).toEqual([]);
  });

  test.each([
    ['RST', 'Connection reset by peer', 'ERR_CONNECTION_RESET'],
    ['FIN', 'Received TCP FIN before WebSocket close frame', 'ERR_FIN_WITHOUT_CLOSE'],
  ])('after a %s that this thread cannot have heard of: open, then close once', async (how, reason, cause) => {
    const events = new Mailbox();
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const { app, port } = serve({
      upgrade(res, req, context) {
        res.onAborted(() => events.put('aborted'));
        Atomics.store(flag, 0, 1);
        Atomics.notify(flag, 0);
        Atomics.wait(flag, 0, 1);
        accept(res, req, context);
      },
      open: () => events.put('open'),
      close: (ws, code, message, info) => events.put(['close', code, Buffer.from(message).toString(), info.cause]),
    });
    app.get('/barrier', (res) => res.end());
    const workerData = { port, flag, how, request: handshake('/ws') };
    const worker = new Worker(LEAVING_CLIENT, { eval: true, workerData });
    afterTest(() => worker.terminate());
    expect([await events.take(), await events.take()]).toEqual(['open', ['close', 1006, reason, cause]]);
    await ask(port, 'GET /barrier HTTP/1.1\r\nHost: test\r\n\r\n');
    expect(events.size).toBe(0);
  });

  /** Leaves while the upgrade handler runs, which waits for it: 1 says that it has begun, 2 that the client is gone. */
  const LEAVING_CLIENT = `
    const { connect } = require('node:net');
    const { port, flag, how, request } = require('node:worker_threads').workerData;
    const gone = () => { Atomics.store(flag, 0, 2); Atomics.notify(flag, 0); };
    const socket = connect(port, '127.0.0.1', () => socket.write(request, () => {
      Atomics.wait(flag, 0, 0);
      if (how === 'RST') socket.once('close', gone).resetAndDestroy();
      else socket.end(gone);
    }));
    socket.resume();
  `;
});

describe('user data', () => {
  test('own string and symbol properties are copied onto the WebSocket before open; the prototype is not', async () => {
    const SECRET = Symbol('secret');
    class User {
      name = 'ali';
      [SECRET] = 42;
      greet() {}
    }
    const seen = new Mailbox();
    const user = new User();
    const upgrade = (res, req, context) => accept(res, req, context, user);
    const { port } = serve({ upgrade, open: (ws) => seen.put(ws) });
    await RawWebSocket.open(port, { path: '/ws' });
    const ws = await seen.take();
    expect([ws.name, ws[SECRET], ws.greet]).toEqual(['ali', 42, undefined]);
    expect(ws.getUserData()).toBe(ws);
    expect(ws).not.toBe(user);
    expect(Reflect.ownKeys(ws)).toEqual(['name', SECRET]);
  });

  test('a property that is called like a method shadows it', async () => {
    const seen = new Mailbox();
    const upgrade = (res, req, context) => accept(res, req, context, { send: 'mine' });
    const { port } = serve({ upgrade, open: (ws) => seen.put(ws.send) });
    await RawWebSocket.open(port, { path: '/ws' });
    expect(await seen.take()).toBe('mine');
  });

  test('a property __proto__, as JSON may have it, leaves the prototype alone; accessors are not called either', async () => {
    const seen = new Mailbox();
    const userData = JSON.parse('{ "__proto__": { "isAdmin": true }, "name": "ali", "constructor": 5 }');
    const upgrade = (res, req, context) => accept(res, req, context, userData);
    const { port } = serve({ upgrade, open: (ws) => seen.put(ws) });
    await RawWebSocket.open(port, { path: '/ws' });
    const ws = await seen.take();
    expect([ws.name, ws.isAdmin, ws.constructor, typeof ws.send]).toEqual(['ali', undefined, 5, 'function']);
    expect(Object.getPrototypeOf(ws).constructor.name).toBe('uWS.WebSocket');
    expect(Object.hasOwn(ws, '__proto__')).toBe(false);
    expect(Object.getOwnPropertyDescriptor(ws, 'name')).toEqual({ value: 'ali', writable: true, enumerable: true, configurable: true });
  });

  test('a property that the frozen prototype has, too, is copied', async () => {
    const seen = new Mailbox();
    const upgrade = (res, req, context) => accept(res, req, context, { toString: 'mine', frozen: 'mine' });
    const app = createApp();
    const { port } = serve({ upgrade, open: (ws) => seen.put([ws.toString, ws.frozen]) });
    // As programs do that freeze what they share.
    const prototype = Object.getPrototypeOf(app.constructor.prototype);
    Object.defineProperty(prototype, 'frozen', { value: 'theirs', configurable: true });
    afterTest(() => delete prototype.frozen);
    await RawWebSocket.open(port, { path: '/ws' });
    expect(await seen.take()).toEqual(['mine', 'mine']);
  });

  test.each([undefined, null, 7, true])('may be %p', async (userData) => {
    const upgrade = (res, req, context) => res.upgrade(userData, req.getHeader('sec-websocket-key'), '', '', context);
    const { port } = serve({ upgrade, open: (ws) => ws.send('open') });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(await client.frame()).toEqual(['text', 'open']);
  });

  test('a getter that throws: upgrade throws the same, and the response can be used still', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        const userData = { get trap() { throw new Error('trapped'); } };
        expect(failureOf(() => accept(res, req, context, userData)).message).toBe('trapped');
        res.writeStatus('503 Service Unavailable').end('trapped');
      },
    });
    const { response } = await ask(port, handshake('/ws'));
    expect([response.status, response.text]).toEqual([503, 'trapped']);
  });
});

describe('subprotocol passed to upgrade', () => {
  test.each([
    ['one name', 'chat', ['chat']],
    ['a list: what stands before the first comma', 'chat, superchat', ['chat']],
    ['a Uint8Array', new TextEncoder().encode('chat'), ['chat']],
    ['an ArrayBuffer', new TextEncoder().encode('chat').buffer, ['chat']],
    ["'': none", '', []],
    ['an empty Uint8Array: none', new Uint8Array(0), []],
    ['undefined: none', undefined, []],
  ])('%s', async (title, protocol, expected) => {
    const upgrade = (res, req, context) => res.upgrade({}, req.getHeader('sec-websocket-key'), protocol, '', context);
    const { port } = serve({ upgrade });
    const client = await RawWebSocket.open(port, { path: '/ws', fields: ['Sec-WebSocket-Protocol: chat, superchat'] });
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual(expected);
  });

  const NO_TOKENS = ['a b', 'a\r\nSet-Cookie: stolen=1', 'ä', '/chat'];

  test.each(NO_TOKENS)('%j, which is no token, as a client may send it: none', async (protocol) => {
    const { port } = serve({ upgrade: (res, req, context) => res.upgrade({}, KEY, protocol, '', context) });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual([]);
    expect(valuesIn(client, 'set-cookie')).toEqual([]);
  });
});

describe('headers of the 101', () => {
  test('writeHeader adds to them, writeStatus before it is allowed', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        res.writeStatus('101 Switching Protocols').writeHeader('Set-Cookie', 'a=1').writeHeader('Set-Cookie', 'b=2');
        accept(res, req, context);
      },
    });
    const client = await RawWebSocket.open(port, { path: '/ws', fields: ['Sec-WebSocket-Protocol: chat'] });
    expect(client.head.split('\r\n')[0]).toBe('HTTP/1.1 101 Switching Protocols');
    expect(valuesIn(client, 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual(['chat']);
  });

  test('a subprotocol that was written is the one, whatever res.upgrade is given, and the first of several', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        res.writeHeader('sec-websocket-protocol', 'b').writeHeader('Sec-WebSocket-Protocol', 'a');
        accept(res, req, context);
      },
    });
    const client = await RawWebSocket.open(port, { path: '/ws', fields: ['Sec-WebSocket-Protocol: a, b'] });
    expect(valuesIn(client, 'sec-websocket-protocol')).toEqual(['b']);
  });

  test('what the handshake says itself is said once, and as it was negotiated', async () => {
    const { port } = serve({
      compression: uWS.SHARED_COMPRESSOR,
      upgrade(res, req, context) {
        res.writeStatus('200 OK').writeHeader('X-Mine', 'yes').writeHeader('Connection', 'close').writeHeader('Upgrade', 'h2c');
        res.writeHeader('Sec-WebSocket-Accept', 'x').writeHeader('Content-Length', '5').writeHeader('Transfer-Encoding', 'chunked');
        res.writeHeader('Sec-WebSocket-Extensions', 'permessage-deflate; server_max_window_bits=9');
        accept(res, req, context);
      },
      open: (ws) => ws.send('open'),
    });
    for (const [fields, extensions] of [[[], 0], [['Sec-WebSocket-Extensions: permessage-deflate'], 1]]) {
      const client = await RawWebSocket.open(port, { path: '/ws', fields });
      expect(client.head.split('\r\n')[0]).toBe('HTTP/1.1 101 Switching Protocols');
      expect(valuesIn(client, 'x-mine')).toEqual(['yes']);
      expect([valuesIn(client, 'connection'), valuesIn(client, 'upgrade')]).toEqual([['Upgrade'], ['websocket']]);
      for (const name of ['content-length', 'transfer-encoding']) expect(valuesIn(client, name)).toEqual([]);
      const values = valuesIn(client, 'sec-websocket-extensions');
      expect(values).toHaveLength(extensions);
      expect(values.join()).not.toContain('=9');
      expect(await client.frame()).toEqual(['text', 'open']);
    }
  });

  test('without writeStatus', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        res.writeHeader('X-Served-By', 'ferrows');
        accept(res, req, context);
      },
    });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(client.head.split('\r\n')[0]).toBe('HTTP/1.1 101 Switching Protocols');
    expect(valuesIn(client, 'x-served-by')).toEqual(['ferrows']);
  });
});

describe('an upgrade handler need not upgrade', () => {
  test('it may answer otherwise, at once or later', async () => {
    const { port } = serve({
      upgrade(res, req) {
        if (req.getQuery('later') === undefined) return res.writeStatus('403 Forbidden').end('no');
        res.onAborted(() => {});
        return setImmediate(() => res.writeStatus('401 Unauthorized').end('log in'));
      },
    });
    const now = await ask(port, handshake('/ws'));
    expect([now.response.status, now.response.text]).toEqual([403, 'no']);
    const later = await ask(port, handshake('/ws?later'));
    expect([later.response.status, later.response.text]).toEqual([401, 'log in']);
  });

  test('a connection that was refused can shake hands again', async () => {
    let isFirst = true;
    const { port } = serve({
      upgrade(res, req, context) {
        if (isFirst) res.writeStatus('401 Unauthorized').end();
        else accept(res, req, context);
        isFirst = false;
      },
    });
    const { client, response } = await ask(port, handshake('/ws'));
    expect(response.status).toBe(401);
    await client.send(handshake('/ws'));
    expect((await client.response()).status).toBe(101);
  });

  test('setYield(true) passes the request on', async () => {
    const { app, port } = serve({ upgrade: (res, req) => { req.setYield(true); } });
    app.get('/ws', (res) => res.end('route'));
    expect((await ask(port, handshake('/ws'))).response.text).toBe('route');
  });
});

describe('misuse of res.upgrade throws and leaves the response usable', () => {
  /** Has `misuse(res, context)` fail inside an upgrade handler, which then upgrades after all. */
  async function expectFailure(misuse, expected) {
    const { port } = serve({
      upgrade(res, req, context) {
        expect(failureOf(() => misuse(res, context))).toMatchObject(expected);
        accept(res, req, context);
      },
      open: (ws) => ws.send('open'),
    });
    const client = await RawWebSocket.open(port, { path: '/ws' });
    expect(await client.frame()).toEqual(['text', 'open']);
  }

  test.each([undefined, null, 7, 'context', {}, Object.create(null), []])('a foreign context: %p', async (context) => {
    const expected = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    await expectFailure((res) => res.upgrade({}, KEY, '', '', context), expected);
  });

  test.each([0, 2, 3, 4])('only %i arguments', async (count) => {
    const message = 'Function requires at least 5 arguments.';
    const expected = { name: 'TypeError', code: 'ERR_MISSING_ARGS', message };
    await expectFailure((res) => res.upgrade(...[{}, KEY, '', ''].slice(0, count)), expected);
  });

  test.each(['', 'short', 'x'.repeat(24), undefined])('the key %p', async (key) => {
    await expectFailure((res, context) => res.upgrade({}, key, '', '', context), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  test.each([null, 7, {}])('the key %p, which is no text', async (key) => {
    const expected = {
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
    };
    await expectFailure((res, context) => res.upgrade({}, key, '', '', context), expected);
  });

  test('after the first write', async () => {
    const { port } = serve({
      upgrade(res, req, context) {
        res.write('begun');
        expect(failureOf(() => accept(res, req, context))).toMatchObject({ code: 'ERR_INVALID_STATE' });
        res.end(', and ended');
      },
    });
    expect((await ask(port, handshake('/ws'))).response.text).toBe('begun, and ended');
  });
});

describe('requests that are no handshake', () => {
  test.each([['8'], ['12'], ['14'], ['abc']])('version %s: 426, and the version that is spoken', async (version) => {
    const { port } = serve({});
    const text = handshake('/ws').replace('Version: 13', `Version: ${version}`);
    const { client, response } = await ask(port, text);
    expect(response.status).toBe(426);
    expect(response.values('sec-websocket-version')).toEqual(['13']);
    expect(response.values('upgrade')).toEqual(['websocket']);
    // RFC 9110 §7.8: whoever sends Upgrade sends this as well.
    expect(response.values('connection')).toEqual(['Upgrade', 'close']);
    expect(response.text).toBe('Sec-WebSocket-Version header must be 13');
    expect(await client.rest()).toBe('');
  });

  test.each([
    ['Upgrade', 'Upgrade: websocket', 'Upgrade header must contain websocket'],
    ['Connection', 'Connection: Upgrade', 'Connection header must contain Upgrade'],
    ['Sec-WebSocket-Version', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version header is missing'],
  ])('without %s: 400, and the upgrade handler does not run', async (name, line, text) => {
    const { port } = serve({ upgrade: () => { throw new Error('called'); } });
    const { client, response } = await ask(port, handshake('/ws').replace(`${line}\r\n`, ''));
    expect([response.status, response.text]).toEqual([400, text]);
    expect(await client.rest()).toBe('');
  });

  test('a key of 24 characters that is not 16 bytes in base64: 400', async () => {
    const { port } = serve({});
    const { response } = await ask(port, handshake('/ws').replace(KEY, 'x'.repeat(24)));
    expect([response.status, response.text]).toEqual([400, 'Sec-WebSocket-Key header must be 16 bytes in base64']);
  });

  test.each([
    ['without a key', (text) => text.replace(/Sec-WebSocket-Key: .*\r\n/, '')],
    ['with a key of 23 characters', (text) => text.replace(KEY, KEY.slice(1))],
    ['with a key of 25 characters', (text) => text.replace(KEY, `A${KEY}`)],
    ['with an empty key', (text) => text.replace(KEY, '')],
  ])('%s: the other routes take it', async (title, change) => {
    const { app, port } = serve({ upgrade: () => { throw new Error('called'); } });
    expect((await ask(port, change(handshake('/ws')))).response.status).toBe(404);
    app.any('/ws', (res) => res.end('any'));
    expect((await ask(port, change(handshake('/ws')))).response.text).toBe('any');
    app.get('/ws', (res) => res.end('get'));
    expect((await ask(port, change(handshake('/ws')))).response.text).toBe('get');
  });

  test('of another method: the other routes take it', async () => {
    const { app, port } = serve({});
    app.any('/ws', (res) => res.end('any'));
    expect((await ask(port, handshake('/ws').replace('GET', 'POST'))).response.text).toBe('any');
  });

  test('header names and values in other cases, and lists of them, are a handshake', async () => {
    const { port } = serve({});
    const text = handshake('/ws')
      .replace('Connection: Upgrade', 'connection: keep-alive, UPGRADE')
      .replace('Upgrade: websocket', 'UPGRADE: h2c, WebSocket');
    expect((await ask(port, text)).response.status).toBe(101);
  });
});
