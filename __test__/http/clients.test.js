'use strict';

// The clients that programs use, against a server of this addon: Node's http, fetch (undici) and curl.

const { execFile, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const { text: textOf } = require('node:stream/consumers');
const { runInThisContext } = require('node:vm');

const { afterTest } = require('../helpers/cleanup.js');
const { isSecure } = require('../helpers/connect.js');
const { createApp, guarded, listen } = require('../helpers/server.js');

const MEGABYTE = Buffer.alloc(2 ** 20, 'a megabyte of this. ');
const url = (port, path) => `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}${path}`;

/** A body without a length in advance. */
const PIECES = ['first ', 'second ', 'third'];
const DOWNLOAD = Array.from({ length: 100 }, (_, index) => `piece ${index}\n`);

/** A server for all of them; `ports` gets the client's port of each request. */
function serve() {
  const ports = [];
  const app = createApp().any('/*', guarded((res, req) => {
    ports.push(res.getRemotePort());
    res.onAborted(() => {});
    const method = req.getCaseSensitiveMethod();
    switch (req.getUrl()) {
      case '/204': return res.writeStatus('204 No Content').end();
      case '/304': return res.writeStatus('304 Not Modified').writeHeader('ETag', '"tag"').end();
      case '/download':
        DOWNLOAD.forEach((piece) => res.write(piece));
        return res.end();
      case '/early': return res.writeStatus('403 Forbidden').end('no');
      case '/head': return res.endWithoutBody(12_345);
      case '/length': return receive(res, (body) => `${method} ${body.length} ${body.equals(MEGABYTE)}`);
      default: return receive(res, (body) => `${method} ${req.getUrl()} ${body}`);
    }
  }));
  return { ports, port: listen(app) };
}

/** Answers with what `answer` makes of the whole body. */
function receive(res, answer) {
  const pieces = [];
  res.onData((piece, isLast) => {
    pieces.push(Buffer.from(piece.slice(0)));
    if (isLast) res.end(answer(Buffer.concat(pieces)));
  });
}

describe('http of Node, with a keep-alive agent', () => {
  let agent;
  beforeEach(() => {
    agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    afterTest(() => agent.destroy());
  });

  /** Sends a request whose body `write` writes; resolves with status, headers and text. */
  async function ask(port, path, options = {}, write = (request) => request.end()) {
    const request = http.request({ host: '127.0.0.1', port, path, agent, ...options });
    const answered = once(request, 'response');
    write(request);
    const [response] = await answered;
    return { status: response.statusCode, headers: response.headers, text: await textOf(response) };
  }

  test('GET, HEAD, POST, 204 and 304 on one connection', async () => {
    const { port, ports } = serve();
    expect(await ask(port, '/a')).toMatchObject({ status: 200, text: 'GET /a ' });
    const head = await ask(port, '/head', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, '12345', '']);
    expect(await ask(port, '/204')).toMatchObject({ status: 204, text: '' });
    expect(await ask(port, '/304')).toMatchObject({ status: 304, text: '', headers: { etag: '"tag"' } });
    const posted = await ask(port, '/length', { method: 'POST' }, (request) => request.end(MEGABYTE));
    expect(posted.text).toBe(`POST ${MEGABYTE.length} true`);
    expect(await ask(port, '/b')).toMatchObject({ status: 200, text: 'GET /b ' });
    expect(ports).toHaveLength(6);
    expect(new Set(ports).size).toBe(1);
  });

  test('a chunked upload', async () => {
    const { port } = serve();
    const { text } = await ask(port, '/a', { method: 'PUT' }, async (request) => {
      for (const piece of PIECES) await new Promise((resolve) => { request.write(piece, resolve); });
      request.end();
    });
    expect(text).toBe(`PUT /a ${PIECES.join('')}`);
  });

  test('a chunked upload with trailers', async () => {
    const { port, ports } = serve();
    const { text } = await ask(port, '/a', { method: 'POST', headers: { Trailer: 'Checksum' } }, (request) => {
      request.write('body');
      request.addTrailers({ Checksum: 'abc' });
      request.end();
    });
    expect(text).toBe('POST /a body');
    expect((await ask(port, '/b')).text).toBe('GET /b ');
    expect(new Set(ports).size).toBe(1);
  });

  test('a chunked download', async () => {
    const { port } = serve();
    const { headers, text } = await ask(port, '/download');
    expect([headers['transfer-encoding'], text]).toEqual(['chunked', DOWNLOAD.join('')]);
  });

  test('Expect: 100-continue', async () => {
    const { port, ports } = serve();
    const options = { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': MEGABYTE.length } };
    const { text } = await ask(port, '/length', options, async (request) => {
      request.flushHeaders();
      await once(request, 'continue');
      request.end(MEGABYTE);
    });
    expect(text).toBe(`POST ${MEGABYTE.length} true`);
    expect((await ask(port, '/a')).text).toBe('GET /a ');
    expect(new Set(ports).size).toBe(1);
  });

  test('Expect: 100-continue to a handler that answers first', async () => {
    const { port } = serve();
    const options = { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 4 } };
    const answer = await ask(port, '/early', options, (request) => {
      request.flushHeaders();
      request.once('response', () => request.end('body'));
    });
    expect(answer).toMatchObject({ status: 403, text: 'no' });
    expect((await ask(port, '/a')).text).toBe('GET /a ');
  });

  test('an agent without keep-alive: every connection is closed behind its response', async () => {
    const { port, ports } = serve();
    for (let count = 0; count < 3; count++) {
      const { headers, text } = await ask(port, '/a', { agent: new http.Agent({ keepAlive: false }) });
      expect([headers.connection, text]).toEqual(['close', 'GET /a ']);
    }
    expect(new Set(ports).size).toBe(3);
  });

  test('a hundred requests at once, over a few connections', async () => {
    const { port, ports } = serve();
    agent.maxSockets = 4;
    const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => ask(port, path)));
    expect(answers.map(({ text }) => text)).toEqual(paths.map((path) => `GET ${path} `));
    expect(new Set(ports).size).toBeLessThanOrEqual(4);
  });
});

