'use strict';

// Requests and responses over HTTP/3, by the client of aioquic.

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { CODE, Http3Client, describeWithHttp3, headersFrame, http3Options } = require('../helpers/http3.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

/** An app of HTTP/3 alone, closed after the test. */
function createApp(options) {
  const app = uWS.H3App(http3Options(options));
  afterTest(() => app.close());
  return app;
}

/** An app with this one handler of all requests, and a client that is connected to it. */
async function serve(handler, options) {
  return Http3Client.connect(listen(createApp(options).any('/*', handler)));
}

const BIG = Buffer.alloc(3 << 20, Uint8Array.from({ length: 251 }, (_, index) => index));

describeWithHttp3('requests', () => {
  test('a handler is told what it would be told of HTTP/1.1', async () => {
    const client = await serve((res, req) => {
      const fields = [];
      req.forEach((name, value) => fields.push([name, value]));
      const told = {
        method: req.getMethod(), url: req.getUrl(), query: req.getQuery(), a: req.getQuery('a'), host: req.getHeader('host'),
        cookie: req.getHeader('cookie'), fields, address: Buffer.from(res.getRemoteAddressAsText()).toString(),
      };
      res.writeHeader('Content-Type', 'application/json').end(JSON.stringify(told));
    });
    const { status, headers, text } = await client.request({
      ':path': '/path?a=1&b', ':authority': 'example.org', 'x-one': '1', cookie: ['a=1', 'b=2'],
    });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'content-length': String(text.length), date: expect.any(String) });
    expect(JSON.parse(text)).toStrictEqual({
      method: 'get', url: '/path', query: 'a=1&b', a: '1', host: 'example.org', cookie: 'a=1; b=2',
      fields: [['host', 'example.org'], ['x-one', '1'], ['cookie', 'a=1; b=2']], address: expect.stringContaining('127.0.0.1'),
    });
  });

  test('routes, parameters and 404 are those of the app, and many share a connection', async () => {
    const app = createApp();
    app.get('/user/:id', (res, req) => res.end(`get ${req.getParameter('id')}`));
    app.del('/user/:id', (res, req) => res.end(`delete ${req.getParameter(0)}`));
    const client = await Http3Client.connect(listen(app));
    const answers = await Promise.all(Array.from({ length: 50 }, (_, id) => client.request(`/user/${id}`)));
    expect(answers.map(({ text }) => text)).toStrictEqual(answers.map((_, id) => `get ${id}`));
    await expect(client.request({ ':path': '/user/8', ':method': 'DELETE' })).resolves.toMatchObject({ status: 200, text: 'delete 8' });
    await expect(client.request('/none')).resolves.toMatchObject({ status: 404 });
  });

  test.each([[0], [1], [1000], [BIG.length]])('a body of %i bytes arrives and comes back', async (length) => {
    const client = await serve((res) => {
      const pieces = [];
      res.onData((chunk, isLast) => {
        pieces.push(Buffer.from(chunk.slice(0)));
        if (isLast) res.end(Buffer.concat(pieces));
      });
      res.onAborted(() => {});
    });
    const { body } = await client.request({ ':method': 'POST' }, BIG.subarray(0, length));
    expect(body.equals(BIG.subarray(0, length))).toBe(true);
  });

  test('a body in pieces and with trailers is whole at its end', async () => {
    const bodies = new Mailbox();
    const client = await serve((res) => {
      let text = '';
      res.onData((chunk, isLast) => {
        text += Buffer.from(chunk).toString();
        bodies.put([text, isLast]);
        if (isLast) res.end('thanks');
      });
      res.onAborted(() => {});
    });
    const stream = await client.start('/', null);
    await stream.write('one');
    expect(await bodies.take()).toStrictEqual(['one', false]);
    await stream.write('two');
    expect(await bodies.take()).toStrictEqual(['onetwo', false]);
    await stream.trailers({ 'x-sum': '6' });
    expect(await bodies.take()).toStrictEqual(['onetwo', true]);
    await expect(stream.response()).resolves.toMatchObject({ text: 'thanks' });
  });

  test('a client that expects it is told to continue', async () => {
    const client = await serve((res) => {
      res.onData((chunk, isLast) => {
        if (isLast) res.end('done');
      });
      res.onAborted(() => {});
    });
    const stream = await client.start({ expect: '100-continue' }, null);
    await stream.write('body', { end: true });
    await expect(stream.response()).resolves.toMatchObject({ status: 200, early: [{ status: 100 }], text: 'done' });
  });

  test('a request that arrives in single bytes is one request', async () => {
    // The answer waits for the end of the request: an earlier one asks the client to stop (RFC 9114 §4.1).
    const client = await serve((res, req) => {
      const url = req.getUrl();
      res.onAborted(() => {}).onData((data, isLast) => {
        if (isLast) res.end(url);
      });
    });
    const bytes = headersFrame({ ':path': '/piece' });
    const stream = await client.open('request', bytes.subarray(0, 1));
    for (const byte of bytes.subarray(1)) await stream.send([byte]);
    await stream.end();
    await expect(stream.response()).resolves.toMatchObject({ text: '/piece' });
  });
});

