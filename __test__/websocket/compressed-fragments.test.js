'use strict';

// Messages that go out in fragments and compressed (RFC 7692 §7.2.1): one stream over the fragments of a message, whatever
// stands between them.

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const WebSocketClient = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const DEDICATED = uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR;
const COMPRESSORS = Object.keys(uWS).filter((name) => /^(SHARED|DEDICATED)_COMPRESSOR/.test(name));
const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';
const HELLO = 'f248cdc9c90700';
/** The second one, and any further one, with reference to those before. */
const AGAIN = 'f200110000';
const ONCE_MORE = '02130000';
const MARKER = '0000ffff';
const TEXT = 'news, news, news, news, news, news';

/** A server whose WebSockets are handed over once they are open. */
function server(behavior) {
  const opened = new Mailbox();
  const app = createApp().ws('/*', { maxBackpressure: 0, ...behavior, open: (ws) => opened.put(ws) });
  return { app, opened, port: listen(app) };
}

/** A client that has shaken hands, a reader of the frames it gets (first byte and payload in hex), and the WebSocket. */
async function openRaw(behavior, fields = [OFFER]) {
  const { app, opened, port } = server(behavior);
  const client = await RawClient.connect(port);
  client.send(handshake('/', fields));
  expect((await client.response()).status).toBe(101);
  const next = async () => {
    const [first, length] = Buffer.from(await client.bytes(2), 'latin1');
    return [first.toString(16).padStart(2, '0'), Buffer.from(await client.bytes(length), 'latin1').toString('hex')];
  };
  const frames = async (count) => {
    const all = [];
    while (all.length < count) all.push(await next());
    return all;
  };
  return { app, frames, ws: await opened.take() };
}

/** A client of npm ws, what it receives, and the WebSocket. */
async function connect({ opened, port }, perMessageDeflate = { threshold: 0 }) {
  const socket = new WebSocketClient(`ws://127.0.0.1:${port}`, { perMessageDeflate });
  afterTest(() => socket.terminate());
  const received = new Mailbox();
  socket.on('message', (data, isBinary) => received.put(isBinary ? data : data.toString()));
  await once(socket, 'open');
  return { received, ws: await opened.take() };
}

/** Sends a message in these pieces, compressed. */
function sendPieces(ws, pieces, isBinary = false) {
  ws.sendFirstFragment(pieces[0], isBinary, true);
  for (const piece of pieces.slice(1, -1)) ws.sendFragment(piece, true);
  ws.sendLastFragment(pieces.at(-1), true);
}

const hex = (text) => Buffer.from(text).toString('hex');

describe('on the wire', () => {
  test('RSV1 is set on the first fragment only, and only the last one leaves its marker out', async () => {
    const { frames, ws } = await openRaw({ compression: DEDICATED });
    sendPieces(ws, ['Hello', 'Hello', 'Hello']);
    expect(await frames(3)).toEqual([['41', HELLO + MARKER], ['00', AGAIN + MARKER], ['80', ONCE_MORE]]);
  });

  test('pings stand between the fragments and are not compressed', async () => {
    const { frames, ws } = await openRaw({ compression: DEDICATED });
    ws.sendFirstFragment('Hello', true, true);
    ws.ping('?');
    ws.sendLastFragment('Hello');
    ws.end(4000);
    expect(await frames(4)).toEqual([['42', HELLO + MARKER], ['89', hex('?')], ['80', AGAIN], ['88', '0fa0']]);
  });

  test('fragments without content are empty frames, and a message of nothing else is an empty block', async () => {
    const { frames, ws } = await openRaw({ compression: DEDICATED });
    sendPieces(ws, ['', '', '']);
    sendPieces(ws, ['', 'Hello', '']);
    expect(await frames(6)).toEqual([
      ['41', ''], ['00', ''], ['80', '00'],
      ['41', ''], ['00', HELLO + MARKER], ['80', '00'],
    ]);
  });

  test.each([
    ['of the shared compressor refers to no other', uWS.SHARED_COMPRESSOR, [HELLO, AGAIN]],
    ['of a dedicated compressor refers to the one before', DEDICATED, [ONCE_MORE, ONCE_MORE]],
    ['of a small window refers to the one before', uWS.DEDICATED_COMPRESSOR_4KB | uWS.DEDICATED_DECOMPRESSOR, [ONCE_MORE, ONCE_MORE]],
  ])('a message %s, but each to its own beginning', async (_, compression, [first, second]) => {
    const { frames, ws } = await openRaw({ compression });
    sendPieces(ws, ['Hello', 'Hello']);
    sendPieces(ws, ['Hello', 'Hello']);
    ws.send('Hello', false, true);
    expect(await frames(5)).toEqual([
      ['41', HELLO + MARKER], ['80', AGAIN],
      ['41', first + MARKER], ['80', second],
      ['c1', first],
    ]);
  });

  test('the first fragment decides for all of them', async () => {
    const { frames, ws } = await openRaw({ compression: DEDICATED });
    ws.sendFirstFragment('Hello', false, true);
    ws.sendFragment('Hello', false);
    ws.sendLastFragment('Hello');
    ws.sendFirstFragment('plain', false);
    ws.sendFragment('plain', true);
    ws.sendLastFragment('plain', true);
    const plain = hex('plain');
    expect(await frames(6)).toEqual([
      ['41', HELLO + MARKER], ['00', AGAIN + MARKER], ['80', ONCE_MORE],
      ['01', plain], ['00', plain], ['80', plain],
    ]);
  });

  test.each([
    ['the client did not offer it', { compression: DEDICATED }, []],
    ['it is off', { compression: uWS.DISABLED }, [OFFER]],
  ])('nothing is compressed where %s', async (_, behavior, fields) => {
    const { frames, ws } = await openRaw(behavior, fields);
    sendPieces(ws, ['a', 'b']);
    expect(await frames(2)).toEqual([['01', hex('a')], ['80', hex('b')]]);
  });

  test('a call that throws leaves the stream as it was', async () => {
    const { frames, ws } = await openRaw({ compression: DEDICATED });
    expect(failureOf(() => ws.sendFirstFragment(5, false, true)).code).toBe('ERR_INVALID_ARG_TYPE');
    ws.sendFirstFragment('Hello', false, true);
    expect(failureOf(() => ws.sendFragment(null, true)).code).toBe('ERR_INVALID_ARG_TYPE');
    for (const call of [() => ws.send('no', false, true), () => ws.sendFirstFragment('no', false, true)]) {
      expect(failureOf(call).code).toBe('ERR_INVALID_STATE');
    }
    ws.sendLastFragment('Hello');
    expect(failureOf(() => ws.sendLastFragment('no', true)).code).toBe('ERR_INVALID_STATE');
    ws.send('Hello', false, true);
    expect(await frames(3)).toEqual([['41', HELLO + MARKER], ['80', AGAIN], ['c1', ONCE_MORE]]);
  });
});