describe('fetch', () => {
  test('GET, HEAD, POST, 204 and 304', async () => {
    const { port, ports } = serve();
    expect(await (await fetch(url(port, '/a'))).text()).toBe('GET /a ');
    const head = await fetch(url(port, '/head'), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '12345', '']);
    const noContent = await fetch(url(port, '/204'));
    expect([noContent.status, await noContent.text()]).toEqual([204, '']);
    const notModified = await fetch(url(port, '/304'));
    expect([notModified.status, notModified.headers.get('etag'), await notModified.text()]).toEqual([304, '"tag"', '']);
    const posted = await fetch(url(port, '/length'), { method: 'POST', body: MEGABYTE });
    expect(await posted.text()).toBe(`POST ${MEGABYTE.length} true`);
    expect(ports).toHaveLength(5);
  });

  test('a chunked upload and a chunked download', async () => {
    const { port } = serve();
    const body = new ReadableStream({
      start(controller) {
        PIECES.forEach((piece) => controller.enqueue(new TextEncoder().encode(piece)));
        controller.close();
      },
    });
    const uploaded = await fetch(url(port, '/a'), { method: 'POST', body, duplex: 'half' });
    expect(await uploaded.text()).toBe(`POST /a ${PIECES.join('')}`);
    expect(await (await fetch(url(port, '/download'))).text()).toBe(DOWNLOAD.join(''));
  });

  test('a hundred at once', async () => {
    const { port } = serve();
    const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map(async (path) => (await fetch(url(port, path))).text()));
    expect(answers).toEqual(paths.map((path) => `GET ${path} `));
  });

  test('one that is given up aborts its response, and others go on', async () => {
    const aborted = new Promise((resolve) => {
      const app = createApp().get('/slow', (res) => {
        res.onAborted((reason, { cause }) => resolve({ cause, next: fetch(url(port, '/')) }));
        controller.abort();
      }).get('/', (res) => res.end('next'));
      const port = listen(app);
      const controller = new AbortController();
      fetch(url(port, '/slow'), { signal: controller.signal }).catch(() => {});
    });
    const { cause, next } = await aborted;
    // Some versions hang up without close_notify.
    expect(['ERR_FIN_BEFORE_RESPONSE', 'ERR_CONNECTION_RESET', 'ERR_TLS_TRUNCATED']).toContain(cause);
    expect(await (await next).text()).toBe('next');
  });
});

