'use strict';

// HttpRequest: what it says about the bytes that arrived, and how long it may be asked.

const { setImmediate: turn } = require('node:timers/promises');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const CLOSED = {
  name: 'Error',
  code: 'ERR_HTTP_REQUEST_CLOSED',
  message: 'uWS.HttpRequest must not be accessed after await or route handler return. See documentation for '
    + 'uWS.HttpRequest and consult the user manual.',
};

/** Every method, as a call that must succeed on a request that may be read. */
const CALLS = {
  getHeader: (req) => req.getHeader('host'),
  forEach: (req) => req.forEach(() => {}),
  getParameter: (req) => req.getParameter(0),
  getUrl: (req) => req.getUrl(),
  getMethod: (req) => req.getMethod(),
  getCaseSensitiveMethod: (req) => req.getCaseSensitiveMethod(),
  getQuery: (req) => req.getQuery(),
  'getQuery of a key': (req) => req.getQuery('key'),
  setYield: (req) => req.setYield(false),
};

/** What `look(req, res)` returns inside the handler of a request of these bytes. */
async function look(bytes, ask, pattern = '/*') {
  const seen = new Mailbox();
  const app = createApp().any(pattern, (res, req) => {
    try {
      seen.put({ value: ask(req, res) });
    } catch (error) {
      seen.put({ error });
    }
    res.end();
  });
  const client = await RawClient.connect(listen(app));
  await client.send(bytes);
  const { value, error } = await seen.take();
  await client.response(bytes.split(' ')[0]);
  if (error !== undefined) throw error;
  return value;
}

/** The same for a GET with these header lines. */
const lookAt = (fields, ask) => look(request('GET', '/', fields), ask);

/** All that a request says, in one value. */
function snapshot(req) {
  const fields = [];
  req.forEach((key, value) => fields.push([key, value]));
  return {
    fields,
    host: req.getHeader('host'),
    first: req.getParameter(0),
    named: req.getParameter('name'),
    url: req.getUrl(),
    method: req.getMethod(),
    caseSensitive: req.getCaseSensitiveMethod(),
    query: req.getQuery(),
    key: req.getQuery('key'),
  };
}

/** A request of which every line bears `mark`, and what {@link snapshot} says of it. */
function marked(mark) {
  return {
    bytes: request(`M${mark}`, `/named/${mark}?key=${mark}`, [`X-Mark: ${mark}`]),
    said: {
      fields: [['host', 'test'], ['x-mark', mark]],
      host: 'test',
      first: mark,
      named: mark,
      url: `/named/${mark}`,
      method: `m${mark}`.toLowerCase(),
      caseSensitive: `M${mark}`,
      query: `key=${mark}`,
      key: mark,
    },
  };
}

describe('getHeader', () => {
  test('finds a header by its lower-case name, however it was spelt', async () => {
    const fields = ['X-UPPER: a', 'x-lower: b', 'X-MiXeD: c'];
    const ask = (req) => ['x-upper', 'x-lower', 'x-mixed'].map((name) => req.getHeader(name));
    expect(await lookAt(fields, ask)).toEqual(['a', 'b', 'c']);
  });

  test('a name that is not in lower case finds nothing', async () => {
    expect(await lookAt(['X-Upper: a'], (req) => req.getHeader('X-Upper'))).toBe('');
  });

  test('is empty for what is absent, and for what is empty', async () => {
    const ask = (req) => ['absent', 'empty', '', 'hos', 'hostt'].map((name) => req.getHeader(name));
    expect(await lookAt(['Empty:'], ask)).toEqual(['', '', '', '', '']);
  });

  test('gives the first of several', async () => {
    expect(await lookAt(['A: 1', 'B: x', 'a: 2'], (req) => req.getHeader('a'))).toBe('1');
  });

  test('trims blanks and tabs around the value, and keeps those within', async () => {
    expect(await lookAt(['A: \t a\t b  c \t '], (req) => req.getHeader('a'))).toBe('a\t b  c');
  });

  test('decodes as Latin-1: one character per byte', async () => {
    const bytes = Array.from({ length: 0x80 }, (_, index) => String.fromCharCode(0x80 + index)).join('');
    expect(await lookAt([`A: ${bytes}`], (req) => req.getHeader('a'))).toBe(bytes);
  });

  test('takes the name as bytes too', async () => {
    const names = [Buffer.from('a'), new Uint8Array([97]).buffer, new DataView(new Uint8Array([120, 97]).buffer, 1)];
    expect(await lookAt(['A: 1'], (req) => names.map((name) => req.getHeader(name)))).toEqual(['1', '1', '1']);
  });

  test('a value of 16,000 bytes arrives whole', async () => {
    const value = 'v'.repeat(16_000);
    expect(await lookAt([`A: ${value}`], (req) => req.getHeader('a'))).toBe(value);
  });

  test.each([null, 5, {}, [], true])('refuses %p as name', async (name) => {
    expect(await lookAt([], (req) => failureOf(() => req.getHeader(name)))).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
    });
  });
});

