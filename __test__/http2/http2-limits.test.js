'use strict';

// What a client may cost over HTTP/2: each limit ends the stream or the connection that exceeds it, with its name, and nobody
// else notices.

const {
  END_HEADERS, END_STREAM, RawHttp2, ask, block, connectHttp2, createHttp2App, dataFrame, frameOf, headersFrame, literal, numbers,
} = require('../helpers/http2-client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

/** An app that answers all but /wait, a client of it, and somebody else's connection to it. */
async function serve(http2Options, options) {
  const aborts = new Mailbox();
  const app = createHttp2App(http2Options, options);
  app.any('/wait', (res) => res.onAborted((reason, { cause }) => aborts.put(cause)));
  app.any('/*', (res) => res.end('answered'));
  const port = listen(app);
  return { app, aborts, port, client: await RawHttp2.connect(port), bystander: await connectHttp2(port) };
}

/** That the connection of the client ends by this rule, which is counted, and that the bystander's does not. */
async function expectEnd({ app, client, bystander }, name, code) {
  const goaway = await client.goaway();
  expect([goaway.code, goaway.reason.split(':')[0]]).toStrictEqual([code, name]);
  await expect(ask(bystander)).resolves.toMatchObject({ text: 'answered' });
  expect(app.getStats().closes.refused).toMatchObject({ [name]: 1 });
}

/** Sends pieces until the connection is over: what comes behind its end is nobody's. */
function flood(client, count, piece) {
  const pieces = Array.from({ length: count }, (_, index) => piece(index));
  client.send(...pieces);
}

test('rapid reset (CVE-2023-44487): streams that are opened and reset', async () => {
  const server = await serve({ streamResetBurst: 50, streamResetRate: 0 });
  flood(server.client, 60, (index) => Buffer.concat([
    headersFrame(2 * index + 1, { fields: { ':path': '/wait' } }), frameOf('RST_STREAM', { stream: 2 * index + 1, payload: numbers(8) }),
  ]));
  await expectEnd(server, 'ERR_HTTP2_TOO_MANY_RESETS', 'ENHANCE_YOUR_CALM');
});

test('made you reset (CVE-2025-8671): streams that are opened and broken', async () => {
  const server = await serve({ streamResetBurst: 50, streamResetRate: 0 });
  flood(server.client, 60, (index) => Buffer.concat([
    headersFrame(2 * index + 1, { fields: { ':path': '/wait' } }), frameOf('WINDOW_UPDATE', { stream: 2 * index + 1, payload: numbers(0) }),
  ]));
  await expectEnd(server, 'ERR_HTTP2_TOO_MANY_RESETS', 'ENHANCE_YOUR_CALM');
});

test('a client that resets now and then may', async () => {
  const server = await serve({ streamResetBurst: 50, streamResetRate: 0 });
  for (let stream = 1; stream < 80; stream += 2) {
    server.client.send(headersFrame(stream, { fields: { ':path': '/wait' } }), frameOf('RST_STREAM', { stream, payload: numbers(8) }));
  }
  server.client.send(headersFrame(81));
  await server.client.next('HEADERS', 81);
});

test.each([
  ['PING', () => frameOf('PING', { payload: Buffer.alloc(8) })],
  ['SETTINGS', () => frameOf('SETTINGS')],
  ['PRIORITY', () => frameOf('PRIORITY', { stream: 1, payload: Buffer.from([0, 0, 0, 3, 1]) })],
  ['PRIORITY_UPDATE', () => frameOf(0x10, { payload: Buffer.concat([numbers(1), Buffer.from('u=1')]) })],
  ['WINDOW_UPDATE', () => frameOf('WINDOW_UPDATE', { payload: numbers(1) })],
  ['an unknown type', () => frameOf(0xbb, { payload: Buffer.from('grease') })],
  ['empty DATA', () => frameOf('DATA', { stream: 1 })],
])('floods of frames that ask for nothing: %s', async (title, frame) => {
  const server = await serve({ idleFrameBurst: 100, idleFrameRate: 0 });
  server.client.send(headersFrame(1, { end: false, fields: { ':path': '/wait', ':method': 'POST' } }));
  flood(server.client, 120, frame);
  await expectEnd(server, 'ERR_HTTP2_TOO_MANY_IDLE_FRAMES', 'ENHANCE_YOUR_CALM');
  expect(await server.aborts.take()).toBe('ERR_HTTP2_INVALID');
});

test('CONTINUATION flood (CVE-2024-27316): a header block without end', async () => {
  const server = await serve();
  server.client.send(frameOf('HEADERS', { stream: 1, payload: block() }));
  flood(server.client, 20, () => frameOf('CONTINUATION', { stream: 1 }));
  await expectEnd(server, 'ERR_HTTP2_HEADER_BLOCK_TOO_LONG', 'ENHANCE_YOUR_CALM');
});

test('a header block of many bytes', async () => {
  const server = await serve();
  server.client.send(frameOf('HEADERS', { stream: 1, payload: block() }));
  flood(server.client, 10, () => frameOf('CONTINUATION', { stream: 1, payload: literal('x', 'x'.repeat(16_000)) }));
  await expectEnd(server, 'ERR_HTTP2_HEADER_BLOCK_TOO_LONG', 'ENHANCE_YOUR_CALM');
});

test('a header block that is begun and not ended', async () => {
  const server = await serve(true, { headersTimeout: 300 });
  await ask(server.bystander);
  server.client.send(headersFrame(1));
  await server.client.next('HEADERS', 1);
  server.client.send(frameOf('HEADERS', { stream: 3, payload: block() }));
  await expectEnd(server, 'ERR_HTTP2_HEADERS_TIMEOUT', 'NO_ERROR');
});

test('a header list that is too long is answered 431, and costs its stream alone', async () => {
  const { bystander } = await serve(true, { maxHeaderSize: 2000 });
  await expect(ask(bystander, { cookie: 'x'.repeat(1500) })).resolves.toMatchObject({ status: 200 });
  await expect(ask(bystander, { cookie: 'x'.repeat(2000) })).resolves.toMatchObject({ status: 431 });
  await expect(ask(bystander)).resolves.toMatchObject({ status: 200 });
});

test('HPACK bomb: one long field of the dynamic table, named many times', async () => {
  const { client } = await serve();
  // RFC 7541 §6.2.1: with indexing, and §6.1: by its index.
  const field = Buffer.concat([Buffer.of(0x40), literal('bomb', 'x'.repeat(3_900)).subarray(1)]);
  client.send(frameOf('HEADERS', { flags: END_HEADERS | END_STREAM, stream: 1, payload: Buffer.concat([block(), field]) }));
  await client.next('HEADERS', 1);
  const named = Buffer.concat([block(), Buffer.alloc(15_000, 0x80 | 62)]);
  client.send(frameOf('HEADERS', { flags: END_HEADERS | END_STREAM, stream: 3, payload: named }));
  const { payload } = await client.next('HEADERS', 3);
  // 58 MB, had somebody kept them. RFC 7541 §6.2.2: the status has the name of the static table at 8.
  expect(payload.toString('latin1')).toContain('431');
  client.send(headersFrame(5));
  await client.next('HEADERS', 5);
});

test('more streams than there may be are refused, so that they can be sent again', async () => {
  const { client, aborts } = await serve({ maxConcurrentStreams: 2 });
  client.send(...[1, 3, 5].map((stream) => headersFrame(stream, { fields: { ':path': '/wait' } })));
  expect(await client.reset(5)).toBe('REFUSED_STREAM');
  client.send(frameOf('RST_STREAM', { stream: 1, payload: numbers(8) }), headersFrame(7));
  await client.next('HEADERS', 7);
  expect(await aborts.take()).toBe('ERR_HTTP2_STREAM_RESET');
});

test('more data than the window of a stream allows', async () => {
  const { client, aborts } = await serve({ initialWindowSize: 1024 });
  client.send(headersFrame(1, { end: false, fields: { ':path': '/wait', ':method': 'POST' } }), dataFrame(1, Buffer.alloc(1025)));
  expect(await client.reset(1)).toBe('FLOW_CONTROL_ERROR');
  expect(await aborts.take()).toBe('ERR_HTTP2_INVALID');
  client.send(headersFrame(3));
  await client.next('HEADERS', 3);
});

test.each([
  ['DATA on an idle stream', () => dataFrame(1, 'x'), 'ERR_HTTP2_IDLE_STREAM'],
  ['HEADERS on an even stream', () => headersFrame(2), 'ERR_HTTP2_STREAM_ID'],
  ['a frame that is too long', () => frameOf('PING', { payload: Buffer.alloc(16_385) }), 'ERR_HTTP2_FRAME_TOO_LONG'],
  ['PUSH_PROMISE', () => frameOf('PUSH_PROMISE', { stream: 1, payload: numbers(2) }), 'ERR_HTTP2_PUSH_PROMISE'],
  ['what is no HPACK', () => frameOf('HEADERS', { flags: END_HEADERS, stream: 1, payload: Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff) }), 'ERR_HTTP2_HEADER_BLOCK'],
])('what breaks a rule ends the connection: %s', async (title, bytes, name) => {
  const server = await serve();
  server.client.send(bytes());
  const goaway = await server.client.goaway();
  expect(goaway.reason.split(':')[0]).toBe(name);
  expect(server.app.getStats().closes.refused).toMatchObject({ [name]: 1 });
  await expect(ask(server.bystander)).resolves.toMatchObject({ text: 'answered' });
});

