'use strict';

// Every way in which a peer or the network ends a WebSocket, driven by raw bytes: what the close handler is told (code,
// reason, info), that it is told once, and what the peer receives before the TCP connection ends. docs/close-reasons.md
// is the page for users. Ends that begin on this side are in close-local.test.js, HTTP is in abort-reasons.test.js.

const { ClosingServer, LIMIT, closed, textOf } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, closeFrame, frame, header } = require('../helpers/raw-websocket.js');

/** A mask of zeros, so that the payload behind it reads as it is. */
const MASK = '00000000';
const NO_FIN = { fin: false };

const FRAME = 'Received invalid WebSocket frame: ';
const PAYLOAD = 'Received invalid close payload: ';

const BROKEN_FRAMES = [
  ['RSV1 is set on a text frame', `c1 80 ${MASK}`, 'ERR_FRAME_RESERVED_BITS'],
  ['RSV2 is set on a binary frame', `a2 80 ${MASK}`, 'ERR_FRAME_RESERVED_BITS'],
  ['RSV3 is set on a ping', `99 80 ${MASK}`, 'ERR_FRAME_RESERVED_BITS'],
  ['RSV1 is set on a Close frame', `c8 80 ${MASK}`, 'ERR_FRAME_RESERVED_BITS'],
  ['a proxy writes a request into the stream', Buffer.from('GET /health HTTP/1.1\r\n\r\n'), 'ERR_FRAME_RESERVED_BITS'],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => {
    return [`the opcode is ${opcode}`, frame(opcode), 'ERR_FRAME_RESERVED_OPCODE'];
  }),
  ['a ping is without FIN', `09 80 ${MASK}`, 'ERR_FRAME_FRAGMENTED_CONTROL'],
  ['a pong is without FIN', `0a 80 ${MASK}`, 'ERR_FRAME_FRAGMENTED_CONTROL'],
  ['a Close frame is without FIN', `08 82 ${MASK} 03e8`, 'ERR_FRAME_FRAGMENTED_CONTROL'],
  ['a ping has 126 bytes', frame('ping', 'x'.repeat(126)), 'ERR_FRAME_CONTROL_TOO_LONG'],
  ['a pong has 126 bytes', frame('pong', 'x'.repeat(126)), 'ERR_FRAME_CONTROL_TOO_LONG'],
  ['a Close frame has a reason of 124 bytes', closeFrame(1000, 'x'.repeat(124)), 'ERR_FRAME_CONTROL_TOO_LONG'],
  ['a ping announces 2^40 bytes', '89 ff 0000010000000000', 'ERR_FRAME_CONTROL_TOO_LONG'],
  ['a continuation has nothing to continue', `80 80 ${MASK}`, 'ERR_FRAME_UNEXPECTED_CONTINUATION'],
  [
    'a continuation follows a whole fragmented message',
    Buffer.concat([frame('text', 'a', NO_FIN), frame('continuation', 'b'), frame('continuation', 'c')]),
    'ERR_FRAME_UNEXPECTED_CONTINUATION',
    [['text', 'ab']],
  ],
  [
    'a text begins inside a fragmented message',
    Buffer.concat([frame('binary', 'a', NO_FIN), frame('text', 'b')]),
    'ERR_FRAME_EXPECTED_CONTINUATION',
  ],
  [
    'a binary message begins inside a fragmented message',
    Buffer.concat([frame('text', 'a', NO_FIN), frame('continuation', 'b', NO_FIN), frame('binary', 'c')]),
    'ERR_FRAME_EXPECTED_CONTINUATION',
  ],
  ['a text is not masked', '81 02 6869', 'ERR_FRAME_UNMASKED'],
  ['a ping is not masked', '89 00', 'ERR_FRAME_UNMASKED'],
  ['a Close frame is not masked', '88 02 03e8', 'ERR_FRAME_UNMASKED'],
  ['a length of 125 is written in 16 bits', `82 fe 007d ${MASK}`, 'ERR_FRAME_NON_MINIMAL_LENGTH'],
  ['a length of 0 is written in 16 bits', `81 fe 0000 ${MASK}`, 'ERR_FRAME_NON_MINIMAL_LENGTH'],
  ['a length of 65535 is written in 64 bits', `82 ff 000000000000ffff ${MASK}`, 'ERR_FRAME_NON_MINIMAL_LENGTH'],
  ['a length of 5 is written in 64 bits', `82 ff 0000000000000005 ${MASK}`, 'ERR_FRAME_NON_MINIMAL_LENGTH'],
  ['a 64-bit length has its top bit set', '82 ff 8000000000000000', 'ERR_FRAME_LENGTH_OVERFLOW'],
];

