'use strict';

/** `ferrows/browser` in Node, with the WebSocket of `ws`: the file that pages load. `npm run test:browser` has it in Chromium. */

const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawServer, granted, serverFrame } = require('../helpers/raw-server.js');
const { createApp, listen } = require('../helpers/server.js');

const ROOT = join(__dirname, '../..');

// Jest runs no native ES modules.
const text = readFileSync(join(ROOT, 'browser.mjs'), 'utf8').replace(/^export /gm, '');
const { ReconnectingWebSocket, explain } = new Function(`${text}\nreturn { ReconnectingWebSocket, explain };`)();

const SOON = { minDelay: 1, maxDelay: 1 };
const NEVER = { minDelay: 2 ** 31 - 1 };

/** Closes as servers do: the Close frame, and the end of the TCP connection. */
function closeWith(peer, code, reason = '') {
  peer.send(serverFrame(8, Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)])));
  peer.finish();
}

/** `heard` gets all events, in order. */
function connect(url, options = {}) {
  const socket = new ReconnectingWebSocket(url, { WebSocket, ...SOON, ...options });
  afterTest(() => socket.close());
  const heard = new Mailbox();
  for (const type of ['open', 'message', 'close', 'reconnecting', 'gaveup']) socket.addEventListener(type, (event) => heard.put(event));
  const next = async (type) => {
    const event = await heard.take();
    expect(event.type).toBe(type);
    return event;
  };
  return { socket, next, heard };
}

const accepting = () => RawServer.start((request) => granted(request));

function freePort() {
  const app = uWS.App({ threads: 1 });
  const port = listen(app);
  app.close();
  return port;
}

test('is what `import` of ferrows/browser gives, and needs no global WebSocket to be loaded', () => {
  const script = "import * as browser from 'ferrows/browser'; console.log(Object.keys(browser).join());";
  expect(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: ROOT, encoding: 'utf8' }).trim()).toBe('ReconnectingWebSocket,explain');
});

describe('messages', () => {
  test('go there and back, as text and as binary data', async () => {
    const app = createApp().ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });
    const { socket, next } = connect(`ws://127.0.0.1:${listen(app)}`, {});
    expect([socket.readyState, socket.send('too early'), socket.silentFor]).toEqual([0, false, undefined]);
    await next('open');
    expect([socket.readyState, socket.url, socket.protocol]).toEqual([1, expect.stringMatching(/^ws:\/\/127\.0\.0\.1:/), '']);
    expect(socket.silentFor).toBeGreaterThanOrEqual(0);
    expect(socket.send('hello')).toBe(true);
    expect((await next('message')).data).toBe('hello');
    socket.binaryType = 'arraybuffer';
    socket.send(Buffer.from('bytes'));
    expect(Buffer.from((await next('message')).data).toString()).toBe('bytes');
    socket.close(4000, 'done');
    expect(socket.readyState).toBe(2);
    expect(await next('close')).toMatchObject({ code: 4000, reason: 'done', wasClean: true });
    expect([socket.readyState, socket.send('too late')]).toEqual([3, false]);
  });

  test('subprotocols are offered', async () => {
    const app = createApp().ws('/*', {});
    const socket = new ReconnectingWebSocket(`ws://127.0.0.1:${listen(app)}`, ['a', 'b'], { WebSocket });
    afterTest(() => socket.close());
    await new Promise((resolve) => { socket.onopen = resolve; });
    expect(socket.protocol).toBe('a');
  });

  test('on… properties are one listener each, which can be replaced', async () => {
    const server = await accepting();
    const { socket, next } = connect(server.url);
    const heard = [];
    expect(socket.onmessage).toBe(null);
    socket.onmessage = () => heard.push('first');
    socket.onmessage = ({ data }) => heard.push(data);
    await next('open');
    (await server.peer()).send(serverFrame(1, 'hello'));
    await next('message');
    expect(heard).toEqual(['hello']);
    socket.onmessage = 'nonsense';
    expect(socket.onmessage).toBe(null);
  });
});

