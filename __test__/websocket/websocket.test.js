'use strict';

// An open WebSocket: messages and pings, both ways. What comes before is in websocket-upgrade.test.js, its object in
// websocket-object.test.js, the order of events in websocket-order.test.js, the peer that reads too slowly in
// websocket-backpressure.test.js, the end in close-*.test.js.

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const WebSocketClient = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { createApp } = require('../helpers/server.js');
const { openWebSocket: open, serveWebSocket: serve } = require('../helpers/websocket-server.js');

const NOT_TEXT = {
  name: 'TypeError',
  code: 'ERR_INVALID_ARG_TYPE',
  message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
};

const echo = (ws, message, isBinary) => ws.send(message, isBinary);
const text = (buffer) => Buffer.from(buffer).toString();

/** A client of npm `ws`, closed after the test. */
async function connect(port, options) {
  const client = new WebSocketClient(`ws://127.0.0.1:${port}/`, options);
  afterTest(() => client.terminate());
  await once(client, 'open');
  return client;
}

/** As `toEqual(['binary', payload])`, which takes seconds for large ones. */
function expectBinary([name, bytes], payload) {
  expect([name, bytes.length]).toEqual(['binary', payload.length]);
  expect(bytes.equals(payload)).toBe(true);
}

describe('messages from the peer', () => {
  test('open comes before the first message', async () => {
    const events = new Mailbox();
    const port = serve({ open: () => events.put('open'), message: () => events.put('message') });
    await RawWebSocket.open(port, { behind: frame('text', 'x') });
    expect([await events.take(), await events.take()]).toEqual(['open', 'message']);
  });

  test('text is not binary, and binary is', async () => {
    const events = new Mailbox();
    const port = serve({ message: (ws, message, isBinary) => events.put([text(message), isBinary]) });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'grüße 👋'), frame('binary', 'x'), frame('text'), frame('binary'));
    expect(await events.take()).toEqual(['grüße 👋', false]);
    expect(await events.take()).toEqual(['x', true]);
    expect(await events.take()).toEqual(['', false]);
    expect(await events.take()).toEqual(['', true]);
  });

  test('the handler gets the WebSocket, an ArrayBuffer of its own and a boolean', async () => {
    const calls = new Mailbox();
    const { client, ws } = await open({
      message(...args) {
        calls.put([args, args[1].byteLength, Object.prototype.toString.call(args[1])]);
      },
    });
    client.sendText('12345');
    const [args, length, type] = await calls.take();
    expect(args).toEqual([ws, expect.anything(), false]);
    expect(args[0]).toBe(ws);
    expect([length, type]).toEqual([5, '[object ArrayBuffer]']);
  });

  test('the buffer is detached when the handler returns', async () => {
    const kept = new Mailbox();
    const port = serve({ message: (ws, message) => kept.put([message, message.byteLength]) });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'one'), frame('binary', 'two!'));
    for (const length of [3, 4]) {
      const [message, before] = await kept.take();
      await new Promise(setImmediate);
      expect([before, message.byteLength]).toEqual([length, 0]);
      expect(() => new Uint8Array(message)).toThrow(/detached/);
    }
  });

  test('the buffer stays when the handler returns a promise', async () => {
    const seen = new Mailbox();
    const port = serve({
      async message(ws, message) {
        await new Promise(setImmediate);
        seen.put(text(message));
      },
    });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'one'), frame('text', 'two'), frame('text', 'three'));
    expect([await seen.take(), await seen.take(), await seen.take()]).toEqual(['one', 'two', 'three']);
  });

  test('a handler may transfer the buffer', async () => {
    const moved = new Mailbox();
    const port = serve({ message: (ws, message) => moved.put(structuredClone(message, { transfer: [message] })) });
    const client = await RawWebSocket.open(port);
    client.send(frame('binary', 'precious'), frame('binary', 'more'));
    expect(text(await moved.take())).toBe('precious');
    expect(text(await moved.take())).toBe('more');
  });

  test('a route without a message handler ignores them and stays open', async () => {
    const { client, ws } = await open({});
    client.send(frame('text', 'x'), frame('ping', 'there?'));
    expect(await client.frame()).toEqual(['pong', 'there?']);
    expect(ws.send('still here')).toBe(1);
    expect(await client.frame()).toEqual(['text', 'still here']);
  });
});