const TEXTS = {
  ERR_FRAME_RESERVED_BITS: `${FRAME}RSV bits must be 0 unless an extension was negotiated`,
  ERR_FRAME_RESERVED_OPCODE: `${FRAME}opcode is reserved`,
  ERR_FRAME_FRAGMENTED_CONTROL: `${FRAME}FIN must be set on control frames`,
  ERR_FRAME_CONTROL_TOO_LONG: `${FRAME}control frame payload must not exceed 125 bytes`,
  ERR_FRAME_UNEXPECTED_CONTINUATION: `${FRAME}continuation without a message to continue`,
  ERR_FRAME_EXPECTED_CONTINUATION: `${FRAME}expected a continuation of the fragmented message`,
  ERR_FRAME_UNMASKED: `${FRAME}MASK must be set on client frames`,
  ERR_FRAME_NON_MINIMAL_LENGTH: `${FRAME}payload length must be encoded minimally`,
  ERR_FRAME_LENGTH_OVERFLOW: `${FRAME}64-bit payload length must not exceed 2^63-1`,
  ERR_CLOSE_PAYLOAD_TRUNCATED: `${PAYLOAD}one byte cannot hold a status code`,
  ERR_CLOSE_CODE: `${PAYLOAD}status code must not be sent`,
  ERR_CLOSE_REASON_UTF8: `${PAYLOAD}reason must be UTF-8`,
  ERR_FRAME_TOO_BIG: 'Received too big message: declared length exceeds maxPayloadLength',
  ERR_MESSAGE_TOO_BIG: 'Received too big message: fragments exceed maxPayloadLength',
  ERR_INVALID_UTF8: 'Received invalid UTF-8: text messages must be UTF-8',
};

const TOO_BIG = [
  ['a text announces one byte too many', header('text', LIMIT + 1), 'ERR_FRAME_TOO_BIG'],
  ['a binary message announces 2^62 bytes', '82 ff 4000000000000000', 'ERR_FRAME_TOO_BIG'],
  ['a first fragment announces one byte too many', header('text', LIMIT + 1, NO_FIN), 'ERR_FRAME_TOO_BIG'],
  [
    'fragments are one byte too many together, which the second one announces',
    Buffer.concat([frame('binary', 'x'.repeat(600), NO_FIN), header('continuation', LIMIT - 600 + 1)]),
    'ERR_MESSAGE_TOO_BIG',
  ],
  [
    'many small fragments are too many together',
    Buffer.concat([frame('text', '', NO_FIN), ...Array(LIMIT + 1).fill(frame('continuation', 'x', NO_FIN))]),
    'ERR_MESSAGE_TOO_BIG',
  ],
];

const BAD_UTF8 = [
  ['a text is a byte that UTF-8 never has', `81 81 ${MASK} ff`, 'ERR_INVALID_UTF8'],
  ['a text has an overlong form', `81 82 ${MASK} c0af`, 'ERR_INVALID_UTF8'],
  ['a text has a surrogate', `81 83 ${MASK} eda080`, 'ERR_INVALID_UTF8'],
  ['a text has a character beyond U+10FFFF', `81 84 ${MASK} f4908080`, 'ERR_INVALID_UTF8'],
  ['a text ends inside a character', `81 82 ${MASK} e282`, 'ERR_INVALID_UTF8'],
  ['a masked text is not UTF-8', frame('text', Buffer.from('6162ff63', 'hex')), 'ERR_INVALID_UTF8'],
  ['the second fragment is not UTF-8', `01 81 ${MASK} 61  80 81 ${MASK} ff`, 'ERR_INVALID_UTF8'],
  ['a character goes wrong in the second fragment', `01 82 ${MASK} e282  00 81 ${MASK} 41`, 'ERR_INVALID_UTF8'],
  ['a fragmented text ends inside a character', `01 82 ${MASK} e282  80 80 ${MASK}`, 'ERR_INVALID_UTF8'],
  ['with a pong between the two', `01 82 ${MASK} e282  8a 80 ${MASK}  80 81 ${MASK} 41`, 'ERR_INVALID_UTF8'],
  ['a fragment is wrong, and the message is not over', `01 81 ${MASK} ff`, 'ERR_INVALID_UTF8'],
  ['the second of 100 announced bytes is wrong, and the others never come', `81 e4 ${MASK} 61ff`, 'ERR_INVALID_UTF8'],
];

