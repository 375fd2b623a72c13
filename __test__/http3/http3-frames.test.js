'use strict';

// Clients that break the rules of HTTP/3: each ends what the RFC says, with the code that it says, and nobody else notices.

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { CODE, FRAME, Http3Client, describeWithHttp3, frame, headersFrame, http3Options, section, varint } = require('../helpers/http3.js');
const { listen } = require('../helpers/server.js');

/** An app that answers everything, a client of it, and somebody else's connection to it. */
async function serve() {
  const app = uWS.H3App(http3Options());
  afterTest(() => app.close());
  app.any('/*', (res) => res.end('answered'));
  const port = listen(app);
  return { app, port, client: await Http3Client.connect(port), bystander: await Http3Client.connect(port) };
}

const SETTINGS = Buffer.concat([varint(0), frame(FRAME.SETTINGS)]);

/** What a client sends that ends the connection: `[what, code, cause, act]`. */
const CONNECTION_ERRORS = [
  ['DATA before HEADERS', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_EXPECTED_HEADERS', (client) => client.open('request', frame(FRAME.DATA, 'x'))],
  ['SETTINGS on a request stream', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_UNEXPECTED_FRAME', (client) => client.open('request', frame(FRAME.SETTINGS))],
  ['a frame of HTTP/2', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_RESERVED_FRAME', (client) => client.open('request', frame(0x6, Buffer.alloc(8)))],
  ['PUSH_PROMISE', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_PUSH_PROMISE', (client) => client.open('request', frame(FRAME.PUSH_PROMISE, [0, 0, 0]))],
  ['HEADERS behind trailers', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_FRAME_AFTER_TRAILERS', (client) => client.open('request', Buffer.concat([
    headersFrame({ ':method': 'POST', ':path': '/' }), frame(FRAME.HEADERS, section({})), frame(FRAME.HEADERS, section({})),
  ]))],
  ['a stream that ends within a frame', CODE.FRAME_ERROR, 'ERR_HTTP3_TRUNCATED_FRAME', (client) => client.open('request', headersFrame().subarray(0, 9), { end: true })],
  ['an entry that the dynamic table does not have', CODE.QPACK_DECOMPRESSION_FAILED, 'ERR_HTTP3_FIELD_SECTION', (client) => client.open('request', frame(FRAME.HEADERS, [0, 0, 0x80]))],
  ['DATA on the control stream', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_UNEXPECTED_FRAME', (client) => client.control(frame(FRAME.DATA, 'x'))],
  ['SETTINGS twice', CODE.FRAME_UNEXPECTED, 'ERR_HTTP3_REPEATED_SETTINGS', (client) => client.control(frame(FRAME.SETTINGS))],
  ['GOAWAY of two numbers', CODE.FRAME_ERROR, 'ERR_HTTP3_FRAME_LENGTH', (client) => client.control(frame(FRAME.GOAWAY, [0, 0]))],
  ['GOAWAY that rises', CODE.ID_ERROR, 'ERR_HTTP3_GOAWAY', (client) => client.control(Buffer.concat([frame(FRAME.GOAWAY, [0]), frame(FRAME.GOAWAY, [4])]))],
  ['CANCEL_PUSH of nothing', CODE.ID_ERROR, 'ERR_HTTP3_PUSH_ID', (client) => client.control(frame(FRAME.CANCEL_PUSH, [0]))],
  ['MAX_PUSH_ID that falls', CODE.ID_ERROR, 'ERR_HTTP3_PUSH_ID', (client) => client.control(frame(FRAME.MAX_PUSH_ID, [0]))],
  ['PRIORITY_UPDATE of no request', CODE.ID_ERROR, 'ERR_HTTP3_PRIORITY_UPDATE', (client) => client.control(frame(FRAME.PRIORITY_UPDATE, [2]))],
  ['a long frame on the control stream', CODE.EXCESSIVE_LOAD, 'ERR_HTTP3_FRAME_TOO_LONG', (client) => client.control(frame(FRAME.PRIORITY_UPDATE, Buffer.alloc(5000)))],
  ['a second control stream', CODE.STREAM_CREATION_ERROR, 'ERR_HTTP3_REPEATED_STREAM', (client) => client.open('uni', SETTINGS)],
  ['a push stream', CODE.STREAM_CREATION_ERROR, 'ERR_HTTP3_PUSH_STREAM', (client) => client.open('uni', [1])],
  ['the end of the control stream', CODE.CLOSED_CRITICAL_STREAM, 'ERR_HTTP3_CLOSED_CRITICAL_STREAM', async (client) => {
    const { control } = await client.command('streams');
    await client.stream(control).end();
  }],
  ['a reset of the encoder stream', CODE.CLOSED_CRITICAL_STREAM, 'ERR_HTTP3_CLOSED_CRITICAL_STREAM', async (client) => {
    const { encoder } = await client.command('streams');
    await client.stream(encoder).abandon();
  }],
  ['STOP_SENDING of the control stream of the server', CODE.CLOSED_CRITICAL_STREAM, 'ERR_HTTP3_CLOSED_CRITICAL_STREAM', (client) => client.stream(3).refuse()],
  ['an instruction to copy what is not there', CODE.QPACK_ENCODER_STREAM_ERROR, 'ERR_HTTP3_ENCODER_INSTRUCTION', async (client) => {
    const { encoder } = await client.command('streams');
    await client.stream(encoder).send([0x1e]);
  }],
  ['an acknowledgement of nothing', CODE.QPACK_DECODER_STREAM_ERROR, 'ERR_HTTP3_DECODER_INSTRUCTION', async (client) => {
    const { decoder } = await client.command('streams');
    await client.stream(decoder).send([0x05]);
  }],
];

/** First bytes of a control stream that end the connection: `[what, code, cause, bytes]`. */
const FIRST_BYTES = [
  ['no SETTINGS', CODE.MISSING_SETTINGS, 'ERR_HTTP3_EXPECTED_SETTINGS', frame(FRAME.MAX_PUSH_ID, [0])],
  ['a setting of HTTP/2', CODE.SETTINGS_ERROR, 'ERR_HTTP3_SETTING', frame(FRAME.SETTINGS, [0x4, 0x1])],
  ['a setting that is neither 0 nor 1', CODE.SETTINGS_ERROR, 'ERR_HTTP3_SETTING', frame(FRAME.SETTINGS, [0x8, 0x2])],
  ['a setting twice', CODE.SETTINGS_ERROR, 'ERR_HTTP3_REPEATED_SETTING', frame(FRAME.SETTINGS, [0x6, 1, 0x6, 1])],
  ['half a setting', CODE.FRAME_ERROR, 'ERR_HTTP3_FRAME_LENGTH', frame(FRAME.SETTINGS, [0x6])],
];

/** Requests that end their stream: `[what, cause, fields]`. */
const MALFORMED = [
  ['a capital letter', 'ERR_HTTP3_FIELD_NAME', { Upper: '1' }],
  ['a line end in a value', 'ERR_HTTP3_FIELD_VALUE', { a: 'b\r\nc: d' }],
  ['Connection', 'ERR_HTTP3_CONNECTION_FIELD', { connection: 'close' }],
  ['TE other than trailers', 'ERR_HTTP3_CONNECTION_FIELD', { te: 'gzip' }],
  ['a pseudo-header field behind others', 'ERR_HTTP3_MISPLACED_PSEUDO_FIELD', { a: 'b', ':extra': '1' }],
  ['an unknown pseudo-header field', 'ERR_HTTP3_UNKNOWN_PSEUDO_FIELD', { ':status': '200' }],
  ['a method that is no token', 'ERR_HTTP3_METHOD', { ':method': 'G T' }],
  ['a path without a slash', 'ERR_HTTP3_PATH', { ':path': 'x' }],
  ['a Host that is not the authority', 'ERR_HTTP3_AUTHORITY', { host: 'other' }],
  ['a Content-Length that is no number', 'ERR_HTTP3_CONTENT_LENGTH', { 'content-length': '+1' }],
  ['a body of another length than announced', 'ERR_HTTP3_CONTENT_LENGTH_MISMATCH', { 'content-length': '1' }],
];

describeWithHttp3('a connection ends', () => {
  test.each(CONNECTION_ERRORS)('by %s', async (what, code, cause, act) => {
    const { app, client, bystander } = await serve();
    await client.settings;
    await act(client);
    const end = await client.closed;
    expect([end.code, end.frame, end.reason.split(':')[0]]).toStrictEqual([code, null, cause]);
    expect(app.getStats().closes.refused).toMatchObject({ [cause]: 1 });
    await expect(bystander.request('/')).resolves.toMatchObject({ text: 'answered' });
  });

  test.each(FIRST_BYTES)('by a control stream that starts with %s', async (what, code, cause, bytes) => {
    const { port, bystander } = await serve();
    const client = await Http3Client.connect(port, { raw: true });
    await client.open('uni', Buffer.concat([varint(0), bytes]));
    const end = await client.closed;
    expect([end.code, end.reason.split(':')[0]]).toStrictEqual([code, cause]);
    await expect(bystander.request('/')).resolves.toMatchObject({ text: 'answered' });
  });
});

describeWithHttp3('a stream ends', () => {
  test.each(MALFORMED)('by a request with %s, which is answered', async (what, cause, fields) => {
    const { client } = await serve();
    const stream = await client.open('request', headersFrame(fields), { end: true });
    const { status, text } = await stream.response();
    expect([status, text.split(':')[0]]).toStrictEqual([400, cause]);
    await expect(client.request('/')).resolves.toMatchObject({ text: 'answered' });
  });

  test('by a malformed request whose body would follow: the client is told to stop', async () => {
    const { client } = await serve();
    const stream = await client.open('request', headersFrame({ te: 'gzip' }));
    expect(await stream.stopped).toBe(CODE.MESSAGE_ERROR);
    await expect(stream.response()).resolves.toMatchObject({ status: 400 });
  });

  test('by its end before its request', async () => {
    const { client } = await serve();
    const stream = await client.open('request', frame(FRAME.GREASE, 'x'), { end: true });
    expect(await stream.reset).toBe(CODE.REQUEST_INCOMPLETE);
  });

  test('by a body that is longer or shorter than announced', async () => {
    const { client, app } = await serve();
    app.post('/read', (res) => {
      res.onAborted(() => {});
      res.onData((chunk, isLast) => isLast && res.end('read'));
    });
    const head = headersFrame({ ':method': 'POST', ':path': '/read', 'content-length': '3' });
    const longer = await client.open('request', Buffer.concat([head, frame(FRAME.DATA, 'abcd')]));
    expect(await longer.reset).toBe(CODE.MESSAGE_ERROR);
    const shorter = await client.open('request', Buffer.concat([head, frame(FRAME.DATA, 'ab')]), { end: true });
    expect(await shorter.reset).toBe(CODE.MESSAGE_ERROR);
  });
});

describeWithHttp3('what means nothing', () => {
  test('is ignored: frames, settings and streams of unknown types', async () => {
    const { client } = await serve();
    const grease = frame(FRAME.GREASE, 'grease');
    await client.control(grease);
    const stream = await client.open('uni', Buffer.concat([varint(0x21), Buffer.from('anything')]));
    expect(await stream.stopped).toBe(CODE.STREAM_CREATION_ERROR);
    const request = await client.open('request', Buffer.concat([grease, headersFrame(), grease]), { end: true });
    await expect(request.response()).resolves.toMatchObject({ text: 'answered' });
  });

  test('is said by this side, too, so that clients learn to ignore it', async () => {
    const { client } = await serve();
    const settings = await client.settings;
    expect(settings).toMatchObject({ '0x1': 4096, '0x7': 16, '0x8': 1 });
    expect(Object.keys(settings).map(Number).some((name) => (name - 0x21) % 0x1f === 0 && name >= 0x21)).toBe(true);
  });
});
