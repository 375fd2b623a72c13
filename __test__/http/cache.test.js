'use strict';

// Routes whose answers are kept: `app.get(pattern, handler, { lowerExpiry, upperExpiry })`. What depends on time alone
// is tested in src/node/state/routes/cache.rs; here an hour stands for ever, and a lowerExpiry of 0 makes every answer an old one.

const uWS = require('../..');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const FRESH = { lowerExpiry: 3600, upperExpiry: 3600 };
const STALE = { lowerExpiry: 0, upperExpiry: 3600 };

/** An app with this cached route, which counts the calls of its handler, and a client. */
async function serve(handler, options = FRESH, pattern = '/*') {
  const served = { app: createApp(), calls: 0 };
  served.app.get(pattern, (res, req) => {
    served.calls += 1;
    return handler(res, req, served.calls);
  }, options);
  served.port = listen(served.app);
  served.client = await RawClient.connect(served.port);
  return served;
}

/** Answers with the number of the call. */
function count(res, req, calls) {
  res.end(`call ${calls}`);
}

describe('a hit', () => {
  test('does not call the handler, and has status, headers and body of the answer that is kept', async () => {
    const served = await serve((res) => {
      res.writeStatus('404 Nothing').writeHeader('Content-Type', 'text/plain').writeHeader('X-A', '1').end('kept');
    });
    for (let number = 0; number < 3; number++) {
      const response = await served.client.get('/path?query');
      expect(response.statusLine).toBe('404 Nothing');
      expect(response.names).toEqual(['Content-Type', 'X-A', 'Date', 'Content-Length']);
      expect(response.text).toBe('kept');
    }
    expect(served.calls).toBe(1);
  });

  test('is given to other connections, and in order to pipelined requests', async () => {
    const served = await serve(count);
    await served.client.send(request('GET', '/a') + request('GET', '/b') + request('GET', '/a'));
    const texts = [];
    for (let number = 0; number < 3; number++) texts.push((await served.client.response()).text);
    expect(texts).toEqual(['call 1', 'call 2', 'call 1']);
    expect((await (await RawClient.connect(served.port)).get('/b')).text).toBe('call 2');
  });

  test('has the whole body of an answer that was sent in pieces', async () => {
    const handlers = {
      write: (res) => {
        res.write('one, ');
        res.write('two, ');
        res.end('three');
      },
      tryEnd: (res) => {
        res.tryEnd('one, ', 15);
        res.tryEnd('two, ', 15);
        res.tryEnd('three', 15);
      },
      'tryEnd at once': (res) => res.tryEnd('one, two, three', 15),
    };
    for (const handler of Object.values(handlers)) {
      const served = await serve(handler);
      for (let number = 0; number < 2; number++) expect((await served.client.get('/')).text).toBe('one, two, three');
      expect(served.calls).toBe(1);
    }
  });

  test('has what an async handler answered later', async () => {
    const served = await serve(async (res) => {
      res.onAborted(() => {});
      await new Promise(setImmediate);
      res.cork(() => res.writeHeader('X-Late', 'yes').end('later'));
    });
    await served.client.get('/');
    expect((await served.client.get('/')).values('x-late')).toEqual(['yes']);
    expect(served.calls).toBe(1);
  });

  test('does not close the connection because the answer that is kept did', async () => {
    const served = await serve((res) => res.writeHeader('Connection', 'close').writeHeader('A', 'b').end('body', true));
    await served.client.get('/');
    await served.client.over();
    const client = await RawClient.connect(served.port);
    for (let number = 0; number < 2; number++) {
      expect((await client.get('/')).names).toEqual(['A', 'Date', 'Content-Length']);
    }
    expect(served.calls).toBe(1);
  });
});

describe('the key', () => {
  test('is path and query as they arrived, and Host', async () => {
    const served = await serve(count);
    const targets = ['/', '/a', '/A', '/a/', '/a?', '/a?b', '/a?b=1', '/%61'];
    for (const target of [...targets, ...targets]) await served.client.get(target);
    expect(served.calls).toBe(targets.length);
    await served.client.send('GET /a HTTP/1.1\r\nHost: other\r\n\r\n');
    expect((await served.client.response()).text).toBe(`call ${targets.length + 1}`);
    await served.client.send('GET /a HTTP/1.1\r\nHost: OTHER\r\nCookie: a=b\r\nCache-Control: no-cache\r\n\r\n');
    expect((await served.client.response()).text).toBe(`call ${targets.length + 1}`);
  });

  test('holds for one route: others, also of the same path, have answers of their own', async () => {
    const served = await serve(count);
    served.app.get('/own', (res) => res.end('own'), FRESH).post('/*', (res) => res.end('post'));
    await served.client.get('/own');
    await served.client.get('/other');
    await served.client.send(request('POST', '/other'));
    expect((await served.client.response()).text).toBe('post');
    expect((await served.client.get('/own')).text).toBe('own');
    expect((await served.client.get('/other')).text).toBe('call 1');
  });
});