describe('however messages arrive', () => {
  const LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 65537, 200_000];

  test.each(LENGTHS)('a message of %i bytes is whole, both ways', async (length) => {
    const port = serve({ maxPayloadLength: 200_000, message: echo });
    const client = await RawWebSocket.open(port);
    const payload = randomBytes(length);
    client.send(frame('binary', payload));
    expectBinary(await client.frame(), payload);
    const word = 'é'.repeat(length / 2);
    client.sendText(word);
    expect(await client.frame()).toEqual(['text', word]);
  });

  test.each([1, 10])('a message of %i MB is whole, both ways', async (megabytes) => {
    const length = megabytes * 1024 * 1024;
    const port = serve({ maxPayloadLength: length, maxBackpressure: 0, message: echo });
    const client = await connect(port, { maxPayload: length });
    const payload = randomBytes(length);
    client.send(payload);
    const [message, isBinary] = await once(client, 'message');
    expect(isBinary).toBe(true);
    expect(message.equals(payload)).toBe(true);
  });

  test('1000 small messages in one write are 1000 events in order', async () => {
    const port = serve({ message: echo });
    const client = await RawWebSocket.open(port);
    const words = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
    client.send(...words.map((word) => frame('text', word)));
    for (const word of words) expect(await client.frame()).toEqual(['text', word]);
  });

  test('byte by byte', async () => {
    const port = serve({ message: echo });
    const client = await RawWebSocket.open(port);
    const long = 'x'.repeat(130);
    await client.dribble(frame('text', 'grüße'), frame('ping', 'p'), frame('binary', long), frame('text', ''));
    const frames = [await client.frame(), await client.frame(), await client.frame(), await client.frame()];
    // A pong is sent by the I/O thread and may overtake the answers of handlers.
    expect(frames.filter(([name]) => name !== 'pong')).toEqual([
      ['text', 'grüße'],
      ['binary', Buffer.from(long)],
      ['text', ''],
    ]);
    expect(frames).toContainEqual(['pong', 'p']);
  });

  test('fragments are one message, of the kind that the first one says', async () => {
    const events = new Mailbox();
    const port = serve({ message: (ws, message, isBinary) => events.put([text(message), isBinary]) });
    const client = await RawWebSocket.open(port);
    client.send(
      frame('text', 'gr', { fin: false }),
      frame('continuation', Buffer.of(0xc3), { fin: false }),
      frame('continuation', Buffer.of(0xbc)),
      frame('binary', '', { fin: false }),
      frame('continuation', 'a', { fin: false }),
      frame('continuation', '', { fin: false }),
      frame('continuation', 'b'),
      frame('text', '', { fin: false }),
      frame('continuation'),
    );
    expect(await events.take()).toEqual(['grü', false]);
    expect(await events.take()).toEqual(['ab', true]);
    expect(await events.take()).toEqual(['', false]);
  });

  test('pings and pongs between fragments leave the message alone', async () => {
    const events = new Mailbox();
    const port = serve({
      message: (ws, message) => events.put(['message', text(message)]),
      ping: (ws, message) => events.put(['ping', text(message)]),
      pong: (ws, message) => events.put(['pong', text(message)]),
    });
    const client = await RawWebSocket.open(port);
    client.send(
      frame('text', 'be', { fin: false }),
      frame('ping', 'one'),
      frame('continuation', 'gin', { fin: false }),
      frame('pong', 'two'),
      frame('continuation', 'ning'),
    );
    expect(await events.take()).toEqual(['ping', 'one']);
    expect(await events.take()).toEqual(['pong', 'two']);
    expect(await events.take()).toEqual(['message', 'beginning']);
    expect(await client.frame()).toEqual(['pong', 'one']);
  });

  test('with any mask, zeros included', async () => {
    const port = serve({ message: echo });
    const client = await RawWebSocket.open(port);
    for (const mask of ['00000000', 'ffffffff', '01020304', '80000000']) {
      client.send(frame('text', 'masked or not', { mask }));
      expect(await client.frame()).toEqual(['text', 'masked or not']);
    }
  });
});