test.each([
  ['a field with a capital', { 'X-Custom': '1' }],
  ['a field of the connection', { connection: 'keep-alive' }],
  ['te with anything but trailers', { te: 'gzip' }],
  ['a line break in a value', { x: 'a\r\nb: c' }],
  ['an unknown pseudo-header field', { ':unknown': '1' }],
  ['no path', { ':path': '' }],
  ['a path with a space', { ':path': '/a b' }],
  ['a length that is no number', { 'content-length': 'x' }],
])('what breaks a rule of requests ends the stream: %s', async (title, fields) => {
  const { client } = await serve();
  client.send(headersFrame(1, { fields }));
  expect(await client.reset(1)).toBe('PROTOCOL_ERROR');
  client.send(headersFrame(3));
  await client.next('HEADERS', 3);
});

test('no bytes, however they come, crash the server', async () => {
  const { port, bystander } = await serve();
  let state = 1;
  const random = (below) => {
    // A linear congruence, so that a failure comes again.
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 40; round++) {
    const client = await RawHttp2.connect(port);
    flood(client, 30, () => {
      const payload = Buffer.from(Array.from({ length: random(60) }, () => random(256)));
      return random(3) === 0 ? headersFrame(2 * random(20) + 1, { end: random(2) === 0 }) : frameOf(random(12), { flags: random(256), stream: random(12), payload });
    });
    client.socket.end();
    await client.goaway();
  }
  await expect(ask(bystander)).resolves.toMatchObject({ text: 'answered' });
});