describe('a connection that ends is followed by another', () => {
  test.each([
    ['closes', (peer) => closeWith(peer, 1012, 'new version'), { code: 1012, reason: 'new version', wasClean: true, explanation: { name: 'Service Restart' } }],
    ['resets', (peer) => peer.reset(), { code: 1006, reason: '', wasClean: false, explanation: { name: 'Abnormal Closure', advice: expect.stringContaining('ferrows probe') } }],
  ])('when the server %s', async (_, end, close) => {
    const server = await accepting();
    const { socket, next } = connect(server.url);
    await next('open');
    end(await server.peer());
    const event = await next('close');
    expect(event).toMatchObject(close);
    expect([event.openFor >= 0, event.silentFor <= event.openFor]).toEqual([true, true]);
    const { attempt, delay, close: same } = await next('reconnecting');
    expect([attempt, delay, same.code]).toEqual([1, 1, close.code]);
    await next('open');
    expect(socket.send('back')).toBe(true);
    expect((await (await server.peer()).frame()).slice(0, 2)).toEqual(['text', Buffer.from('back')]);
  });

  test('a server that is away is asked again until it is back; no close is reported of what was never open', async () => {
    const port = freePort();
    const { next, heard } = connect(`ws://127.0.0.1:${port}`);
    for (const attempt of [1, 2]) {
      const event = await next('reconnecting');
      expect(event).toMatchObject({ attempt, close: { code: 1006, reason: '' } });
      expect(event.close.openFor).toBe(undefined);
    }
    const app = createApp().ws('/*', {});
    listen(app, '127.0.0.1', port);
    let event;
    do event = await heard.take(); while (event.type === 'reconnecting');
    expect(event.type).toBe('open');
  });

  test('a server that does not answer: connectTimeout', async () => {
    const server = await RawServer.start();
    const { next } = connect(server.url, { connectTimeout: 1 });
    expect(await next('reconnecting')).toMatchObject({ close: { code: 1006, reason: 'the server did not accept the connection in time' } });
  });

  test('the url may be a function, asked for each attempt; what it throws is a failure', async () => {
    const server = await accepting();
    const answers = [() => { throw new Error('thrown'); }, async () => { throw new Error('rejected'); }, () => 5, async () => `${server.url}/a`, () => `${server.url}/b`];
    const { next } = connect(() => answers.shift()());
    for (const message of ['thrown', 'rejected', 'url must be a string, a URL, or a function that returns one']) {
      expect((await next('reconnecting')).error.message).toBe(message);
    }
    await next('open');
    const first = await server.peer();
    expect(await first.request()).toMatch(/^GET \/a /);
    first.reset();
    await next('close');
    await next('reconnecting');
    await next('open');
    expect(await (await server.peer()).request()).toMatch(/^GET \/b /);
  });

  test('connect ends a pause; each attempt but that of the constructor is told', async () => {
    const server = await accepting();
    const { socket, next } = connect(server.url, { ...NEVER, maxDelay: undefined });
    let attempts = 0;
    socket.onconnecting = () => { attempts += 1; };
    await next('open');
    (await server.peer()).reset();
    await next('close');
    await next('reconnecting');
    expect(socket.readyState).toBe(0);
    socket.connect();
    await next('open');
    socket.connect();
    expect([socket.readyState, attempts]).toEqual([1, 1]);
  });
});

describe('what ends it', () => {
  test.each([1000, 1008, 1009, 3000, 4001])('the close code %d; connect begins anew', async (code) => {
    const server = await accepting();
    const { socket, next } = connect(server.url);
    await next('open');
    closeWith(await server.peer(), code, 'why');
    expect(await next('close')).toMatchObject({ code });
    expect(await next('gaveup')).toMatchObject({ attempts: 0, reason: 'shouldReconnect', close: { code, reason: 'why' } });
    expect(socket.readyState).toBe(3);
    socket.connect();
    await next('open');
  });

  test('maxAttempts', async () => {
    const { socket, next } = connect(`ws://127.0.0.1:${freePort()}`, { maxAttempts: 2 });
    await next('reconnecting');
    await next('reconnecting');
    expect(await next('gaveup')).toMatchObject({ attempts: 2, reason: 'maxAttempts', close: { code: 1006 } });
    expect(socket.readyState).toBe(3);
  });

  test('shouldReconnect', async () => {
    const server = await accepting();
    const asked = [];
    const shouldReconnect = ({ close }, usual) => {
      asked.push([close.code, usual]);
      return close.code === 4001;
    };
    const { next } = connect(server.url, { shouldReconnect });
    await next('open');
    closeWith(await server.peer(), 4001);
    for (const type of ['close', 'reconnecting', 'open']) await next(type);
    (await server.peer()).reset();
    await next('close');
    await next('gaveup');
    expect(asked).toEqual([[4001, false], [1006, true]]);
  });

  test('close: while it connects, in a pause, and in a listener', async () => {
    const server = await RawServer.start();
    const connecting = connect(server.url);
    await (await server.peer()).request();
    connecting.socket.close();
    expect([connecting.socket.readyState, connecting.heard.size]).toEqual([3, 0]);

    const pausing = connect(`ws://127.0.0.1:${freePort()}`, { ...NEVER, maxDelay: undefined });
    await pausing.next('reconnecting');
    pausing.socket.close();
    expect(pausing.socket.readyState).toBe(3);

    const other = await accepting();
    const { socket, next, heard } = connect(other.url);
    socket.addEventListener('close', () => socket.close());
    await next('open');
    (await other.peer()).reset();
    await next('close');
    expect([socket.readyState, heard.size]).toEqual([3, 0]);
  });

  test('connect in a listener of close: one connection, not two', async () => {
    const server = await accepting();
    const { socket, next, heard } = connect(server.url);
    await next('open');
    socket.addEventListener('close', () => socket.connect(), { once: true });
    (await server.peer()).reset();
    await next('close');
    await next('open');
    await server.peer();
    expect(heard.size).toBe(0);
  });
});