/** The Agent that fetch uses: Node keeps undici to itself, but not this object, which the first call makes. */
function undiciAgent() {
  fetch('data:,').catch(() => {});
  return runInThisContext("globalThis[Symbol.for('undici.globalDispatcher.1')]")?.constructor;
}

const Agent = undiciAgent();

// Shown as skipped where Node does not show it.
(Agent ? test : test.skip)('undici, pipelining: twenty requests on one connection are answered in order', async () => {
  const { port, ports } = serve();
  const agent = new Agent({ connections: 1, pipelining: 10 });
  afterTest(() => agent.destroy());
  const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
  const answers = await Promise.all(paths.map(async (path) => {
    const response = await fetch(url(port, path), { dispatcher: agent });
    return response.text();
  }));
  expect(answers).toEqual(paths.map((path) => `GET ${path} `));
  expect(new Set(ports).size).toBe(1);
});

// Shown as skipped on a machine without curl.
const hasCurl = spawnSync('curl', ['--version']).status === 0;

(hasCurl ? describe : describe.skip)('curl', () => {
  /** Runs curl on paths of the server, with `input` on its stdin; resolves with what it wrote. */
  function curl(port, paths, options = [], input = '') {
    const urls = paths.map((path) => url(port, path));
    const list = ['--silent', '--show-error', '--noproxy', '*', '--max-time', '10', ...options, ...urls];
    return new Promise((resolve, reject) => {
      const child = execFile('curl', list, (error, stdout) => (error ? reject(error) : resolve(stdout)));
      child.stdin.end(input);
    });
  }

  test('GET, twice on one connection', async () => {
    const { port, ports } = serve();
    expect(await curl(port, ['/a', '/b'], ['--write-out', ' %{http_code}\n'])).toBe('GET /a  200\nGET /b  200\n');
    expect(new Set(ports).size).toBe(1);
  });

  test('HEAD', async () => {
    const { port } = serve();
    expect(await curl(port, ['/head'], ['--head'])).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Content-Length: 12345\r\n\r\n$/s);
  });

  test.each([['204', '/204'], ['304', '/304']])('%s, and the connection goes on', async (status, path) => {
    const { port, ports } = serve();
    const answers = await curl(port, [path, '/a'], ['--write-out', ' %{http_code}\n']);
    expect(answers).toBe(` ${status}\nGET /a  200\n`);
    expect(new Set(ports).size).toBe(1);
  });

  test('POST of a megabyte', async () => {
    const { port } = serve();
    expect(await curl(port, ['/length'], ['--data-binary', '@-', '--header', 'Expect:'], MEGABYTE))
      .toBe(`POST ${MEGABYTE.length} true`);
  });

  test('Expect: 100-continue', async () => {
    const { port } = serve();
    const options = ['--data-binary', '@-', '--header', 'Expect: 100-continue', '--include'];
    const answer = await curl(port, ['/length'], options, MEGABYTE);
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(answer.endsWith(`\r\n\r\nPOST ${MEGABYTE.length} true`)).toBe(true);
  });

  test('a chunked upload', async () => {
    const { port } = serve();
    expect(await curl(port, ['/length'], ['--upload-file', '-'], MEGABYTE)).toBe(`PUT ${MEGABYTE.length} true`);
  });

  test('a chunked download', async () => {
    const { port } = serve();
    expect(await curl(port, ['/download'])).toBe(DOWNLOAD.join(''));
  });

  test('HTTP/1.0: the length of a download is its end, and of what has one its Content-Length', async () => {
    const { port } = serve();
    expect(await curl(port, ['/download'], ['--http1.0'])).toBe(DOWNLOAD.join(''));
    expect(await curl(port, ['/a'], ['--http1.0', '--include'])).toMatch(/\r\nConnection: close\r\n/);
  });

  test('HTTP/1.0 with keep-alive: two requests on one connection', async () => {
    const { port, ports } = serve();
    const answers = await curl(port, ['/a', '/b'], ['--http1.0', '--header', 'Connection: keep-alive']);
    expect(answers).toBe('GET /a GET /b ');
    expect(new Set(ports).size).toBe(1);
  });

  test('a client that asks for HTTP/2 by Upgrade is served in HTTP/1.1', async () => {
    const { port } = serve();
    expect(await curl(port, ['/a'], ['--header', 'Connection: Upgrade', '--header', 'Upgrade: h2c'])).toBe('GET /a ');
  });
});
