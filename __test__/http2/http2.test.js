'use strict';

// Requests and responses over HTTP/2, by the client of Node.

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const tls = require('node:tls');

const uWS = require('../..');
const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { ask, answerTo, connectHttp2, createHttp2App, serveHttp2 } = require('../helpers/http2-client.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const BIG = Buffer.alloc(3 << 20, Uint8Array.from({ length: 251 }, (_, index) => index));

test('a handler is told what it would be told of HTTP/1.1', async () => {
  const session = await serveHttp2((res, req) => {
    const fields = [];
    req.forEach((name, value) => fields.push([name, value]));
    const told = {
      method: req.getMethod(), sensitive: req.getCaseSensitiveMethod(), url: req.getUrl(), query: req.getQuery(), a: req.getQuery('a'),
      host: req.getHeader('host'), cookie: req.getHeader('cookie'), fields,
    };
    res.writeHeader('Content-Type', 'application/json').end(JSON.stringify(told));
  });
  const { status, headers, text } = await ask(session, { ':path': '/path?a=1&b', ':authority': 'example.org', 'x-one': '1', cookie: ['a=1', 'b=2'] });
  expect(status).toBe(200);
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'content-length': String(text.length) });
  expect(JSON.parse(text)).toStrictEqual({
    method: 'get', sensitive: 'GET', url: '/path', query: 'a=1&b', a: '1', host: 'example.org', cookie: 'a=1; b=2',
    fields: [['host', 'example.org'], ['x-one', '1'], ['cookie', 'a=1; b=2']],
  });
});

test('routes, parameters and 404 are those of the app', async () => {
  const app = createHttp2App();
  app.get('/user/:id', (res, req) => res.end(`get ${req.getParameter('id')}`));
  app.del('/user/:id', (res, req) => res.end(`delete ${req.getParameter(0)}`));
  const session = await connectHttp2(listen(app));
  await expect(ask(session, { ':path': '/user/7' })).resolves.toMatchObject({ status: 200, text: 'get 7' });
  await expect(ask(session, { ':path': '/user/8', ':method': 'DELETE' })).resolves.toMatchObject({ status: 200, text: 'delete 8' });
  await expect(ask(session, { ':path': '/none' })).resolves.toMatchObject({ status: 404 });
});

test('status and fields arrive in lower case, without reason phrase; those of the connection are dropped', async () => {
  const session = await serveHttp2((res) => {
    res.writeStatus('404 Nothing Here').writeHeader('X-Custom', 'Value').writeHeader('Connection', 'keep-alive').writeHeader('Keep-Alive', 'timeout=5');
    res.writeHeader('Transfer-Encoding', 'chunked').writeHeader('Upgrade', 'h2c').writeHeader('Proxy-Connection', 'close').end('body');
  });
  const { status, headers, text } = await ask(session);
  expect([status, text]).toStrictEqual([404, 'body']);
  expect(Object.keys(headers).sort()).toStrictEqual(expect.arrayContaining(['content-length', 'date', 'x-custom']));
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']) expect(headers).not.toHaveProperty(name);
});

test('a field written twice arrives twice', async () => {
  const session = await serveHttp2((res) => res.writeHeader('Set-Cookie', 'a=1').writeHeader('Set-Cookie', 'b=2').end());
  const { headers } = await ask(session);
  expect(headers['set-cookie']).toStrictEqual(['a=1', 'b=2']);
});

test('the body of a request comes in pieces, and is echoed', async () => {
  const session = await serveHttp2((res) => {
    const pieces = [];
    res.onAborted(() => {});
    res.onData((piece, isLast) => {
      pieces.push(Buffer.from(piece.slice(0)));
      if (isLast) res.end(Buffer.concat(pieces));
    });
  });
  const { body } = await ask(session, { ':method': 'POST' }, BIG);
  expect(body.equals(BIG)).toBe(true);
});

test('collectBody collects it, and says null for one that is too long', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    res.collectBody(1000, (body) => res.end(body === null ? 'too long' : body));
  });
  await expect(ask(session, { ':method': 'POST' }, 'x'.repeat(1000))).resolves.toMatchObject({ text: 'x'.repeat(1000) });
  await expect(ask(session, { ':method': 'POST' }, 'x'.repeat(1001))).resolves.toMatchObject({ text: 'too long' });
});

test('the trailers of a request are checked and dropped, and end its body', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    res.collectBody(1000, (body) => res.end(body));
  });
  const stream = session.request({ ':method': 'POST' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': '1' }));
  stream.end('body');
  await expect(answerTo(stream)).resolves.toMatchObject({ status: 200, text: 'body' });
});

