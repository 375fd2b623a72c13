'use strict';

// The body of a request as `onData` gives it, and `Expect: 100-continue`. What all handlers of bodies promise is in
// body-handlers.test.js.

const { createHash, randomBytes } = require('node:crypto');
const { setImmediate: turn } = require('node:timers/promises');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { request } = require('../helpers/raw-http.js');
const { answer, wire } = require('../helpers/response.js');
const { serve } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

describe('onData', () => {
  /** Hands out every call, as text. */
  function collect(res, calls) {
    res.onAborted(() => {}).onData((chunk, isLast) => {
      calls.put([Buffer.from(chunk).toString('latin1'), isLast]);
      if (isLast) res.end('taken');
    });
  }

  /** The body as its handler got it. */
  async function whole(calls) {
    let body = '';
    for (;;) {
      const [chunk, isLast] = await calls.take();
      body += chunk;
      if (isLast) return body;
    }
  }

  test('a body in one piece with its head', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', [], 'the body'));
    expect(await calls.take()).toEqual(['the body', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('a body in many pieces: each is given when it arrives, and the last one is marked', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', ['Content-Length: 26']));
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') {
      await client.send(letter);
      expect(await calls.take()).toEqual([letter, letter === 'z']);
    }
    expect((await client.response()).text).toBe('taken');
  });

  test.each([
    ['GET', request('GET', '/')], ['a Content-Length of 0', request('POST', '/', ['Content-Length: 0'])],
    ['POST without length', request('POST', '/')],
  ])('%s: one call with an empty piece, which is the last', async (_, text) => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(text);
    expect(await calls.take()).toEqual(['', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('a chunked body: what is around the data is not given', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']));
    await client.send('5\r\nhello\r\n6;name="value;\\""\r\n world\r\n');
    await client.send('1\r');
    await client.send('\n!');
    await client.send('\r\n000\r\nTrailer: yes\r\n\r\n');
    expect(await whole(calls)).toBe('hello world!');
    expect((await client.response()).text).toBe('taken');
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']) + '0\r\n\r\n');
    expect(await whole(calls)).toBe('');
  });

  test('a chunked body byte by byte', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    client.socket.setNoDelay(true);
    const text = request('POST', '/', ['Transfer-Encoding: chunked']) + 'A;x=y\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\n';
    for (const byte of text) await client.send(byte);
    expect(await whole(calls)).toBe('0123456789ab');
  });

  test('a body of 8 MB arrives whole', async () => {
    const body = randomBytes(8 * 1024 * 1024);
    const hash = createHash('sha256');
    const digests = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        hash.update(new Uint8Array(chunk));
        if (isLast) digests.put(hash.digest('hex'));
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', [`Content-Length: ${body.length}`]));
    await client.send(body);
    expect(await digests.take()).toBe(createHash('sha256').update(body).digest('hex'));
    await client.response();
  });

  test('the piece is an ArrayBuffer, isLast a boolean', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((...args) => {
        seen.put([Object.prototype.toString.call(args[0]), typeof args[1]]);
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'x'));
    expect(await seen.take()).toEqual(['[object ArrayBuffer]', 'boolean']);
    await client.response();
  });

  test('attached after an await, or many turns later: nothing is lost', async () => {
    for (const wait of [async () => {}, turn, async () => {
      for (let round = 0; round < 10; round++) await turn();
    }]) {
      const calls = new Mailbox();
      const client = await serve(async (res) => {
        res.onAborted(() => {});
        await wait();
        collect(res, calls);
      });
      await client.send(request('POST', '/', [], 'the body'));
      expect(await whole(calls)).toBe('the body');
      expect((await client.response()).text).toBe('taken');
    }
  });

  test('attached late to a GET: one call, which is the last', async () => {
    const calls = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      await turn();
      collect(res, calls);
    });
    await client.send(request('GET', '/'));
    expect(await calls.take()).toEqual(['', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('is never called within the call that attaches it', async () => {
    const order = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      await turn();
      res.onData((chunk, isLast) => {
        order.put('data');
        if (isLast) res.end();
      });
      order.put('attached');
    });
    await client.send(request('POST', '/', [], 'x'));
    await client.response();
    expect([await order.take(), await order.take()]).toEqual(['attached', 'data']);
  });

  test.each([1, 10])('%d MB that wait for their handler arrive whole', async (megabytes) => {
    const body = randomBytes(megabytes * 1024 * 1024);
    const hash = createHash('sha256');
    const digests = new Mailbox();
    const started = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      started.put(res);
    });
    await client.send(request('POST', '/', [`Content-Length: ${body.length}`]));
    const res = await started.take();
    // Taken by the system, by the server, or waiting: nobody reads it yet.
    const sent = client.send(body);
    for (let round = 0; round < 100; round++) await turn();
    res.onData((chunk, isLast) => {
      hash.update(new Uint8Array(chunk));
      if (!isLast) return;
      digests.put(hash.digest('hex'));
      res.end('taken');
    });
    await sent;
    expect(await digests.take()).toBe(createHash('sha256').update(body).digest('hex'));
    expect((await client.response()).text).toBe('taken');
    expect((await Promise.all([client.send(request('GET', '/')), started.take()]))[1]).not.toBe(res);
  });

  test('a later handler replaces the earlier one', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk) => {
        calls.put(['first', Buffer.from(chunk).toString()]);
        res.onData((next, isLast) => {
          calls.put(['second', Buffer.from(next).toString()]);
          if (isLast) res.end();
        });
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 2']) + 'a');
    expect(await calls.take()).toEqual(['first', 'a']);
    await client.send('b');
    expect(await calls.take()).toEqual(['second', 'b']);
    await client.response();
  });

  test('the piece is detached when the handler returns; a copy stays', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        const copy = chunk.slice(0);
        setImmediate(() => seen.put([chunk.byteLength, Buffer.from(copy).toString()]));
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual([0, 'the body']);
    await client.response();
  });

  test('the piece stays if the handler returns a promise', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData(async (chunk, isLast) => {
        for (let round = 0; round < 5; round++) await turn();
        seen.put([Buffer.from(chunk).toString(), isLast]);
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual(['the body', true]);
    await client.response();
  });

  test('a piece that was waiting is detached, and stays for a promise, just the same', async () => {
    for (const isAsync of [false, true]) {
      const seen = new Mailbox();
      const client = await serve(async (res) => {
        res.onAborted(() => {});
        await turn();
        res.onData((chunk) => {
          setImmediate(() => {
            seen.put(chunk.byteLength);
            res.end();
          });
          return isAsync ? turn() : undefined;
        });
      });
      await client.send(request('POST', '/', [], 'the body'));
      expect(await seen.take()).toBe(isAsync ? 8 : 0);
      await client.response();
    }
  });

  test('a handler may transfer the piece', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk) => {
        seen.put(Buffer.from(structuredClone(chunk, { transfer: [chunk] })).toString());
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toBe('the body');
    await client.response();
  });

  test('after an early answer the rest of the body is read past, and the next request is served', async () => {
    let calls = 0;
    const client = await serve((res, req) => {
      if (req.getMethod() === 'get') {
        res.end('next');
        return;
      }
      res.onAborted(() => {}).onData(() => {
        calls++;
        res.end('early');
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 100000']) + 'x');
    expect((await client.response()).text).toBe('early');
    await client.send('y'.repeat(99_999) + request('GET', '/'));
    expect((await client.response()).text).toBe('next');
    expect(calls).toBe(1);
  });

  test('after an early answer to a body of which too much is missing the connection closes', async () => {
    expect(await wire((res) => res.end('early'), request('POST', '/', ['Content-Length: 1000000']) + 'x'))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 5\r\n\r\nearly');
  });

  test('a body that breaks off is not complete: onAborted runs instead of the last call', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => {
      res.onAborted((reason, info) => calls.put(info.cause)).onData((chunk, isLast) => {
        calls.put([Buffer.from(chunk).toString(), isLast]);
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 10']) + 'abc');
    expect(await calls.take()).toEqual(['abc', false]);
    client.finish();
    expect(await calls.take()).toBe('ERR_FIN_BEFORE_RESPONSE');
  });

  test('a body that breaks a rule is answered with it, and the response is aborted', async () => {
    const aborts = new Mailbox();
    const client = await serve((res) => {
      res.onAborted((reason, info) => aborts.put([reason, info])).onData(() => {});
    });
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']) + 'zz\r\n');
    const response = await client.response();
    expect(response.status).toBe(400);
    expect(response.text).toMatch(/^ERR_HTTP_CHUNK_SIZE: .*RFC 9112/);
    expect(await client.rest()).toBe('');
    const [reason, info] = await aborts.take();
    expect(reason).toMatch(/^Received invalid HTTP request body/);
    expect(info).toEqual({ cause: 'ERR_HTTP_INVALID_BODY', initiator: 'peer', wasClean: false, ...RESPONSE_FACTS });
  });

  test('a body that breaks a rule once the response has begun ends the connection without another answer', async () => {
    const client = await serve((res) => {
      res.onAborted(() => {}).onData(() => {}).write('begun');
    });
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']));
    const length = 'HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n'.length;
    expect((await client.bytes(length + 10)).endsWith('\r\n\r\n5\r\nbegun\r\n')).toBe(true);
    await client.send('zz\r\n');
    expect(await client.rest()).toBe('');
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as handler', async (handler) => {
    const failures = [];
    await answer((res) => {
      failures.push(failureOf(() => res.onData(handler)));
      res.end();
    });
    expect(failures[0]).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    });
  });
});

describe('Expect', () => {
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

  test.each(['100-continue', '100-Continue'])('%s: 100 Continue comes before the body is sent', async (expectation) => {
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        if (isLast) res.end(chunk);
      });
    });
    await client.send(request('POST', '/', [`Expect: ${expectation}`, 'Content-Length: 4']));
    expect(await client.bytes(CONTINUE.length)).toBe(CONTINUE);
    await client.send('body');
    expect((await client.response()).text).toBe('body');
  });

  test('a request without a body is not told to continue', async () => {
    const client = await serve((res) => res.end('x'));
    expect((await client.get('/', 'Expect: 100-continue')).status).toBe(200);
  });

  test('a client of HTTP/1.0 is not told to continue', async () => {
    const text = 'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx';
    expect(await wire((res) => res.end('x'), text)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test('another expectation fails', async () => {
    const client = await serve((res) => res.end('x'));
    const response = await client.get('/', 'Expect: a miracle');
    expect(response.status).toBe(417);
    expect(response.text).toMatch(/^ERR_HTTP_EXPECTATION: /);
  });
});
