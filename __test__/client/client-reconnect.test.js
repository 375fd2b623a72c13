'use strict';

/** `uWS.connect` with `reconnect`: servers that close, break, refuse, disappear and come back. */

const uWS = require('../..');
const { Backoff, readReconnectOptions } = require('../../lib/reconnect/backoff.js');
const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failure, open, textOf } = require('../helpers/client.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawServer, granted, serverFrame } = require('../helpers/raw-server.js');
const { createApp, listen } = require('../helpers/server.js');

/** Pauses that tests can wait for. */
const SOON = { minDelay: 1, maxDelay: 1 };
/** A pause that no test waits for. */
const NEVER = { minDelay: 2 ** 31 - 1 };

const closeFrame = (code, reason = '') => serverFrame(8, Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]));

/** Opens a WebSocket as `open` does; `received` gets `['reconnecting', event]` and `['gave up', event]`, too. */
async function openAgain(url, { behavior = {}, options = {}, ...reconnect } = {}) {
  const received = new Mailbox();
  const heard = (name) => (_, event) => received.put([name, event]);
  const { ws } = await open(url, {
    open: (_, { reconnects }) => received.put(['open', reconnects]),
    message: (_, message) => received.put(['text', textOf(message)]),
    close: (_, code, reason, { cause }) => received.put(['close', code, textOf(reason), cause]),
    ...behavior,
  }, { reconnect: { ...SOON, reconnecting: heard('reconnecting'), gaveUp: heard('gave up'), ...reconnect }, ...options });
  expect(await received.take()).toEqual(['open', 0]);
  return { ws, received };
}

/** A server that accepts every WebSocket. */
const accepting = () => RawServer.start((request) => granted(request));

/** A port on which nobody listens. */
function freePort() {
  const app = uWS.App({ threads: 1 });
  const port = listen(app);
  app.close();
  return port;
}

describe('a connection that ends is followed by another', () => {
  test.each([
    ['closes', (peer) => peer.send(closeFrame(1012, 'new version')), [1012, 'new version', 'CLOSED_BY_PEER']],
    ['invites back', (peer) => peer.send(closeFrame(1000, 'please reconnect')), [1000, 'please reconnect', 'CLOSED_BY_PEER']],
    ['sends FIN', (peer) => peer.finish(), [1006, 'Received TCP FIN before WebSocket close frame', 'ERR_FIN_WITHOUT_CLOSE']],
    ['resets', (peer) => peer.reset(), [1006, 'Connection reset by peer', 'ERR_CONNECTION_RESET']],
    ['breaks a rule', (peer) => peer.send([0xc1, 0]), [1006, 'Received invalid WebSocket frame: RSV bits must be 0 unless an extension was negotiated', 'ERR_FRAME_RESERVED_BITS']],
  ])('when the server %s', async (_, end, close) => {
    const server = await accepting();
    const { ws, received } = await openAgain(server.url);
    ws.own = 'kept';
    end(await server.peer());
    expect(await received.take()).toEqual(['close', ...close]);
    const [name, event] = await received.take();
    expect([name, event]).toEqual(['reconnecting', {
      attempt: 1, delay: 1, code: close[0], info: expect.objectContaining({ reason: close[1], cause: close[2] }),
    }]);
    expect(await received.take()).toEqual(['open', 1]);
    expect(ws.own).toBe('kept');
    expect(ws.send('back')).toBe(1);
    expect((await (await server.peer()).frame()).slice(0, 2)).toEqual(['text', Buffer.from('back')]);
  });

  test('handlers get the same object; the promise resolves once', async () => {
    const server = await accepting();
    const seen = new Mailbox();
    const { ws } = await openAgain(server.url, { reconnecting: (it) => seen.put(it) });
    (await server.peer()).reset();
    expect(await seen.take()).toBe(ws);
    expect(ws.constructor.name).toBe('uWS.ReconnectingWebSocket');
    expect(ws.getUserData()).toBe(ws);
  });

  test('true is the defaults', async () => {
    const server = await accepting();
    const opened = new Mailbox();
    const { ws } = await open(server.url, { open: (_, { reconnects }) => opened.put(reconnects) }, { reconnect: true });
    (await server.peer()).send(closeFrame(1001));
    expect([await opened.take(), await opened.take()]).toEqual([0, 1]);
    ws.close();
  });

  test('over TLS, with certificates that the program has wiped since', async () => {
    const { key_file_name, cert_file_name, ca: cert } = certificate();
    const app = uWS.SSLApp({ threads: 1, key_file_name, cert_file_name }).ws('/*', { open: (ws) => { if (isFirst) ws.end(1012, 'again'); isFirst = false; } });
    afterTest(() => app.close());
    let isFirst = true;
    const ca = Buffer.from(cert);
    const opened = new Mailbox();
    const connecting = open(`wss://localhost:${listen(app)}`, { open: (_, { reconnects }) => opened.put(reconnects) }, { ca, reconnect: SOON });
    ca.fill(0);
    const { ws } = await connecting;
    expect([await opened.take(), await opened.take()]).toEqual([0, 1]);
    ws.close();
  });
});

