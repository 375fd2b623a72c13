'use strict';

// Bodies in pieces: `tryEnd`, `write`, `onWritable`, `getWriteOffset`, `pause`. What a call takes, it says at once.

const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { setImmediate: turn } = require('node:timers/promises');

const fc = require('fast-check');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');

const MIB = 1024 * 1024;
/** Bytes of a body in pieces that may wait behind what the system takes (`FIRST_WINDOW`). */
const WINDOW = 256 * 1024;
/** More than one handler may write, and more than any system takes for a client that does not read. */
const CONTENT = randomBytes(24 * MIB);

/** The next `count` letters. */
async function several(mailbox, count) {
  const letters = [];
  while (letters.length < count) letters.push(await mailbox.take());
  return letters;
}

const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Sends `content` as the VideoStreamer example of uWebSockets.js does: what was refused is offered again. */
function streamByTryEnd(res, content, pieces) {
  const offer = () => {
    for (;;) {
      const offset = res.getWriteOffset();
      const size = pieces(offset);
      const [ok, done] = res.tryEnd(content.subarray(offset, offset + size), content.length);
      if (done || !ok) return ok;
    }
  };
  res.onAborted(() => {});
  if (!offer()) res.onWritable(() => offer());
}

/** Downloads over Node's client; `slow` pauses it now and then. Resolves to status, headers, length and hash. */
async function download(port, slow) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response');
  const hash = createHash('sha256');
  let length = 0;
  response.on('data', (chunk) => {
    hash.update(chunk);
    length += chunk.length;
    if (slow && length % 7 === 0) {
      response.pause();
      setTimeout(() => response.resume(), 3);
    }
  });
  await once(response, 'end');
  return { headers: response.headers, length, hash: hash.digest('hex') };
}

describe('tryEnd', () => {
  test('a body that fits is sent whole and completes the response', async () => {
    const results = new Mailbox();
    const client = await serve((res) => results.put(res.tryEnd('hello', 5)));
    const { text, values } = await client.get('/').then((it) => ({ text: it.text, values: it.values('content-length') }));
    expect({ text, values, result: await results.take() }).toEqual({ text: 'hello', values: ['5'], result: [true, true] });
    expect((await client.get('/')).text).toBe('hello');
  });

  test('without a total, the chunk is the body', async () => {
    const client = await serve((res) => res.tryEnd('hello'));
    expect((await client.get('/')).text).toBe('hello');
    const other = await serve((res) => res.tryEnd('hello', 0));
    expect((await other.get('/')).text).toBe('hello');
    const empty = await serve((res) => res.tryEnd(''));
    expect((await empty.get('/')).values('content-length')).toEqual(['0']);
  });

  test('the total may come in parts, and offsets are exact', async () => {
    const offsets = new Mailbox();
    const client = await serve((res) => {
      res.writeStatus('206 Partial Content').writeHeader('X-Kind', 'test');
      for (const part of ['ab', '', 'cde', 'f']) offsets.put([res.getWriteOffset(), ...res.tryEnd(part, 6)]);
    });
    const response = await client.get('/');
    expect(response.status).toBe(206);
    expect(response.names).toEqual(['X-Kind', 'Date', 'Content-Length']);
    expect(response.values('content-length')).toEqual(['6']);
    expect(response.text).toBe('abcdef');
    expect(await several(offsets, 4)).toEqual([[0, true, false], [2, true, false], [2, true, false], [5, true, true]]);
  });

  test('an empty chunk never completes a response', async () => {
    const results = new Mailbox();
    const client = await serve((res) => {
      results.put(res.tryEnd('', 3));
      results.put(res.tryEnd(undefined, 3));
      res.onAborted(() => {});
      setImmediate(() => results.put(res.tryEnd('abc', 3)));
    });
    expect((await client.get('/')).text).toBe('abc');
    expect(await several(results, 3)).toEqual([[true, false], [true, false], [true, true]]);
  });

  test('takes what there is room for, and no more', async () => {
    const results = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      results.put([res.tryEnd(CONTENT, CONTENT.length), res.getWriteOffset()]);
      results.put([res.tryEnd(CONTENT.subarray(res.getWriteOffset()), CONTENT.length), res.getWriteOffset()]);
    });
    client.pause();
    await client.send(request('GET', '/'));
    const [[result, offset], again] = await several(results, 2);
    expect(result).toEqual([false, false]);
    expect(offset).toBeGreaterThanOrEqual(WINDOW);
    expect(offset).toBeLessThan(CONTENT.length);
    expect(again).toEqual([[false, false], offset]);
    client.reset();
  });

  test('is refused where it makes no sense', async () => {
    const failures = new Mailbox();
    const client = await serve((res) => {
      failures.put(failureOf(() => res.tryEnd('abc', 2)));
      failures.put(failureOf(() => res.tryEnd('abc', -1)));
      failures.put(failureOf(() => res.tryEnd('abc', 1.5)));
      failures.put(failureOf(() => res.tryEnd('abc', {})));
      failures.put(failureOf(() => res.tryEnd(5, 5)));
      res.tryEnd('ab', 5);
      failures.put(failureOf(() => res.tryEnd('cdef', 5)));
      failures.put(failureOf(() => res.write('c')));
      failures.put(failureOf(() => res.beginWrite()));
      failures.put(failureOf(() => res.writeHeader('a', 'b')));
      res.tryEnd('cde');
      failures.put(failureOf(() => res.tryEnd('')));
    });
    expect((await client.get('/')).text).toBe('abcde');
    const codes = (await several(failures, 10)).map(({ code }) => code);
    expect(codes).toEqual([
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_OUT_OF_RANGE',
      'ERR_INVALID_STATE',
      'ERR_INVALID_STATE',
      'ERR_INVALID_STATE',
      'ERR_HTTP_RESPONSE_CLOSED',
    ]);
    const chunked = await serve((res) => {
      res.write('a');
      failures.put(failureOf(() => res.tryEnd('b', 2)));
      res.end('c');
    });
    expect((await chunked.get('/')).text).toBe('ac');
    expect(await failures.take()).toMatchObject({ code: 'ERR_INVALID_STATE', message: 'tryEnd cannot follow write' });
  });

  test('end completes what tryEnd has begun; a body that stays short ends the connection', async () => {
    const client = await serve((res, req) => {
      res.tryEnd('ab', 5);
      res.end(req.getUrl() === '/whole' ? 'cde' : '');
    });
    expect((await client.get('/whole')).text).toBe('abcde');
    await client.send(request('GET', '/short'));
    expect(await client.rest()).toMatch(/\r\n\r\nab$/);
  });

  test('HEAD and 304 take the offset along, and send no body', async () => {
    const client = await serve((res, req) => {
      if (req.getUrl() === '/304') res.writeStatus('304 Not Modified');
      streamByTryEnd(res, CONTENT, () => 100_000);
    });
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).values('content-length')).toEqual([String(CONTENT.length)]);
    expect((await client.get('/304')).status).toBe(304);
  });
});

