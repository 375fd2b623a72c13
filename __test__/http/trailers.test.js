'use strict';

// Fields behind the body of a response: `writeTrailer`. gRPC needs them: downstream/tests/grpc.test.js.

const http = require('node:http');
const { once } = require('node:events');
const { text: textOf } = require('node:stream/consumers');
const { setImmediate: turn } = require('node:timers/promises');

const { isSecure } = require('../helpers/connect.js');
const { failureOf } = require('../helpers/failure.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { BUFFERS, NEITHER, NOT_TEXT, answer } = require('../helpers/response.js');
const { createApp, listen, serve } = require('../helpers/server.js');

/** A response with one trailer, and its failures if `act` throws. */
async function failureIn(act) {
  let failure;
  const { status } = await answer((res) => {
    failure = failureOf(() => act(res));
    res.end();
  });
  expect(status).toBe(200);
  return failure;
}

test('follow a body that end sends whole, which comes in one chunk', async () => {
  const response = await answer((res) => res.writeHeader('X-Early', '1').writeTrailer('X-Late', 'two').end('body'));
  expect(response.text).toBe('body');
  expect(response.values('x-early')).toEqual(['1']);
  expect(response.values('content-length')).toEqual([]);
  expect(response.trailers).toEqual([['X-Late', 'two']]);
});

test('are written at any time before the end, and repeated ones repeatedly, in their order', async () => {
  const response = await answer(async (res) => {
    res.onAborted(() => {});
    res.writeTrailer('X-First', '1');
    res.write('ab');
    res.writeTrailer('X-Twice', '2').writeTrailer('X-Twice', '3');
    await turn();
    res.write('cd');
    res.writeTrailer('X-Last', '');
    res.end('ef');
  });
  expect(response.text).toBe('abcdef');
  expect(response.trailers).toEqual([['X-First', '1'], ['X-Twice', '2'], ['X-Twice', '3'], ['X-Last', '']]);
});

test('follow an empty body, and beginWrite', async () => {
  expect(await answer((res) => res.writeTrailer('X-Status', '0').end())).toMatchObject({ text: '', trailers: [['X-Status', '0']] });
  expect(await answer((res) => res.beginWrite().writeTrailer('X-Status', '0').end())).toMatchObject({ text: '', trailers: [['X-Status', '0']] });
});

test('follow a large body, which the client takes slowly', async () => {
  const piece = Buffer.alloc(1 << 20, 'a piece. ');
  const client = await serve((res) => {
    res.onAborted(() => {});
    for (let count = 0; count < 16; count++) res.write(piece);
    res.writeTrailer('X-Pieces', '16').end();
  });
  client.pause();
  await client.send(request('GET', '/'));
  await turn();
  client.resume();
  const response = await client.response();
  expect(response.body.length).toBe(16 << 20);
  expect(response.trailers).toEqual([['X-Pieces', '16']]);
});

test('those of one response are not those of the next one on the connection', async () => {
  const client = await serve((res, req) => {
    if (req.getUrl() === '/with') res.writeTrailer('X-Status', '0');
    res.end('body');
  });
  expect((await client.get('/with')).trailers).toEqual([['X-Status', '0']]);
  const plain = await client.get('/without');
  expect([plain.text, plain.trailers, plain.values('content-length')]).toEqual(['body', undefined, ['4']]);
});

test("are what Node's client has as trailers", async () => {
  const port = listen(createApp().get('/*', (res) => res.writeHeader('Trailer', 'X-Checksum').writeTrailer('X-Checksum', 'abc').end('body')));
  if (isSecure) return;
  const [response] = await once(http.get({ host: '127.0.0.1', port, agent: new http.Agent() }), 'response');
  expect(await textOf(response)).toBe('body');
  expect(response.trailers).toEqual({ 'x-checksum': 'abc' });
});

test.each(['HEAD', '204 No Content', '304 Not Modified'])('are dropped where no body follows: %s', async (what) => {
  const client = await serve((res) => {
    if (what !== 'HEAD') res.writeStatus(what);
    res.writeTrailer('X-Status', '0').end('body');
  });
  for (let count = 0; count < 2; count++) {
    await client.send(request(what === 'HEAD' ? 'HEAD' : 'GET', '/'));
    const response = await client.response(what === 'HEAD' ? 'HEAD' : 'GET');
    expect([response.text, response.trailers]).toEqual(['', undefined]);
  }
});

test.each(BUFFERS.filter(([, , bytes]) => Buffer.from(bytes).every((byte) => byte > 0x1f)))('a value may be %s', async (_, value, expected) => {
  const { trailers } = await answer((res) => res.writeTrailer('X', value).end());
  expect(trailers).toEqual([['X', Buffer.from(expected).toString('latin1')]]);
});

test('neither names nor values are anything else', async () => {
  for (const value of NEITHER) {
    expect(await failureIn((res) => res.writeTrailer('X', value))).toMatchObject(NOT_TEXT);
    expect(await failureIn((res) => res.writeTrailer(value, 'x'))).toMatchObject(NOT_TEXT);
  }
});

test.each(['', 'a b', 'a:', ':status', 'a\r\nb', 'é'])('%j is no name', async (name) => {
  expect(await failureIn((res) => res.writeTrailer(name, 'x'))).toMatchObject({
    name: 'TypeError', code: 'ERR_HTTP_INVALID_TRAILER', message: expect.stringMatching(/^trailer name must be a token \(RFC 9110 §5\.6\.2\), got "/),
  });
});

test.each(['a\r\nSet-Cookie: b', 'a\nb', 'a\0'])('%j is no value, and nothing of it is sent', async (value) => {
  let failure;
  const { trailers } = await answer((res) => {
    res.writeTrailer('A', '1');
    failure = failureOf(() => res.writeTrailer('B', value));
    res.writeTrailer('C', '3').end();
  });
  expect(failure).toMatchObject({ code: 'ERR_HTTP_INVALID_TRAILER', message: expect.stringMatching(/^value of trailer B must not contain CR/) });
  expect(trailers).toEqual([['A', '1'], ['C', '3']]);
});

test.each([
  'Content-Length', 'transfer-encoding', 'Host', 'CONTENT-TYPE', 'Content-Encoding', 'Content-Range', 'Trailer', 'Set-Cookie', 'Authorization',
  'If-Match', 'Cache-Control', 'Connection', 'TE', 'Location',
])('%s has to precede the body', async (name) => {
  expect(await failureIn((res) => res.writeTrailer(name, 'x'))).toMatchObject({
    name: 'TypeError', code: 'ERR_HTTP_INVALID_TRAILER', message: `${name} cannot be a trailer: it has to precede the body (RFC 9110 §6.5.1)`,
  });
});

test('a body whose length is announced has none, in either order', async () => {
  const failures = [];
  const fail = (call) => failures.push(failureOf(call));
  const response = await answer((res) => {
    res.writeTrailer('X', '1');
    fail(() => res.tryEnd('body', 4));
    fail(() => res.endWithoutBody(4));
    fail(() => res.endWithoutBody());
    res.end('body');
  });
  expect([response.text, response.trailers]).toEqual(['body', [['X', '1']]]);
  const announced = await answer((res) => {
    res.tryEnd('bo', 4);
    fail(() => res.writeTrailer('X', '1'));
    res.end('dy');
  });
  expect([announced.text, announced.trailers]).toEqual(['body', undefined]);
  expect(failures.map(({ code, message }) => [code, message])).toEqual([
    ...['tryEnd', 'endWithoutBody', 'endWithoutBody'].map((method) => {
      return ['ERR_INVALID_STATE', `${method} cannot follow writeTrailer: end completes a response with trailers`];
    }),
    ['ERR_INVALID_STATE', 'writeTrailer cannot follow tryEnd'],
  ]);
});

test('a response with trailers is not cached', async () => {
  let count = 0;
  const app = createApp().get('/*', (res) => res.writeTrailer('X-Count', String(++count)).end('body'), { lowerExpiry: 100, upperExpiry: 100 });
  const client = await RawClient.connect(listen(app));
  for (const expected of ['1', '2']) expect((await client.get('/')).trailers).toEqual([['X-Count', expected]]);
});

test('the end of the connection behind a response with trailers is announced in its head', async () => {
  const client = await serve((res) => res.writeTrailer('X', '1').end('body', true));
  const response = await client.get('/');
  expect(response.values('connection')).toEqual(['close']);
  expect(response.trailers).toEqual([['X', '1']]);
  await client.over();
});

test('clients of HTTP/1.0 get a length, and no trailers', async () => {
  const client = await serve((res) => res.writeTrailer('X', '1').end('body'));
  await client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const response = await client.response();
  expect([response.text, response.values('content-length'), response.trailers]).toEqual(['body', ['4'], undefined]);
});
