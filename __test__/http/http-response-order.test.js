'use strict';

// When responses go out: late, behind others on the same connection, and all of them within `cork`.

const { setImmediate: turn } = require('node:timers/promises');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { request } = require('../helpers/raw-http.js');
const { answer } = require('../helpers/response.js');
const { serve } = require('../helpers/server.js');

describe('late and pipelined answers', () => {
  test('a response may be answered from a timer, a promise or another event', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/timer') setTimeout(() => res.end('timer'), 1);
      else if (req.getUrl() === '/promise') res.end(await Promise.resolve('promise'));
      else setImmediate(() => res.end('immediate'));
    });
    for (const name of ['timer', 'promise', 'immediate']) expect((await client.get(`/${name}`)).text).toBe(name);
  });

  test('requests in one piece are answered in order, though the first one is slow', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/0') {
        for (let round = 0; round < 10; round++) await turn();
      }
      res.end(req.getUrl());
    });
    const paths = Array.from({ length: 50 }, (_, number) => `/${number}`);
    await client.send(paths.map((path) => request('GET', path)).join(''));
    for (const path of paths) expect((await client.response()).text).toBe(path);
  });

  test('thousands of requests in one piece are answered in order, though the first one is slow', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/0') {
        for (let round = 0; round < 10; round++) await turn();
      }
      res.end(req.getUrl());
    });
    const paths = Array.from({ length: 5000 }, (_, number) => `/${number}`);
    const sent = client.send(paths.map((path) => request('GET', path)).join(''));
    const answers = [];
    for (let number = 0; number < paths.length; number++) answers.push((await client.response()).text);
    expect(answers).toEqual(paths);
    await sent;
  });

  test('a handler is not called before the request in front of it is answered', async () => {
    const calls = new Mailbox();
    const client = await serve((res, req) => {
      res.onAborted(() => {});
      calls.put({ res, url: req.getUrl() });
    });
    await client.send(request('GET', '/1') + request('GET', '/2'));
    const first = await calls.take();
    // Another connection is served meanwhile, behind whatever the first one has brought.
    for (let round = 0; round < 5; round++) await turn();
    expect(first.url).toBe('/1');
    expect(calls.size).toBe(0);
    first.res.end('one');
    expect((await client.response()).text).toBe('one');
    const second = await calls.take();
    expect(second.url).toBe('/2');
    second.res.end('two');
    expect((await client.response()).text).toBe('two');
  });

  test('requests with bodies in one piece are told apart', async () => {
    const client = await serve((res, req) => {
      const pieces = [req.getUrl()];
      res.onAborted(() => {}).onData((chunk, isLast) => {
        pieces.push(Buffer.from(chunk).toString());
        if (isLast) res.end(pieces.join(' '));
      });
    });
    const chunked = request('POST', '/b', ['Transfer-Encoding: chunked']) + '3\r\nGET\r\n0\r\n\r\n';
    await client.send(request('POST', '/a', [], 'GET / HTTP/1.1') + chunked + request('GET', '/c'));
    expect((await client.response()).text).toBe('/a GET / HTTP/1.1');
    expect((await client.response()).text.replace(/ $/, '')).toBe('/b GET');
    expect((await client.response()).text).toBe('/c ');
  });

  test('behind a response that closes, further requests are not answered', async () => {
    let calls = 0;
    const client = await serve((res) => {
      calls++;
      res.end('only', true);
    });
    await client.send(request('GET', '/1') + request('GET', '/2'));
    expect((await client.response()).text).toBe('only');
    await client.over();
    expect(calls).toBe(1);
  });

  test('a request that arrives byte by byte is answered once', async () => {
    let calls = 0;
    const client = await serve((res, req) => {
      calls++;
      res.end(req.getHeader('a'));
    });
    client.socket.setNoDelay(true);
    for (const byte of request('GET', '/', ['A: value'])) await client.send(byte);
    expect((await client.response()).text).toBe('value');
    expect(calls).toBe(1);
  });

  test('empty lines in front of a request are skipped', async () => {
    const client = await serve((res) => res.end('x'));
    await client.send(`\r\n\r\n${request('GET', '/')}\r\n${request('GET', '/')}`);
    for (let round = 0; round < 2; round++) expect((await client.response()).text).toBe('x');
  });
});

describe('cork', () => {
  test('runs the callback at once and returns the response', async () => {
    const order = [];
    const response = await answer((res) => {
      order.push('before');
      const returned = res.cork(() => {
        order.push('inside');
        res.writeStatus('201 Created').writeHeader('A', '1').end('corked');
      });
      order.push('after', returned === res);
    });
    expect(order).toEqual(['before', 'inside', 'after', true]);
    expect(response.statusLine).toBe('201 Created');
    expect(response.text).toBe('corked');
  });

  test('may be nested, and used outside of the handler', async () => {
    const response = await answer(async (res) => {
      res.onAborted(() => {});
      await turn();
      res.cork(() => {
        res.write('a');
        res.cork(() => res.write('b'));
        res.end('c');
      });
    });
    expect(response.text).toBe('abc');
  });

  test('what the callback throws is thrown by cork, and the response goes on', async () => {
    const thrown = new Error('thrown by the callback');
    const response = await answer(async (res) => {
      res.onAborted(() => {});
      await turn();
      expect(() => res.cork(() => {
        res.write('a');
        throw thrown;
      })).toThrow(thrown);
      res.write('b');
      await turn();
      res.end();
    });
    expect(response.text).toBe('ab');
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as callback', async (callback) => {
    const failures = [];
    await answer((res) => {
      failures.push(failureOf(() => res.cork(callback)));
      res.end();
    });
    expect(failures[0]).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    });
  });
});
