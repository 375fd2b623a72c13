'use strict';

/** `http2: true`: the same handlers over HTTP/2. The rules of the protocol are tested in src/protocol/http2. */

const { once } = require('node:events');
const net = require('node:net');
const { text } = require('node:stream/consumers');

const uWS = require('../..');
const { RESPONSE_FACTS } = require('../helpers/facts.js');
const {
  RawHttp2, ask, connectHttp2, createHttp2App: createApp2, dataFrame, frameOf, headersFrame, numbers,
} = require('../helpers/http2-client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const [NO_ERROR, CANCEL] = [0, 8];

const createHttp2App = ({ http2 = true, ...options } = {}) => createApp2(http2, options);

/** HEADERS of a GET that ends its stream. */
const get = (stream, path) => headersFrame(stream, { fields: { ':path': path } });

/** The stream of a request without a body. */
function start(session, path) {
  const stream = session.request({ ':path': path });
  stream.on('error', () => {});
  return stream;
}

/** Calls back with what a response was aborted for, and fails if that happens twice. */
function watchAborts(res, aborts) {
  let count = 0;
  res.onAborted((reason, info) => aborts.put([++count, reason, info]));
}

describe('a request', () => {
  test('has method, URL, query and headers, and the response status, headers and body', async () => {
    const app = createHttp2App().post('/items/:id', (res, req) => {
      const seen = [req.getMethod(), req.getUrl(), req.getParameter('id'), req.getQuery('a'), req.getHeader('host'), req.getHeader('cookie')];
      res.onAborted(() => {});
      let size = 0;
      res.onData((chunk, isLast) => {
        size += chunk.byteLength;
        if (!isLast) return;
        res.cork(() => {
          res.writeStatus('201 Made').writeHeader('X-Seen', 'yes').writeHeader('Connection', 'close').end(JSON.stringify([...seen, size]));
        });
      });
    });
    const port = listen(app);
    const session = await connectHttp2(port);
    const headers = { ':method': 'POST', ':path': '/items/7?a=b', 'cookie': ['c=1', 'd=2'] };
    const answer = await ask(session, headers, Buffer.alloc(300_000));
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({ 'x-seen': 'yes', 'content-length': expect.any(String), 'date': expect.any(String) });
    expect(answer.headers).not.toHaveProperty('connection');
    expect(JSON.parse(answer.text)).toEqual(['post', '/items/7', '7', 'b', `127.0.0.1:${port}`, 'c=1; d=2', 300_000]);
  });

  test('of HEAD, one that no route takes, and one without a body are answered as over HTTP/1.1', async () => {
    const session = await connectHttp2(listen(createHttp2App().get('/', (res) => res.end('hello')).get('/204', (res) => res.writeStatus('204 No Content').end())));
    expect(await ask(session, { ':method': 'HEAD', ':path': '/' })).toMatchObject({ status: 200, headers: { 'content-length': '5' }, text: '' });
    expect(await ask(session, { ':path': '/none' })).toMatchObject({ status: 404 });
    expect(await ask(session, { ':path': '/204' })).toMatchObject({ status: 204, text: '' });
  });

  test('waits for no other one of its connection', async () => {
    const waiting = new Mailbox();
    const app = createHttp2App().get('/now', (res) => res.end('now')).get('/later', (res) => {
      res.onAborted(() => {});
      waiting.put(res);
    });
    const session = await connectHttp2(listen(app));
    const later = ask(session, { ':path': '/later' });
    const res = await waiting.take();
    expect(await ask(session, { ':path': '/now' })).toMatchObject({ text: 'now' });
    res.end('later');
    expect(await later).toMatchObject({ text: 'later' });
  });

  test('finds cached and declarative routes', async () => {
    const response = new uWS.DeclarativeResponse().writeHeader('a', 'b').end('declared');
    const app = createHttp2App().get('/declared', response).get('/cached', (res) => res.end('cached'), 5);
    const session = await connectHttp2(listen(app));
    expect(await ask(session, { ':path': '/declared' })).toMatchObject({ headers: { a: 'b' }, text: 'declared' });
    for (let turn = 0; turn < 2; turn++) expect(await ask(session, { ':path': '/cached' })).toMatchObject({ text: 'cached' });
  });

  test('over HTTP/1.1 is served on the same port, byte by byte, too', async () => {
    const port = listen(createHttp2App().any('/*', (res, req) => res.end(req.getMethod())));
    const client = await RawClient.connect(port);
    for (const byte of 'PRI / HTTP/1.1\r\nHost: a\r\n\r\n') client.socket.write(byte);
    expect((await client.response()).body.toString()).toBe('pri');
  });
});

describe('bodies', () => {
  test('that have a length end with its last byte, and not once more with the stream', async () => {
    const told = new Mailbox();
    const app = createHttp2App().post('/*', (res) => {
      res.onAborted(() => told.put('aborted'));
      res.onDataV2((chunk, remaining) => told.put([Buffer.from(chunk).toString(), remaining, res.maxRemainingBodyLength()]));
    });
    app.get('/barrier', (res) => res.end());
    const client = await RawHttp2.connect(listen(app));
    const post = (stream, length) => headersFrame(stream, { end: false, fields: { ':method': 'POST', 'content-length': String(length) } });
    client.send(post(1, 6), dataFrame(1, 'abc'));
    expect(await told.take()).toEqual(['abc', 3n, 3n]);
    client.send(dataFrame(1, 'def'));
    expect(await told.take()).toEqual(['def', 0n, 0n]);
    client.send(post(3, 0));
    expect(await told.take()).toEqual(['', 0n, 0n]);
    client.send(dataFrame(1, '', { end: true }), dataFrame(3, '', { end: true }), get(5, '/barrier'));
    await client.next('HEADERS', 5);
    expect(told.size).toBe(0);
    client.send(dataFrame(1, 'more'));
    expect(await client.reset(1)).toBe('STREAM_CLOSED');
    expect(await told.take()).toBe('aborted');
  });

  test('larger than the windows arrive whole, by tryEnd and by write', async () => {
    const whole = Buffer.alloc(3_000_000, 'x');
    const app = createHttp2App().get('/end', (res) => res.end(whole)).get('/try', (res) => {
      res.onAborted(() => {});
      const send = (offset) => res.tryEnd(whole.subarray(offset), whole.length)[0];
      if (!send(0)) res.onWritable((offset) => send(offset));
    }).get('/write', (res) => {
      for (let offset = 0; offset < whole.length; offset += 100_000) res.write(whole.subarray(offset, offset + 100_000));
      res.end('!');
    });
    const session = await connectHttp2(listen(app));
    const [end, tried, written] = await Promise.all(['/end', '/try', '/write'].map((path) => ask(session, { ':path': path })));
    expect([end, tried].map(({ body }) => body.length)).toEqual([whole.length, whole.length]);
    expect(written.body.length).toBe(whole.length + 1);
  });

  test('that a client does not read wait in their stream, which tryEnd tells, and nobody else', async () => {
    const outcomes = new Mailbox();
    const big = Buffer.alloc(1_000_000, 'x');
    const app = createHttp2App().get('/', (res) => res.end('small')).get('/big', (res) => {
      res.onAborted(() => {});
      const [isTaken] = res.tryEnd(big, big.length);
      outcomes.put(isTaken);
      if (!isTaken) res.onWritable((offset) => res.tryEnd(big.subarray(offset), big.length)[0]);
    });
    const session = await connectHttp2(listen(app));
    const stream = start(session, '/big');
    expect(await outcomes.take()).toBe(false);
    expect(await ask(session, { ':path': '/' })).toMatchObject({ text: 'small' });
    expect(await text(stream)).toHaveLength(big.length);
  });

  test('that no handler reads stop their stream, and nobody else', async () => {
    const unread = new Mailbox();
    const app = createHttp2App().post('/unread', (res) => {
      res.onAborted(() => {});
      unread.put(res);
    }).post('/echo', (res) => {
      let size = 0;
      res.onAborted(() => {});
      res.onData((chunk, isLast) => {
        size += chunk.byteLength;
        if (isLast) res.end(String(size));
      });
    });
    const session = await connectHttp2(listen(app));
    const stream = session.request({ ':method': 'POST', ':path': '/unread' }).end(Buffer.alloc(10_000_000));
    const res = await unread.take();
    const echo = await ask(session, { ':method': 'POST', ':path': '/echo' }, Buffer.alloc(3_000_000));
    expect(echo.text).toBe('3000000');
    // What had room in the windows has been sent, and no more.
    expect(stream.writableLength).toBeGreaterThan(5_000_000);
    res.end('enough');
    await once(stream, 'response');
    expect([await text(stream), stream.rstCode]).toEqual(['enough', NO_ERROR]);
  });

  test('beyond maxBodySize are refused with 413, and their handler is told why', async () => {
    const aborts = new Mailbox();
    const app = createHttp2App({ maxBodySize: 1000 }).post('/*', (res) => {
      watchAborts(res, aborts);
      res.onData(() => {});
    });
    const session = await connectHttp2(listen(app));
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => {});
    stream.write(Buffer.alloc(500));
    stream.end(Buffer.alloc(501));
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(413);
    expect(await aborts.take()).toEqual([1, expect.any(String), expect.objectContaining({ cause: 'ERR_HTTP_BODY_TOO_LARGE' })]);
  });
});