describe('npm ws puts them together', () => {
  const words = 'κόσμε 😀 '.repeat(8000);
  const MESSAGES = [
    ['Hello', 'Hello', 'Hello'],
    ['', 'in the middle', ''],
    ['', ''],
    // Cut inside a character.
    [Buffer.from(words).subarray(0, 5001), Buffer.from(words).subarray(5001)],
    [randomBytes(70_000), randomBytes(1), randomBytes(300_000)],
    Array.from({ length: 40 }, (_, index) => JSON.stringify({ index, name: `item ${index}`, list: [1, 2, 3] })),
  ];

  test.each(COMPRESSORS)('%s', async (name) => {
    const { received, ws } = await connect(server({ compression: uWS[name] }));
    // Twice, with whole messages between them: what was said before may be referred to.
    for (const pieces of [...MESSAGES, ...MESSAGES]) {
      sendPieces(ws, pieces, true);
      ws.send(TEXT, false, true);
      const whole = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
      expect(Buffer.compare(await received.take(), whole)).toBe(0);
      expect(await received.take()).toBe(TEXT);
    }
  });

  test('each of many clients that are sent to by turns gets its own', async () => {
    for (const compression of [uWS.SHARED_COMPRESSOR, uWS.DEDICATED_COMPRESSOR_8KB, DEDICATED]) {
      const origin = server({ compression });
      const clients = [];
      for (let count = 0; count < 4; count++) clients.push(await connect(origin));
      const part = (client, round) => `${TEXT} for ${client}: ${round} `;
      clients.forEach(({ ws }, client) => ws.sendFirstFragment(part(client, 0), false, true));
      for (let round = 1; round < 20; round++) {
        clients.forEach(({ ws }, client) => ws.sendFragment(part(client, round)));
      }
      clients.forEach(({ ws }, client) => ws.sendLastFragment(part(client, 20)));
      for (const [client, { received }] of clients.entries()) {
        expect(await received.take()).toBe(Array.from({ length: 21 }, (_, round) => part(client, round)).join(''));
      }
    }
  });

  test.each([
    ['SHARED_COMPRESSOR', uWS.SHARED_COMPRESSOR],
    ['DEDICATED_COMPRESSOR_4KB', uWS.DEDICATED_COMPRESSOR_4KB],
    ['DEDICATED_COMPRESSOR', DEDICATED],
  ])('%s: what is published meanwhile follows, compressed or not, in its order', async (_, compression) => {
    const origin = server({ compression });
    const clients = [await connect(origin), await connect(origin, { threshold: 0, serverMaxWindowBits: 10 }), await connect(origin, false)];
    for (const { ws } of clients) ws.subscribe('news');
    for (let round = 0; round < 3; round++) {
      const published = [];
      const publish = (text, compress) => {
        published.push(text);
        expect(origin.app.publish('news', text, false, compress)).toBe(true);
      };
      for (const { ws } of clients) ws.sendFirstFragment(`${TEXT} begin`, false, true);
      publish(`${TEXT} ${round} 1`, true);
      publish(`${TEXT} ${round} 2`, false);
      for (const { ws } of clients) ws.sendFragment(`${TEXT} goes on`);
      publish(`${TEXT} ${round} 3`.repeat(3000), true);
      publish('', true);
      for (const { ws } of clients) {
        ws.sendLastFragment(`${TEXT} end`);
        ws.send(`${TEXT} own`, false, true);
      }
      for (const { received } of clients) {
        for (const text of [`${TEXT} begin${TEXT} goes on${TEXT} end`, ...published, `${TEXT} own`]) {
          expect(await received.take()).toBe(text);
        }
      }
    }
  });
});
