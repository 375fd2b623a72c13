'use strict';

// Every limit of docs/limits.md, attacked over a raw connection. Whoever attacks is told, or dropped, and others are
// served meanwhile.

const { randomInt } = require('node:crypto');
const { setTimeout: delay, setImmediate: turn } = require('node:timers/promises');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen } = require('../helpers/server.js');

const MEGABYTE = 2 ** 20;

/** Milliseconds in which an honest client gets its part done, on a busy machine, too. */
const HONEST = 1_000;

/** A server with these options. Its route /ok answers; `handler` takes the rest, and `aborts` what it is told. */
class Server {
  calls = 0;
  aborts = new Mailbox();

  constructor(options, handler = (res) => res.end()) {
    this.app = createApp({ threads: 1, ...options });
    this.app.get('/ok', (res) => res.end('ok')).any('/*', guarded((res, req) => {
      this.calls += 1;
      res.onAborted((reason, { cause }) => this.aborts.put(cause));
      return handler(res, req);
    }));
    this.port = listen(this.app);
  }

  connect() {
    return RawClient.connect(this.port);
  }

  /** Others are served. */
  async expectService() {
    const client = await this.connect();
    expect((await client.get('/ok')).text).toBe('ok');
    client.finish();
  }
}

/** Sends `piece` every few milliseconds until the connection is over. Returns at once. */
function trickle(client, piece) {
  let isOver = false;
  client.over().then(() => {
    isOver = true;
  });
  const run = async () => {
    while (!isOver) {
      await client.send(piece);
      await delay(5);
    }
  };
  // The server may be gone between the look and the write.
  run().catch(() => {});
}

/** Takes 64 KiB every few milliseconds, and no more. Resolves with the number of bytes once the connection is over. */
async function sip({ socket }) {
  socket.removeAllListeners('data');
  let taken = 0;
  let isOver = false;
  for (const event of ['end', 'error', 'close']) {
    socket.once(event, () => {
      isOver = true;
    });
  }
  socket.pause();
  while (!isOver) {
    taken += (socket.read(64 * 1024) ?? socket.read())?.length ?? 0;
    await delay(5);
  }
  return taken;
}

/** The answer to a broken limit, after which the connection ends. */
async function expectRefusal(client, status, code, method = 'GET') {
  const response = await client.response(method);
  expect(response.status).toBe(status);
  expect(response.text.split(':')[0]).toBe(code);
  expect(response.values('connection')).toEqual(['close']);
  expect(await client.rest()).toBe('');
}

