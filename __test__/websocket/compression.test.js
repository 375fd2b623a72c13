'use strict';

/**
 * permessage-deflate (RFC 7692): what is negotiated, what is on the wire, what clients make of it, and how it fails. The
 * rules themselves are tested in src/protocol/websocket.
 */

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const zlib = require('node:zlib');
const WebSocketClient = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { ClosingServer, closed } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const DEDICATED = uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR;
const CHROMIUM_OFFER = 'permessage-deflate; client_max_window_bits';
const SAFARI = 'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.2 Safari/605.1.15';
/** Bit RSV1 of a frame, as `frame` takes it. */
const RSV1 = 4;
const HELLO = Buffer.from('f248cdc9c90700', 'hex');
/** What is cut off at the end of a compressed message (RFC 7692 §7.2.1). */
const MARKER = Buffer.from('0000ffff', 'hex');

const COMPRESSORS = Object.keys(uWS).filter((name) => /^(SHARED|DEDICATED)_COMPRESSOR/.test(name));
const DECOMPRESSORS = Object.keys(uWS).filter((name) => /^(SHARED|DEDICATED)_DECOMPRESSOR/.test(name));

/** An echo server, which compresses what it sends. Returns its port. */
function echo(compression, behavior = {}) {
  const app = createApp().ws('/*', {
    compression,
    maxPayloadLength: 4 * 1024 * 1024,
    message: (ws, message, isBinary) => ws.send(message, isBinary, true),
    ...behavior,
  });
  return listen(app);
}

/** A client of npm ws, and what it receives. */
async function connect(port, options) {
  const socket = new WebSocketClient(`ws://127.0.0.1:${port}`, options);
  afterTest(() => socket.terminate());
  const received = new Mailbox();
  socket.on('message', (data, isBinary) => received.put(isBinary ? data : data.toString()));
  socket.on('close', (code, reason) => received.put({ code, reason: reason.toString() }));
  await once(socket, 'open');
  return { socket, received };
}

/** A client that has sent a handshake with this offer. */
async function shakeHands(port, offer) {
  const client = await RawClient.connect(port);
  client.send(handshake('/', [`Sec-WebSocket-Extensions: ${offer}`]));
  return client;
}

/** The value of a header of the answer; `undefined` if it is not there. */
async function answerTo(port, ...fields) {
  const { head } = await RawWebSocket.open(port, { fields });
  return head.match(/^Sec-WebSocket-Extensions: (.*)$/m)?.[1].trim();
}

describe('the handshake', () => {
  test.each([
    ['SHARED_COMPRESSOR', uWS.SHARED_COMPRESSOR, CHROMIUM_OFFER, '; server_no_context_takeover; client_no_context_takeover'],
    ['both dedicated', DEDICATED, CHROMIUM_OFFER, ''],
    ['a small window', uWS.DEDICATED_COMPRESSOR_8KB, CHROMIUM_OFFER, '; client_no_context_takeover; server_max_window_bits=10'],
    ['a small window received', uWS.DEDICATED_DECOMPRESSOR_512B, CHROMIUM_OFFER, '; server_no_context_takeover; client_max_window_bits=9'],
    ['an offer that asks us to forget', DEDICATED, 'permessage-deflate; server_no_context_takeover', '; server_no_context_takeover'],
    ['an offer that limits us', DEDICATED, 'permessage-deflate; server_max_window_bits=9', '; server_max_window_bits=9'],
    ['several offers', DEDICATED, 'permessage-deflate; unknown, permessage-deflate; server_max_window_bits=12', '; server_max_window_bits=12'],
  ])('%s: the answer says what is agreed', async (_, compression, offer, parameters) => {
    const answer = await answerTo(echo(compression), `Sec-WebSocket-Extensions: ${offer}`);
    expect(answer).toBe(`permessage-deflate${parameters}`);
  });

  test('offers in several header fields are one list', async () => {
    const fields = ['permessage-deflate; unknown', 'permessage-deflate'];
    const answer = await answerTo(echo(DEDICATED), ...fields.map((field) => `Sec-WebSocket-Extensions: ${field}`));
    expect(answer).toBe('permessage-deflate');
  });

  test.each([
    ['is not offered', DEDICATED, []],
    ['is not acceptable', DEDICATED, ['Sec-WebSocket-Extensions: permessage-deflate; unknown=1']],
    ['is off', uWS.DISABLED, [`Sec-WebSocket-Extensions: ${CHROMIUM_OFFER}`]],
    ['is off, and the header malformed', undefined, ['Sec-WebSocket-Extensions: ;;;']],
    ['is offered by Safari 15.0 to 15.3', DEDICATED, [`Sec-WebSocket-Extensions: ${CHROMIUM_OFFER}`, `User-Agent: ${SAFARI}`]],
  ])('nothing is agreed where compression %s', async (_, compression, fields) => {
    expect(await answerTo(echo(compression), ...fields)).toBeUndefined();
  });

  test('a malformed header is answered with 400 and names the fault, before the upgrade handler', async () => {
    const upgrade = jest.fn();
    const client = await shakeHands(echo(DEDICATED, { upgrade }), 'permessage-deflate; ;');
    const response = await client.response();
    expect([response.status, response.text]).toEqual([400, 'Sec-WebSocket-Extensions header must be a list of extensions']);
    expect(upgrade).not.toHaveBeenCalled();
  });

  test('res.upgrade agrees with what it is given', async () => {
    const given = [CHROMIUM_OFFER, Buffer.from(CHROMIUM_OFFER), '', undefined, 'permessage-deflate; =', 'x'];
    const upgrade = (res, req, context) => {
      res.upgrade({}, req.getHeader('sec-websocket-key'), '', given.shift(), context);
    };
    const port = echo(DEDICATED, { upgrade });
    const offer = `Sec-WebSocket-Extensions: ${CHROMIUM_OFFER}`;
    const answers = [];
    while (given.length > 0) answers.push(await answerTo(port, offer));
    expect(answers).toEqual(['permessage-deflate', 'permessage-deflate', ...Array(4).fill(undefined)]);
  });
});

