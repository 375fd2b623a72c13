// What WebSocket clients do to a server in the soak. All but one write their bytes by hand and look at no answer; that one
// asserts that all of them are right.

import assert from 'node:assert';
import { once } from 'node:events';
import zlib from 'node:zlib';
import WebSocket from 'ws';

import { oneOf, pause, upTo } from './chance.mjs';
import { next } from './lanes.mjs';

const COMPRESSIONS = ['plain', 'plain', 'shared', 'shared', 'small', 'small', 'dedicated'];
const TOPICS = Array.from({ length: 40 }, (_, number) => 'topic'.padEnd(number, '.'));
const WORDS = Array.from({ length: 300 }, (_, number) => `word${number * number} `);
const CLOSE = frame(8, Buffer.from([3, 232]));
/** Each breaks a rule. */
const BROKEN = [
  Buffer.from([0x81, 0x01, 0x61]),
  frame(3, 'reserved opcode'),
  frame(1, Buffer.from([0xff, 0xfe])),
  frame(0, 'continuation of nothing'),
  frame(1, 'no deflate', { rsv1: true }),
  frame(9, Buffer.alloc(126)),
  Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
];

/** A frame of a client. A mask of zeros leaves the payload as it is. */
function frame(opcode, payload, { fin = true, rsv1 = false } = {}) {
  const body = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode;
  const length =
    body.length < 126 ? [0x80 | body.length]
    : body.length < 65_536 ? [0xfe, body.length >> 8, body.length & 0xff]
    : [0xff, 0, 0, 0, 0, body.length >>> 24, (body.length >> 16) & 0xff, (body.length >> 8) & 0xff, body.length & 0xff];
  return Buffer.concat([Buffer.from([first, ...length, 0, 0, 0, 0]), body]);
}

/** A text as one frame, compressed, or in fragments with a ping between them. */
const FORMS = {
  whole: (text) => frame(1, text),
  compressed(text) {
    const deflated = zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    return frame(1, deflated.subarray(0, -4), { rsv1: true });
  },
  cut: (text) => Buffer.concat([frame(1, text.slice(0, 3), { fin: false }), frame(9, 'hi'), frame(0, text.slice(3))]),
};

function words(most) {
  const begin = upTo(WORDS.length - 1);
  return WORDS.join('').repeat(Math.ceil((begin + most) / 3000)).slice(begin, begin + upTo(most));
}

/** Something for the server to do. */
function order() {
  const kind = oneOf('eeeeccccffgsssuuppPk');
  switch (kind) {
    case 's': return kind + oneOf([oneOf(TOPICS), `own-${upTo(1e9)}`]);
    case 'u': case 'p': case 'P': return kind + oneOf(TOPICS);
    default: return kind + words(oneOf([20, 20, 200, 2000, 20_000]));
  }
}