test.each([
  [[5], 'ERR_INVALID_ARG_TYPE', 'url must be a string, a URL, or a function that returns one'],
  [['ws://a', [5]], 'ERR_INVALID_ARG_TYPE', 'protocols must be a string or an array of strings'],
  [['ws://a', [], null], 'ERR_INVALID_ARG_TYPE', 'options must be an object'],
  [['ws://a', { WebSocket: 5 }], 'ERR_INVALID_ARG_TYPE', expect.stringMatching(/^WebSocket must be a constructor/)],
  [['ws://a', { WebSocket, minDelay: 0 }], 'ERR_OUT_OF_RANGE', 'minDelay must be an integer between 1 and 2147483647, got 0'],
  [['ws://a', { WebSocket, probeTimeout: -1 }], 'ERR_OUT_OF_RANGE', 'probeTimeout must be an integer between 0 and 2147483647, got -1'],
  [['ws://a', { WebSocket, connectTimeout: '1' }], 'ERR_INVALID_ARG_TYPE', 'connectTimeout must be a number'],
  [['ws://a', { WebSocket, probe: 'ping' }], 'ERR_INVALID_ARG_TYPE', 'probe must be a function'],
  [['http://[', { WebSocket }], undefined, expect.stringContaining('Invalid URL')],
])('new ReconnectingWebSocket(...%j) throws', (args, code, message) => {
  expect(failureOf(() => new ReconnectingWebSocket(...args))).toMatchObject({ code, message });
});

test('close checks its arguments', async () => {
  const { socket, next } = connect((await accepting()).url);
  await next('open');
  expect(failureOf(() => socket.close(1001))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: 'code must be 1000 or an integer between 3000 and 4999, got 1001' });
  expect(failureOf(() => socket.close(1000, 'ä'.repeat(62)))).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message: 'reason must not exceed 123 bytes of UTF-8' });
  expect(socket.readyState).toBe(1);
});

describe('a page that is shown again', () => {
  const page = new EventTarget();
  const show = (visibilityState) => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event('visibilitychange'));
  };

  beforeAll(() => { globalThis.document = page; });
  afterAll(() => { delete globalThis.document; });

  test('asks for a sign of life; what gives none is given up, and opened again', async () => {
    const server = await accepting();
    const { socket, next } = connect(server.url, { probe: () => 'there?', probeTimeout: 1 });
    await next('open');
    show('hidden');
    show('visible');
    expect((await (await server.peer()).frame()).slice(0, 2)).toEqual(['text', Buffer.from('there?')]);
    expect(await next('close')).toMatchObject({ code: 1006, reason: 'the server did not answer in time', wasClean: false });
    await next('reconnecting');
    await next('open');
    expect(socket.readyState).toBe(1);
  });

  test('stays with a connection that answers', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    let count = 0;
    const { next, heard } = connect(`ws://127.0.0.1:${listen(app)}`, { probe: () => `there ${count += 1}?`, probeTimeout: 60_000 });
    await next('open');
    for (const text of ['there 1?', 'there 2?']) {
      show('visible');
      expect((await next('message')).data).toBe(text);
    }
    expect(heard.size).toBe(0);
  });

  test('does not wait for the end of a pause; after close it does nothing', async () => {
    let isFirst = true;
    const app = createApp().ws('/*', { open: (ws) => { if (isFirst) ws.end(1012, 'again'); isFirst = false; } });
    const probe = () => { throw new Error('asked'); };
    const { socket, next, heard } = connect(`ws://127.0.0.1:${listen(app)}`, { ...NEVER, maxDelay: undefined, probe });
    await next('open');
    await next('close');
    await next('reconnecting');
    show('visible');
    await next('open');
    socket.close();
    await next('close');
    show('visible');
    expect([socket.readyState, heard.size]).toEqual([3, 0]);
  });
});

describe('explain', () => {
  test.each([
    [1001, 'WebSocket timed out from inactivity', 'Going Away', 'ERR_IDLE_TIMEOUT'],
    [1002, 'Received invalid WebSocket frame: opcode is reserved', 'Protocol Error', 'ERR_FRAME_RESERVED_OPCODE'],
    [1009, 'Received too big message: declared length exceeds maxPayloadLength', 'Message Too Big', 'ERR_FRAME_TOO_BIG'],
    [1009, 'my own words', 'Message Too Big', undefined],
    [1006, '', 'Abnormal Closure', undefined],
    [4007, 'x', undefined, undefined],
  ])('%d %s', (code, reason, name, cause) => {
    const explanation = explain(code, reason);
    expect(explanation).toMatchObject({ code, name, cause });
    expect(typeof explanation.meaning).toBe('string');
    expect(typeof explanation.advice).toBe(code < 4000 ? 'string' : 'undefined');
  });

  test.each([NaN, -1, 70_000, undefined, 'x'])('of %p is nothing, but no error', (code) => {
    expect(explain(code).advice).toBe(undefined);
  });
});