describe('maxPayloadLength', () => {
  test.each([0, 1, 125, 1000, 65536, 70_000])('%i bytes are accepted, in one frame and in fragments', async (limit) => {
    const port = serve({ maxPayloadLength: limit, maxBackpressure: 0, message: echo });
    const client = await RawWebSocket.open(port);
    const payload = randomBytes(limit);
    const half = Math.floor(limit / 2);
    client.send(frame('binary', payload));
    client.send(frame('binary', payload.subarray(0, half), { fin: false }));
    client.send(frame('continuation', payload.subarray(half)));
    expectBinary(await client.frame(), payload);
    expectBinary(await client.frame(), payload);
  });

  test.each([0, 1, 125, 1000, 65536])('one byte more than %i closes with 1009', async (limit) => {
    const port = serve({ maxPayloadLength: limit, message: echo });
    const client = await RawWebSocket.open(port);
    client.send(frame('binary', Buffer.alloc(limit + 1)));
    expect((await client.frame()).slice(0, 2)).toEqual(['close', 1009]);
  });

  test('is 16 KiB if it is not given', async () => {
    const port = serve({ message: echo });
    const client = await RawWebSocket.open(port);
    client.send(frame('binary', Buffer.alloc(16 * 1024)));
    expectBinary(await client.frame(), Buffer.alloc(16 * 1024));
    client.send(frame('binary', Buffer.alloc(16 * 1024 + 1)));
    expect((await client.frame()).slice(0, 2)).toEqual(['close', 1009]);
  });

  test.each([2 ** 31, 1e10, Number.MAX_VALUE, Infinity])('%p is as good as the largest there is', async (limit) => {
    const port = serve({ maxPayloadLength: limit, maxBackpressure: limit, message: echo });
    const client = await RawWebSocket.open(port);
    const payload = randomBytes(70_000);
    client.send(frame('binary', payload));
    expectBinary(await client.frame(), payload);
  });

  test.each(['maxPayloadLength', 'maxBackpressure'])('%s: what is below zero, no integer or no number is refused', (name) => {
    const refusal = (value) => failureOf(() => createApp().ws('/*', { [name]: value })).code;
    expect([-1, 1.5, NaN, -Infinity].map(refusal)).toEqual(new Array(4).fill('ERR_OUT_OF_RANGE'));
    expect(['1', 1n, {}].map(refusal)).toEqual(new Array(3).fill('ERR_INVALID_ARG_TYPE'));
  });

  test('does not concern pings', async () => {
    const port = serve({ maxPayloadLength: 1 });
    const client = await RawWebSocket.open(port);
    client.send(frame('ping', 'x'.repeat(125)));
    expect(await client.frame()).toEqual(['pong', 'x'.repeat(125)]);
  });
});