describeWithHttp3('responses', () => {
  test('what belongs to a connection of HTTP/1.1 is dropped', async () => {
    const client = await serve((res) => {
      res.writeStatus('404 Nothing Here').writeHeader('X-Custom', 'Value').writeHeader('Connection', 'keep-alive').writeHeader('Keep-Alive', 'timeout=5');
      res.writeHeader('Transfer-Encoding', 'chunked').writeHeader('Upgrade', 'h2c').writeHeader('Proxy-Connection', 'close').end('body');
    });
    const { status, headers, text } = await client.request('/');
    expect([status, text, headers['x-custom']]).toStrictEqual([404, 'body', 'Value']);
    expect(Object.keys(headers).sort()).toStrictEqual(['content-length', 'date', 'x-custom']);
  });

  test('HEAD, 204 and 304 have no body', async () => {
    const app = createApp();
    app.any('/head', (res) => res.end('hello'));
    app.any('/204', (res) => res.writeStatus('204 No Content').end('x'));
    app.any('/304', (res) => res.writeStatus('304 Not Modified').end());
    const client = await Http3Client.connect(listen(app));
    await expect(client.request({ ':path': '/head', ':method': 'HEAD' })).resolves.toMatchObject({ headers: { 'content-length': '5' }, text: '' });
    await expect(client.request('/204')).resolves.toMatchObject({ status: 204, text: '' });
    await expect(client.request('/304')).resolves.toMatchObject({ status: 304, text: '' });
  });

  test('a response in pieces arrives as it is written', async () => {
    const begun = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      res.writeHeader('Content-Type', 'text/event-stream').write('one');
      begun.put(res);
    });
    const stream = await client.start('/');
    const res = await begun.take();
    await stream.bytes(3);
    res.write('two');
    expect((await stream.bytes(6)).toString()).toBe('onetwo');
    res.end('three');
    await expect(stream.response()).resolves.toMatchObject({ text: 'onetwothree' });
  });

  test('a large response is held back by a client that gives no credit, and goes on when it does', async () => {
    const told = new Mailbox();
    const client = new Mailbox();
    const app = createApp();
    app.get('/big', (res) => {
      res.onAborted(() => {});
      const [isOk, isDone] = res.tryEnd(BIG, BIG.length);
      told.put([isOk, isDone]);
      res.onWritable((offset) => {
        const [, isAllTaken] = res.tryEnd(BIG.subarray(offset), BIG.length);
        if (isAllTaken) told.put('done');
        return isAllTaken;
      });
    });
    app.get('/small', (res) => res.end('small'));
    client.put(await Http3Client.connect(listen(app), { hold: true, maxStreamData: 64 * 1024 }));
    const connection = await client.take();
    const stream = await connection.start('/big');
    expect(await told.take()).toStrictEqual([false, false]);
    // What the credit of 64 KiB has room for beside head and frames.
    await stream.bytes(60 * 1024);
    await expect(connection.request('/small')).resolves.toMatchObject({ text: 'small' });
    expect(told.size).toBe(0);
    await connection.hold(false);
    const { body } = await stream.response();
    expect(body.equals(BIG)).toBe(true);
    expect(await told.take()).toBe('done');
  });

  test('a body that no handler reads stops its stream and nobody else', async () => {
    const begun = new Mailbox();
    const app = createApp({ http3: { initialWindowSize: 64 * 1024 } });
    app.post('/paused', (res) => {
      let length = 0;
      res.onAborted(() => {});
      res.pause();
      res.onData((chunk, isLast) => {
        length += chunk.byteLength;
        if (isLast) res.end(String(length));
      });
      begun.put(res);
    });
    app.post('/other', (res) => {
      res.onAborted(() => {});
      res.onData((chunk, isLast) => isLast && res.end('other'));
    });
    const client = await Http3Client.connect(listen(app));
    const paused = await client.start('/paused', BIG.subarray(0, 1 << 20));
    const res = await begun.take();
    await expect(client.request('/other', BIG.subarray(0, 1 << 20))).resolves.toMatchObject({ text: 'other' });
    res.resume();
    await expect(paused.response()).resolves.toMatchObject({ text: String(1 << 20) });
  });

  test('a response that is complete before its request asks the client to stop', async () => {
    const client = await serve((res) => res.end('enough'));
    const stream = await client.start({ ':method': 'POST' }, null);
    await expect(stream.response()).resolves.toMatchObject({ text: 'enough' });
    expect(await stream.stopped).toBe(CODE.NO_ERROR);
  });

  test('a client that goes on with a handshake that was refused disturbs nobody', async () => {
    const app = createApp().get('/*', (res) => res.end('hello')).ws('/*', { upgrade: (res) => res.writeStatus('401 Unauthorized').end('no') });
    const client = await Http3Client.connect(listen(app));
    const stream = await client.start({ ':method': 'CONNECT', ':protocol': 'websocket', 'sec-websocket-version': '13' }, null);
    await expect(stream.response()).resolves.toMatchObject({ status: 401, text: 'no' });
    // Fails if it was asked to stop already.
    await stream.write('of no use').catch(() => {});
    await expect(client.request('/')).resolves.toMatchObject({ text: 'hello' });
    expect(await stream.stopped).toBe(CODE.NO_ERROR);
  });

  test('urgent responses precede others', async () => {
    const waiting = [];
    const app = createApp();
    app.get('/*', (res) => {
      res.onAborted(() => {});
      waiting.push(res);
      if (waiting.length === 3) waiting.forEach((other) => other.end(Buffer.alloc(300_000)));
    });
    const client = await Http3Client.connect(listen(app), { hold: true, maxData: 64 * 1024, maxStreamData: 1 << 20 });
    const ends = [];
    const responses = await Promise.all(['u=6', 'u=5', 'u=0'].map(async (priority) => {
      const stream = await client.start({ priority });
      return stream.response().then(() => ends.push(priority));
    }).map(async (started, index) => {
      if (index === 2) await client.hold(false);
      return started;
    }));
    expect(responses).toHaveLength(3);
    expect(ends[0]).toBe('u=0');
  });
});