test('trailers end the stream of a response; a response of them alone is a status without a body', async () => {
  const session = await serveHttp2((res, req) => {
    res.writeHeader('Content-Type', 'application/grpc').writeTrailer('Grpc-Status', '0').writeTrailer('x-twice', '1').writeTrailer('x-twice', '2');
    if (req.getUrl() === '/pieces') res.write('bo');
    res.end(req.getUrl() === '/pieces' ? 'dy' : '');
  });
  const pieces = await ask(session, { ':path': '/pieces' });
  expect(pieces).toMatchObject({ status: 200, text: 'body', trailers: { 'grpc-status': '0', 'x-twice': '1, 2' } });
  expect(pieces.headers).not.toHaveProperty('content-length');
  await expect(ask(session)).resolves.toMatchObject({ status: 200, text: '', trailers: { 'grpc-status': '0' } });
});

test('trailers wait behind a body that flow control holds up', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    res.write(BIG);
    res.writeTrailer('x-end', 'yes').end();
  }, true);
  const stream = session.request({ ':path': '/' });
  const [head] = await once(stream, 'response');
  expect(head[':status']).toBe(200);
  await expect(ask(session)).resolves.toMatchObject({ trailers: { 'x-end': 'yes' } });
  const trailers = once(stream, 'trailers');
  let length = 0;
  for await (const piece of stream) length += piece.length;
  expect(length).toBe(BIG.length);
  expect((await trailers)[0]).toMatchObject({ 'x-end': 'yes' });
});

test('a client that expects 100 gets it before it sends its body', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    res.collectBody(1000, (body) => res.end(body));
  });
  const stream = session.request({ ':method': 'POST', expect: '100-continue' });
  stream.on('continue', () => stream.end('after it'));
  await expect(answerTo(stream)).resolves.toMatchObject({ status: 200, text: 'after it' });
});

test('HEAD gets the head of GET, with its length, and no body', async () => {
  const session = await serveHttp2((res) => res.end('twelve bytes'));
  await expect(ask(session, { ':method': 'HEAD' })).resolves.toMatchObject({ status: 200, headers: { 'content-length': '12' }, text: '' });
});

test.each(['204 No Content', '304 Not Modified'])('%s has no body', async (status) => {
  const session = await serveHttp2((res) => res.writeStatus(status).end());
  const answer = await ask(session);
  expect([answer.status, answer.text]).toStrictEqual([Number(status.slice(0, 3)), '']);
});

test('a body that is written in pieces has no length; cork makes one write of many', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    res.write('a');
    setImmediate(() => res.cork(() => {
      res.write('b');
      res.write('c');
      res.end('d');
    }));
  });
  const { headers, text } = await ask(session);
  expect(headers).not.toHaveProperty('content-length');
  expect(text).toBe('abcd');
});

test('tryEnd sends as much as fits, and onWritable the rest', async () => {
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    const [ok, done] = res.tryEnd(BIG, BIG.length);
    if (done) return;
    expect(ok).toBe(false);
    res.onWritable((offset) => res.tryEnd(BIG.subarray(offset), BIG.length)[0]);
  });
  const { headers, body } = await ask(session);
  expect(headers['content-length']).toBe(String(BIG.length));
  expect(body.equals(BIG)).toBe(true);
});

test('many requests on one connection are served at a time, and answered in the order of their handlers', async () => {
  const waiting = [];
  const session = await serveHttp2((res, req) => {
    res.onAborted(() => {});
    waiting.push([res, req.getUrl()]);
    if (waiting.length === 50) for (const [response, url] of waiting.reverse()) response.end(url);
  });
  const order = [];
  const answers = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
    const { text } = await ask(session, { ':path': `/${index}` });
    order.push(index);
    return text;
  }));
  expect(answers).toStrictEqual(Array.from({ length: 50 }, (_, index) => `/${index}`));
  expect(order).toStrictEqual(Array.from({ length: 50 }, (_, index) => 49 - index));
});

test('serveFiles sends files, ranges and 304', async () => {
  const app = createHttp2App();
  app.serveFiles('/files/*', join(__dirname, '..', 'http2'));
  const session = await connectHttp2(listen(app));
  const content = readFileSync(__filename);
  const whole = await ask(session, { ':path': '/files/http2.test.js' });
  expect(whole.status).toBe(200);
  expect(whole.body.equals(content)).toBe(true);
  const part = await ask(session, { ':path': '/files/http2.test.js', range: 'bytes=5-9' });
  expect([part.status, part.text]).toStrictEqual([206, content.toString('utf8', 5, 10)]);
  await expect(ask(session, { ':path': '/files/http2.test.js', 'if-none-match': whole.headers.etag })).resolves.toMatchObject({ status: 304, text: '' });
});

