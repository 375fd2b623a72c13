'use strict';

// Every way in which this side ends a WebSocket: the application, its app, a limit of time. What the close handler is
// told (code, reason, info), when, that it is told once, and what the peer receives before the TCP connection ends.
//
// Not here: `maxLifetime`, whose shortest value is a minute. src/protocol/websocket/session/tests/timers.rs lets that
// minute pass in simulated time.

const uWS = require('../..');
const { ClosingServer, closed, textOf } = require('../helpers/closing-server.js');
const { Program } = require('../helpers/program.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');

describe('ws.end: the handler runs inside the call, with the full text; the peer gets a Close frame', () => {
  const NO_REASON = 'Application called end() without a reason';

  test.each([
    ['without arguments', [], 0, NO_REASON, ['close']],
    ['with undefined for both', [undefined, undefined], 0, NO_REASON, ['close']],
    ['with code and text', [4001, 'bye'], 4001, 'bye', ['close', 4001, 'bye']],
    ['with a code only', [1011], 1011, NO_REASON, ['close', 1011, '']],
    ['with a code and an empty text', [1000, ''], 1000, NO_REASON, ['close', 1000, '']],
    ['with a text in a buffer', [3000, Buffer.from('grüße')], 3000, 'grüße', ['close', 3000, 'grüße']],
    ['with 1005, which has no place in a Close frame', [1005, 'x'], 1005, 'x', ['close']],
    ['with 1006, which has no place in a Close frame', [1006, 'x'], 1006, 'x', ['close']],
    ['with 0 and a text', [0, 'quietly'], 0, 'quietly', ['close']],
    ['with a text of 123 bytes', [4000, 'x'.repeat(123)], 4000, 'x'.repeat(123), ['close', 4000, 'x'.repeat(123)]],
    ['with a text that is too long', [4000, 'x'.repeat(200)], 4000, 'x'.repeat(200), ['close', 4000, 'x'.repeat(123)]],
    [
      'with a long text that would be cut inside a character',
      [4000, '€'.repeat(50)],
      4000,
      '€'.repeat(50),
      ['close', 4000, '€'.repeat(41)],
    ],
    [
      'with a long text, cut one byte early',
      [4000, 'é'.repeat(100)],
      4000,
      'é'.repeat(100),
      ['close', 4000, 'é'.repeat(61)],
    ],
  ])('%s', async (title, args, code, reason, wire) => {
    const server = new ClosingServer({
      message(ws, message) {
        ws.send(message);
        expect(server.closes.size).toBe(0);
        expect(ws.end(...args)).toBeUndefined();
        expect(server.closes.size).toBe(1);
      },
    });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.frame()).toEqual(['text', 'go']);
    expect(await client.frame()).toEqual(wire);
    client.send(frame('close'));
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
    await server.expectOneClose(closed(code, reason, 'CLOSED_BY_END', 'local', true));
  });

  test('messages that came behind are not delivered', async () => {
    const messages = [];
    const server = new ClosingServer({
      message(ws, message) {
        messages.push(textOf(message));
        ws.end(4001, 'enough');
      },
    });
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'one'), frame('text', 'two'), frame('binary', 'three'));
    expect(await client.frame()).toEqual(['close', 4001, 'enough']);
    client.send(frame('text', 'four'), closeFrame(4001, 'enough'));
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
    expect(messages).toEqual(['one']);
    await server.expectOneClose(closed(4001, 'enough', 'CLOSED_BY_END', 'local', true));
  });

  test.each([
    ['a Close frame', closeFrame(1000, 'mine'), ['close', 1000, 'mine']],
    ['a broken frame', frame(3), ['close', 1002, 'Received invalid WebSocket frame: opcode is reserved']],
  ])('%s on its way already changes nothing for the handler; one Close frame answers', async (title, bytes, other) => {
    const server = new ClosingServer({ message: (ws) => ws.end(4001, 'enough') });
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'go'), bytes);
    const { frames, end } = await client.rest();
    expect(end).toBe('FIN');
    expect(frames).toHaveLength(1);
    // Both sides have ended it at once. Whose end the worker hears of first is up to the threads.
    expect([['close', 4001, 'enough'], other]).toContainEqual(frames[0]);
    await server.expectOneClose(closed(4001, 'enough', 'CLOSED_BY_END', 'local', true));
  });

  test('a peer that vanishes instead of answering causes no second event', async () => {
    const server = new ClosingServer({ message: (ws) => ws.end(4001, 'bye') });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.frame()).toEqual(['close', 4001, 'bye']);
    client.reset();
    await server.expectOneClose(closed(4001, 'bye', 'CLOSED_BY_END', 'local', true));
  });

  test('inside open: the peer is upgraded, then told', async () => {
    const server = new ClosingServer({ open: (ws) => ws.end(4003, 'not you') });
    const client = await RawWebSocket.open(server.port);
    expect(await client.frame()).toEqual(['close', 4003, 'not you']);
    client.send(closeFrame(4003, 'not you'));
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
    await server.expectOneClose(closed(4003, 'not you', 'CLOSED_BY_END', 'local', true));
  });

  test.each([
    ['4001', 4001], [' 4001.9 ', 4001], [1000.7, 1000], [4999.5, 4999], [4001n, 4001], [[4001], 4001], [null, 0], ['', 0],
    [false, 0], [-0.5, 0], [2 ** 32 + 4001, 4001],
  ])('the code %p is taken as an integer', async (code, integer) => {
    const server = new ClosingServer({ message: (ws) => ws.end(code, 'x') });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.frame()).toEqual(integer === 0 ? ['close'] : ['close', integer, 'x']);
    await server.expectOneClose(closed(integer, 'x', 'CLOSED_BY_END', 'local', true));
  });

  const thrower = { valueOf() { throw new Error('no'); } };
  const NO_CODES = [-1, 1, 999, 5000, 65536, 99999, NaN, Infinity, -Infinity, 'x', {}, Symbol('s'), () => {}, true, thrower];

  test.each(NO_CODES)('the code %p, which is none, sends an empty Close frame', async (code) => {
    const server = new ClosingServer({ message: (ws) => ws.end(code, 'x') });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.frame()).toEqual(['close']);
    await server.expectOneClose(closed(0, 'x', 'CLOSED_BY_END', 'local', true));
  });

  test('a code that is none is warned of, once', async () => {
    const program = new Program(`
      process.on('warning', ({ name, code, message }) => say([name, code, message]));
      const app = uWS.App().ws('/*', { message: (ws) => ws.end(99999), close: () => say('closed') });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    for (const isFirst of [true, false]) {
      (await RawWebSocket.open(port)).sendText('go');
      expect(await program.hear()).toBe('closed');
      if (isFirst) {
        const text = 'ws.end takes 0 or 1000–4999 as a code and was given 99999: the Close frame has none';
        expect(await program.hear()).toEqual(['FerrowsWarning', 'FERROWS_CLOSE_CODE', text]);
      }
    }
  });
});

describe('this side drops the connection', () => {
  test('ws.close: the handler runs inside the call; the peer gets no Close frame', async () => {
    const server = new ClosingServer({
      message(ws) {
        expect(ws.close()).toBeUndefined();
        expect(server.closes.size).toBe(1);
      },
    });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
    await server.expectOneClose(closed(1006, 'Application called close()', 'CLOSED_BY_APPLICATION', 'local', false));
  });

  test('ws.close: what was sent before still arrives', async () => {
    const server = new ClosingServer({
      message(ws) {
        ws.send('last words');
        ws.close();
      },
    });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    expect(await client.rest()).toEqual({ frames: [['text', 'last words']], end: 'FIN' });
  });

  test('app.close: all handlers run inside the call; every peer is told 1001', async () => {
    const server = new ClosingServer();
    const clients = [];
    for (let count = 0; count < 5; count++) clients.push(await RawWebSocket.open(server.port));
    server.app.close();
    expect(server.closes.size).toBe(clients.length);
    const text = 'Application called app.close()';
    for (const client of clients) {
      expect(await client.rest()).toEqual({ frames: [['close', 1001, text]], end: 'FIN' });
      expect(await server.closes.take()).toStrictEqual(closed(1006, text, 'CLOSED_BY_APP_CLOSE', 'local', false));
    }
  });

  test('app.close: what was sent before still arrives', async () => {
    const server = new ClosingServer({
      message(ws) {
        ws.send('last words');
        server.app.close();
      },
    });
    const client = await RawWebSocket.open(server.port);
    client.sendText('go');
    const told = ['close', 1001, 'Application called app.close()'];
    expect(await client.rest()).toEqual({ frames: [['text', 'last words'], told], end: 'FIN' });
    expect(server.closes.size).toBe(1);
  });

  test('the close handler may close others: each is told once, and its handler runs inside', async () => {
    const order = [];
    const sockets = [];
    const server = new ClosingServer({
      open: (ws) => sockets.push(ws),
      close(ws, code) {
        order.push([sockets.indexOf(ws), code]);
        if (sockets.indexOf(ws) === 0) sockets[1].end(4002, 'follow');
        order.push([sockets.indexOf(ws), 'done']);
      },
    });
    const first = await RawWebSocket.open(server.port);
    const second = await RawWebSocket.open(server.port);
    first.send(closeFrame(4001, 'x'));
    await first.rest();
    expect(await second.frame()).toEqual(['close', 4002, 'follow']);
    expect(order).toEqual([[0, 4001], [1, 4002], [1, 'done'], [0, 'done']]);
  });
});

describe('time', () => {
  // These take seconds, so all connections are opened first and waited for together.
  const IDLE = closed(1006, 'WebSocket timed out from inactivity', 'ERR_IDLE_TIMEOUT', 'local', false);
  const TOLD = ['close', 1001, 'WebSocket timed out from inactivity'];
  const sockets = [];
  const servers = [];
  const scenes = {};

  beforeAll(async () => {
    const begin = async (name, behavior) => {
      const server = new ClosingServer({ idleTimeout: 8, ...behavior }, uWS.App({ threads: 1 }));
      servers.push(server);
      const client = await RawWebSocket.open(server.port, { closeLater: (step) => sockets.push(step) });
      scenes[name] = { server, client };
    };
    await begin('unanswered');
    await begin('answered');
    await begin('unasked', { sendPingsAutomatically: false });
    await begin('unended', { message: (ws) => ws.end(4001, 'bye') });
    answerTwice(scenes.answered.client);
    scenes.unended.client.sendText('go');
  });

  afterAll(() => {
    sockets.forEach((close) => close());
    servers.forEach(({ app }) => app.close());
  });

  /** Resolves `client.survived` once two pings were answered, the second of them at the moment of the timeout. */
  function answerTwice(client) {
    client.survived = (async () => {
      const frames = [];
      for (let count = 0; count < 2; count++) {
        frames.push(await client.frame());
        client.send(frame('pong'));
      }
      client.sendText('alive');
      frames.push(await client.frame());
      return frames;
    })();
  }

  test('idleTimeout: a peer that answers no ping is told 1001, and the handler 1006', async () => {
    const { client, server } = scenes.unanswered;
    expect(await client.rest()).toEqual({ frames: [['ping', ''], TOLD], end: 'FIN' });
    await server.expectOneClose(IDLE);
  });

  test('idleTimeout: a peer that answers pings stays', async () => {
    const { client, server } = scenes.answered;
    expect(await client.survived).toEqual([['ping', ''], ['ping', ''], ['text', 'alive']]);
    expect(server.closes.size).toBe(0);
  });

  test('idleTimeout with sendPingsAutomatically: false: a silent peer is told 1001 without a ping', async () => {
    const { client, server } = scenes.unasked;
    expect(await client.rest()).toEqual({ frames: [TOLD], end: 'FIN' });
    await server.expectOneClose(IDLE);
  });

  test('ws.end: a peer that does not answer the Close frame is not waited for without end', async () => {
    const { client, server } = scenes.unended;
    expect(await client.rest()).toEqual({ frames: [['close', 4001, 'bye']], end: 'FIN' });
    await server.expectOneClose(closed(4001, 'bye', 'CLOSED_BY_END', 'local', true));
  });
});