describe('streaming', () => {
  test('random pieces arrive whole, at fast and slow readers, one response after the other', async () => {
    const port = listen(
      createApp().get('/', guarded((res) => streamByTryEnd(res, CONTENT, () => 1 + Math.floor(Math.random() * MIB)))),
    );
    const expected = hashOf(CONTENT);
    const downloads = await Promise.all([false, true, false, true].map((slow) => download(port, slow)));
    for (const { headers, length, hash } of downloads) {
      expect(headers['content-length']).toBe(String(CONTENT.length));
      expect(length).toBe(CONTENT.length);
      expect(hash).toBe(expected);
    }
  });

  test('whatever the sizes of body and pieces, the bytes are the same (property)', async () => {
    let plan;
    const client = await serve((res) => {
      let turnOf = 0;
      const pieces = () => plan.pieces[turnOf++ % plan.pieces.length];
      if (plan.byWrite) {
        let offset = 0;
        const go = () => {
          while (offset < plan.length) {
            const end = Math.min(plan.length, offset + pieces());
            const goesOn = res.write(CONTENT.subarray(offset, end));
            offset = end;
            if (!goesOn) return false;
          }
          res.end();
          return true;
        };
        res.onAborted(() => {});
        if (!go()) res.onWritable(go);
      } else {
        streamByTryEnd(res, CONTENT.subarray(0, plan.length), pieces);
      }
    });
    const plans = fc.record({
      byWrite: fc.boolean(),
      length: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: WINDOW - 5, max: 3 * MIB })),
      pieces: fc.array(fc.oneof(fc.integer({ min: 1, max: 700_000 }), fc.constant(WINDOW)), { minLength: 1, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(plans, async (next) => {
        // Tiny pieces of large bodies would only take long.
        plan = { ...next, pieces: next.pieces.map((piece) => Math.max(piece, Math.ceil(next.length / 400))) };
        const { body } = await client.get('/');
        expect(body.length).toBe(plan.length);
        expect(body.equals(CONTENT.subarray(0, plan.length))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('onWritable gets the offset, and may be replaced from inside itself', async () => {
    const offsets = new Mailbox();
    const client = await serve((res) => {
      const send = (from) => {
        offsets.put([from, res.getWriteOffset()]);
        return res.tryEnd(CONTENT.subarray(from), CONTENT.length)[0];
      };
      res.onAborted(() => {});
      send(0);
      res.onWritable((first) => {
        res.onWritable(send);
        return send(first);
      });
    });
    const { body } = await client.get('/');
    expect(body.equals(CONTENT)).toBe(true);
    const seen = await several(offsets, offsets.size);
    expect(seen.length).toBeGreaterThan(1);
    for (const [offset, same] of seen) expect(offset).toBe(same);
    expect(seen[1][0]).toBeGreaterThanOrEqual(WINDOW);
  });

  test('onWritable that is attached late is called for a refusal that went before', async () => {
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      res.tryEnd(CONTENT, CONTENT.length);
      for (let count = 0; count < 20; count += 1) await turn();
      res.onWritable((offset) => res.tryEnd(CONTENT.subarray(offset), CONTENT.length)[0]);
    });
    expect((await client.get('/')).body.equals(CONTENT)).toBe(true);
  });

  test('a reader that stands still stops the writer, whose memory does not grow', async () => {
    const blocked = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      const go = () => {
        while (res.write(CONTENT.subarray(0, 100_000)));
        blocked.put(res.getWriteOffset());
        return true;
      };
      res.onWritable(go);
      go();
    });
    client.pause();
    await client.send(request('GET', '/'));
    // The kernel's buffers take some megabytes, then nothing is written any more.
    let last = await blocked.take();
    for (;;) {
      const offset = await Promise.race([blocked.take(), new Promise((resolve) => setTimeout(resolve, 500))]);
      if (offset === undefined) break;
      last = offset;
    }
    expect(last).toBeLessThan(40 * MIB);
    client.reset();
  });

  test('an abort in the middle is told once, and the rest is refused', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted((reason, info) => told.put([info.cause, failureOf(() => res.tryEnd('x', 1)).code]));
      res.onWritable(() => true);
      res.tryEnd(CONTENT, CONTENT.length);
    });
    await client.send(request('GET', '/'));
    await client.bytes(1000);
    client.reset();
    expect(await told.take()).toEqual(['ERR_CONNECTION_RESET', 'ERR_HTTP_RESPONSE_CLOSED']);
    await turn();
    expect(told.size).toBe(0);
  });
});