describe('attempts that fail', () => {
  test('a server that is away is asked again until it is back, the first time, too', async () => {
    const port = freePort();
    const attempts = new Mailbox();
    const opening = openAgain(`ws://127.0.0.1:${port}`, { reconnecting: (ws, event) => attempts.put(event) });
    for (const attempt of [1, 2]) {
      const event = await attempts.take();
      expect(event).toEqual({ attempt, delay: 1, error: expect.objectContaining({ code: 'ERR_CONNECT_REFUSED' }) });
    }
    const app = createApp().ws('/*', {});
    listen(app, '127.0.0.1', port);
    const { ws } = await opening;
    expect(ws.remoteAddress).toBe('127.0.0.1');
  });

  test.each([408, 425, 429, 500, 503])('status %d is asked again', async (status) => {
    const statuses = [status];
    const server = await RawServer.start((request) => {
      const first = statuses.pop();
      return first === undefined ? granted(request) : `HTTP/1.1 ${first} No\r\nContent-Length: 0\r\n\r\n`;
    });
    await open(server.url, {}, { reconnect: SOON });
  });

  test.each([
    ['ERR_CONNECT_STATUS', () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'],
    ['ERR_CONNECT_ACCEPT', (request) => granted(request, ['Sec-WebSocket-Accept: x'])],
    ['ERR_CONNECT_RESPONSE', () => 'SSH-2.0-OpenSSH\r\n'],
  ])('%s is what the server answers on purpose: the promise rejects, and no handler runs', async (code, answer) => {
    const server = await RawServer.start(answer);
    const forbidden = () => { throw new Error('called'); };
    expect(await failure(server.url, {}, { reconnect: { reconnecting: forbidden, gaveUp: forbidden } })).toMatchObject({ code });
  });

  test('maxAttempts: the promise of a WebSocket that never opened rejects with the last error', async () => {
    const attempts = new Mailbox();
    const reconnect = { ...SOON, maxAttempts: 2, reconnecting: (_, { attempt }) => attempts.put(attempt), gaveUp: () => attempts.put('gave up') };
    expect(await failure(`ws://127.0.0.1:${freePort()}`, {}, { reconnect })).toMatchObject({ code: 'ERR_CONNECT_REFUSED' });
    expect([attempts.size, await attempts.take(), await attempts.take()]).toEqual([2, 1, 2]);
  });

  test('maxAttempts 0 of an open WebSocket: none', async () => {
    const server = await accepting();
    const { received } = await openAgain(server.url, { maxAttempts: 0 });
    (await server.peer()).reset();
    expect((await received.take())[0]).toBe('close');
    expect(await received.take()).toEqual(['gave up', {
      attempts: 0, reason: 'maxAttempts', code: 1006, info: expect.objectContaining({ cause: 'ERR_CONNECTION_RESET' }),
    }]);
  });

  test('maxAttempts: gaveUp has the close of the last connection and the error of the last attempt', async () => {
    const app = createApp().ws('/*', {});
    const { ws, received } = await openAgain(`ws://127.0.0.1:${listen(app)}`, { maxAttempts: 3 });
    app.close();
    const events = [];
    while (events.at(-1)?.[0] !== 'gave up') events.push(await received.take());
    expect(events.map(([name]) => name)).toEqual(['close', 'reconnecting', 'reconnecting', 'reconnecting', 'gave up']);
    expect(events.at(-1)[1]).toEqual({
      attempts: 3, reason: 'maxAttempts', code: 1001, info: expect.objectContaining({ cause: 'CLOSED_BY_PEER' }),
      error: expect.objectContaining({ code: 'ERR_CONNECT_REFUSED' }),
    });
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
    expect(failureOf(() => ws.close()).code).toBe('ERR_WEBSOCKET_CLOSED');
    expect(ws.getUserData()).toBe(ws);
  });

  test('a server that accepts and closes is not connected to in quick succession: minUptime', async () => {
    const app = createApp().ws('/*', { open: (ws) => ws.end(1013, 'too busy') });
    const url = `ws://127.0.0.1:${listen(app)}`;
    for (const [minUptime, expected] of [[60_000, [1, 2, 3]], [0, [1, 1, 1]]]) {
      const attempts = new Mailbox();
      const { ws } = await openAgain(url, { minUptime, reconnecting: (_, { attempt }) => attempts.put(attempt) });
      expect([await attempts.take(), await attempts.take(), await attempts.take()]).toEqual(expected);
      ws.close();
    }
  });
});

describe('what ends it', () => {
  test.each([1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003, 4000, 4999])('the close code %d', async (code) => {
    const server = await accepting();
    const { received } = await openAgain(server.url);
    (await server.peer()).send(closeFrame(code, 'why'));
    expect((await received.take()).slice(0, 2)).toEqual(['close', code]);
    expect(await received.take()).toEqual(['gave up', { attempts: 0, reason: 'shouldReconnect', code, info: expect.objectContaining({ reason: 'why' }) }]);
  });

  test('shouldReconnect decides instead, and knows what the usual rule says', async () => {
    const server = await accepting();
    const asked = [];
    const shouldReconnect = ({ code, info }, usual) => {
      asked.push([code, info.reason, usual]);
      return code === 4001;
    };
    const { received } = await openAgain(server.url, { shouldReconnect });
    (await server.peer()).send(closeFrame(4001, 'moved'));
    const names = [];
    for (const count of [1, 2, 3]) names[count - 1] = (await received.take())[0];
    expect(names).toEqual(['close', 'reconnecting', 'open']);
    (await server.peer()).send(closeFrame(1012, 'restart'));
    await received.take();
    expect((await received.take())[0]).toBe('gave up');
    expect(asked).toEqual([[4001, 'moved', false], [1012, 'restart', true]]);
  });

  test.each([undefined, 1, Promise.resolve(true)])('shouldReconnect: %p is not true', async (answer) => {
    const server = await accepting();
    const { received } = await openAgain(server.url, { shouldReconnect: () => answer });
    (await server.peer()).reset();
    await received.take();
    expect((await received.take())[0]).toBe('gave up');
  });

  test('close between two connections', async () => {
    const server = await accepting();
    const { ws, received } = await openAgain(server.url, { ...NEVER, maxDelay: undefined });
    (await server.peer()).reset();
    expect([(await received.take())[0], (await received.take())[0]]).toEqual(['close', 'reconnecting']);
    ws.close();
    expect(failureOf(() => ws.close()).code).toBe('ERR_WEBSOCKET_CLOSED');
    expect(received.size).toBe(0);
  });

  test('end while it is open: close runs, and nothing follows', async () => {
    const server = await accepting();
    const { ws, received } = await openAgain(server.url);
    ws.end(1000, 'done');
    expect([await received.take(), received.size]).toEqual([['close', 1000, 'done', 'CLOSED_BY_END'], 0]);
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
  });

  test('close within close: nothing follows', async () => {
    const server = await accepting();
    const closed = new Mailbox();
    const { ws, received } = await openAgain(server.url, { behavior: { close: (it) => { it.close(); closed.put(); } } });
    (await server.peer()).reset();
    await closed.take();
    expect(received.size).toBe(0);
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
  });

  test('close within shouldReconnect and reconnecting', async () => {
    for (const name of ['shouldReconnect', 'reconnecting']) {
      const server = await accepting();
      const { ws, received } = await openAgain(server.url, { [name]: () => { ws.close(); return true; } });
      (await server.peer()).reset();
      expect([(await received.take())[0], received.size]).toEqual(['close', 0]);
      expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
    }
  });

  test('close before it was ever open: the promise rejects with the last error', async () => {
    const reconnect = { ...NEVER, reconnecting: (ws) => ws.close() };
    expect(await failure(`ws://127.0.0.1:${freePort()}`, {}, { reconnect })).toMatchObject({ code: 'ERR_CONNECT_REFUSED' });
  });

  test('close while an attempt is under way calls it off', async () => {
    let isFirst = true;
    const server = await RawServer.start((request) => {
      const answer = isFirst ? granted(request) : undefined;
      isFirst = false;
      return answer;
    });
    const { ws } = await openAgain(server.url);
    (await server.peer()).reset();
    const second = await server.peer();
    await second.request();
    ws.end(1000, 'no more');
    expect(['FIN', 'RST']).toContain(await second.frame());
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
  });

  test('end, and a signal, within the first open: the promise resolves', async () => {
    const app = createApp().ws('/*', {});
    const url = `ws://127.0.0.1:${listen(app)}`;
    const ended = await uWS.connect(url, { open: (ws) => ws.end(1000, 'changed my mind') }, { reconnect: SOON });
    expect(failureOf(() => ended.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
    const controller = new AbortController();
    const { ws } = await open(url, { open: () => controller.abort() }, { reconnect: SOON, signal: controller.signal });
    expect(ws.send('x')).toBe(1);
  });

  test('a signal: in the pause before it was ever open, the promise rejects with its reason', async () => {
    const controller = new AbortController();
    const reconnect = { ...NEVER, reconnecting: () => controller.abort(new Error('enough')) };
    await expect(uWS.connect(`ws://127.0.0.1:${freePort()}`, {}, { reconnect, signal: controller.signal })).rejects.toThrow('enough');
  });

  test('a signal: while an attempt is under way', async () => {
    const server = await RawServer.start();
    const controller = new AbortController();
    const connecting = uWS.connect(server.url, {}, { reconnect: true, signal: controller.signal });
    const peer = await server.peer();
    await peer.request();
    controller.abort(new Error('enough'));
    await expect(connecting).rejects.toThrow('enough');
    expect(['FIN', 'RST']).toContain(await peer.frame());
  });

  test('a signal: an open WebSocket stays open, and is not opened again', async () => {
    const server = await accepting();
    const controller = new AbortController();
    const { ws, received } = await openAgain(server.url, { options: { signal: controller.signal } });
    controller.abort();
    expect(ws.send('still here')).toBe(1);
    const peer = await server.peer();
    expect((await peer.frame())[0]).toBe('text');
    peer.reset();
    expect([(await received.take())[0], received.size]).toEqual(['close', 0]);
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
  });
});

test('between two connections nothing is sent, now or later', async () => {
  const server = await accepting();
  const between = new Mailbox();
  const dropped = new Mailbox();
  const { ws } = await open(server.url, {
    dropped: () => dropped.put(),
    open: (it, { reconnects }) => { if (reconnects > 0) it.send('first'); },
  }, {
    reconnect: {
      ...SOON,
      reconnecting: (it) => between.put([
        it.send('lost'), it.sendFirstFragment('lost'), it.sendFragment('lost'), it.sendLastFragment('lost'), it.ping('lost'),
        it.getBufferedAmount(), it.cork(() => it.send('lost')) === it, it.remoteAddress, failureOf(() => it.getRemoteAddress()).code,
      ]),
    },
  });
  (await server.peer()).reset();
  expect(await between.take()).toEqual([2, 2, 2, 2, 2, 0, true, undefined, 'ERR_WEBSOCKET_CLOSED']);
  expect((await (await server.peer()).frame()).slice(0, 2)).toEqual(['text', Buffer.from('first')]);
  expect(dropped.size).toBe(0);
  ws.close();
});

describe('the process', () => {
  test('is kept alive by a pause, until close', async () => {
    const server = await accepting();
    const program = new Program(`
      uWS.connect('${server.url}', { open: () => say('open') }, {
        reconnect: {
          minDelay: 1000000,
          reconnecting: (ws) => {
            say(process.getActiveResourcesInfo());
            ws.close();
          },
        },
      });
    `);
    expect(await program.hear()).toBe('open');
    (await server.peer()).reset();
    expect(await program.hear()).toContain('Timeout');
    expect(await program.end()).toMatchObject({ code: 0, signal: null });
  });

  test('what shouldReconnect and handlers throw is an uncaught exception, and changes nothing', async () => {
    const server = await accepting();
    const program = new Program(`
      process.on('uncaughtException', ({ message }) => say(message));
      const fail = (text) => () => { throw new Error(text); };
      uWS.connect('${server.url}', { open: (ws, { reconnects }) => say(reconnects) }, {
        reconnect: { minDelay: 1, maxDelay: 1, shouldReconnect: fail('should'), reconnecting: fail('reconnecting'), gaveUp: fail('gave up') },
      });
    `);
    expect(await program.hear()).toBe(0);
    (await server.peer()).reset();
    expect([await program.hear(), await program.hear(), await program.hear()]).toEqual(['should', 'reconnecting', 1]);
    (await server.peer()).send(closeFrame(4000));
    expect([await program.hear(), await program.hear()]).toEqual(['should', 'gave up']);
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('a misspelt option is warned of', async () => {
    const program = new Program(`
      process.on('warning', ({ code, message }) => say([code, message]));
      uWS.connect('ws://127.0.0.1:1', {}, { reconnect: { maxAttempts: 0, mindelay: 5 } }).catch(({ code }) => say(code));
    `);
    const heard = [await program.hear(), await program.hear()];
    expect(heard).toContainEqual(['FERROWS_OPTION', '`mindelay` is no option of reconnect; did you mean `minDelay`?']);
    expect(heard).toContain('ERR_CONNECT_REFUSED');
  });
});

test.each([
  [{ reconnect: 5 }, 'TypeError', 'ERR_INVALID_ARG_TYPE', 'reconnect must be a boolean or an object'],
  [{ reconnect: 'yes' }, 'TypeError', 'ERR_INVALID_ARG_TYPE', 'reconnect must be a boolean or an object'],
  [{ reconnect: { minDelay: '5' } }, 'TypeError', 'ERR_INVALID_ARG_TYPE', 'reconnect.minDelay must be a number'],
  [{ reconnect: { minDelay: 0 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.minDelay must be an integer between 1 and 2147483647, got 0'],
  [{ reconnect: { minDelay: 1.5 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.minDelay must be an integer between 1 and 2147483647, got 1.5'],
  [{ reconnect: { maxDelay: 2 ** 31 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.maxDelay must be an integer between 1 and 2147483647, got 2147483648'],
  [{ reconnect: { minDelay: 10, maxDelay: 9 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.maxDelay must not be less than reconnect.minDelay (10), got 9'],
  [{ reconnect: { maxDelay: 9 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.maxDelay must not be less than reconnect.minDelay (500), got 9'],
  [{ reconnect: { factor: 0.5 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.factor must be a number between 1 and 100, got 0.5'],
  [{ reconnect: { factor: NaN } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.factor must be a number between 1 and 100, got NaN'],
  [{ reconnect: { maxAttempts: -1 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.maxAttempts must be an integer from 0 on, or Infinity, got -1'],
  [{ reconnect: { maxAttempts: 1.5 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.maxAttempts must be an integer from 0 on, or Infinity, got 1.5'],
  [{ reconnect: { minUptime: -1 } }, 'RangeError', 'ERR_OUT_OF_RANGE', 'reconnect.minUptime must be an integer between 0 and 2147483647, got -1'],
  [{ reconnect: { gaveUp: 'log' } }, 'TypeError', 'ERR_INVALID_ARG_TYPE', 'reconnect.gaveUp must be a function'],
  [{ reconnect: { shouldReconnect: true } }, 'TypeError', 'ERR_INVALID_ARG_TYPE', 'reconnect.shouldReconnect must be a function'],
])('%j is refused', async (options, name, code, message) => {
  const error = await failure('ws://127.0.0.1:1', {}, options);
  expect({ name: error.name, code: error.code, message: error.message }).toEqual({ name, code, message });
});

test('mistakes are not tried again', async () => {
  const reconnecting = () => { throw new Error('called'); };
  const codeOf = (behavior, options) => uWS.connect('ws://127.0.0.1:1', behavior, { reconnect: { reconnecting }, ...options }).catch(({ code }) => code);
  expect(await codeOf({}, { headers: { Upgrade: 'x' } })).toBe('ERR_INVALID_ARG_VALUE');
  expect(await codeOf({ idleTimeout: 1 }, {})).toBe('ERR_OUT_OF_RANGE');
});

describe('pauses', () => {
  afterEach(() => jest.restoreAllMocks());

  const pauses = (options, random, count) => {
    jest.spyOn(Math, 'random').mockReturnValue(random);
    const backoff = new Backoff(readReconnectOptions(options, '', []));
    return Array.from({ length: count }, () => backoff.next(undefined));
  };

  test.each([
    [{}, 0, [500, 500, 500]],
    [{}, 1, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]],
    [{}, 0.5, [750, 1250, 2250]],
    [{ minDelay: 10, maxDelay: 100, factor: 3 }, 1, [30, 90, 100]],
    [{ minDelay: 10, factor: 1 }, 1, [10, 10]],
    [{ minDelay: 40_000 }, 1, [40_000, 40_000]],
    [{ maxAttempts: 2 }, 0, [500, 500, undefined]],
  ])('%j, random %d: %j', (options, random, expected) => {
    expect(pauses(options, random, expected.length)).toEqual(expected);
  });

  test('stay in range however many attempts there were', () => {
    expect(pauses({ factor: 100 }, 1, 2000).at(-1)).toBe(30_000);
  });
});