const BAD_CLOSES = [
  ['a Close frame has one byte', `88 81 ${MASK} 03`, 'ERR_CLOSE_PAYLOAD_TRUNCATED'],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) => {
    return [`a Close frame has the code ${code}`, closeFrame(code, 'why'), 'ERR_CLOSE_CODE'];
  }),
  ['a reason is a byte that UTF-8 never has', `88 83 ${MASK} 03e8 ff`, 'ERR_CLOSE_REASON_UTF8'],
  ['a reason ends inside a character', `88 84 ${MASK} 03e8 e282`, 'ERR_CLOSE_REASON_UTF8'],
];

/** The code of the Close frame with which a peer is told; for all others it is 1002. */
const WIRE_CODES = {
  ERR_FRAME_TOO_BIG: 1009,
  ERR_MESSAGE_TOO_BIG: 1009,
  ERR_INVALID_UTF8: 1007,
  ERR_CLOSE_REASON_UTF8: 1007,
};

describe.each([
  ['broken frame', BROKEN_FRAMES],
  ['too big', TOO_BIG],
  ['not UTF-8', BAD_UTF8],
  ['bad Close frame', BAD_CLOSES],
])('%s: the handler gets 1006 and the rule by name, once; the peer is told in a Close frame; TCP ends', (_, rows) => {
  const told = (cause) => ['close', WIRE_CODES[cause] ?? 1002, TEXTS[cause]];
  const blamed = (cause) => closed(1006, TEXTS[cause], cause, 'peer', false);

  test.each(rows)('%s', async (title, bytes, cause, answers = []) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(bytes);
    expect(await client.rest()).toEqual({ frames: [...answers, told(cause)], end: 'FIN' });
    await server.expectOneClose(blamed(cause));
  });

  test.each(rows)('%s, behind a message whose echo still arrives', async (title, bytes, cause, answers = []) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'héllo'), bytes);
    expect(await client.rest()).toEqual({ frames: [['text', 'héllo'], ...answers, told(cause)], end: 'FIN' });
    await server.expectOneClose(blamed(cause));
  });

  test.each(rows)('%s, byte by byte', async (title, bytes, cause, answers = []) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    await client.dribble(bytes);
    expect(await client.rest()).toEqual({ frames: [...answers, told(cause)], end: 'FIN' });
    await server.expectOneClose(blamed(cause));
  });
});

describe('a peer that broke a rule', () => {
  const TEXT = TEXTS.ERR_FRAME_RESERVED_OPCODE;
  const TOLD = ['close', 1002, TEXT];
  const BLAMED = closed(1006, TEXT, 'ERR_FRAME_RESERVED_OPCODE', 'peer', false);

  test('goes on sending: the Close frame reaches it all the same', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame(3), Buffer.alloc(1024 * 1024));
    expect(await client.rest()).toEqual({ frames: [TOLD], end: 'FIN' });
    await server.expectOneClose(BLAMED);
  });

  test('sent valid messages behind it: they are not delivered', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame(3), frame('text', 'too late'));
    expect(await client.rest()).toEqual({ frames: [TOLD], end: 'FIN' });
  });

  test('ended at once: the handler is still told of the rule', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame(3));
    client.finish();
    await server.expectOneClose(BLAMED);
    expect(await client.rest()).toEqual({ frames: [TOLD], end: 'FIN' });
  });
});