describe('onWritableOrAborted', () => {
  test('gets the response and the offset, then the abort, behind onAborted', async () => {
    const told = new Mailbox();
    let response;
    const client = await serve((res) => {
      response = res;
      res.onAborted(() => told.put('aborted'));
      res.onWritable(() => told.put('replaced'));
      res.onWritableOrAborted((same, offset) => {
        told.put([same === null ? null : same === response, offset]);
        return true;
      });
      res.tryEnd(CONTENT, CONTENT.length);
    });
    await client.send(request('GET', '/'));
    const [same, offset] = await told.take();
    expect(same).toBe(true);
    expect(offset).toBeGreaterThanOrEqual(WINDOW);
    client.reset();
    expect(await several(told, 2)).toEqual(['aborted', [null, offset]]);
  });

  test('is an abort handler enough', async () => {
    const told = new Mailbox();
    const warnings = [];
    const onWarning = (warning) => warnings.push(warning);
    process.on('warning', onWarning);
    afterTest(() => process.off('warning', onWarning));
    const client = await serve((res) => {
      res.onWritableOrAborted((same) => told.put(same));
      setImmediate(() => res.close());
    });
    await client.send(request('GET', '/'));
    expect(await told.take()).toBe(null);
    await turn();
    expect(warnings).toEqual([]);
  });
});

describe('write and beginWrite', () => {
  test('beginWrite sends the head at once', async () => {
    let response;
    const client = await serve((res) => {
      res.onAborted(() => {});
      response = res;
      expect(res.writeHeader('X-A', '1').beginWrite()).toBe(res);
      expect(failureOf(() => res.writeHeader('X-B', '2')).code).toBe('ERR_INVALID_STATE');
    });
    await client.send(request('GET', '/'));
    const head = await client.bytes('HTTP/1.1 200 OK\r\n'.length);
    expect(head).toBe('HTTP/1.1 200 OK\r\n');
    response.write('late').valueOf();
    response.end();
    expect(await client.bytes(1)).toBe('X');
  });

  test('beginWrite and end make an empty chunked body', async () => {
    const client = await serve((res) => res.beginWrite().end());
    const response = await client.get('/');
    expect(response.values('transfer-encoding')).toEqual(['chunked']);
    expect(response.text).toBe('');
  });

  test('write says false when the reader is slow, and onWritable follows', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      expect(res.write('first')).toBe(true);
      res.onWritable((offset) => {
        told.put(offset);
        res.end();
        return true;
      });
      expect(res.write(CONTENT)).toBe(false);
    });
    const { body } = await client.get('/');
    expect(body.length).toBe(CONTENT.length + 5);
    expect(await told.take()).toBe(CONTENT.length + 5);
  });

  test('counts in getWriteOffset, empty chunks for nothing', async () => {
    const offsets = new Mailbox();
    const client = await serve((res) => {
      for (const chunk of ['', 'ab', '', 'é']) offsets.put([res.write(chunk), res.getWriteOffset()]);
      res.end('z');
    });
    expect((await client.get('/')).text).toBe('abéz');
    expect(await several(offsets, 4)).toEqual([[true, 0], [true, 2], [true, 2], [true, 4]]);
  });
});

