'use strict';

// The handlers that take the body of a request: onData, onDataV2, onDataOrAborted, collectBody. What all of them
// promise is tested for all of them, over raw bytes.

const { passBarrier } = require('../helpers/closing-server.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

const UNKNOWN = 2n ** 64n - 1n;
const CLOSED = { code: 'ERR_HTTP_RESPONSE_CLOSED' };

const text = (buffer) => Buffer.from(buffer).toString('latin1');
const turn = () => new Promise(setImmediate);

/**
 * Every kind of handler, attached by a function of the response and of what is told of each piece: its bytes and
 * whether it is the last one. What the latter returns is returned by the handler.
 */
const KINDS = [
  ['onData', (res, tell) => res.onData((chunk, isLast) => tell(chunk, isLast))],
  ['onDataV2', (res, tell) => res.onDataV2((chunk, remaining) => tell(chunk, remaining === 0n))],
  [
    'onDataOrAborted',
    (res, tell) => res.onDataOrAborted((same, chunk, remaining) => tell(chunk, same !== null && remaining === 0n)),
  ],
  ['collectBody', (res, tell) => res.collectBody(1_000_000, (body) => tell(body, true))],
  ['onFullData', (res, tell) => res.onFullData(1_000_000, (body) => tell(body, true))],
];
const PIECEWISE = KINDS.slice(0, 3);
const isPiecewise = (name) => PIECEWISE.some(([known]) => known === name);
const CHUNKED = request('POST', '/', ['Transfer-Encoding: chunked']);

/** A server of `handler` for POST requests, a client that is connected to it, and a wait for all that went before. */
async function serveWithBarrier(handler) {
  const port = listen(createApp().get('/barrier', (res) => res.end()).post('/*', guarded(handler)));
  return { client: await RawClient.connect(port), barrier: () => passBarrier(port) };
}

/** Takes a body by `attach`, and resolves to it when the end is told. */
function bodyOf(res, attach) {
  return new Promise((resolve) => {
    let body = '';
    attach(res, (chunk, isLast) => {
      body += text(chunk);
      if (isLast) resolve(body);
    });
  });
}

/** A client of a server that echoes bodies taken by `attach`, and says in a header how often the end was told. */
async function serveEcho(attach, before = () => {}) {
  return serve(async (res, req) => {
    const isHead = req.getMethod() === 'head';
    res.onAborted(() => {});
    await before();
    let body = '';
    let ends = 0;
    attach(res, (chunk, isLast) => {
      body += text(chunk);
      if (!isLast) return;
      ends += 1;
      // A second telling would come behind these turns at the latest.
      turn().then(turn).then(() => {
        res.writeHeader('Ends', String(ends));
        if (isHead) res.endWithoutBody();
        else res.end(body);
      });
    });
  });
}

async function expectEcho(client, body, method = 'POST') {
  const response = await client.response(method);
  expect(response.values('ends')).toEqual(['1']);
  expect(response.text).toBe(body);
}

describe.each(KINDS)('%s', (name, attach) => {
  test.each([
    ['a declared length', request('POST', '/', [], 'the body')],
    ['chunks', `${CHUNKED}3\r\nthe\r\n5;a=b\r\n body\r\n0\r\nX: y\r\n\r\n`],
  ])('a body with %s arrives whole, wherever the bytes are cut', async (title, bytes) => {
    const client = await serveEcho(attach);
    client.socket.setNoDelay();
    for (let cut = 1; cut <= bytes.length; cut++) {
      await client.send(bytes.slice(0, cut));
      await turn();
      if (cut < bytes.length) await client.send(bytes.slice(cut));
      await expectEcho(client, 'the body');
    }
  });

  test.each([
    ['GET', request('GET', '/')],
    ['HEAD', request('HEAD', '/')],
    ['DELETE', request('DELETE', '/')],
    ['POST', request('POST', '/', ['Content-Length: 0'])],
    ['PUT', request('PUT', '/', ['Transfer-Encoding: chunked']) + '0\r\n\r\n'],
  ])('%s without a body: the end is told once, with nothing', async (method, bytes) => {
    const client = await serveEcho(attach);
    await client.send(bytes);
    await expectEcho(client, '', method);
  });

  test.each([
    ['GET', request('GET', '/'), ''],
    ['POST', request('POST', '/', [], 'the body'), 'the body'],
    ['chunked POST', `${CHUNKED}8\r\nthe body\r\n0\r\n\r\n`, 'the body'],
  ])('%s: attached after an await, it gets what came before and the end once', async (method, bytes, body) => {
    const client = await serveEcho(attach, async () => {
      for (let round = 0; round < 5; round++) await turn();
    });
    await client.send(bytes);
    await expectEcho(client, body);
    await client.send(bytes + bytes);
    await expectEcho(client, body);
    await expectEcho(client, body);
  });

  test('the buffer is detached when the handler returns', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      attach(res, (chunk, isLast) => {
        const during = text(chunk);
        setImmediate(() => seen.put([during, chunk.byteLength]));
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual(['the body', 0]);
  });

  test('the buffer stays if the handler returns a promise', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      attach(res, async (chunk) => {
        for (let round = 0; round < 5; round++) await turn();
        seen.put(text(chunk));
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toBe('the body');
  });

  test('the buffer owns its bytes: it may be transferred', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      attach(res, (chunk) => {
        const moved = structuredClone(chunk, { transfer: [chunk] });
        setImmediate(() => seen.put(text(moved)));
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toBe('the body');
  });

  test('returns the response, and the handler is called asynchronously', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      let isInside = true;
      res.onAborted(() => {});
      const same = attach(res, () => {
        seen.put([same === res, isInside]);
        res.end();
      });
      isInside = false;
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual([true, false]);
  });

  test.each(KINDS)('replaced by %s, which gets what was not given yet', async (other, attachOther) => {
    const calls = new Mailbox();
    const { client, barrier } = await serveWithBarrier((res) => {
      res.onAborted(() => {});
      attach(res, (chunk, isLast) => {
        calls.put([name, text(chunk), isLast]);
        attachOther(res, (next, isEnd) => {
          calls.put([other, text(next), isEnd]);
          if (isEnd) res.end();
        });
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 8']) + 'the ');
    if (isPiecewise(name)) {
      expect(await calls.take()).toEqual([name, 'the ', false]);
      await client.send('body');
      expect(await calls.take()).toEqual([other, 'body', true]);
    } else {
      await client.send('body');
      expect(await calls.take()).toEqual([name, 'the body', true]);
      // Its end was told: there is nothing left for another handler.
      await barrier();
      expect(calls.size).toBe(0);
    }
  });

  test('is not called again once the response is over', async () => {
    const calls = new Mailbox();
    const { client } = await serveWithBarrier((res) => {
      res.onAborted(() => {});
      attach(res, (chunk, isLast) => calls.put([text(chunk), isLast]));
      calls.put(res);
    });
    await client.send(request('POST', '/', ['Content-Length: 8']));
    (await calls.take()).end('early');
    expect((await client.response()).text).toBe('early');
    await client.send('the body');
    expect((await client.get('/barrier')).status).toBe(200);
    expect(calls.size).toBe(0);
  });

  test('is not called with the rest when the client goes away', async () => {
    const calls = new Mailbox();
    const { client, barrier } = await serveWithBarrier((res) => {
      res.onAborted(() => calls.put('aborted'));
      attach(res, (chunk, isLast) => calls.put([text(chunk), isLast]));
    });
    await client.send(request('POST', '/', ['Content-Length: 8']) + 'the ');
    client.finish();
    if (isPiecewise(name)) expect(await calls.take()).toEqual(['the ', false]);
    expect(await calls.take()).toBe('aborted');
    if (name === 'onDataOrAborted') expect(await calls.take()).toEqual(['', false]);
    await barrier();
    expect(calls.size).toBe(0);
  });

  test('throws on a response that is over, and for what is no function', async () => {
    const failures = new Mailbox();
    const client = await serve((res) => {
      for (const handler of [undefined, null, 'handler', {}]) {
        const args = isPiecewise(name) ? [handler] : [1, handler];
        failures.put(failureOf(() => res[name](...args)));
      }
      res.end();
      failures.put(failureOf(() => attach(res, () => {})));
    });
    await client.send(request('GET', '/'));
    for (let count = 0; count < 4; count++) {
      expect(await failures.take()).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
    expect(await failures.take()).toMatchObject(CLOSED);
  });
});

describe('pieces', () => {
  test.each(PIECEWISE)('%s: each is given when it arrives', async (name, attach) => {
    const calls = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      attach(res, (chunk, isLast) => {
        calls.put([text(chunk), isLast]);
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 6']));
    for (const [piece, isLast] of [['a', false], ['bc', false], ['def', true]]) {
      await client.send(piece);
      expect(await calls.take()).toEqual([piece, isLast]);
    }
  });
});

describe('lengths', () => {
  /** What `onDataV2` and `onDataOrAborted` are told, and what `maxRemainingBodyLength` says meanwhile. */
  async function serveLengths(attach) {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      told.put(res.maxRemainingBodyLength());
      attach(res, (chunk, remaining) => {
        told.put([text(chunk), remaining, res.maxRemainingBodyLength()]);
        if (remaining === 0n) res.end();
      });
    });
    return { client, told };
  }

  describe.each([
    ['onDataV2', (res, tell) => res.onDataV2(tell)],
    ['onDataOrAborted', (res, tell) => res.onDataOrAborted((same, chunk, remaining) => tell(chunk, remaining))],
  ])('%s', (name, attach) => {
    test('of a declared length: what is still to come', async () => {
      const { client, told } = await serveLengths(attach);
      await client.send(request('POST', '/', ['Content-Length: 6']));
      expect(await told.take()).toBe(6n);
      for (const [piece, remaining] of [['a', 5n], ['bc', 3n], ['def', 0n]]) {
        await client.send(piece);
        expect(await told.take()).toEqual([piece, remaining, remaining]);
      }
    });

    test('chunked: not known until the end', async () => {
      const { client, told } = await serveLengths(attach);
      await client.send(`${CHUNKED}1\r\na`);
      expect(await told.take()).toBe(UNKNOWN);
      expect(await told.take()).toEqual(['a', UNKNOWN, UNKNOWN]);
      await client.send('\r\n0\r\n\r\n');
      expect(await told.take()).toEqual(['', 0n, 0n]);
    });

    test('without a body: nothing', async () => {
      const { client, told } = await serveLengths(attach);
      await client.send(request('GET', '/'));
      expect(await told.take()).toBe(0n);
      expect(await told.take()).toEqual(['', 0n, 0n]);
    });
  });

  test('a length beyond 2^53 is exact', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      told.put(res.maxRemainingBodyLength());
      res.onDataV2((chunk, remaining) => told.put(remaining));
    });
    await client.send(request('POST', '/', ['Content-Length: 9007199254740993']) + 'xx');
    expect(await told.take()).toBe(9007199254740993n);
    expect(await told.take()).toBe(9007199254740991n);
  });

  test('what waits for a handler, or is collected, counts as still to come', async () => {
    const told = new Mailbox();
    const { client, barrier } = await serveWithBarrier((res) => {
      res.onAborted(() => {}).collectBody(100, (body) => {
        told.put([body.byteLength, res.maxRemainingBodyLength()]);
        res.end();
      });
      told.put(res);
    });
    await client.send(request('POST', '/', ['Content-Length: 6']) + 'abc');
    const res = await told.take();
    await barrier();
    expect(res.maxRemainingBodyLength()).toBe(6n);
    await client.send('def');
    expect(await told.take()).toEqual([6, 0n]);
  });

  test('of a response that is over: throws', async () => {
    const failures = new Mailbox();
    const client = await serve((res) => {
      res.end();
      failures.put(failureOf(() => res.maxRemainingBodyLength()));
    });
    await client.send(request('GET', '/'));
    expect(await failures.take()).toMatchObject(CLOSED);
  });
});

describe('collectBody', () => {
  /** A server that collects up to 10 bytes, and tells what it got. */
  async function serveCollector(answer = (res) => res.end('done')) {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => told.put('aborted')).collectBody(10, (body) => {
        told.put(body === null ? null : text(body));
        return answer(res);
      });
    });
    return { client, told };
  }

  test('a body of exactly the limit is given', async () => {
    const { client, told } = await serveCollector();
    await client.send(request('POST', '/', [], '0123456789'));
    expect(await told.take()).toBe('0123456789');
    await client.send(`${CHUNKED}a\r\n0123456789\r\n0\r\n\r\n`);
    expect(await told.take()).toBe('0123456789');
  });

  test('a declared length over the limit: null before any of it arrives', async () => {
    const { client, told } = await serveCollector((res) => res.writeStatus('413 Content Too Large').end());
    await client.send(request('POST', '/', ['Content-Length: 11']));
    expect(await told.take()).toBe(null);
    expect((await client.response()).status).toBe(413);
  });

  test('chunks over the limit: null once, as soon as the limit is passed', async () => {
    const { client, told } = await serveCollector(() => {});
    await client.send(`${CHUNKED}a\r\n0123456789\r\n`);
    await client.send('1\r\nx');
    expect(await told.take()).toBe(null);
    await client.send('\r\n2\r\nyz\r\n0\r\n\r\n');
    client.finish();
    expect(await told.take()).toBe('aborted');
    expect(told.size).toBe(0);
  });

  test('behind null the rest is dropped, and the connection goes on', async () => {
    const late = new Mailbox();
    const { client, told } = await serveCollector((res) => late.put(res));
    const large = 'x'.repeat(200_000);
    await client.send(request('POST', '/', [], large));
    expect(await told.take()).toBe(null);
    (await late.take()).end('too much');
    expect((await client.response()).text).toBe('too much');
    await client.send(request('POST', '/', [], 'small'));
    expect(await told.take()).toBe('small');
  });

  test('a limit of 0 takes an empty body only', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).collectBody(0, (body) => {
        told.put(body === null ? null : body.byteLength);
        res.end();
      });
    });
    await client.send(request('GET', '/'));
    expect(await told.take()).toBe(0);
    await client.send(request('POST', '/', [], 'x'));
    expect(await told.take()).toBe(null);
  });

  test('a handler attached behind null gets what follows', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).collectBody(1, (body) => {
        told.put(body);
        res.onData((chunk, isLast) => told.put([text(chunk), isLast]));
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 4']));
    expect(await told.take()).toBe(null);
    await client.send('rest');
    expect(await told.take()).toEqual(['rest', true]);
  });

  test('replaced before the end, what it has collected goes to the other handler', async () => {
    const told = new Mailbox();
    const { client, barrier } = await serveWithBarrier((res) => {
      res.onAborted(() => {}).collectBody(10, () => told.put('collected'));
      told.put(res);
    });
    await client.send(request('POST', '/', ['Content-Length: 8']) + 'the ');
    const res = await told.take();
    await barrier();
    res.onData((chunk, isLast) => told.put([text(chunk), isLast]));
    expect(await told.take()).toEqual(['the ', false]);
    await client.send('body');
    expect(await told.take()).toEqual(['body', true]);
  });

  test.each([
    ['ERR_OUT_OF_RANGE', 'RangeError', [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53]],
    ['ERR_INVALID_ARG_TYPE', 'TypeError', ['10', null, undefined, {}, true, 10n]],
  ])('%s for a limit that is none; the earlier handler stays', async (code, name, limits) => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        told.put([text(chunk), isLast]);
        res.end();
      });
      for (const limit of limits) told.put(failureOf(() => res.collectBody(limit, () => {})));
    });
    await client.send(request('POST', '/', [], 'the body'));
    for (let count = 0; count < limits.length; count++) {
      expect(await told.take()).toMatchObject({ code, name });
    }
    expect(await told.take()).toEqual(['the body', true]);
  });

  test('the largest limit is taken', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).collectBody(Number.MAX_SAFE_INTEGER, (body) => told.put(text(body)));
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await told.take()).toBe('the body');
  });
});