describeWithHttp3('ends', () => {
  /** An app whose route /wait is never answered, and tells its aborts; `begun` gets its responses. */
  function serveWaiting(options) {
    const [aborts, begun] = [new Mailbox(), new Mailbox()];
    const app = createApp(options);
    app.any('/wait', (res) => {
      res.onAborted((reason, info) => aborts.put([info.cause, info.initiator, reason]));
      begun.put(res);
    });
    app.any('/*', (res) => res.end('answered'));
    return { app, aborts, begun, port: listen(app) };
  }

  test.each([
    ['RESET_STREAM', (stream) => stream.abandon(), ['Peer reset the stream: H3_REQUEST_CANCELLED (0x10c)']],
    ['STOP_SENDING', (stream) => stream.refuse(CODE.NO_ERROR), ['Peer reset the stream: H3_NO_ERROR (0x100)']],
  ])('%s aborts the response, with its code, and nothing else', async (title, end, [reason]) => {
    const { aborts, begun, port } = serveWaiting();
    const client = await Http3Client.connect(port);
    const stream = await client.start('/wait', null);
    const res = await begun.take();
    await end(stream);
    expect(await aborts.take()).toStrictEqual(['ERR_HTTP3_STREAM_RESET', 'peer', reason]);
    expect(res.aborted).toBe(true);
    expect(() => res.end('late')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_RESPONSE_CLOSED' }));
    await expect(client.request('/')).resolves.toMatchObject({ text: 'answered' });
    expect(aborts.size).toBe(0);
  });

  test('res.close resets the stream, and the connection goes on', async () => {
    const { begun, port } = serveWaiting();
    const client = await Http3Client.connect(port);
    const stream = await client.start('/wait');
    (await begun.take()).close();
    expect(await stream.reset).toBe(CODE.REQUEST_CANCELLED);
    await expect(client.request('/')).resolves.toMatchObject({ text: 'answered' });
  });

  test('a shutdown sends GOAWAY, serves what has begun, and closes without an error', async () => {
    const { app, begun, port } = serveWaiting();
    const client = await Http3Client.connect(port);
    const stream = await client.start('/wait');
    const res = await begun.take();
    const down = app.shutdown();
    expect(await client.goaways.take()).toBe(2 ** 62 - 4);
    res.end('served');
    await expect(stream.response()).resolves.toMatchObject({ text: 'served' });
    expect(await client.goaways.take()).toBe(4);
    expect(await client.closed).toMatchObject({ code: CODE.NO_ERROR, frame: null });
    await down;
  });

  test('a client that goes away ends its responses', async () => {
    const { aborts, begun, port } = serveWaiting();
    const client = await Http3Client.connect(port);
    await client.start('/wait');
    await client.start('/wait', null);
    for (let count = 0; count < 2; count++) await begun.take();
    await client.close(CODE.NO_ERROR, 'bye');
    for (let count = 0; count < 2; count++) expect((await aborts.take())[0]).toBe('ERR_QUIC_CLOSED');
  });
});