describe('pause and resume', () => {
  test('a paused request body stops, and goes on whole after resume', async () => {
    const body = CONTENT;
    const paused = new Mailbox();
    const done = new Mailbox();
    const client = await serve((res) => {
      const hash = createHash('sha256');
      let length = 0;
      let isPaused = false;
      res.onAborted(() => {});
      res.onData((chunk, isLast) => {
        hash.update(new Uint8Array(chunk));
        length += chunk.byteLength;
        if (!isPaused && length > 0) {
          isPaused = true;
          expect(res.pause()).toBe(res);
          paused.put({ res, lengthOf: () => length });
        }
        if (isLast) {
          done.put(hash.digest('hex'));
          res.end(String(length));
        }
      });
    });
    const sent = client.send(Buffer.concat([
      Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`),
      body,
    ]));
    const { res, lengthOf } = await paused.take();
    // What the worker had read already still comes; then it stands still.
    let before = -1;
    while (lengthOf() !== before) {
      before = lengthOf();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(before).toBeLessThan(body.length);
    expect(res.resume()).toBe(res);
    await sent;
    expect((await client.response()).text).toBe(String(body.length));
    expect(await done.take()).toBe(hashOf(body));
  });

  test('a paused response goes on, and says when there is room', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      res.onWritable((offset) => {
        told.put(offset);
        const [, done] = res.tryEnd(CONTENT.subarray(offset), CONTENT.length);
        return done;
      });
      res.tryEnd(CONTENT, CONTENT.length);
      res.pause();
    });
    await client.send(request('GET', '/'));
    const response = await client.response();
    expect(await told.take()).toBeGreaterThanOrEqual(WINDOW);
    expect(hashOf(response.body)).toBe(hashOf(CONTENT));
  });

  test('a body is answered with itself, however slowly the client reads, and neither side waits for the other', async () => {
    const pauses = new Mailbox();
    const client = await serve((res) => {
      const waiting = [];
      const write = () => {
        while (waiting.length > 0) if (!res.write(waiting.shift())) return false;
        res.resume();
        return true;
      };
      res.onAborted(() => {});
      res.onWritable(write);
      res.onData((chunk, isLast) => {
        waiting.push(chunk.slice(0));
        if (isLast) {
          res.write(Buffer.concat(waiting.map((it) => Buffer.from(it))));
          res.end();
        } else if (waiting.length > 1 || !write()) {
          res.pause();
          pauses.put(true);
        }
      });
    });
    client.pause();
    const sent = client.send(Buffer.concat([
      Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${CONTENT.length}\r\n\r\n`),
      CONTENT,
    ]));
    await pauses.take();
    client.resume();
    expect(hashOf((await client.response()).body)).toBe(hashOf(CONTENT));
    await sent;
  });

  test('the next request of the connection is read although the last one ended paused', async () => {
    const client = await serve((res) => res.pause().end('ok'));
    expect((await client.get('/')).text).toBe('ok');
    expect((await client.get('/')).text).toBe('ok');
  });

  test('may be called in any order, any number of times', async () => {
    const client = await serve((res) => {
      res.resume().pause().pause().resume().resume();
      res.end('ok');
      expect(failureOf(() => res.pause()).code).toBe('ERR_HTTP_RESPONSE_CLOSED');
      expect(failureOf(() => res.resume()).code).toBe('ERR_HTTP_RESPONSE_CLOSED');
    });
    expect((await client.get('/')).text).toBe('ok');
  });
});

test('collect is cork', async () => {
  const client = await serve((res) => {
    expect(res.collect(() => res.writeHeader('A', 'b').end('c'))).toBe(res);
  });
  expect((await client.get('/')).values('a')).toEqual(['b']);
});