describe('what is not kept', () => {
  test.each([
    ['an error', (res) => res.writeStatus('500 Oops').end('e')],
    ['206', (res) => res.writeStatus('206 Partial Content').end('p')],
    ['Set-Cookie', (res) => res.writeHeader('set-COOKIE', 'a=b').end('c')],
    ['Vary', (res) => res.writeHeader('Vary', 'Origin').end('v')],
    ['Cache-Control: no-store', (res) => res.writeHeader('Cache-Control', 'max-age=1, no-store').end('n')],
    ['more than a megabyte', (res) => res.end(Buffer.alloc(2 ** 20))],
    ['more than a megabyte, in pieces', (res) => {
      res.write(Buffer.alloc(2 ** 19));
      res.end(Buffer.alloc(2 ** 19));
    }],
    ['endWithoutBody', (res) => res.endWithoutBody(0)],
  ])('%s', async (name, handler) => {
    const served = await serve(handler);
    await served.client.get('/');
    await served.client.get('/');
    expect(served.calls).toBe(2);
  });

  test.each([
    ['Authorization', request('GET', '/', ['Authorization: Basic x'])],
    ['a body', request('GET', '/', [], 'body')],
    ['a chunked body', `${request('GET', '/', ['Transfer-Encoding: chunked'])}0\r\n\r\n`],
  ])('answers to requests with %s; nor are these answered by what is kept', async (name, special) => {
    const served = await serve(count);
    await served.client.send(special);
    expect((await served.client.response()).text).toBe('call 1');
    expect((await served.client.get('/')).text).toBe('call 2');
    await served.client.send(special);
    expect((await served.client.response()).text).toBe('call 3');
    expect((await served.client.get('/')).text).toBe('call 2');
  });

  test.each([
    ['less', ''],
    ['more', ' and so on'],
  ])('an answer with %s than tryEnd announced', async (name, rest) => {
    const served = await serve((res, req, calls) => {
      res.tryEnd('call', 7);
      res.end(calls === 1 ? rest : ` ${calls}.`);
    });
    const first = await RawClient.connect(served.port);
    await first.send(request('GET', '/'));
    await first.bytes('HTTP/1.1 200 OK'.length);
    expect((await served.client.get('/')).text).toBe('call 2.');
    expect((await served.client.get('/')).text).toBe('call 2.');
    expect(served.calls).toBe(2);
  });

  test('what a client that left was not told', async () => {
    const begun = new Mailbox();
    const served = await serve((res, req, calls) => {
      if (calls > 1) return res.end('second');
      res.write('fir');
      return res.onAborted(() => begun.put('aborted')).onData(() => begun.put('begun'));
    });
    const leaver = await RawClient.connect(served.port);
    await leaver.send(request('GET', '/'));
    expect(await begun.take()).toBe('begun');
    leaver.reset();
    expect(await begun.take()).toBe('aborted');
    expect((await served.client.get('/')).text).toBe('second');
  });

  test('the answer of another route to a request that was yielded', async () => {
    const served = await serve((res, req) => req.setYield(true), FRESH, '/a');
    let others = 0;
    served.app.get('/*', (res) => res.end(`other ${others += 1}`));
    expect((await served.client.get('/a')).text).toBe('other 1');
    expect((await served.client.get('/a')).text).toBe('other 2');
    expect(served.calls).toBe(2);
  });

  test('anything without expiries, with upperExpiry 0, or without options', async () => {
    for (const options of [{}, { lowerExpiry: 0, upperExpiry: 0 }, undefined]) {
      const app = createApp();
      let calls = 0;
      app.get('/', (res) => res.end(`call ${calls += 1}`), options);
      const client = await RawClient.connect(listen(app));
      await client.get('/');
      expect((await client.get('/')).text).toBe('call 2');
    }
  });
});