describe('onDataOrAborted', () => {
  const GONE = [
    'Received TCP FIN before the response was complete',
    { cause: 'ERR_FIN_BEFORE_RESPONSE', initiator: 'transport', wasClean: false, ...RESPONSE_FACTS },
  ];

  test('an abort: null, nothing, an unknown length, and what onAborted is told; behind onAborted', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onDataOrAborted((...args) => told.put(['data', res.aborted, ...args]));
      res.onAborted((...args) => told.put(['aborted', res.aborted, ...args]));
    });
    await client.send(request('POST', '/', ['Content-Length: 8']) + 'the ');
    const [, , res] = await told.take();
    client.finish();
    expect(await told.take()).toEqual(['aborted', true, ...GONE]);
    const [kind, aborted, nobody, chunk, ...rest] = await told.take();
    expect([kind, aborted, nobody, chunk.byteLength, ...rest]).toEqual(['data', true, null, 0, UNKNOWN, ...GONE]);
    expect(failureOf(() => res.end())).toMatchObject(CLOSED);
  });

  test('an abort behind the body is told, too', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onDataOrAborted((same, chunk, remaining) => told.put([same === res, same === null, text(chunk), remaining]));
    });
    await client.send(request('POST', '/', [], 'body'));
    expect(await told.take()).toEqual([true, false, 'body', 0n]);
    client.finish();
    expect(await told.take()).toEqual([false, true, '', UNKNOWN]);
  });

  test('res.close and app.close: called before they return', async () => {
    const told = new Mailbox();
    const app = createApp();
    app.any('/close', (res) => {
      const order = [];
      res.onDataOrAborted((same, chunk, remaining, reason, { cause }) => order.push(cause));
      res.close();
      told.put([...order, 'returned']);
    });
    app.any('/wait', (res) => {
      const order = [];
      res.onDataOrAborted((same) => (same === null ? order.push('called') : undefined));
      told.put(order);
    });
    const port = listen(app);
    await (await RawClient.connect(port)).send(request('POST', '/close', ['Content-Length: 8']));
    expect(await told.take()).toEqual(['CLOSED_BY_APPLICATION', 'returned']);
    await (await RawClient.connect(port)).send(request('POST', '/wait', ['Content-Length: 8']));
    const order = await told.take();
    app.close();
    expect(order).toEqual(['called']);
  });

  test('registered on an aborted response: called, asynchronously', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {
        let isInside = true;
        const same = res.onDataOrAborted((nobody, chunk, remaining, ...why) => {
          told.put([same === res, isInside, nobody, chunk.byteLength, remaining, ...why]);
        });
        isInside = false;
      });
    });
    await client.send(request('GET', '/'));
    client.finish();
    expect(await told.take()).toEqual([true, false, null, 0, UNKNOWN, ...GONE]);
  });

  test.each(KINDS.filter(([name]) => name !== 'onDataOrAborted'))(
    'replaced by %s, it is not told of the abort',
    async (name, attach) => {
      const told = new Mailbox();
      const client = await serve((res) => {
        res.onDataOrAborted(() => told.put('replaced'));
        attach(res, () => {});
        res.onAborted(() => setImmediate(() => told.put('aborted')));
      });
      await client.send(request('POST', '/', ['Content-Length: 8']));
      client.finish();
      expect(await told.take()).toBe('aborted');
      expect(told.size).toBe(0);
    },
  );

  test('a response that completes is no abort', async () => {
    const told = new Mailbox();
    const { client, barrier } = await serveWithBarrier((res) => {
      res.onDataOrAborted((same, chunk, remaining) => {
        told.put(same === null);
        if (remaining === 0n) res.end('done');
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect((await client.response()).text).toBe('done');
    client.reset();
    await barrier();
    expect([await told.take(), told.size]).toEqual([false, 0]);
  });

  test('it is the abort handler that is required: no warning', async () => {
    const program = new Program(`
      process.on('warning', (warning) => say(warning.message));
      uWS.App({ threads: 1 })
        .get('/both', (res) => { res.onDataOrAborted(() => {}); })
        .get('/replaced', (res) => { res.onDataOrAborted(() => {}).onData(() => {}); })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    await (await RawClient.connect(port)).send(request('GET', '/both'));
    await (await RawClient.connect(port)).send(request('GET', '/replaced'));
    expect(await program.hear()).toMatch('/replaced');
  });
});

describe('aborts', () => {
  /** Attaches every kind of abort handler, in an order of its own. */
  function attachAll(res, tell) {
    res.onWritableOrAborted((same) => same === null && tell('onWritableOrAborted'));
    res.onDataOrAborted((same) => same === null && tell('onDataOrAborted'));
    res.onAborted(() => tell('onAborted'));
  }
  const ORDER = ['onAborted', 'onDataOrAborted', 'onWritableOrAborted'];

  test('the handlers run in the order onAborted, onDataOrAborted, onWritableOrAborted', async () => {
    const told = new Mailbox();
    const client = await serve((res) => attachAll(res, (name) => told.put(name)));
    await client.send(request('POST', '/', ['Content-Length: 8']) + 'the ');
    client.finish();
    for (const name of ORDER) expect(await told.take()).toBe(name);
  });

  test('so they do within res.close', async () => {
    const told = new Mailbox();
    const client = await serve((res) => {
      const order = [];
      attachAll(res, (name) => order.push(name));
      res.close();
      told.put(order);
    });
    await client.send(request('POST', '/', ['Content-Length: 8']));
    expect(await told.take()).toEqual(ORDER);
  });
});

describe('pause', () => {
  const LARGE = 'x'.repeat(2_000_000);

  test.each(KINDS)('%s: attached while paused, a large body that waited arrives whole after resume', async (name, attach) => {
    const told = new Mailbox();
    const { client, barrier } = await serveWithBarrier(async (res) => {
      res.onAborted(() => {});
      told.put(res);
    });
    const sent = client.send(request('POST', '/', [], LARGE.slice(0, 900_000)) + request('POST', '/', [], LARGE));
    const first = await told.take();
    first.pause();
    await barrier();
    const body = bodyOf(first, attach);
    await barrier();
    first.resume();
    expect((await body).length).toBe(900_000);
    first.end();
    const second = await told.take();
    await barrier();
    second.pause().resume().resume();
    expect(await bodyOf(second, (res, tell) => res.onData(tell))).toBe(LARGE);
    second.end();
    await sent;
  });
});

test('bodies of several requests on one connection are never mixed up', async () => {
  const kinds = KINDS.map(([, attach]) => attach);
  let count = 0;
  const client = await serve(async (res) => {
    res.onAborted(() => {});
    const attach = kinds[count++ % kinds.length];
    if (count % 2 === 0) await turn();
    res.end(await bodyOf(res, attach));
  });
  const bodies = Array.from({ length: 20 }, (_, index) => `body ${index} `.repeat(index));
  await client.send(bodies.map((body) => request('POST', '/', [], body)).join(''));
  for (const body of bodies) expect((await client.response()).text).toBe(body);
});