/** Upgrades the connection. Resolves to the forms that messages may have. */
async function shakeHands(socket, limits, compression) {
  const fields = ['Host: a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
  if (compression !== 'plain') fields.push('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits');
  socket.write([`GET /${limits}/${compression} HTTP/1.1`, ...fields, '', ''].join('\r\n'));
  const [head] = await next(socket, 'data');
  assert.match(head.toString('latin1'), /^HTTP\/1\.1 101 /);
  return compression === 'plain' ? [FORMS.whole, FORMS.cut] : Object.values(FORMS);
}

/** Some orders, with pauses. */
async function talk(socket, forms, most) {
  for (let count = upTo(most); count >= 0 && socket.writable; count -= 1) {
    socket.write(oneOf(forms)(order()));
    await pause(upTo(300));
  }
}

/** Goes in any manner. */
async function leave(socket) {
  const manners = [
    () => socket.destroy(),
    () => socket.resetAndDestroy(),
    () => socket.end(),
    () => socket.end(CLOSE),
    () => socket.write(CLOSE),
    () => socket.write(frame(1, oneOf(['x', 'X']))),
    () => socket.write(oneOf(BROKEN)),
    // In the middle of a frame.
    () => socket.end(frame(1, 'e'.repeat(300)).subarray(0, upTo(300))),
  ];
  // Node leaks a socket that is reset while it is ending.
  if (socket.writable) oneOf(manners)();
}

export const HABITS = {
  async talking(socket) {
    const forms = await shakeHands(socket, oneOf(['lenient', 'dropping', 'strict']), oneOf(COMPRESSIONS));
    socket.resume();
    await talk(socket, forms, 10);
    await leave(socket);
  },
  /** Subscribes to much, hears a while. */
  async subscribing(socket) {
    const forms = await shakeHands(socket, oneOf(['dropping', 'strict']), oneOf(COMPRESSIONS));
    socket.resume();
    for (let count = upTo(8); count >= 0; count -= 1) socket.write(oneOf(forms)(`s${oneOf(TOPICS)}`));
    await pause(upTo(2_000));
    await talk(socket, forms, 3);
    await leave(socket);
  },
  /** Reads now and then, and less than it asks for. */
  async slow(socket) {
    const forms = await shakeHands(socket, oneOf(['dropping', 'strict']), oneOf(COMPRESSIONS));
    socket.pause();
    for (let round = upTo(6); round >= 0 && socket.writable; round -= 1) {
      socket.write(Buffer.concat([oneOf(forms)(`s${oneOf(TOPICS)}`), oneOf(forms)('b'), oneOf(forms)(order())]));
      await pause(upTo(500));
      if (upTo(2) === 0) socket.resume();
      await pause(upTo(50));
      socket.pause();
    }
    await leave(socket);
    socket.resume();
  },
  /** Says all it has to say and sends FIN; reads the answers. */
  async halfClosing(socket) {
    const forms = await shakeHands(socket, 'lenient', oneOf(COMPRESSIONS));
    socket.resume();
    const said = Array.from({ length: upTo(10) }, () => oneOf(forms)(order()));
    socket.end(Buffer.concat(said));
    await next(socket, 'end');
  },
  async silent(socket) {
    await shakeHands(socket, 'strict', oneOf(COMPRESSIONS));
    socket.resume();
    await pause(upTo(3_000));
    await leave(socket);
  },
  /** Half a handshake. */
  async hesitant(socket) {
    socket.resume();
    socket.write('GET /lenient/plain HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upg'.slice(0, upTo(70)));
    await pause(upTo(200));
    socket.destroy();
  },
  /** A well-behaved client: what it hears is what it said, in its order, until both have closed. */
  async careful(socket, port) {
    const compression = oneOf(COMPRESSIONS);
    const perMessageDeflate = compression !== 'plain' && { threshold: oneOf([0, 1000]) };
    const client = new WebSocket(`ws://127.0.0.1:${port}/patient/${compression}`, {
      perMessageDeflate,
      createConnection: () => socket,
    });
    client.on('error', () => {});
    await once(client, 'open');
    // Before anything is awaited: on a busy machine it may time out at any moment.
    const closed = new Promise((resolve) => client.on('close', (...end) => resolve(end)));
    const [expected, heard] = [[], []];
    client.on('message', (data, isBinary) => {
      // What is published is binary.
      if (!isBinary) heard.push(data.toString());
    });
    if (upTo(2) === 0) client.send(`s${oneOf(TOPICS)}`);
    for (let count = upTo(20); count >= 0; count -= 1) {
      const text = words(oneOf([20, 200, 2000, 40_000]));
      expected.push(text);
      client.send(oneOf('ecf') + text);
      if (upTo(3) === 0) await pause(upTo(200));
    }
    client.send('x');
    const [code, reason] = await closed;
    assert.deepEqual([code, reason.toString()], [4000, 'as you wish']);
    const different = expected.findIndex((text, place) => text !== heard[place]);
    assert.equal(different, -1, `answer ${different} of ${expected.length} is not what was said`);
    assert.equal(heard.length, expected.length);
  },
};