describe('peer closes: its code and reason reach the handler and are echoed', () => {
  const MEANINGS = {
    1000: 'Normal Closure',
    1001: 'Going Away',
    1002: 'Protocol Error',
    1003: 'Unsupported Data',
    1007: 'Invalid Frame Payload Data',
    1008: 'Policy Violation',
    1009: 'Message Too Big',
    1010: 'Mandatory Extension',
    1011: 'Internal Error',
    1012: 'Service Restart',
    1013: 'Try Again Later',
    1014: 'Bad Gateway',
    3000: 'Unauthorized',
    3500: 'application code',
    3999: 'application code',
    4000: 'application code',
    4999: 'application code',
  };
  const codes = Object.entries(MEANINGS).map(([code, meaning]) => [Number(code), meaning]);

  test.each(codes)('with code %i and a reason', async (code) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(closeFrame(code, 'bis später'));
    expect(await client.rest()).toEqual({ frames: [['close', code, 'bis später']], end: 'FIN' });
    await server.expectOneClose(closed(code, 'bis später', 'CLOSED_BY_PEER', 'peer', true));
  });

  test.each(codes)('with code %i only: the reason names its meaning, %s', async (code, meaning) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(closeFrame(code));
    expect(await client.rest()).toEqual({ frames: [['close', code, '']], end: 'FIN' });
    const reason = `Peer closed without a reason (${code} ${meaning})`;
    await server.expectOneClose(closed(code, reason, 'CLOSED_BY_PEER', 'peer', true));
  });

  test('without a code: the handler gets 1005, the peer an empty Close frame', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('close'));
    expect(await client.rest()).toEqual({ frames: [['close']], end: 'FIN' });
    const expected = closed(1005, 'Peer closed without a code', 'CLOSED_BY_PEER_WITHOUT_CODE', 'peer', true);
    await server.expectOneClose(expected);
  });

  test('with the longest reason, 123 bytes', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    const reason = 'ä'.repeat(61) + '.';
    client.send(closeFrame(4000, reason));
    expect(await client.rest()).toEqual({ frames: [['close', 4000, reason]], end: 'FIN' });
    await server.expectOneClose(closed(4000, reason, 'CLOSED_BY_PEER', 'peer', true));
  });

  test('behind a message whose echo still arrives', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'last words'), closeFrame(1000, 'done'));
    expect(await client.rest()).toEqual({ frames: [['text', 'last words'], ['close', 1000, 'done']], end: 'FIN' });
    await server.expectOneClose(closed(1000, 'done', 'CLOSED_BY_PEER', 'peer', true));
  });

  test('inside a fragmented message, which is never delivered', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'half', NO_FIN), closeFrame(1000, 'done'), frame('continuation', 'whole'));
    expect(await client.rest()).toEqual({ frames: [['close', 1000, 'done']], end: 'FIN' });
    await server.expectOneClose(closed(1000, 'done', 'CLOSED_BY_PEER', 'peer', true));
  });

  test('and sends FIN with it: the echo of the Close frame still arrives', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'last words'), closeFrame(1000, 'done'));
    client.finish();
    expect(await client.rest()).toEqual({ frames: [['text', 'last words'], ['close', 1000, 'done']], end: 'FIN' });
    await server.expectOneClose(closed(1000, 'done', 'CLOSED_BY_PEER', 'peer', true));
  });

  test('a second Close frame, a message and a broken frame behind the first one are ignored', async () => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(closeFrame(1000, 'first'), closeFrame(1001, 'second'), frame('text', 'x'), frame(3));
    expect(await client.rest()).toEqual({ frames: [['close', 1000, 'first']], end: 'FIN' });
    await server.expectOneClose(closed(1000, 'first', 'CLOSED_BY_PEER', 'peer', true));
  });
});

describe('the connection goes away: nobody is told but the handler', () => {
  const FIN_TEXT = 'Received TCP FIN before WebSocket close frame';
  const FIN = closed(1006, FIN_TEXT, 'ERR_FIN_WITHOUT_CLOSE', 'transport', false);
  const RST = closed(1006, 'Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport', false);
  const moments = [
    ['between messages', ''],
    ['inside a header', '81'],
    ['inside a message', `81 85 ${MASK} 6869`],
    ['inside a fragmented message', `01 82 ${MASK} 6869`],
    ['inside a Close frame', `88 82 ${MASK} 03`],
  ];

  test.each(moments)('FIN without a Close frame, %s', async (title, bytes) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(bytes);
    client.finish();
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
    await server.expectOneClose(FIN);
  });

  test.each(moments)('RST, %s', async (title, bytes) => {
    const server = new ClosingServer();
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'echo me'), bytes);
    await client.frame();
    client.reset();
    await server.expectOneClose(RST);
  });

  test('messages in front of a FIN are delivered before the close', async () => {
    const events = new Mailbox();
    const message = (ws, bytes) => events.put(textOf(bytes));
    const server = new ClosingServer({ message, close: () => events.put('close') });
    const client = await RawWebSocket.open(server.port);
    client.send(frame('text', 'one'), frame('text', 'two'));
    client.finish();
    expect([await events.take(), await events.take(), await events.take()]).toEqual(['one', 'two', 'close']);
  });
});