describe('forEach', () => {
  /** The arguments of every call. */
  const all = (req) => {
    const calls = [];
    req.forEach((...args) => calls.push(args));
    return calls;
  };

  test('gives every header in the order of arrival, repeated ones repeatedly, names in lower case', async () => {
    const fields = ['B: 1', 'A: 2', 'b: 3', 'X-Empty:', 'A: 2'];
    expect(await lookAt(fields, all)).toEqual([
      ['host', 'test'], ['b', '1'], ['a', '2'], ['b', '3'], ['x-empty', ''], ['a', '2'],
    ]);
  });

  test('decodes values as UTF-8, and what is none as U+FFFD', async () => {
    const utf8 = Buffer.from('é€😀').toString('latin1');
    expect(await lookAt([`A: ${utf8}`, 'B: \xe9'], all)).toEqual([['host', 'test'], ['a', 'é€😀'], ['b', '\ufffd']]);
  });

  test('gives a hundred headers', async () => {
    const fields = Array.from({ length: 99 }, (_, index) => `X-${index}: ${index}`);
    const calls = await lookAt(fields, all);
    expect(calls).toEqual([['host', 'test'], ...fields.map((_, index) => [`x-${index}`, String(index)])]);
  });

  test('returns undefined', async () => {
    expect(await lookAt([], (req) => req.forEach(() => 5))).toBeUndefined();
  });

  test('what the callback throws is thrown by forEach, at the first call', async () => {
    const thrown = new Error('thrown by the callback');
    let calls = 0;
    const ask = (req) => req.forEach(() => {
      calls++;
      throw thrown;
    });
    await expect(lookAt(['A: 1'], ask)).rejects.toBe(thrown);
    expect(calls).toBe(1);
  });

  test('the callback may read the request, and call forEach again', async () => {
    const ask = (req) => {
      const seen = [];
      req.forEach((key) => req.forEach((inner) => seen.push(`${key} ${inner} ${req.getHeader(key)}`)));
      return seen;
    };
    expect(await lookAt(['A: 1'], ask)).toEqual(['host host test', 'host a test', 'a host 1', 'a a 1']);
  });

  test('the callback may end the response: the rest is still given', async () => {
    const seen = new Mailbox();
    const app = createApp().get('/', (res, req) => {
      const calls = [];
      req.forEach((key) => {
        if (calls.length === 0) res.end();
        calls.push(key);
      });
      seen.put(calls);
    });
    const client = await RawClient.connect(listen(app));
    await client.get('/', 'A: 1', 'B: 2');
    expect(await seen.take()).toEqual(['host', 'a', 'b']);
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as callback', async (callback) => {
    expect(await lookAt([], (req) => failureOf(() => req.forEach(callback)))).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    });
  });
});

describe('getUrl', () => {
  test.each([
    ['/', '/'], ['/a/b', '/a/b'], ['/a?b=c', '/a'], ['/a?', '/a'], ['/a?b?c', '/a'], ['//', '//'], ['/%20+%2f', '/%20+%2f'],
    ['/a/../b', '/a/../b'], ['/;,:@&=$!*\'()', '/;,:@&=$!*\'()'], ['http://example.org', '/'],
    ['http://example.org:80/a?b', '/a'],
  ])('of %s is %s', async (target, url) => {
    expect(await look(request('GET', target), (req) => req.getUrl())).toBe(url);
  });

  test('is as long as it came', async () => {
    const path = '/' + 'p'.repeat(16_000);
    expect(await look(request('GET', path), (req) => req.getUrl())).toBe(path);
  });
});