describe('ping and pong', () => {
  test('a ping is answered with its payload, before the handler is told', async () => {
    const pings = new Mailbox();
    const port = serve({ ping: (ws, message) => pings.put(text(message)) });
    const client = await RawWebSocket.open(port);
    client.send(frame('ping', 'x'.repeat(125)), frame('ping'));
    expect(await client.frame()).toEqual(['pong', 'x'.repeat(125)]);
    expect(await client.frame()).toEqual(['pong', '']);
    expect([await pings.take(), await pings.take()]).toEqual(['x'.repeat(125), '']);
  });

  test('a ping is answered without a handler', async () => {
    const { client } = await open({});
    client.send(frame('ping', 'anyone?'));
    expect(await client.frame()).toEqual(['pong', 'anyone?']);
  });

  test('ws.ping reaches the peer, and its pong the handler', async () => {
    const pongs = new Mailbox();
    const { client, ws } = await open({ pong: (socket, message) => pongs.put(text(message)) });
    expect(ws.ping('hello')).toBe(1);
    expect(ws.ping()).toBe(1);
    expect(await client.frame()).toEqual(['ping', 'hello']);
    expect(await client.frame()).toEqual(['ping', '']);
    client.send(frame('pong', 'hello'));
    expect(await pongs.take()).toBe('hello');
  });

  test('a ping of 125 bytes is sent, one of 126 throws a RangeError', async () => {
    const { client, ws } = await open({});
    expect(failureOf(() => ws.ping('x'.repeat(126)))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(failureOf(() => ws.ping('é'.repeat(63)))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(ws.ping('x'.repeat(125))).toBe(1);
    expect(await client.frame()).toEqual(['ping', 'x'.repeat(125)]);
  });

  test('npm ws understands all of it', async () => {
    const pongs = new Mailbox();
    const port = serve({ open: (ws) => ws.ping('to ws'), pong: (ws, message) => pongs.put(text(message)) });
    const client = await connect(port);
    expect(await pongs.take()).toBe('to ws');
    client.ping('from ws');
    expect(String((await once(client, 'pong'))[0])).toBe('from ws');
  });
});

describe('ws.send', () => {
  const bytes = Uint8Array.of(104, 0, 255, 105);

  test.each([
    ['a string', 'grüße 👋', false, ['text', 'grüße 👋']],
    ['a string of Latin-1 characters', 'é'.repeat(300), false, ['text', 'é'.repeat(300)]],
    ['an empty string', '', false, ['text', '']],
    ['undefined: empty', undefined, false, ['text', '']],
    ['a string as binary', 'hi', true, ['binary', Buffer.from('hi')]],
    ['an ArrayBuffer', bytes.slice().buffer, true, ['binary', Buffer.from(bytes)]],
    ['an empty ArrayBuffer', new ArrayBuffer(0), true, ['binary', Buffer.alloc(0)]],
    ['a Uint8Array', bytes, true, ['binary', Buffer.from(bytes)]],
    ['a part of a buffer', bytes.subarray(1, 3), true, ['binary', Buffer.of(0, 255)]],
    ['a Buffer', Buffer.from('büffer'), true, ['binary', Buffer.from('büffer')]],
    ['a Uint16Array', Uint16Array.of(0x4141, 0x4242), true, ['binary', Buffer.from('AABB')]],
    ['a DataView', new DataView(bytes.buffer, 1, 2), true, ['binary', Buffer.of(0, 255)]],
    ['a SharedArrayBuffer', new SharedArrayBuffer(3), true, ['binary', Buffer.alloc(3)]],
    ['a view of one', new Uint8Array(new SharedArrayBuffer(8), 2, 3), true, ['binary', Buffer.alloc(3)]],
    ['data without isBinary: a text frame', Buffer.from('plain'), undefined, ['text', 'plain']],
    ['anything truthy as isBinary', 'x', 'yes', ['binary', Buffer.from('x')]],
  ])('%s', async (title, message, isBinary, expected) => {
    const { client, ws } = await open({});
    expect(ws.send(message, isBinary)).toBe(1);
    expect(await client.frame()).toEqual(expected);
  });

  const NO_TEXTS = [[null], [7], [true], [{}], [[]], [Symbol('s')], [() => {}], [10n]];

  test.each(NO_TEXTS)('throws for %p and sends nothing', async (message) => {
    const { client, ws } = await open({});
    expect(failureOf(() => ws.send(message))).toEqual(NOT_TEXT);
    expect(failureOf(() => ws.ping(message))).toEqual(NOT_TEXT);
    ws.send('next');
    expect(await client.frame()).toEqual(['text', 'next']);
  });

  test('has copied the message when it returns', async () => {
    const { client, ws } = await open({});
    const buffer = Buffer.from('before');
    ws.send(buffer, true);
    buffer.fill('x');
    expect(await client.frame()).toEqual(['binary', Buffer.from('before')]);
  });

  test('replaces lone surrogates, which UTF-8 does not have', async () => {
    const { client, ws } = await open({});
    ws.send('a\ud800b');
    expect(await client.frame()).toEqual(['text', 'a\ufffdb']);
  });

  test('may be called for another WebSocket, from timers and promises, in any handler', async () => {
    const sockets = [];
    const port = serve({
      open: (ws) => sockets.push(ws),
      message(ws) {
        for (const other of sockets.filter((socket) => socket !== ws)) other.send('from handler');
        setTimeout(() => ws.send('from timer'), 1);
        Promise.resolve().then(() => ws.send('from promise'));
      },
    });
    const [first, second] = [await RawWebSocket.open(port), await RawWebSocket.open(port)];
    first.sendText('go');
    expect(await second.frame()).toEqual(['text', 'from handler']);
    expect([await first.frame(), await first.frame()]).toEqual([['text', 'from promise'], ['text', 'from timer']]);
  });
});