test('a cached route answers no request with a body, which needs no field to have one', async () => {
  let calls = 0;
  const app = createHttp2App().get('/', (res) => {
    calls += 1;
    res.end(`call ${calls}`);
  }, { lowerExpiry: 3600, upperExpiry: 3600 });
  const session = await connectHttp2(listen(app));
  const texts = [];
  for (const body of [undefined, undefined, 'body', undefined]) texts.push((await ask(session, {}, body)).text);
  expect(texts).toStrictEqual(['call 1', 'call 1', 'call 2', 'call 1']);
});

test('a handler that throws is reported as uncaught, and costs its stream alone', async () => {
  const program = new Program(`
    process.on('uncaughtException', ({ message }) => say(message));
    uWS.App({ http2: true }).get('/bad', () => {
      throw new Error('from a handler');
    }).get('/*', (res) => res.end('fine')).listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
  `);
  const session = await connectHttp2(await program.hear());
  session.request({ ':path': '/bad' }).on('error', () => {});
  await expect(ask(session, { ':path': '/good' })).resolves.toMatchObject({ text: 'fine' });
  expect(await program.hear()).toBe('from a handler');
});

describe('which protocol a connection speaks', () => {
  test('over TLS, ALPN chooses: h2 before http/1.1', async () => {
    const port = listen(createSSLApp({ http2: true }).get('/*', (res) => res.end('hello')));
    const { ca } = certificate();
    const chosen = async (ALPNProtocols) => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost', ALPNProtocols });
      afterTest(() => socket.destroy());
      await once(socket, 'secureConnect');
      return socket.alpnProtocol;
    };
    expect(await chosen(['http/1.1', 'h2'])).toBe('h2');
    expect(await chosen(['http/1.1'])).toBe('http/1.1');
    expect(await chosen(undefined)).toBe(false);
    const session = await connectHttp2(port, { isSecure: true });
    await expect(ask(session)).resolves.toMatchObject({ text: 'hello' });
  });

  test('without the option there is no h2 to choose', async () => {
    const port = listen(createSSLApp().get('/*', (res) => res.end('hello')));
    const socket = tls.connect({ port, host: '127.0.0.1', ca: certificate().ca, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] });
    afterTest(() => socket.destroy());
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe('http/1.1');
  });

  test('in plaintext, its first bytes do; HTTP/1.1 goes on as it was', async () => {
    const port = listen(createHttp2App().get('/*', (res) => res.end('hello')));
    const session = await connectHttp2(port);
    await expect(ask(session)).resolves.toMatchObject({ text: 'hello' });
    const client = await RawClient.connect(port);
    expect((await client.get('/')).text).toBe('hello');
    // The beginning of a preface, byte by byte, that turns out to be a request.
    const other = await RawClient.connect(port);
    for (const byte of 'PR') await other.send(byte);
    await other.send('OPFIND / HTTP/1.1\r\nHost: test\r\n\r\n');
    expect((await other.response()).status).toBe(404);
  });

  test('without the option a preface is a request that breaks a rule', async () => {
    const client = await RawClient.connect(listen(createApp()));
    await client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect((await client.response()).status).toBeGreaterThanOrEqual(400);
  });
});

describe('the option http2', () => {
  test.each([[5], ['yes'], [() => {}]])('%p is refused', (http2) => {
    expect(() => uWS.App({ http2 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('http2') }));
  });

  test.each([
    ['maxConcurrentStreams', 0], ['maxConcurrentStreams', 10001], ['initialWindowSize', 1023], ['initialWindowSize', 2 ** 31],
    ['connectionWindowSize', 65534], ['connectionWindowSize', 2 ** 31], ['streamResetBurst', 0], ['streamResetRate', -1],
    ['idleFrameBurst', 0], ['idleFrameRate', 2 ** 31],
  ])('%s: %p is refused', (name, value) => {
    expect(() => uWS.App({ http2: { [name]: value } })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining(name) }));
    expect(() => uWS.App({ http2: { [name]: 'a' } })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining(name) }));
  });

  test('sets what clients are told', async () => {
    const port = listen(createHttp2App({ maxConcurrentStreams: 7, initialWindowSize: 5000 }));
    const session = await connectHttp2(port);
    expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 7, initialWindowSize: 5000, enableConnectProtocol: true });
  });

  test.each([undefined, null, false])('%p leaves it off', async (http2) => {
    const client = await RawClient.connect(listen(createApp({ threads: 1, http2 })));
    await client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect((await client.response()).status).toBeGreaterThanOrEqual(400);
  });
});