describe('getMethod and getCaseSensitiveMethod', () => {
  test.each(['GET', 'POST', 'get', 'DeLeTe', 'M-SEARCH', 'x!#$%&\'*+-.^_`|~9'])('of %s', async (method) => {
    const ask = (req) => [req.getMethod(), req.getCaseSensitiveMethod()];
    expect(await look(request(method, '/'), ask)).toEqual([method.toLowerCase(), method]);
  });

  test('the one does not spoil the other', async () => {
    const ask = (req) => [req.getCaseSensitiveMethod(), req.getMethod(), req.getCaseSensitiveMethod()];
    expect(await look(request('GET', '/'), ask)).toEqual(['GET', 'get', 'GET']);
  });
});

describe('getQuery', () => {
  const lookAtQuery = (query, ask) => look(request('GET', `/${query}`), ask);

  test.each([['', undefined], ['?', ''], ['?a=b', 'a=b'], ['?a=%20+&&b', 'a=%20+&&b'], ['?a?b=c', 'a?b=c']])(
    'without a key, of %p is %p, as it arrived', async (query, whole) => {
      expect(await lookAtQuery(query, (req) => req.getQuery())).toBe(whole);
      expect(await lookAtQuery(query, (req) => req.getQuery(undefined))).toBe(whole);
    });

  test.each([
    ['?a=1', 'a', '1'], ['?a=1&b=2', 'b', '2'], ['?a=', 'a', ''], ['?a', 'a', ''], ['?a&b=1', 'a', ''],
    ['?a=1&a=2', 'a', '1'], ['?a=b=c', 'a', 'b=c'], ['?&&a=1&', 'a', '1'], ['?a=1', 'b', undefined], ['', 'a', undefined],
    ['?', 'a', undefined], ['?ab=1', 'a', undefined], ['?a=1', 'ab', undefined], ['?A=1', 'a', undefined],
    ['?a=x+y', 'a', 'x y'], ['?a=x%20y', 'a', 'x y'], ['?a=%2B', 'a', '+'], ['?a=%C3%A9%e2%82%ac', 'a', 'é€'],
    ['?a=%26%3D%3f', 'a', '&=?'], ['?a=%', 'a', '%'], ['?a=%4', 'a', '%4'], ['?a=%zz', 'a', '%zz'], ['?a=%00', 'a', '\0'],
    ['?a=%FF', 'a', '\ufffd'], ['?%61=1', 'a', '1'], ['?a+b=1', 'a b', '1'],
  ])('of %p, %p is %p', async (query, key, value) => {
    expect(await lookAtQuery(query, (req) => req.getQuery(key))).toBe(value);
  });

  test('a value that was decoded leaves the whole as it arrived', async () => {
    const ask = (req) => [req.getQuery('a'), req.getQuery('a'), req.getQuery()];
    expect(await lookAtQuery('?a=%41+b', ask)).toEqual(['A b', 'A b', 'a=%41+b']);
  });

  test('takes the key as bytes too', async () => {
    expect(await lookAtQuery('?a=1', (req) => req.getQuery(Buffer.from('a')))).toBe('1');
  });

  test.each([5, {}, [], true])('refuses %p as key', async (key) => {
    const failure = await lookAtQuery('?a=1', (req) => failureOf(() => req.getQuery(key)));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('getParameter', () => {
  const ask = (...which) => (req) => which.map((one) => req.getParameter(one));

  test('by position, by name, and empty where there is none', async () => {
    const which = [0, 1, 2, -1, 'a', 'b', 'c', Buffer.from('a')];
    expect(await look(request('GET', '/1/x/%32'), ask(...which), '/:a/x/:b'))
      .toEqual(['1', '%32', '', '', '1', '%32', '', '1']);
  });

  test('is empty in a route without parameters', async () => {
    expect(await look(request('GET', '/a'), ask(0, 'a', ''), '/a')).toEqual(['', '', '']);
  });

  test.each([null, {}, [], true])('refuses %p', async (which) => {
    const failure = await look(request('GET', '/'), (req) => failureOf(() => req.getParameter(which)));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('the object', () => {
  test('setYield returns the request', async () => {
    expect(await look(request('GET', '/'), (req) => req.setYield(false) === req)).toBe(true);
  });

  test('a program may keep properties on it', async () => {
    const ask = (req) => {
      Object.assign(req, { method: 'GET', headers: { a: 1 } });
      return [req.method, req.headers.a, req.getMethod(), Object.keys(req)];
    };
    expect(await look(request('POST', '/'), ask)).toEqual(['GET', 1, 'post', ['method', 'headers']]);
  });

  test('is a uWS.HttpRequest, a new one for each request', async () => {
    const seen = [];
    const app = createApp().get('/', (res, req) => {
      seen.push(req);
      res.end();
    });
    const client = await RawClient.connect(listen(app));
    for (let round = 0; round < 3; round++) await client.get('/');
    expect(new Set(seen).size).toBe(3);
    expect(seen[0].constructor.name).toBe('uWS.HttpRequest');
  });

  test('cannot be made by hand', async () => {
    const failure = await look(request('GET', '/'), (req) => failureOf(() => new req.constructor()));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  });

  test('its methods refuse any other object', async () => {
    const failures = await look(request('GET', '/'), (req, res) => {
      const others = [{}, undefined, null, 5, res, Object.create(req), req.constructor];
      const names = Object.getOwnPropertyNames(req.constructor.prototype).filter((name) => name !== 'constructor');
      return names.flatMap((name) => others.map((other) => failureOf(() => req[name].call(other, () => {}))));
    });
    expect(failures).toHaveLength(8 * 7);
    for (const failure of failures) expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_THIS' });
  });
});

describe('how long it may be read', () => {
  /** Serves `/named/:name` with `handler`; every failure in it is thrown by the returned `done`. */
  function serve(handler) {
    const results = new Mailbox();
    const app = createApp().any('/named/:name', async (res, req) => {
      try {
        results.put({ value: await handler(res, req) });
      } catch (error) {
        results.put({ error });
      }
    });
    const done = async () => {
      const { value, error } = await results.take();
      if (error !== undefined) throw error;
      return value;
    };
    return { port: listen(app), done };
  }

  test('while the response is not over: after await, in timers and after many turns, as it was', async () => {
    const { bytes, said } = marked('one');
    const { port, done } = serve(async (res, req) => {
      res.onAborted(() => {});
      const seen = [snapshot(req)];
      await null;
      seen.push(snapshot(req));
      await new Promise((resolve) => { process.nextTick(resolve); });
      seen.push(snapshot(req));
      for (let round = 0; round < 5; round++) await turn();
      seen.push(snapshot(req));
      await new Promise((resolve) => { setTimeout(resolve, 1); });
      seen.push(snapshot(req));
      res.write('begun');
      await turn();
      seen.push(snapshot(req));
      res.end();
      return seen;
    });
    const client = await RawClient.connect(port);
    await client.send(bytes);
    expect((await client.response()).text).toBe('begun');
    expect(await done()).toEqual(Array(6).fill(said));
  });

  test('inside the handler and its microtasks and nextTicks after res.end(), and no longer', async () => {
    const { bytes, said } = marked('one');
    const { port, done } = serve(async (res, req) => {
      const seen = [];
      res.end();
      seen.push(snapshot(req));
      for (let round = 0; round < 50; round++) await null;
      seen.push(snapshot(req));
      await new Promise((resolve) => { process.nextTick(resolve); });
      seen.push(snapshot(req));
      await turn();
      return { seen, failures: Object.values(CALLS).map((call) => failureOf(() => call(req))) };
    });
    const client = await RawClient.connect(port);
    await client.send(bytes);
    await client.response();
    const { seen, failures } = await done();
    expect(seen).toEqual(Array(3).fill(said));
    expect(failures).toEqual(Object.keys(CALLS).map(() => CLOSED));
  });

  const ends = {
    'res.end()': (res) => res.end(),
    'res.endWithoutBody()': (res) => res.endWithoutBody(0),
    'res.close()': (res) => res.close(),
  };

  test.each(Object.entries(ends))('not after %s outside of the handler: every method throws', async (_, end) => {
    const { port, done } = serve(async (res, req) => {
      res.onAborted(() => {});
      await turn();
      expect(req.getParameter('name')).toBe('one');
      end(res);
      return Object.values(CALLS).map((call) => failureOf(() => call(req)));
    });
    const client = await RawClient.connect(port);
    await client.send(marked('one').bytes);
    expect(await done()).toEqual(Object.keys(CALLS).map(() => CLOSED));
  });

  test('not after the peer went away', async () => {
    const aborted = new Mailbox();
    const started = new Mailbox();
    const { port } = serve((res, req) => {
      res.onAborted(() => aborted.put(Object.values(CALLS).map((call) => failureOf(() => call(req)))));
      started.put(req);
    });
    const client = await RawClient.connect(port);
    await client.send(marked('one').bytes);
    await started.take();
    client.reset();
    expect(await aborted.take()).toEqual(Object.keys(CALLS).map(() => CLOSED));
  });

  test('not after an upgrade, but inside its handler', async () => {
    const seen = new Mailbox();
    const app = createApp().ws('/', {
      upgrade: (res, req, context) => {
        const key = req.getHeader('sec-websocket-key');
        res.upgrade({}, key, '', '', context);
        seen.put(req.getHeader('sec-websocket-key') === key);
        setImmediate(() => seen.put(Object.values(CALLS).map((call) => failureOf(() => call(req)))));
      },
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/', [
      'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]));
    expect((await client.response()).status).toBe(101);
    expect(await seen.take()).toBe(true);
    expect(await seen.take()).toEqual(Object.keys(CALLS).map(() => CLOSED));
  });

  test('while its body arrives, until the answer', async () => {
    const { bytes, said } = marked('one');
    const seen = new Mailbox();
    const { port } = serve((res, req) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        seen.put(snapshot(req));
        if (isLast) res.end();
      });
    });
    const client = await RawClient.connect(port);
    const head = bytes.replace('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\n');
    const fields = [...said.fields, ['content-length', '2']];
    await client.send(head + 'a');
    expect(await seen.take()).toEqual({ ...said, fields });
    await client.send('b');
    expect(await seen.take()).toEqual({ ...said, fields });
    await client.response();
  });

  test('it stays the same while others come and go on other connections', async () => {
    const waiting = new Mailbox();
    const app = createApp().any('/named/:name', (res, req) => {
      if (req.getParameter(0) !== 'slow') {
        res.end();
        return;
      }
      res.onAborted(() => {});
      waiting.put({ res, req });
    });
    const port = listen(app);
    const slow = await RawClient.connect(port);
    await slow.send(marked('slow').bytes);
    const { res, req } = await waiting.take();
    const fast = await RawClient.connect(port);
    for (let number = 0; number < 100; number++) {
      await fast.send(marked(`fast${number}`).bytes);
      await fast.response();
      expect(snapshot(req)).toEqual(marked('slow').said);
    }
    res.end();
    await slow.response();
  });

  test('one that was kept never speaks of a later request, on the same connection or another', async () => {
    const kept = [];
    const results = new Mailbox();
    const app = createApp().any('/named/:name', (res, req) => {
      results.put(kept.map((old) => failureOf(() => snapshot(old))));
      kept.push(req);
      res.end();
    });
    const port = listen(app);
    for (let connection = 0; connection < 5; connection++) {
      const client = await RawClient.connect(port);
      for (let number = 0; number < 10; number++) {
        await client.send(marked(`r${number}`).bytes);
        await client.response();
        for (const failure of await results.take()) expect(failure).toEqual(CLOSED);
      }
    }
    expect(kept).toHaveLength(50);
  });
});