const HALF = 'GET / HTTP/1.1\r\nHost: a\r\nA: ';
const chunkedPost = request('POST', '/', ['Transfer-Encoding: chunked']);
const chunk = (size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;

describe('the options', () => {
  const RANGES = {
    maxHeaderSize: [256, 65_535],
    maxHeadersCount: [0, 65_535],
    maxBodySize: [0, Number.MAX_SAFE_INTEGER],
    headersTimeout: [0, 2 ** 31 - 1],
    requestTimeout: [0, 2 ** 31 - 1],
    keepAliveTimeout: [0, 2 ** 31 - 1],
    bodyTimeout: [0, 2 ** 31 - 1],
    minBodyRate: [0, 2 ** 32 - 1],
    responseTimeout: [0, 2 ** 31 - 1],
    minResponseRate: [0, 2 ** 32 - 1],
    maxDiscardedBody: [0, 2 ** 32 - 1],
    maxPipelinedBytes: [1, 2 ** 32 - 1],
  };

  describe.each(Object.entries(RANGES))('%s', (name, [least, most]) => {
    test('takes the ends of its range, undefined and null', () => {
      for (const value of [least, most, undefined, null]) uWS.App({ threads: 1, [name]: value });
    });

    test('refuses what is out of its range, and says so', () => {
      for (const value of [least - 1, most + 1, least + 0.5, NaN, Infinity, -Infinity]) {
        expect(failureOf(() => uWS.App({ [name]: value }))).toEqual({
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
          message: expect.stringContaining(`${name} must be an integer between ${least} and ${most}, got `),
        });
      }
    });

    test('refuses what is no number, and says so', () => {
      for (const value of ['1000', true, 1000n, {}, [1000], () => 1000, Symbol('1000')]) {
        expect(failureOf(() => uWS.App({ [name]: value }))).toEqual({
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: `${name} must be a number`,
        });
      }
    });
  });

  test('are read once, and belong to one app only', async () => {
    const options = { maxBodySize: 3 };
    const strict = new Server(options);
    options.maxBodySize = 1000;
    const lenient = new Server({});
    const clients = await Promise.all([strict.connect(), lenient.connect()]);
    await Promise.all(clients.map((client) => client.send(request('POST', '/', [], 'body'))));
    expect((await clients[0].response()).status).toBe(413);
    expect((await clients[1].response()).status).toBe(200);
  });

  test('what a getter among them throws is thrown', () => {
    const error = new Error('own');
    const options = { get maxPipelinedBytes() { throw error; } };
    expect(() => uWS.App(options)).toThrow(error);
  });

  test('hold on every I/O thread', async () => {
    const server = new Server({ threads: 3, maxBodySize: 3 });
    const clients = await Promise.all(Array.from({ length: 9 }, () => server.connect()));
    await Promise.all(clients.map(async (client) => {
      await client.send(request('POST', '/', [], 'body'));
      await expectRefusal(client, 413, 'ERR_HTTP_BODY_TOO_LARGE');
    }));
  });

  test('hold on a Unix socket', async () => {
    const path = `/tmp/ferrows-limits-${process.pid}.sock`;
    const app = createApp({ threads: 1, maxBodySize: 3 }).any('/*', (res) => res.end());
    app.listen_unix(() => {}, path);
    const client = await RawClient.connect({ path });
    await client.send(request('POST', '/', [], 'body'));
    await expectRefusal(client, 413, 'ERR_HTTP_BODY_TOO_LARGE');
  });

  test('hold while the event loop is blocked', async () => {
    const program = new Program(`
      const HONEST = ${HONEST};
      const app = uWS.App({ threads: 1, headersTimeout: HONEST }).get('/*', () => {
        say('blocked');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
      });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));`);
    const port = await program.hear();
    const blocking = await RawClient.connect(port);
    await blocking.send(request('GET', '/'));
    expect(await program.hear()).toBe('blocked');
    const client = await RawClient.connect(port);
    await client.send('GET / HT');
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
  });
});

describe('headersTimeout', () => {
  test('a connection on which nothing arrives is closed without an answer', async () => {
    const server = new Server({ headersTimeout: HONEST });
    const client = await server.connect();
    await server.expectService();
    expect(await client.rest()).toBe('');
  });

  test('a head that trickles is answered with 408, and no handler runs', async () => {
    const server = new Server({ headersTimeout: HONEST });
    const loris = await Promise.all(Array.from({ length: 5 }, () => server.connect()));
    await Promise.all(loris.map((client) => client.send(HALF)));
    loris.forEach((client) => trickle(client, 'x'));
    await server.expectService();
    await Promise.all(loris.map((client) => expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT')));
    await server.expectService();
    expect(server.calls).toBe(0);
  });

  test('holds for later requests of a connection, too', async () => {
    const server = new Server({ headersTimeout: HONEST });
    const client = await server.connect();
    expect((await client.get('/ok')).status).toBe(200);
    await client.send(HALF);
    trickle(client, 'x');
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
  });
});

describe('requestTimeout', () => {
  test('a body that keeps its pace, but takes too long in all, is answered with 408', async () => {
    const server = new Server({ requestTimeout: HONEST, bodyTimeout: 0, headersTimeout: 0 }, (res) => {
      res.onData(() => {});
    });
    const client = await server.connect();
    await client.send(chunkedPost);
    trickle(client, '1\r\nx\r\n');
    await server.expectService();
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TIMEOUT');
  });

  test('bounds the head, too', async () => {
    const server = new Server({ requestTimeout: 200, headersTimeout: 0 });
    const client = await server.connect();
    await client.send('GET / HTTP/1.1\r\n');
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
    expect(server.calls).toBe(0);
  });

  test('ends with the request: a handler may take longer', async () => {
    const times = { requestTimeout: HONEST, bodyTimeout: HONEST, headersTimeout: HONEST };
    const server = new Server(times, async (res) => {
      await delay(HONEST + 500);
      res.end('late');
    });
    const client = await server.connect();
    await client.send(request('POST', '/', [], 'body'));
    expect((await client.response()).text).toBe('late');
  });
});

describe('keepAliveTimeout', () => {
  test('an idle connection is closed without an answer, and one that is used in time is not', async () => {
    const server = new Server({ keepAliveTimeout: HONEST });
    const client = await server.connect();
    for (let count = 0; count < 3; count++) expect((await client.get('/ok')).status).toBe(200);
    await server.expectService();
    expect(await client.rest()).toBe('');
  });
});

describe('bodyTimeout and minBodyRate', () => {
  test('a body that trickles is answered with 408, and its response aborted', async () => {
    const server = new Server({ bodyTimeout: 300, minBodyRate: 100_000 }, (res) => {
      res.onData(() => {});
    });
    const client = await server.connect();
    await client.send(request('POST', '/', ['Content-Length: 1000000']));
    trickle(client, 'x');
    await server.expectService();
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TIMEOUT');
    await server.expectService();
  });

  test('a body of which nothing comes ends even with a rate of 0', async () => {
    const server = new Server({ bodyTimeout: 200, minBodyRate: 0 }, () => {});
    const client = await server.connect();
    await client.send(`${chunkedPost}3\r\nab`);
    await server.expectService();
    await expectRefusal(client, 408, 'ERR_HTTP_REQUEST_TIMEOUT');
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TIMEOUT');
  });

  test('once the response has begun there is no second answer', async () => {
    const server = new Server({ bodyTimeout: HONEST }, (res) => {
      res.write('begun');
    });
    const client = await server.connect();
    await client.send(`${chunkedPost}3\r\nab`);
    const text = await client.rest();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toMatch(/\r\n5\r\nbegun\r\n$/);
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TIMEOUT');
  });

  test('a body that keeps the rate arrives', async () => {
    const server = new Server({ bodyTimeout: 2_000, minBodyRate: 1_000 }, (res) => {
      let length = 0;
      res.onData((piece, isLast) => {
        length += piece.byteLength;
        if (isLast) res.end(String(length));
      });
    });
    const client = await server.connect();
    await client.send(request('POST', '/', [], 'x'.repeat(MEGABYTE)));
    expect((await client.response()).text).toBe(String(MEGABYTE));
  });
});

describe('responseTimeout and minResponseRate', () => {
  /** More than the buffers of the system hold. */
  const PIECE = Buffer.alloc(32 * MEGABYTE);

  test('a client that does not read is dropped, and its response aborted', async () => {
    const server = new Server({ responseTimeout: 300 }, (res) => {
      res.write(PIECE);
    });
    const client = await server.connect();
    client.pause();
    await client.send(request('GET', '/'));
    await server.expectService();
    expect(await server.aborts.take()).toBe('ERR_HTTP_RESPONSE_TIMEOUT');
    client.resume();
    await expect(client.rest()).resolves.not.toMatch(/\r\n0\r\n\r\n$/);
    await server.expectService();
  });

  test.each([['stays open', false], ['is to close', true]])(
    'a client that sips is dropped behind a complete response, if the connection %s', async (_, close) => {
      const server = new Server({ responseTimeout: 300, minResponseRate: 2 ** 32 - 1 }, (res) => res.end(PIECE, close));
      const client = await server.connect();
      const taken = sip(client);
      await client.send(request('GET', '/'));
      await server.expectService();
      expect(await taken).toBeLessThan(PIECE.length);
    });

  test('a client that sips is served where any progress will do', async () => {
    const small = Buffer.alloc(8 * MEGABYTE);
    const server = new Server({ responseTimeout: 5 * HONEST, minResponseRate: 0 }, (res) => res.end(small, true));
    const client = await server.connect();
    const taken = sip(client);
    await client.send(request('GET', '/'));
    expect(await taken).toBeGreaterThan(small.length);
  });
});

describe('maxHeaderSize', () => {
  test('a head of exactly the limit is served, and one byte more is answered with 431', async () => {
    const server = new Server({ maxHeaderSize: 1_000 });
    const empty = request('GET', '/ok', ['A: ']);
    const client = await server.connect();
    expect((await client.get('/ok', `A: ${'x'.repeat(1_000 - empty.length)}`)).status).toBe(200);
    await client.send(request('GET', '/ok', [`A: ${'x'.repeat(1_001 - empty.length)}`]));
    await expectRefusal(client, 431, 'ERR_HTTP_HEAD_TOO_LONG');
  });

  test('a request line beyond it is answered with 414', async () => {
    const server = new Server({ maxHeaderSize: 1_000 });
    const client = await server.connect();
    await client.send(`GET /${'x'.repeat(1_000)}`);
    await expectRefusal(client, 414, 'ERR_HTTP_TARGET_TOO_LONG');
  });

  test('a head without end is answered while it is still being sent', async () => {
    const server = new Server({});
    const client = await server.connect();
    await client.send(`GET / HTTP/1.1\r\nHost: a\r\nA: ${'x'.repeat(20_000)}`);
    await server.expectService();
    await expectRefusal(client, 431, 'ERR_HTTP_HEAD_TOO_LONG');
    expect(server.calls).toBe(0);
  });

  test('can be as large as 65,535', async () => {
    const server = new Server({ maxHeaderSize: 65_535 }, (res, req) => res.end(req.getHeader('a').slice(-3)));
    const client = await server.connect();
    expect((await client.get('/', `A: ${'x'.repeat(65_000)}end`)).text).toBe('end');
  });
});

describe('maxHeadersCount', () => {
  test('as many as the limit are served, and one more is answered with 431', async () => {
    const server = new Server({ maxHeadersCount: 5 });
    const client = await server.connect();
    expect((await client.get('/ok', ...Array(4).fill('A: b'))).status).toBe(200);
    await client.send(request('GET', '/ok', Array(5).fill('A: b')));
    await expectRefusal(client, 431, 'ERR_HTTP_TOO_MANY_FIELDS');
  });

  test('10,000 headers are refused', async () => {
    const server = new Server({ maxHeaderSize: 65_535 });
    const client = await server.connect();
    await client.send(request('GET', '/', Array(10_000).fill('a:b')));
    await server.expectService();
    await expectRefusal(client, 431, 'ERR_HTTP_TOO_MANY_FIELDS');
    expect(server.calls).toBe(0);
  });

  test('0 leaves it to maxHeaderSize', async () => {
    const server = new Server({ maxHeaderSize: 65_535, maxHeadersCount: 0 }, (res, req) => {
      let count = 0;
      req.forEach(() => { count += 1; });
      res.end(String(count));
    });
    const client = await server.connect();
    expect((await client.get('/', ...Array(10_000).fill('a:b'))).text).toBe('10001');
  });
});

describe('maxBodySize', () => {
  test('a Content-Length above it is answered with 413 before the body comes, and no handler runs', async () => {
    const server = new Server({ maxBodySize: 5 });
    const client = await server.connect();
    await client.send(request('POST', '/', [], '12345'));
    expect((await client.response()).status).toBe(200);
    await client.send(request('POST', '/', ['Expect: 100-continue', 'Content-Length: 6']));
    await server.expectService();
    await expectRefusal(client, 413, 'ERR_HTTP_BODY_TOO_LARGE');
    expect(server.calls).toBe(1);
  });

  test('the answer reaches a client that sends its body regardless', async () => {
    const server = new Server({ maxBodySize: 5 });
    const client = await server.connect();
    const sent = client.send(request('POST', '/', [], 'x'.repeat(8 * MEGABYTE))).catch(() => {});
    const response = await client.response();
    expect([response.status, server.calls]).toEqual([413, 0]);
    client.reset();
    await sent;
  });

  test('a chunked body is counted: at the limit it arrives, above it is answered with 413 and aborted', async () => {
    const pieces = new Mailbox();
    const server = new Server({ maxBodySize: 10 }, (res) => {
      res.onData((piece, isLast) => {
        pieces.put(Buffer.from(piece).toString());
        if (isLast) res.end();
      });
    });
    const client = await server.connect();
    await client.send(`${chunkedPost}${chunk(4)}${chunk(6)}0\r\nA: trailer\r\n\r\n`);
    expect((await client.response()).status).toBe(200);
    await client.send(`${chunkedPost}${chunk(4)}${chunk(6)}`);
    await server.expectService();
    await client.send('1\r\n');
    await expectRefusal(client, 413, 'ERR_HTTP_BODY_TOO_LARGE');
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TOO_LARGE');
    let text = '';
    while (pieces.size > 0) text += await pieces.take();
    expect(text).toBe('x'.repeat(20));
  });

  test('once the response has begun there is no second answer', async () => {
    const server = new Server({ maxBodySize: 10 }, (res) => {
      res.write('begun');
    });
    const client = await server.connect();
    await client.send(`${chunkedPost}${chunk(10)}`);
    expect(await client.bytes(8)).toBe('HTTP/1.1');
    await client.send('1\r\n');
    expect(await client.rest()).toMatch(/\r\n5\r\nbegun\r\n$/);
    expect(await server.aborts.take()).toBe('ERR_HTTP_BODY_TOO_LARGE');
  });
});

describe('maxDiscardedBody', () => {
  test('a body that fits is read past, and the connection goes on', async () => {
    const server = new Server({ maxDiscardedBody: 100 });
    const client = await server.connect();
    await client.send(request('POST', '/', ['Content-Length: 100']));
    expect((await client.response()).values('connection')).toEqual([]);
    await client.send('x'.repeat(100));
    expect((await client.get('/ok')).text).toBe('ok');
  });

  test('one that does not is not waited for: the answer says that the connection closes', async () => {
    const server = new Server({ maxDiscardedBody: 100 });
    const client = await server.connect();
    await client.send(request('POST', '/', ['Content-Length: 101']));
    expect((await client.response()).values('connection')).toEqual(['close']);
    expect(await client.rest()).toBe('');
  });

  test('a chunked one without end is given up', async () => {
    const server = new Server({ maxDiscardedBody: 100 });
    const client = await server.connect();
    await client.send(chunkedPost);
    expect((await client.response()).status).toBe(200);
    trickle(client, chunk(20));
    await server.expectService();
    expect(await client.rest()).toBe('');
  });

  test('0 closes the connection whenever some of a body is missing, and only then', async () => {
    const server = new Server({ maxDiscardedBody: 0 });
    const client = await server.connect();
    expect((await client.get('/')).values('connection')).toEqual([]);
    await client.send(request('POST', '/', ['Content-Length: 1']));
    expect((await client.response()).values('connection')).toEqual(['close']);
  });
});

describe('maxPipelinedBytes', () => {
  test('a flood behind an unanswered request is stopped by TCP; nothing of it is lost', async () => {
    const first = new Mailbox();
    let seen = 0;
    const server = new Server({ maxPipelinedBytes: 4096 }, (res, req) => {
      if (req.getUrl() === '/first') return first.put(res);
      seen += 1;
      return res.end(req.getUrl());
    });
    const client = await server.connect();
    const padding = `A: ${'x'.repeat(8_000)}`;
    const count = 4_000;
    let taken = 0;
    await client.send(request('GET', '/first'));
    const sent = Promise.all(Array.from({ length: count }, async (_, index) => {
      await client.send(request('GET', `/${index}`, [padding]));
      taken += 1;
    }));
    const res = await first.take();
    // Until nothing has moved for as long as others take to be served many times.
    for (let still = 0, before = -1; still < 50; still++) {
      await server.expectService();
      if (taken !== before) still = 0;
      before = taken;
    }
    expect(taken).toBeLessThan(count);
    expect(seen).toBe(0);
    res.end('first');
    expect((await client.response()).text).toBe('first');
    for (let index = 0; index < count; index++) expect((await client.response()).text).toBe(`/${index}`);
    await sent;
    expect(seen).toBe(count);
  });

  test('with the smallest value pipelined requests are answered all the same', async () => {
    const server = new Server({ maxPipelinedBytes: 1 }, async (res, req) => {
      const url = req.getUrl();
      await turn();
      res.end(url);
    });
    const client = await server.connect();
    client.socket.setNoDelay(true);
    for (let index = 0; index < 20; index++) await client.send(request('GET', `/${index}`));
    for (let index = 0; index < 20; index++) expect((await client.response()).text).toBe(`/${index}`);
  });

  test('1,000 requests in one piece are answered in order, whenever their handlers answer', async () => {
    const server = new Server({}, async (res, req) => {
      const url = req.getUrl();
      for (let rounds = randomInt(4); rounds > 0; rounds--) await turn();
      if (randomInt(20) === 0) await delay(1);
      res.end(url);
    });
    const clients = await Promise.all([server.connect(), server.connect()]);
    const paths = Array.from({ length: 1_000 }, (_, index) => `/${index}`);
    await Promise.all(clients.map(async (client) => {
      await client.send(paths.map((path) => request('GET', path)).join(''));
      for (const path of paths) expect((await client.response()).text).toBe(path);
    }));
  });

  test('a client that goes away in the middle of its flood ends only itself', async () => {
    const server = new Server({ maxPipelinedBytes: 4096 }, (res, req) => {
      if (req.getUrl() === '/never') return undefined;
      return res.end();
    });
    const client = await server.connect();
    await client.send(request('GET', '/') + request('GET', '/never') + request('GET', '/').repeat(10));
    expect((await client.response()).status).toBe(200);
    client.reset();
    expect(await server.aborts.take()).toBe('ERR_CONNECTION_RESET');
    await server.expectService();
    expect(server.calls).toBe(2);
  });
});

describe('a WebSocket', () => {
  test('is not concerned once it is open', async () => {
    const names = ['headersTimeout', 'requestTimeout', 'keepAliveTimeout', 'bodyTimeout', 'responseTimeout'];
    const server = new Server(Object.fromEntries(names.map((name) => [name, HONEST])));
    server.app.ws('/ws', { message: (ws, message) => ws.send(message, true) });
    const witness = await server.connect();
    const WebSocket = require('ws');
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`);
    afterTest(() => socket.terminate());
    await new Promise((resolve) => { socket.once('open', resolve); });
    // A connection that was accepted before has run out of its time by then.
    expect(await witness.rest()).toBe('');
    const late = await server.connect();
    expect(await late.rest()).toBe('');
    socket.send('still here');
    const data = await new Promise((resolve) => { socket.once('message', resolve); });
    expect(String(data)).toBe('still here');
  });
});
