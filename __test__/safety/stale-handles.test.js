'use strict';

// A response that is over: it says so, it never reaches another response, and its abort handler ran once or never.

const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const fc = require('fast-check');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

const CLOSED = {
  name: 'Error',
  code: 'ERR_HTTP_RESPONSE_CLOSED',
  message: 'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful '
    + 'response. See documentation for uWS.HttpResponse and consult the user manual.',
};

/** Every method of a response, with arguments that a live one takes. */
const CALLS = {
  writeStatus: ['500 Stale'],
  writeHeader: ['Stale', 'yes'],
  writeTrailer: ['Stale', 'yes'],
  beginWrite: [],
  write: ['stale'],
  tryEnd: ['stale', 5],
  getWriteOffset: [],
  end: ['stale', true],
  endWithoutBody: [99, true],
  close: [],
  pause: [],
  resume: [],
  cork: [() => {}],
  collect: [() => {}],
  onAborted: [() => {}],
  onData: [() => {}],
  onWritable: [() => {}],
  onWritableOrAborted: [() => {}],
  onDataV2: [() => {}],
  onDataOrAborted: [() => {}],
  collectBody: [5, () => {}],
  onFullData: [5, () => {}],
  maxRemainingBodyLength: [],
  upgrade: [{}, 'dGhlIHNhbXBsZSBub25jZQ==', '', '', {}],
  getRemoteAddress: [],
  getRemoteAddressAsText: [],
  getRemotePort: [],
  getX509Certificate: [],
  getProxiedRemoteAddress: [],
  getProxiedRemoteAddressAsText: [],
  getProxiedRemotePort: [],
};
const NAMES = Object.keys(CALLS);
/** Those that an aborted response still takes: they tell of the abort. */
const ABORT_HANDLERS = ['onAborted', 'onDataOrAborted'];
const OTHER_NAMES = NAMES.filter((name) => !ABORT_HANDLERS.includes(name));

/** A response that waits for its answer, with its client, its app, and the calls of its abort handler. */
async function waiting(app = createApp()) {
  const arrived = new Mailbox();
  const calls = [];
  app.any('/waiting', (res, req) => {
    res.onAborted((...args) => calls.push(args));
    arrived.put({ res, req });
  });
  const port = listen(app);
  const client = await RawClient.connect(port);
  await client.send(request('GET', '/waiting'));
  return { ...await arrived.take(), app, port, client, calls };
}

/** Resolves once `res` is aborted. */
function abortOf(res) {
  return new Promise((resolve) => {
    res.onAborted((reason, info) => resolve({ reason, info }));
  });
}

/** What each method throws, called with arguments of all sorts. */
function failuresOf(res, names = NAMES) {
  return names.flatMap((name) => [CALLS[name], [], [null, null, null, null, null], [{}, 5]]
    .map((args) => failureOf(() => res[name](...args))));
}