test.each([-1, 2, 16, 144, 255, 512, 4096, 1.5, NaN, 2 ** 32])('a compression of %p is refused', (compression) => {
  expect(() => createApp().ws('/', { compression })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
});

test('a compression that is no number is refused', () => {
  const error = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(() => createApp().ws('/', { compression: 'SHARED_COMPRESSOR' })).toThrow(error);
});

describe('what is on the wire', () => {
  /** A WebSocket that agreed on compression, and a reader of the frames it sends: first byte and payload in hex. */
  async function open(compression, behavior) {
    const client = await shakeHands(echo(compression, behavior), CHROMIUM_OFFER);
    expect((await client.response()).status).toBe(101);
    return {
      client,
      frame: async () => {
        const [first, length] = Buffer.from(await client.bytes(2), 'latin1');
        return [first.toString(16), Buffer.from(await client.bytes(length), 'latin1').toString('hex')];
      },
    };
  }

  test('a message is compressed if send says so and it is not empty', async () => {
    const opened = (ws) => {
      ws.send('Hello', false, true);
      ws.send('Hello', false, false);
      ws.send('Hello');
      ws.send('', false, true);
      ws.send('Hello', true, true);
    };
    const { frame: next } = await open(uWS.SHARED_COMPRESSOR, { open: opened });
    const frames = [];
    for (let count = 0; count < 5; count++) frames.push(await next());
    const plain = ['81', Buffer.from('Hello').toString('hex')];
    expect(frames).toEqual([['c1', HELLO.toString('hex')], plain, plain, ['81', ''], ['c2', HELLO.toString('hex')]]);
  });

  test('a dedicated compressor refers to earlier messages, a shared one does not', async () => {
    const opened = (ws) => {
      ws.send('Hello', false, true);
      ws.send('Hello', false, true);
    };
    const dedicated = await open(DEDICATED, { open: opened });
    expect([await dedicated.frame(), await dedicated.frame()]).toEqual([['c1', HELLO.toString('hex')], ['c1', 'f200110000']]);
    const shared = await open(uWS.SHARED_COMPRESSOR, { open: opened });
    expect([await shared.frame(), await shared.frame()]).toEqual(Array(2).fill(['c1', HELLO.toString('hex')]));
  });

  test('messages that arrive compressed, plain and in fragments, with a ping between them', async () => {
    const received = new Mailbox();
    const behavior = { message: (ws, message, isBinary) => received.put([Buffer.from(message).toString(), isBinary]) };
    const { client } = await open(DEDICATED, behavior);
    const frames = [
      frame('text', HELLO, { rsv: RSV1 }),
      frame('text', 'plain'),
      frame('binary', Buffer.from('f200', 'hex'), { rsv: RSV1, fin: false }),
      frame('ping', 'still there?'),
      frame('continuation', Buffer.from('110000', 'hex')),
      frame('text', Buffer.of(0), { rsv: RSV1 }),
      // RFC 7692 §7.2.3.4: a last block.
      frame('text', Buffer.from('f348cdc9c9070000', 'hex'), { rsv: RSV1 }),
    ];
    client.send(Buffer.concat(frames));
    const expected = [['Hello', false], ['plain', false], ['Hello', true], ['', false], ['Hello', false]];
    for (const message of expected) expect(await received.take()).toEqual(message);
  });

  test('messages that end with a whole block arrive: without any byte, or with the marker that was not cut off', async () => {
    const received = new Mailbox();
    const { client } = await open(DEDICATED, { message: (ws, message) => received.put(Buffer.from(message).toString()) });
    const frames = [
      frame('text', '', { rsv: RSV1 }),
      frame('text', Buffer.concat([HELLO, MARKER]), { rsv: RSV1 }),
      // Refers to the message before.
      frame('text', Buffer.from('f200110000', 'hex'), { rsv: RSV1 }),
      frame('text', '', { rsv: RSV1, fin: false }),
      frame('continuation', ''),
    ];
    client.send(Buffer.concat(frames));
    for (const message of ['', 'Hello', 'Hello', '']) expect(await received.take()).toBe(message);
  });
});

describe('a message that cannot be decompressed closes: 1006 and the rule here, the code on the wire', () => {
  const INFLATION = 'Received too big message, or other inflation error: ';
  const FRAME = 'Received invalid WebSocket frame: ';
  const bomb = zlib.deflateRawSync(Buffer.alloc(16 * 1024 * 1024), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
  const deflated = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

  test.each([
    ['no deflate', [frame('text', 'plain text', { rsv: RSV1 })], 'ERR_INVALID_DEFLATE', 1007, `${INFLATION}compressed data must be valid`],
    ['a message cut off', [frame('text', HELLO.subarray(0, 4), { rsv: RSV1 })], 'ERR_INVALID_DEFLATE', 1007, `${INFLATION}compressed data must be valid`],
    ['too long by one byte', [frame('text', deflated('x'.repeat(1001)), { rsv: RSV1 })], 'ERR_INFLATED_TOO_BIG', 1009, `${INFLATION}inflated length exceeds maxPayloadLength`],
    [
      'a bomb in fragments',
      [frame('binary', bomb.subarray(0, 500), { rsv: RSV1, fin: false }), frame('continuation', bomb.subarray(500, 1000))],
      'ERR_INFLATED_TOO_BIG',
      1009,
      `${INFLATION}inflated length exceeds maxPayloadLength`,
    ],
    ['a bomb whose frame is too long already', [frame('binary', bomb, { rsv: RSV1 })], 'ERR_FRAME_TOO_BIG', 1009, 'Received too big message: declared length exceeds maxPayloadLength'],
    ['a text that is not UTF-8', [frame('text', deflated(Buffer.of(0x61, 0xff)), { rsv: RSV1 })], 'ERR_INVALID_UTF8', 1007, 'Received invalid UTF-8: text messages must be UTF-8'],
    ['RSV1 on a ping', [frame('ping', HELLO, { rsv: RSV1 })], 'ERR_FRAME_MISPLACED_COMPRESSION', 1002, `${FRAME}RSV1 must be 0 on control frames and continuations`],
    [
      'RSV1 on a continuation',
      [frame('text', HELLO.subarray(0, 3), { rsv: RSV1, fin: false }), frame('continuation', HELLO.subarray(3), { rsv: RSV1 })],
      'ERR_FRAME_MISPLACED_COMPRESSION',
      1002,
      `${FRAME}RSV1 must be 0 on control frames and continuations`,
    ],
    ['RSV2', [frame('text', HELLO, { rsv: 2 })], 'ERR_FRAME_RESERVED_BITS', 1002, `${FRAME}RSV bits must be 0 unless an extension was negotiated`],
  ])('%s', async (_, frames, cause, code, text) => {
    const server = new ClosingServer({ compression: DEDICATED });
    const client = await RawWebSocket.open(server.port, { fields: [`Sec-WebSocket-Extensions: ${CHROMIUM_OFFER}`] });
    client.send(...frames);
    expect(await client.rest()).toEqual({ frames: [['close', code, text]], end: 'FIN' });
    await server.expectOneClose(closed(1006, text, cause, 'peer', false));
  });
});

describe('npm ws and this server understand each other', () => {
  const MESSAGES = [
    'Hello',
    'Hello again, Hello again, Hello again',
    '',
    'κόσμε 😀 '.repeat(3000),
    Buffer.from(randomBytes(100_000)),
    Buffer.alloc(1_000_000, 'abcdefgh'),
    JSON.stringify(Array.from({ length: 500 }, (__, index) => ({ index, name: `item ${index}` }))),
    Buffer.of(0),
  ];

  async function exchange(compression, perMessageDeflate) {
    const { socket, received } = await connect(echo(compression, { maxBackpressure: 0 }), { perMessageDeflate });
    // Twice: what was said before may be referred to.
    const messages = [...MESSAGES, ...MESSAGES];
    for (const message of messages) socket.send(message);
    for (const message of messages) {
      const answer = await received.take();
      expect(typeof answer).toBe(typeof message);
      expect(Buffer.compare(Buffer.from(answer), Buffer.from(message))).toBe(0);
    }
    return socket.extensions;
  }

  test.each(COMPRESSORS)('%s', async (name) => {
    expect(await exchange(uWS[name], { threshold: 0 })).toMatch(/^permessage-deflate/);
  });

  test.each(DECOMPRESSORS)('%s', async (name) => {
    expect(await exchange(uWS[name], { threshold: 0 })).toMatch(/^permessage-deflate/);
  });

  test.each([
    [{ serverNoContextTakeover: true }],
    [{ clientNoContextTakeover: true }],
    [{ serverNoContextTakeover: true, clientNoContextTakeover: true }],
    [{ clientMaxWindowBits: 9 }],
    [{ serverMaxWindowBits: 9 }],
    [{ serverMaxWindowBits: 10, clientMaxWindowBits: 11, threshold: 1000 }],
    [{ serverMaxWindowBits: 13 }],
    [{ serverMaxWindowBits: 14, zlibDeflateOptions: { level: 9, memLevel: 9 } }],
  ])('a client with %p', async (options) => {
    expect(await exchange(DEDICATED, { threshold: 0, ...options })).toMatch(/^permessage-deflate/);
  });

  test('a client without compression', async () => {
    expect(await exchange(DEDICATED, false)).toBe('');
  });
});

/** Node 22 and newer have one. */
const testIfBuiltIn = typeof globalThis.WebSocket === 'function' ? test : test.skip;

testIfBuiltIn('the WebSocket of Node.js and this server understand each other', async () => {
  const socket = new globalThis.WebSocket(`ws://127.0.0.1:${echo(DEDICATED)}`);
  const received = new Mailbox();
  socket.addEventListener('message', ({ data }) => received.put(data));
  socket.addEventListener('close', () => received.put('closed'));
  await once(socket, 'open');
  for (const text of ['Hello', 'Hello', 'x'.repeat(100_000)]) {
    socket.send(text);
    expect(await received.take()).toBe(text);
  }
  socket.close();
  expect(await received.take()).toBe('closed');
});

describe('publish', () => {
  const TEXT = 'news, news, news, news, news, news';

  /** Subscribers that agreed on different things, of one topic. */
  async function subscribers(compression) {
    const opened = new Mailbox();
    const app = createApp().ws('/*', {
      compression,
      open(ws) {
        ws.subscribe('news');
        opened.put(ws);
      },
    });
    const port = listen(app);
    const offers = [{ threshold: 0 }, { serverMaxWindowBits: 9 }, { serverNoContextTakeover: true }, false];
    const clients = [];
    for (const perMessageDeflate of offers) {
      clients.push(await connect(port, { perMessageDeflate }));
      await opened.take();
    }
    return { app, clients };
  }

  test.each([
    ['SHARED_COMPRESSOR', uWS.SHARED_COMPRESSOR],
    ['a small window', uWS.DEDICATED_COMPRESSOR_4KB],
    ['DEDICATED_COMPRESSOR', DEDICATED],
  ])('%s: everybody gets every message, in the form that was agreed', async (_, compression) => {
    const { app, clients } = await subscribers(compression);
    const messages = [[TEXT, false], [TEXT, true], ['', false], [TEXT.repeat(1000), false]];
    for (const compress of [true, false, true]) {
      for (const [text, isBinary] of messages) expect(app.publish('news', text, isBinary, compress)).toBe(true);
    }
    for (const { received } of clients) {
      for (const [text, isBinary] of [...messages, ...messages, ...messages]) {
        expect(await received.take()).toEqual(isBinary ? Buffer.from(text) : text);
      }
    }
  });

  test('send and publish keep their order, whether compressed or not', async () => {
    const app = createApp().ws('/*', {
      compression: DEDICATED,
      open: (ws) => ws.subscribe('news'),
      message(ws) {
        for (let round = 0; round < 50; round++) {
          ws.send(`${TEXT} ${4 * round}`, false, true);
          app.publish('news', `${TEXT} ${4 * round + 1}`, false, true);
          ws.send(`${TEXT} ${4 * round + 2}`, false, false);
          app.publish('news', `${TEXT} ${4 * round + 3}`, false, false);
        }
      },
    });
    const { socket, received } = await connect(listen(app), {});
    socket.send('go');
    for (let number = 0; number < 200; number++) expect(await received.take()).toBe(`${TEXT} ${number}`);
  });
});