describe('between lowerExpiry and upperExpiry', () => {
  /** A route of stale answers: the first call answers at once, the others hand over their responses. */
  async function serveStale() {
    const open = new Mailbox();
    const served = await serve((res, req, calls) => {
      if (calls === 1) return res.end('old');
      return open.put(res.onAborted(() => open.put('aborted')));
    }, STALE);
    expect((await served.client.get('/')).text).toBe('old');
    return { ...served, open };
  }

  test('one request goes to the handler, and the others get the old answer until the new one is there', async () => {
    const { client, port, open } = await serveStale();
    const refresher = await RawClient.connect(port);
    await refresher.send(request('GET', '/'));
    const res = await open.take();
    expect((await client.get('/')).text).toBe('old');
    expect((await client.get('/')).text).toBe('old');
    res.end('new');
    expect((await refresher.response()).text).toBe('new');

    await refresher.send(request('GET', '/'));
    const next = await open.take();
    expect((await client.get('/')).text).toBe('new');
    next.end('newer');
    expect((await refresher.response()).text).toBe('newer');
  });

  test('the next request goes to the handler if the one before was closed or aborted', async () => {
    const { client, port, open } = await serveStale();
    const closed = await RawClient.connect(port);
    await closed.send(request('GET', '/'));
    (await open.take()).close();
    expect(await open.take()).toBe('aborted');

    const leaver = await RawClient.connect(port);
    await leaver.send(request('GET', '/'));
    await open.take();
    expect((await client.get('/')).text).toBe('old');
    leaver.reset();
    expect(await open.take()).toBe('aborted');

    await client.send(request('GET', '/'));
    (await open.take()).end('new');
    expect((await client.response()).text).toBe('new');
  });

  test('the next request goes to the handler if the one before was yielded, whoever takes that', async () => {
    const served = await serve((res, req, calls) => {
      if (calls === 2) req.setYield(true);
      else res.end(`call ${calls}`);
    }, STALE);
    const open = new Mailbox();
    served.app.any('/*', (res) => open.put(res.onAborted(() => {})));
    await served.client.get('/');
    const other = await RawClient.connect(served.port);
    await other.send(request('GET', '/'));
    const res = await open.take();
    expect((await served.client.get('/')).text).toBe('call 3');
    res.end('another route');
    expect((await other.response()).text).toBe('another route');
  });

  test('an error is answered to the one who asked, and the old answer stays', async () => {
    const { client, port, open } = await serveStale();
    await client.send(request('GET', '/'));
    (await open.take()).writeStatus('503 Busy').end();
    expect((await client.response()).status).toBe(503);
    const refresher = await RawClient.connect(port);
    await refresher.send(request('GET', '/'));
    const res = await open.take();
    expect((await client.get('/')).text).toBe('old');
    res.end();
    await refresher.response();
  });
});

describe('the route', () => {
  test('gives its handler a uWS.CachedHttpResponse, which is a response like any other', async () => {
    const served = await serve((res, req, calls) => {
      res.end(`${res.constructor.name} ${res.aborted} ${Buffer.from(res.getRemoteAddressAsText())} ${calls}`);
    });
    expect((await served.client.get('/')).text).toBe('uWS.CachedHttpResponse false 127.0.0.1 1');
    const { get } = served.app.constructor.prototype;
    expect(failureOf(() => get.call({}, '/', () => {}, {})).code).toBe('ERR_INVALID_THIS');
  });

  test('forgets its answers when it is replaced or removed', async () => {
    const served = await serve(count);
    const { app, client } = served;
    expect((await client.get('/')).text).toBe('call 1');
    app.get('/*', (res) => res.end('replaced'), FRESH);
    expect((await client.get('/')).text).toBe('replaced');
    app.get('/*', null, FRESH);
    expect((await client.get('/')).status).toBe(404);
    app.get('/*', (res) => res.end('added'), FRESH);
    expect((await client.get('/')).text).toBe('added');
    app.get('/*', new uWS.DeclarativeResponse().end('declared'), FRESH);
    expect((await client.get('/')).text).toBe('declared');
  });

  test('does not get an answer that was begun for the route before it', async () => {
    const open = new Mailbox();
    const served = await serve((res) => open.put(res.onAborted(() => {})));
    await served.client.send(request('GET', '/'));
    const res = await open.take();
    served.app.get('/*', (other) => other.end('of the new route'), FRESH);
    res.end('of the old route');
    expect((await served.client.response()).text).toBe('of the old route');
    expect((await served.client.get('/')).text).toBe('of the new route');
  });

  test('a number is how long everybody gets the answer, in seconds', async () => {
    const kept = await serve(count, 3600);
    for (let number = 0; number < 2; number++) expect((await kept.client.get('/')).text).toBe('call 1');
    const renewed = await serve(count, 0);
    for (const call of [1, 2]) expect((await renewed.client.get('/')).text).toBe(`call ${call}`);
  });

  test('refuses options that are neither an object nor a number, and expiries that make no sense', () => {
    const app = createApp();
    const get = (options) => failureOf(() => app.get('/', () => {}, options));
    for (const options of [null, '5', true, 5n, () => {}]) {
      const message = 'Cache options must be an object';
      expect(get(options)).toEqual({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
    }
    for (const wrong of ['1', true, {}]) {
      expect(get({ lowerExpiry: wrong })).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      expect(get({ upperExpiry: wrong })).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const wrong of [-1, NaN, Infinity, 31_536_001]) {
      expect(get(wrong)).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      expect(get({ upperExpiry: wrong })).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    expect(get({ lowerExpiry: 2, upperExpiry: 1.5 })).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(failureOf(() => app.get('/', 'handler', FRESH)).message).toBe('Passed callback is not a valid function.');
    expect(failureOf(() => app.get(null, () => {}, FRESH)).code).toBe('ERR_INVALID_ARG_TYPE');
  });

  test('keeps a bounded number of answers, however many are asked for', async () => {
    const served = await serve(count);
    for (let round = 0; round < 110; round++) {
      const requests = Array.from({ length: 100 }, (_, number) => request('GET', `/${round}/${number}`));
      await served.client.send(requests.join(''));
      for (let number = 0; number < 100; number++) await served.client.response();
    }
    expect((await served.client.get('/109/99')).text).toBe('call 11000');
    expect((await served.client.get('/0/0')).text).toBe('call 11001');
  });
});