describe('an end before the response', () => {
  test('by a reset of the client is told with its code, once, and the response is closed', async () => {
    const [aborts, responses] = [new Mailbox(), new Mailbox()];
    const app = createHttp2App().get('/', (res) => res.end('next')).get('/wait', (res) => {
      watchAborts(res, aborts);
      responses.put(res);
    });
    const session = await connectHttp2(listen(app));
    const stream = start(session, '/wait');
    const res = await responses.take();
    stream.close(CANCEL);
    const reason = 'Peer reset the stream: CANCEL (8)';
    const info = { cause: 'ERR_HTTP2_STREAM_RESET', initiator: 'peer', wasClean: false, ...RESPONSE_FACTS };
    expect(await aborts.take()).toEqual([1, reason, info]);
    expect(() => res.end('late')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_RESPONSE_CLOSED' }));
    // The name of the stream is used again; the old response has nothing to do with it.
    const next = ask(session, { ':path': '/' });
    expect(() => res.write('late')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_RESPONSE_CLOSED' }));
    expect(await next).toMatchObject({ text: 'next' });
  });

  test('by the end of the connection is told to each of its streams', async () => {
    const aborts = new Mailbox();
    const app = createHttp2App().get('/*', (res, req) => {
      const url = req.getUrl();
      res.onAborted((reason, info) => aborts.put([url, info.cause]));
      if (url === '/started') res.write('begun');
    });
    const client = await RawHttp2.connect(listen(app));
    client.send(get(1, '/started'), get(3, '/waiting'), get(5, '/waiting'));
    await client.next('DATA', 1);
    client.socket.end();
    const told = [await aborts.take(), await aborts.take(), await aborts.take()];
    expect(told.map(([url]) => url)).toEqual(['/started', '/waiting', '/waiting']);
    expect(new Set(told.map(([, cause]) => cause))).toEqual(new Set(['ERR_FIN_BEFORE_RESPONSE']));
  });

  test('by res.close resets the stream, and not the connection', async () => {
    const app = createHttp2App().get('/close', (res) => res.close()).get('/', (res) => res.end('open'));
    const session = await connectHttp2(listen(app));
    const stream = start(session, '/close');
    await once(stream, 'close');
    expect(stream.rstCode).toBe(CANCEL);
    expect(await ask(session, { ':path': '/' })).toMatchObject({ text: 'open' });
  });

  test('by a broken rule is told as such, and refusals are counted by rule', async () => {
    const aborts = new Mailbox();
    const app = createHttp2App().any('/*', (res) => watchAborts(res, aborts));
    const client = await RawHttp2.connect(listen(app));
    client.send(get(1, '/'), frameOf('PING', { stream: 1, payload: Buffer.alloc(8) }));
    expect(await client.goaway()).toEqual({ last: 1, code: 'PROTOCOL_ERROR', reason: expect.stringMatching(/^ERR_HTTP2_STREAM: .*RFC 9113/) });
    expect(await aborts.take()).toEqual([1, 'Received invalid HTTP/2', expect.objectContaining({ cause: 'ERR_HTTP2_INVALID' })]);
    expect(app.getStats().closes.refused).toMatchObject({ ERR_HTTP2_STREAM: 1 });
  });
});

describe('floods', () => {
  const aborts = [];
  const app = () => createHttp2App().any('/*', (res) => res.onAborted((reason, info) => aborts.push(info.cause)));

  test.each([
    ['requests that are reset at once', 'ERR_HTTP2_TOO_MANY_RESETS', (turn) => [
      get(2 * turn + 1, '/'), frameOf('RST_STREAM', { stream: 2 * turn + 1, payload: numbers(CANCEL) }),
    ]],
    ['pings', 'ERR_HTTP2_TOO_MANY_IDLE_FRAMES', () => [frameOf('PING', { payload: Buffer.alloc(8) })]],
    ['settings', 'ERR_HTTP2_TOO_MANY_IDLE_FRAMES', () => [frameOf('SETTINGS')]],
  ])('of %s end their connection, and others are served', async (name, code, burst) => {
    const port = listen(app().get('/fine', (res) => res.end('fine')));
    const client = await RawHttp2.connect(port);
    for (let turn = 0; turn < 1200; turn++) client.send(...burst(turn));
    expect(await client.goaway()).toMatchObject({ code: 'ENHANCE_YOUR_CALM', reason: expect.stringContaining(code) });
    expect(await ask(await connectHttp2(port), { ':path': '/fine' })).toMatchObject({ text: 'fine' });
  });

  test('of CONTINUATION end their connection', async () => {
    const client = await RawHttp2.connect(listen(app()));
    client.send(frameOf('HEADERS', { stream: 1, payload: Buffer.of(0x82) }));
    for (let turn = 0; turn < 20; turn++) client.send(frameOf('CONTINUATION', { stream: 1, payload: Buffer.of(0x86) }));
    expect(await client.goaway()).toMatchObject({ code: 'ENHANCE_YOUR_CALM' });
  });

  test('of streams are refused beyond maxConcurrentStreams', async () => {
    const requests = new Mailbox();
    const port = listen(createHttp2App({ http2: { maxConcurrentStreams: 2 } }).get('/*', (res) => {
      res.onAborted(() => {});
      requests.put(res);
    }));
    const client = await RawHttp2.connect(port);
    client.send(get(1, '/'), get(3, '/'), get(5, '/'));
    const responses = [await requests.take(), await requests.take()];
    expect(await client.reset(5)).toBe('REFUSED_STREAM');
    for (const res of responses) res.end();
  });
});

describe('the end of an app', () => {
  test('by shutdown serves what has begun, after GOAWAY', async () => {
    const waiting = new Mailbox();
    const app = createHttp2App().get('/*', (res) => {
      res.onAborted(() => {});
      waiting.put(res);
    });
    const session = await connectHttp2(listen(app));
    const answer = ask(session, { ':path': '/' });
    const res = await waiting.take();
    const [goaway, closed] = [once(session, 'goaway'), once(session, 'close')];
    const done = app.shutdown();
    await goaway;
    res.end('served');
    expect(await answer).toMatchObject({ text: 'served' });
    await closed;
    expect(await done).toEqual({ forced: 0 });
  });

  test('by shutdown ends idle connections, and aborts what takes too long with its cause', async () => {
    const aborts = new Mailbox();
    const app = createHttp2App().get('/idle', (res) => res.end()).get('/long', (res) => watchAborts(res, aborts));
    const port = listen(app);
    const [idle, busy] = [await connectHttp2(port), await connectHttp2(port)];
    await ask(idle, { ':path': '/idle' });
    start(busy, '/long');
    await ask(busy, { ':path': '/idle' });
    const done = app.shutdown({ timeout: 50 });
    await once(idle, 'close');
    expect(await aborts.take()).toEqual([1, 'Server is shutting down', expect.objectContaining({ cause: 'CLOSED_BY_SHUTDOWN' })]);
    expect(await done).toEqual({ forced: 1 });
  });

  test('by close tells handlers, and leaves no stream behind', async () => {
    const [aborts, arrived] = [new Mailbox(), new Mailbox()];
    const app = createHttp2App().get('/*', (res) => {
      watchAborts(res, aborts);
      arrived.put(res);
    });
    const client = await RawHttp2.connect(listen(app));
    client.send(get(1, '/'));
    await arrived.take();
    app.close();
    expect(await aborts.take()).toEqual([1, expect.any(String), expect.objectContaining({ cause: 'CLOSED_BY_APP_CLOSE' })]);
    await client.goaway();
  });
});

describe('over TLS', () => {
  test('a client chooses by ALPN', async () => {
    const port = listen(createSSLApp({ http2: true }).get('/', (res) => res.end('secure')));
    const session = await connectHttp2(port, { isSecure: true });
    expect(await ask(session, { ':path': '/' })).toMatchObject({ text: 'secure' });
    expect(session.alpnProtocol).toBe('h2');
    // Without the option HTTP/2 is not offered, so there is no protocol that both sides speak.
    const plain = listen(createSSLApp({}).get('/', (res) => res.end('secure')));
    await expect(connectHttp2(plain, { isSecure: true })).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' });
  });

  test('a server name that is added has it, too', async () => {
    const { certificate } = require('../helpers/certificates.js');
    const { key_file_name, cert_file_name } = certificate();
    const app = createSSLApp({ http2: true }).addServerName('localhost', { key_file_name, cert_file_name });
    app.domain('localhost').get('/', (res) => res.end('named'));
    expect(await ask(await connectHttp2(listen(app), { isSecure: true }), { ':path': '/' })).toMatchObject({ text: 'named' });
  });
});

test('behind a PROXY header the preface is found', async () => {
  const app = createHttp2App({ proxyProtocol: { trust: ['127.0.0.1'] } }).get('/', (res) => res.end(res.clientAddress));
  const port = listen(app);
  const createConnection = () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write('PROXY TCP4 192.0.2.7 192.0.2.1 1000 80\r\n');
    return socket;
  };
  expect(await ask(await connectHttp2(port, { createConnection }), { ':path': '/' })).toMatchObject({ text: '192.0.2.7' });
});

test('a filter is called for connections, and closing one aborts its streams', async () => {
  const [counts, aborts] = [new Mailbox(), new Mailbox()];
  let connection;
  const app = createHttp2App().filter((its, count) => {
    connection = its;
    counts.put(count);
  }).get('/', (res) => res.end()).get('/wait', (res) => {
    watchAborts(res, aborts);
    connection.close();
  });
  const session = await connectHttp2(listen(app));
  await ask(session, { ':path': '/' });
  start(session, '/wait');
  expect(await aborts.take()).toEqual([1, expect.any(String), expect.objectContaining({ cause: 'CLOSED_BY_APPLICATION' })]);
  expect([await counts.take(), await counts.take(), counts.size]).toEqual([1, -1, 0]);
});

test('wrong options throw errors that name them', () => {
  const thrown = (http2) => {
    try {
      uWS.App({ http2 });
    } catch (error) {
      return [error.code, error.message];
    }
    return undefined;
  };
  expect(thrown('yes')).toEqual(['ERR_INVALID_ARG_TYPE', expect.stringContaining('http2')]);
  expect(thrown({ maxConcurrentStreams: 0 })).toEqual(['ERR_OUT_OF_RANGE', expect.stringContaining('maxConcurrentStreams')]);
  expect(thrown({ connectionWindowSize: 65_534 })).toEqual(['ERR_OUT_OF_RANGE', expect.stringContaining('connectionWindowSize')]);
  expect(thrown({ streamResetRate: '1' })).toEqual(['ERR_INVALID_ARG_TYPE', expect.stringContaining('streamResetRate')]);
  expect([undefined, null, false, true, {}].map(thrown)).toEqual([undefined, undefined, undefined, undefined, undefined]);
});
