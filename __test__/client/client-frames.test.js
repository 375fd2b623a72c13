'use strict';

/**
 * An open `uWS.connect` against servers that speak at byte level: what goes out is masked, every broken rule has its cause,
 * and every end of the connection its own.
 */

const fc = require('fast-check');

const uWS = require('../..');
const { open } = require('../helpers/client.js');
const { RawServer, granted, serverFrame } = require('../helpers/raw-server.js');

/** An open client and its peer. */
async function connected(behavior, answer = granted) {
  const server = await RawServer.start(answer);
  const { ws, received } = await open(server.url, behavior);
  expect((await received.take())[0]).toBe('open');
  return { ws, received, peer: await server.peer() };
}

/** Until the client's thread has surely dealt with what it was sent: it has opened and closed another WebSocket meanwhile. */
async function later() {
  const { ws } = await connected();
  ws.close();
}

/** The payload of a Close frame. */
function closing(code, reason = '') {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

describe('what goes out', () => {
  test('is masked, each frame by a key of its own', async () => {
    const { ws, peer } = await connected();
    for (let count = 0; count < 100; count++) ws.send(`message ${count}`);
    ws.send('x'.repeat(70_000));
    ws.ping('ping');
    ws.sendFirstFragment('a', true);
    ws.sendFragment('b');
    ws.sendLastFragment('c');
    ws.end(4000, 'bye');
    for (let count = 0; count < 100; count++) {
      expect(await peer.frame()).toEqual(['text', Buffer.from(`message ${count}`), { fin: true, rsv: 0 }]);
    }
    expect((await peer.frame())[1].length).toBe(70_000);
    expect(await peer.frame()).toEqual(['ping', Buffer.from('ping'), { fin: true, rsv: 0 }]);
    expect(await peer.frame()).toEqual(['binary', Buffer.from('a'), { fin: false, rsv: 0 }]);
    expect(await peer.frame()).toEqual(['continuation', Buffer.from('b'), { fin: false, rsv: 0 }]);
    expect(await peer.frame()).toEqual(['continuation', Buffer.from('c'), { fin: true, rsv: 0 }]);
    expect(await peer.frame()).toEqual(['close', closing(4000, 'bye'), { fin: true, rsv: 0 }]);
    expect(new Set(peer.keys).size).toBe(106);
  });

  test('is compressed where the server agreed to it', async () => {
    const answer = (request) => granted(request, ['Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover']);
    const { ws, peer, received } = await connected({ compression: uWS.SHARED_COMPRESSOR }, answer);
    ws.send('Hello', false, true);
    ws.send('Hello');
    expect(await peer.frame()).toEqual(['text', Buffer.from('f248cdc9c90700', 'hex'), { fin: true, rsv: 4 }]);
    expect(await peer.frame()).toEqual(['text', Buffer.from('Hello'), { fin: true, rsv: 0 }]);
    peer.send(serverFrame(1, Buffer.from('f248cdc9c90700', 'hex'), { rsv: 4 }));
    expect(await received.take()).toEqual(['text', 'Hello']);
    // Without any byte, and with the marker that should have been cut off.
    peer.send(serverFrame(1, '', { rsv: 4 }), serverFrame(1, Buffer.from('f248cdc9c907000000ffff', 'hex'), { rsv: 4 }));
    expect(await received.take()).toEqual(['text', '']);
    expect(await received.take()).toEqual(['text', 'Hello']);
  });

  test('pings are answered with masked pongs', async () => {
    const { peer, received } = await connected();
    peer.send(serverFrame(9, 'are you there?'));
    expect(await received.take()).toEqual(['ping', 'are you there?']);
    expect(await peer.frame()).toEqual(['pong', Buffer.from('are you there?'), { fin: true, rsv: 0 }]);
  });
});

describe('the closing handshake', () => {
  test('end: the server closes the TCP connection first', async () => {
    const { ws, received, peer } = await connected();
    ws.end(1000, 'done');
    expect(await received.take()).toEqual(['close', 1000, 'done', 'CLOSED_BY_END']);
    expect(await peer.frame()).toEqual(['close', closing(1000, 'done'), { fin: true, rsv: 0 }]);
    // Messages until the server's Close are read and dropped.
    peer.send(serverFrame(1, 'late'), serverFrame(8, closing(1000)));
    await later();
    expect(peer.hasEnded).toBe(false);
    peer.finish();
    expect(await peer.frame()).toBe('FIN');
    expect(received.size).toBe(0);
  });

  test('a Close frame of the server is echoed, and the server closes first', async () => {
    const { received, peer } = await connected();
    peer.send(serverFrame(8, closing(4005, 'restart')));
    expect(await received.take()).toEqual(['close', 4005, 'restart', 'CLOSED_BY_PEER']);
    expect(await peer.frame()).toEqual(['close', closing(4005, 'restart'), { fin: true, rsv: 0 }]);
    await later();
    expect(peer.hasEnded).toBe(false);
    peer.finish();
    expect(await peer.frame()).toBe('FIN');
  });

  test('a server that does not close is not waited for any longer than it takes', async () => {
    const { received, peer } = await connected();
    peer.send(serverFrame(8));
    expect(await received.take()).toEqual(['close', 1005, 'Peer closed without a code', 'CLOSED_BY_PEER_WITHOUT_CODE']);
    expect((await peer.frame())[0]).toBe('close');
    expect(await peer.frame()).toBe('FIN');
  });

  test('what is sent in answer to messages before the Close frame still leaves', async () => {
    const { received, peer } = await connected({ message: (ws, message) => ws.send(message) });
    peer.send(serverFrame(1, 'one'), serverFrame(1, 'two'), serverFrame(8, closing(1001)));
    expect((await received.take())[0]).toBe('close');
    expect((await peer.frame())[1].toString()).toBe('one');
    expect((await peer.frame())[1].toString()).toBe('two');
    expect((await peer.frame())[0]).toBe('close');
  });
});

describe('a broken rule', () => {
  const masked = Buffer.from('8185373737375f525b5b58', 'hex');

  test.each([
    ['a masked frame', masked, 1002, 'ERR_FRAME_MASKED'],
    ['a reserved bit', serverFrame(1, 'x', { rsv: 4 }), 1002, 'ERR_FRAME_RESERVED_BITS'],
    ['a reserved opcode', serverFrame(3), 1002, 'ERR_FRAME_RESERVED_OPCODE'],
    ['a fragmented ping', serverFrame(9, '', { fin: false }), 1002, 'ERR_FRAME_FRAGMENTED_CONTROL'],
    ['a long ping', serverFrame(9, 'x'.repeat(126)), 1002, 'ERR_FRAME_CONTROL_TOO_LONG'],
    ['a continuation of nothing', serverFrame(0, 'x'), 1002, 'ERR_FRAME_UNEXPECTED_CONTINUATION'],
    ['a message within another', Buffer.concat([serverFrame(1, 'x', { fin: false }), serverFrame(1, 'y')]), 1002,
      'ERR_FRAME_EXPECTED_CONTINUATION'],
    ['a length in too long a form', Buffer.from('817e000178', 'hex'), 1002, 'ERR_FRAME_NON_MINIMAL_LENGTH'],
    ['a length beyond 2^63', Buffer.from('827f8000000000000000', 'hex'), 1002, 'ERR_FRAME_LENGTH_OVERFLOW'],
    ['half a close code', serverFrame(8, 'x'), 1002, 'ERR_CLOSE_PAYLOAD_TRUNCATED'],
    ['a close code that must not be sent', serverFrame(8, closing(1006)), 1002, 'ERR_CLOSE_CODE'],
    ['a close reason that is no UTF-8', serverFrame(8, Buffer.from('03e8ff', 'hex')), 1007, 'ERR_CLOSE_REASON_UTF8'],
    ['text that is no UTF-8', serverFrame(1, Buffer.from('c328', 'hex')), 1007, 'ERR_INVALID_UTF8'],
    ['a frame too big', serverFrame(1, 'x'.repeat(1001)), 1009, 'ERR_FRAME_TOO_BIG'],
    ['fragments too big', Buffer.concat([serverFrame(1, 'x'.repeat(600), { fin: false }), serverFrame(0, 'x'.repeat(600))]),
      1009, 'ERR_MESSAGE_TOO_BIG'],
  ])('%s: the handler hears which, and the server is told', async (_, bytes, wireCode, cause) => {
    const { received, peer } = await connected({ maxPayloadLength: 1000 });
    peer.send(serverFrame(1, 'before'), bytes, serverFrame(1, 'behind'));
    expect(await received.take()).toEqual(['text', 'before']);
    const [event, code, reason, told] = await received.take();
    expect([event, code, told]).toEqual(['close', 1006, cause]);
    const [name, payload] = await peer.frame();
    expect([name, payload.readUInt16BE(0), payload.toString('utf8', 2)]).toEqual(['close', wireCode, reason]);
    // RFC 6455 §7.1.7: a connection that has failed is closed at once.
    expect(await peer.frame()).toBe('FIN');
    expect(received.size).toBe(0);
  });
});

describe('the connection goes away', () => {
  test('FIN without a Close frame', async () => {
    const { received, peer } = await connected();
    peer.send(serverFrame(1, 'last'), serverFrame(1, 'never', { fin: false }));
    peer.finish();
    expect(await received.take()).toEqual(['text', 'last']);
    expect((await received.take()).slice(1)).toEqual([
      1006, 'Received TCP FIN before WebSocket close frame', 'ERR_FIN_WITHOUT_CLOSE',
    ]);
    expect(await peer.frame()).toBe('FIN');
  });

  test('RST', async () => {
    const { received, peer } = await connected();
    peer.reset();
    expect((await received.take()).slice(1)).toEqual([1006, 'Connection reset by peer', 'ERR_CONNECTION_RESET']);
  });

  test('silence: a ping, then the end', async () => {
    const { received, peer } = await connected({ idleTimeout: 8 });
    expect((await peer.frame())[0]).toBe('ping');
    expect((await received.take()).slice(1)).toEqual([1006, 'WebSocket timed out from inactivity', 'ERR_IDLE_TIMEOUT']);
    const [name, payload] = await peer.frame();
    expect([name, payload.readUInt16BE(0)]).toEqual(['close', 1001]);
    expect(await peer.frame()).toBe('FIN');
  });
});

test('frames are understood however they are cut', async () => {
  const message = fc.tuple(fc.constantFrom(1, 2), fc.string({ maxLength: 300 }), fc.integer({ min: 1, max: 4 }));
  await fc.assert(fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat(400)), async (messages, cuts) => {
    const { received, peer } = await connected();
    const bytes = Buffer.concat(messages.flatMap(([opcode, text, parts]) => {
      const payload = Buffer.from(text);
      const size = Math.ceil(payload.length / parts) || 1;
      return Array.from({ length: parts }, (_, part) => serverFrame(
        part === 0 ? opcode : 0, payload.subarray(part * size, part === parts - 1 ? undefined : (part + 1) * size),
        { fin: part === parts - 1 },
      ));
    }));
    for (let start = 0; start < bytes.length;) {
      const end = start + 1 + cuts.next().value;
      peer.send(bytes.subarray(start, end));
      await new Promise(setImmediate);
      start = end;
    }
    for (const [opcode, text] of messages) {
      expect(await received.take()).toEqual(opcode === 1 ? ['text', Buffer.from(text).toString()] : ['binary', Buffer.from(text)]);
    }
  }), { numRuns: 30 });
});