describe('a response that is over', () => {
  const ends = {
    'end': ({ res }) => res.end(),
    'end after write': ({ res }) => {
      res.write('begun');
      res.end();
    },
    'endWithoutBody': ({ res }) => res.endWithoutBody(),
    'end within cork': ({ res }) => res.cork(() => res.end()),
    'end that closes': ({ res }) => res.end('', true),
  };
  const aborts = {
    'close': ({ res }) => res.close(),
    'close after write': ({ res }) => res.write('begun') && res.close(),
    'app.close': ({ app }) => app.close(),
    'a reset by the peer': async ({ res, client }) => {
      const abort = abortOf(res);
      client.reset();
      await abort;
    },
    'a FIN of the peer': async ({ res, client }) => {
      const abort = abortOf(res);
      client.finish();
      await abort;
    },
    'a FIN of the peer amid the body': async ({ res, client }) => {
      res.write('begun');
      const abort = abortOf(res);
      client.finish();
      await abort;
    },
  };

  test('the methods tried here are all that there are', async () => {
    const { res } = await waiting();
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(res));
    expect(names.filter((name) => !['constructor', 'aborted', 'remoteAddress', 'clientAddress'].includes(name)).sort()).toEqual([...NAMES].sort());
  });

  test.each(Object.entries(ends))('%s: every method throws, whatever it is given', async (_, end) => {
    const it = await waiting();
    await end(it);
    for (const failure of failuresOf(it.res)) expect(failure).toEqual(CLOSED);
    expect(it.res.aborted).toBe(false);
    expect(it.calls).toEqual([]);
  });

  test.each(Object.entries(aborts))('%s: every method but the abort handlers throws, whatever it is given', async (_, abort) => {
    const it = await waiting();
    await abort(it);
    for (const failure of failuresOf(it.res, OTHER_NAMES)) {
      expect(failure).toEqual(CLOSED);
    }
    expect(it.res.aborted).toBe(true);
  });

  test('an upgrade: every method throws, and the WebSocket lives', async () => {
    const opened = new Mailbox();
    const app = createApp().ws('/*', {
      upgrade: (res, req, context) => {
        res.onAborted(() => opened.put('aborted'));
        res.upgrade({ res }, req.getHeader('sec-websocket-key'), '', '', context);
        opened.put(failuresOf(res));
      },
      message: (ws, message) => {
        expect(failuresOf(ws.res)).toEqual(failuresOf(ws.res).map(() => CLOSED));
        ws.send(message);
      },
    });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/`);
    afterTest(() => client.terminate());
    for (const failure of await opened.take()) expect(failure).toEqual(CLOSED);
    await once(client, 'open');
    client.send('still here');
    expect(String((await once(client, 'message'))[0])).toBe('still here');
    client.close();
    await once(client, 'close');
    expect(opened.size).toBe(0);
  });

  test('already throws within its own abort handler', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => seen.put([res.aborted, failuresOf(res, OTHER_NAMES)]));
      res.close();
    });
    await client.send(request('GET', '/'));
    const [aborted, failures] = await seen.take();
    expect(aborted).toBe(true);
    for (const failure of failures) expect(failure).toEqual(CLOSED);
  });

  test('throws in the handler that ended it, and after each later turn', async () => {
    const seen = new Mailbox();
    const client = await serve(async (res) => {
      res.end('once');
      for (let round = 0; round < 5; round++) {
        seen.put(failuresOf(res));
        await (round < 2 ? null : turn());
      }
    });
    expect((await client.get('/')).text).toBe('once');
    for (let round = 0; round < 5; round++) {
      for (const failure of await seen.take()) expect(failure).toEqual(CLOSED);
    }
  });

  test('a callback of cork that ends it makes the rest of the callback throw', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      const returned = res.cork(() => {
        res.end('corked');
        seen.put(failuresOf(res));
      });
      seen.put(returned === res);
    });
    expect((await client.get('/')).text).toBe('corked');
    for (const failure of await seen.take()) expect(failure).toEqual(CLOSED);
    expect(await seen.take()).toBe(true);
  });
});

describe('onAborted', () => {
  const causes = [
    ['a reset by the peer', ({ client }) => client.reset(),
      'Connection reset by peer', { cause: 'ERR_CONNECTION_RESET', initiator: 'transport', wasClean: false, ...RESPONSE_FACTS }],
    ['a FIN of the peer', ({ client }) => client.finish(), 'Received TCP FIN before the response was complete',
      { cause: 'ERR_FIN_BEFORE_RESPONSE', initiator: 'transport', wasClean: false, ...RESPONSE_FACTS }],
    ['close', ({ res }) => res.close(),
      'Application called close()', { cause: 'CLOSED_BY_APPLICATION', initiator: 'local', wasClean: false, ...RESPONSE_FACTS }],
    ['app.close', ({ app }) => app.close(),
      'Application called app.close()', { cause: 'CLOSED_BY_APP_CLOSE', initiator: 'local', wasClean: false, ...RESPONSE_FACTS }],
  ];

  test.each(causes)('%s: runs once, with reason and info', async (_, act, reason, info) => {
    const it = await waiting();
    const calls = new Mailbox();
    it.res.onAborted((...args) => calls.put(args));
    act(it);
    expect((await calls.take()).slice(0, 2)).toEqual([reason, info]);
    expect(it.res.aborted).toBe(true);
    // Whatever else might come for that connection has come when another one has been served.
    const another = await waiting();
    another.res.end();
    await another.client.response();
    it.app.close();
    await turn();
    expect(calls.size).toBe(0);
  });

  test.each(causes)('%s: registered afterwards it still runs, each time and asynchronously', async (_, act, reason, info) => {
    const it = await waiting();
    const told = abortOf(it.res);
    act(it);
    await told;
    const late = new Mailbox();
    for (const name of ['first', 'second']) expect(it.res.onAborted((...args) => late.put([name, ...args]))).toBe(it.res);
    expect(late.size).toBe(0);
    expect([await late.take(), await late.take()]).toEqual([['first', reason, info], ['second', reason, info]]);
    await turn();
    expect(late.size).toBe(0);
  });

  test('close: runs inside the call', async () => {
    const order = [];
    const { res, client } = await waiting();
    res.onAborted(() => order.push('aborted'));
    order.push('before');
    expect(res.close()).toBe(res);
    order.push('after');
    expect(order).toEqual(['before', 'aborted', 'after']);
    await client.over();
    expect(await client.rest().catch(({ code }) => code)).toMatch(/^$|^ECONNRESET$/);
  });

  test('the last registration counts', async () => {
    const { res, calls } = await waiting();
    const later = [];
    res.onAborted(() => later.push('second')).onAborted(() => later.push('third'));
    res.close();
    expect(later).toEqual(['third']);
    expect(calls).toEqual([]);
  });

  test('a registration made by the abort handler runs, too', async () => {
    const { res } = await waiting();
    const seen = new Mailbox();
    res.onAborted((reason) => {
      seen.put(['first', reason]);
      res.onAborted((again) => seen.put(['second', again]));
    });
    res.close();
    expect(await seen.take()).toEqual(['first', 'Application called close()']);
    expect(await seen.take()).toEqual(['second', 'Application called close()']);
  });

  test('does not run for a response that was completed, though the connection is reset', async () => {
    const calls = [];
    const app = createApp().any('/*', (res) => res.onAborted(() => calls.push('aborted')).end('done'));
    const port = listen(app);
    for (let round = 0; round < 10; round++) {
      const client = await RawClient.connect(port);
      expect((await client.get('/')).text).toBe('done');
      client.reset();
    }
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('done');
    app.close();
    await turn();
    expect(calls).toEqual([]);
  });

  test('does not run for a response that was completed before the peer took it', async () => {
    const calls = [];
    const ended = new Mailbox();
    const app = createApp().any('/*', (res, req) => {
      res.onAborted(() => calls.push('aborted')).end(Buffer.alloc(req.getUrl() === '/large' ? 8_000_000 : 1));
      ended.put('ended');
    });
    const port = listen(app);
    const client = await RawClient.connect(port);
    client.pause();
    await client.send(request('GET', '/large'));
    await ended.take();
    client.reset();
    await (await RawClient.connect(port)).get('/');
    expect(calls).toEqual([]);
  });

  test('runs for a response that has begun and is not complete', async () => {
    const { res, client } = await waiting();
    const told = abortOf(res);
    res.write('begun');
    client.reset();
    expect((await told).info.cause).toBe('ERR_CONNECTION_RESET');
  });

  test('runs for the request that is being handled, not for those before and behind it on the connection', async () => {
    const calls = new Mailbox();
    const arrived = new Mailbox();
    const client = await serve((res, req) => {
      const url = req.getUrl();
      res.onAborted(() => calls.put(url));
      if (url === '/1') res.end();
      else arrived.put(url);
    });
    await client.send(['/1', '/2', '/3'].map((path) => request('GET', path)).join(''));
    await client.response();
    expect(await arrived.take()).toBe('/2');
    client.reset();
    expect(await calls.take()).toBe('/2');
    await (await waiting()).res.end();
    expect([calls.size, arrived.size]).toEqual([0, 0]);
  });

  test('may answer other responses, and close them', async () => {
    const app = createApp();
    const arrived = new Mailbox();
    app.any('/*', (res) => arrived.put(res));
    app.any('/*', (res) => {
      res.onAborted(() => {});
      arrived.put(res);
    });
    const port = listen(app);
    const clients = [];
    const responses = [];
    for (let number = 0; number < 3; number++) {
      clients.push(await RawClient.connect(port));
      await clients[number].send(request('GET', '/'));
      responses.push(await arrived.take());
    }
    const closed = [];
    responses[1].onAborted(() => closed.push(1));
    responses[0].onAborted(() => {
      closed.push(0);
      responses[1].close();
      responses[2].end('answered');
    });
    responses[0].close();
    expect(closed).toEqual([0, 1]);
    expect((await clients[2].response()).text).toBe('answered');
    await clients[1].over();
  });

  test('res.aborted turns true before the handler of an asynchronous response goes on', async () => {
    const seen = new Mailbox();
    const client = await serve(async (res) => {
      const aborted = abortOf(res);
      seen.put(res.aborted);
      await aborted;
      seen.put(res.aborted);
    });
    await client.send(request('GET', '/'));
    expect(await seen.take()).toBe(false);
    client.reset();
    expect(await seen.take()).toBe(true);
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as handler, before and after the abort', async (handler) => {
    const { res } = await waiting();
    const expected = {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    };
    expect(failureOf(() => res.onAborted(handler))).toEqual(expected);
    res.close();
    expect(failureOf(() => res.onAborted(handler))).toEqual(expected);
  });
});

describe('a response that was kept', () => {
  /** Calls a method of a response that must be over. */
  function disturb(res, name) {
    const { code, message } = failureOf(() => res[name](...CALLS[name]));
    // Without `expect`, which is slow: this happens tens of thousands of times.
    if (code !== CLOSED.code || message !== CLOSED.message) throw new Error(`${name} of a kept response: ${message}`);
  }

  /** What the client must get for `path`, if nobody disturbs its response; the date is cut out. */
  const expected = (path) => `HTTP/1.1 200 OK\r\nPath: ${path}\r\nContent-Length: ${path.length}\r\n\r\n${path}`;

  async function nextAnswer(client) {
    const { headText, text } = await client.response();
    return headText.replace(/Date: .*\r\n/, '') + text;
  }

  test('never reaches a later response on its connection, whatever is called when', async () => {
    const moment = fc.constantFrom('before', 'between', 'after', 'later');
    const attempt = fc.record({ age: fc.nat(1000), name: fc.constantFrom(...NAMES), moment });
    await fc.assert(fc.asyncProperty(
      fc.array(fc.array(attempt, { maxLength: 6 }), { minLength: 10, maxLength: 40 }), async (attempts) => {
        const kept = [];
        const client = await serve(async (res, req) => {
          const path = req.getUrl();
          const at = (when) => attempts[Number(path.slice(1))].filter((one) => one.moment === when)
            .filter(() => kept.length > 0).forEach(({ age, name }) => disturb(kept[age % kept.length], name));
          res.onAborted(() => {});
          at('before');
          res.writeHeader('Path', path);
          at('between');
          await turn();
          at('later');
          res.end(path);
          kept.push(res);
          at('after');
        });
        for (let number = 0; number < attempts.length; number++) {
          await client.send(request('GET', `/${number}`));
          expect(await nextAnswer(client)).toBe(expected(`/${number}`));
        }
        client.socket.destroy();
      },
    ), { numRuns: 20, endOnFailure: true });
  });

  test('never reaches a chunked response that is under way', async () => {
    const kept = [];
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      for (const piece of ['a', 'b', 'c']) {
        res.write(req.getUrl() + piece);
        for (const old of kept) NAMES.forEach((name) => disturb(old, name));
        await turn();
      }
      res.end();
      kept.push(res);
    });
    for (let number = 0; number < 10; number++) {
      const response = await client.get(`/${number}`);
      expect(response.chunks.map(String)).toEqual(['a', 'b', 'c'].map((piece) => `/${number}${piece}`));
      expect(response.names).toEqual(['Date', 'Transfer-Encoding']);
    }
  });

  test('never reaches the requests that are pipelined behind it', async () => {
    const kept = [];
    const client = await serve((res, req) => {
      const path = req.getUrl();
      res.writeHeader('Path', path).end(path);
      kept.push(res);
      for (const old of kept) NAMES.forEach((name) => disturb(old, name));
    });
    const paths = Array.from({ length: 50 }, (_, number) => `/${number}`);
    await client.send(paths.map((path) => request('GET', path)).join(''));
    for (const path of paths) expect(await nextAnswer(client)).toBe(expected(path));
  });

  test('never reaches another connection, however its response ended and its slot is used again', async () => {
    const kept = [];
    const arrived = new Mailbox();
    const app = createApp().any('/*', guarded((res, req) => {
      const path = req.getUrl();
      for (const old of kept) {
        (old.aborted ? OTHER_NAMES : NAMES).forEach((name) => disturb(old, name));
      }
      kept.push(res);
      if (path === '/closed') {
        res.close();
      } else if (path === '/reset') {
        res.onAborted(() => arrived.put('reset'));
        arrived.put('arrived');
      } else {
        res.writeHeader('Path', path).end(path);
      }
    }));
    const port = listen(app);
    for (let round = 0; round < 10; round++) {
      const answered = await RawClient.connect(port);
      for (let number = 0; number < 3; number++) {
        await answered.send(request('GET', `/${round}/${number}`));
        expect(await nextAnswer(answered)).toBe(expected(`/${round}/${number}`));
      }
      const closed = await RawClient.connect(port);
      await closed.send(request('GET', '/closed'));
      await closed.over();
      const reset = await RawClient.connect(port);
      await reset.send(request('GET', '/reset'));
      await arrived.take();
      reset.reset();
      await arrived.take();
      answered.socket.destroy();
    }
    expect(kept).toHaveLength(50);
  });

  test('tells a late abort handler of its own end, not of that of its successor', async () => {
    const app = createApp();
    const first = await waiting(app);
    first.res.close();
    const second = await RawClient.connect(first.port);
    const calls = [];
    const next = new Mailbox();
    app.any('/next', (res) => {
      res.onAborted(() => calls.push('successor'));
      next.put(res);
    });
    await second.send(request('GET', '/next'));
    const successor = await next.take();
    const late = await abortOf(first.res);
    expect(late.info.cause).toBe('CLOSED_BY_APPLICATION');
    expect(calls).toEqual([]);
    expect(successor.aborted).toBe(false);
    successor.end('answered');
    expect((await second.response()).text).toBe('answered');
  });

  test('many connections at once, answered late and in any order: each client gets its own answers', async () => {
    const kept = [];
    const pending = [];
    const app = createApp({ threads: 2 }).any('/*', guarded((res, req) => {
      res.onAborted(() => {});
      pending.push({ res, path: req.getUrl() });
      setImmediate(() => {
        // Not the oldest first.
        const { res: chosen, path } = pending.splice((kept.length * 7) % pending.length, 1)[0];
        if (kept.length > 0) NAMES.forEach((name, index) => disturb(kept[(index * 31) % kept.length], name));
        chosen.writeHeader('Path', path).end(path);
        kept.push(chosen);
      });
    }));
    const port = listen(app);
    await Promise.all(Array.from({ length: 10 }, async (_, connection) => {
      const client = await RawClient.connect(port);
      for (let number = 0; number < 30; number++) {
        await client.send(request('GET', `/${connection}/${number}`));
        expect(await nextAnswer(client)).toBe(expected(`/${connection}/${number}`));
      }
    }));
    expect(kept).toHaveLength(300);
  });

  test('does not take the body of a later request', async () => {
    const calls = [];
    let first;
    const client = await serve((res, req) => {
      if (first === undefined) {
        first = res;
        res.onData(() => calls.push('stale')).end();
        return;
      }
      disturb(first, 'onData');
      res.onAborted(() => {}).onData((chunk, isLast) => {
        calls.push(Buffer.from(chunk).toString());
        if (isLast) res.end(req.getUrl());
      });
    });
    await client.get('/1');
    await client.send(request('POST', '/2', [], 'the body'));
    expect((await client.response()).text).toBe('/2');
    expect(calls.join('')).toBe('the body');
  });
});

describe('methods taken from a response', () => {
  test('refuse any other object', async () => {
    const { res, req, app } = await waiting();
    const others = [{}, undefined, null, 5, 'text', req, app, Object.create(res), Object.getPrototypeOf(res), new Proxy(res, {})];
    for (const name of NAMES) {
      for (const other of others) {
        const failure = failureOf(() => res[name].call(other, ...CALLS[name]));
        expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_THIS' });
      }
    }
    const { get, set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(res), 'aborted');
    for (const other of others) {
      for (const call of [() => get.call(other), () => set.call(other, true)]) {
        expect(failureOf(call)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_THIS' });
      }
    }
    res.end();
  });

  test('work on another response', async () => {
    const app = createApp();
    const first = await waiting(app);
    const second = await waiting(app);
    first.res.end.call(second.res, 'second');
    expect((await second.client.response()).text).toBe('second');
    first.res.end('first');
    expect((await first.client.response()).text).toBe('first');
  });

  test('a response cannot be made by hand', async () => {
    const { res } = await waiting();
    const makers = [
      () => new res.constructor(), () => new res.constructor(Symbol('ferrows'), 0), () => Reflect.construct(res.constructor, []),
      () => new (class extends res.constructor {})(),
    ];
    for (const make of makers) {
      expect(failureOf(make)).toMatchObject({ name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
    }
    res.end();
  });
});
