'use strict';

// ultimate-express: Express, written on uWebSockets.js.

const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Readable, Writable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const busboy = require('busboy');
const express = require('ultimate-express');

const { afterTest, Mailbox, RawClient, RawWebSocket, test } = require('../helpers/project.js');

const LARGE = randomBytes(20 * 1024 * 1024);

/** Listens on a free port, and returns its URL. Closed after the test. */
async function listen(app) {
  await new Promise((resolve) => {
    app.listen(0, '127.0.0.1', resolve);
  });
  afterTest(() => app.uwsApp.close());
  return `http://127.0.0.1:${app.port}`;
}

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function hashOf(stream) {
  const digest = createHash('sha256');
  for await (const piece of stream) digest.update(piece);
  return digest.digest('hex');
}

test('ultimate-express: methods, parameters, queries, headers and statuses', async () => {
  const app = express();
  for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
    app[method]('/users/:id/:name?', (req, res) => {
      res.status(201).set('X-One', 'two').json([req.method, req.params.id, req.params.name ?? null, req.query, req.get('x-in')]);
    });
  }
  const url = await listen(app);
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    const response = await fetch(`${url}/users/7/ab?q=x%20y&list=1&list=2`, { method, headers: { 'X-In': 'yes' } });
    assert.deepEqual([response.status, response.headers.get('x-one')], [201, 'two']);
    assert.deepEqual(await response.json(), [method, '7', 'ab', { q: 'x y', list: ['1', '2'] }, 'yes']);
  }
  assert.deepEqual(await (await fetch(`${url}/users/7`)).json(), ['GET', '7', null, {}, null]);
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
  assert.equal((await fetch(`${url}/users/7`, { method: 'HEAD' })).status, 201);
});

test('ultimate-express: routers, middlewares in order, and errors that they and handlers throw', async () => {
  const app = express();
  const router = express.Router();
  app.use((req, res, next) => {
    req.steps = ['app'];
    next();
  });
  router.use((req, res, next) => setTimeout(() => {
    req.steps.push('late');
    next();
  }, 5));
  router.get('/steps', (req, res, next) => {
    req.steps.push('route');
    next();
  }, (req, res) => res.json(req.steps));
  router.get('/throw', () => { throw new Error('thrown'); });
  router.get('/next', (req, res, next) => setImmediate(next, new Error('passed on')));
  app.use('/api', router);
  app.use((req, res) => res.status(404).send('not here'));
  app.use((error, req, res, _next) => res.status(500).send(error.message));
  const url = await listen(app);
  assert.deepEqual(await (await fetch(`${url}/api/steps`)).json(), ['app', 'late', 'route']);
  for (const [path, status, text] of [['/api/throw', 500, 'thrown'], ['/api/next', 500, 'passed on'], ['/no', 404, 'not here']]) {
    const response = await fetch(url + path);
    assert.deepEqual([response.status, await response.text()], [status, text]);
  }
});

test('ultimate-express: hundreds of static routes, which are declarative where they can be', async () => {
  const app = express();
  for (let number = 0; number < 300; number++) app.get(`/route/${number}`, (req, res) => res.send(`answer ${number}`));
  app.get('/fixed', (req, res) => res.send('always the same'));
  const url = await listen(app);
  for (const number of [0, 7, 299]) assert.equal(await (await fetch(`${url}/route/${number}`)).text(), `answer ${number}`);
  const answers = await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${url}/fixed`)).text()));
  assert.deepEqual(answers, new Array(50).fill('always the same'));
});

test('ultimate-express: bodies as JSON, form, text and bytes', async () => {
  const app = express();
  app.use(express.json(), express.urlencoded({ extended: true }), express.text(), express.raw({ limit: '1mb' }));
  app.post('/', (req, res) => res.send(Buffer.isBuffer(req.body) ? hash(req.body) : JSON.stringify(req.body)));
  app.use((error, req, res, _next) => res.status(500).send(error.message));
  const url = await listen(app);
  const post = async (body, type) => (await fetch(url, { method: 'POST', body, headers: { 'Content-Type': type } })).text();
  assert.equal(await post('{"a":[1,"é"]}', 'application/json'), '{"a":[1,"é"]}');
  assert.equal(await post('a[b]=1&c=%20x', 'application/x-www-form-urlencoded'), '{"a":{"b":"1"},"c":" x"}');
  assert.equal(await post('é✓😀', 'text/plain'), '"é✓😀"');
  const bytes = randomBytes(500_000);
  assert.equal(await post(bytes, 'application/octet-stream'), hash(bytes));
  const long = await fetch(url, { method: 'POST', body: Buffer.alloc(2_000_000), headers: { 'Content-Type': 'application/octet-stream' } });
  assert.deepEqual([long.status, await long.text()], [500, 'Request entity too large']);
});

test('ultimate-express: uploads of known and unknown length are streamed, and read as slowly as they are taken', async () => {
  const app = express();
  app.post('/slow', async (req, res) => {
    const digest = createHash('sha256');
    await pipeline(req, new Writable({
      write: (piece, encoding, done) => {
        digest.update(piece);
        setImmediate(done);
      },
    }));
    res.send(digest.digest('hex'));
  });
  app.post('/echo', (req, res) => {
    req.pipe(res);
  });
  const url = await listen(app);
  const bodies = () => [LARGE, Readable.toWeb(Readable.from([LARGE.subarray(0, 5_000_000), LARGE.subarray(5_000_000)]))];
  for (const body of bodies()) {
    assert.equal(await (await fetch(`${url}/slow`, { method: 'POST', body, duplex: 'half' })).text(), hash(LARGE));
  }
  for (const body of bodies()) {
    assert.equal(await hashOf((await fetch(`${url}/echo`, { method: 'POST', body, duplex: 'half' })).body), hash(LARGE));
  }
});

test('ultimate-express: multipart forms by busboy', async () => {
  const app = express();
  app.post('/', (req, res) => {
    const parts = [];
    const form = busboy({ headers: req.headers });
    form.on('field', (name, value) => parts.push([name, value]));
    form.on('file', (name, stream, { filename }) => parts.push(hashOf(stream).then((digest) => [name, filename, digest])));
    form.on('close', async () => res.json(await Promise.all(parts)));
    req.pipe(form);
  });
  const url = await listen(app);
  const form = new FormData();
  const files = [Buffer.alloc(0), randomBytes(3_000_000), Buffer.from('\r\n--x\r\n')];
  form.append('text', 'é✓');
  files.forEach((bytes, index) => form.append('file', new Blob([bytes]), `${index}.bin`));
  const expected = [['text', 'é✓'], ...files.map((bytes, index) => ['file', `${index}.bin`, hash(bytes)])];
  assert.deepEqual(await (await fetch(url, { method: 'POST', body: form })).json(), expected);
});

test('ultimate-express: streams and large files are sent whole, also to a slow reader, and in ranges', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ferrows-downstream-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'large.bin'), LARGE);
  writeFileSync(join(folder, 'index.html'), '<p>index</p>');
  const app = express();
  app.use('/static', express.static(folder));
  app.get('/file', (req, res) => res.sendFile(join(folder, 'large.bin')));
  app.get('/piped', (req, res) => {
    Readable.from((function* slices() {
      for (let start = 0; start < LARGE.length; start += 100_000) yield LARGE.subarray(start, start + 100_000);
    })()).pipe(res);
  });
  app.get('/written', async (req, res) => {
    for (let start = 0; start < LARGE.length; start += 100_000) {
      if (!res.write(LARGE.subarray(start, start + 100_000))) await once(res, 'drain');
    }
    res.end();
  });
  const url = await listen(app);
  for (const path of ['/file', '/static/large.bin', '/piped', '/written']) {
    const response = await fetch(url + path);
    const digest = createHash('sha256');
    for await (const piece of response.body) {
      digest.update(piece);
      await new Promise(setImmediate);
    }
    assert.equal(digest.digest('hex'), hash(LARGE), path);
  }
  const part = await fetch(`${url}/static/large.bin`, { headers: { Range: 'bytes=1000000-2999999' } });
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 1000000-2999999/${LARGE.length}`]);
  assert.equal(await hashOf(part.body), hash(LARGE.subarray(1_000_000, 3_000_000)));
  assert.equal(await (await fetch(`${url}/static/`)).text(), '<p>index</p>');
  const raw = await RawClient.connect(app.port);
  const [etag] = (await raw.get('/static/index.html')).values('etag');
  assert.equal((await raw.get('/static/index.html', `If-None-Match: ${etag}`)).status, 304);
});

test('ultimate-express: server-sent events arrive as they are sent, and the end of the client is noticed', async () => {
  const app = express();
  const streams = new Mailbox();
  app.get('/', (req, res) => {
    res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    res.write(': begin\n\n');
    res.socket.on('close', () => streams.put('closed'));
    streams.put(res);
  });
  const url = await listen(app);
  const raw = await RawClient.connect(Number(new URL(url).port));
  await raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const stream = await streams.take();
  let text = '';
  for (let number = 0; number < 5; number++) {
    stream.write(`data: ${number}\n\n`);
    while (!text.includes(`data: ${number}\n\n`)) text += await raw.bytes(1);
  }
  raw.reset();
  assert.equal(await streams.take(), 'closed');
});

test('ultimate-express: uploads and downloads that break off are noticed, and the server lives on', async () => {
  const app = express();
  const ends = new Mailbox();
  app.post('/', (req, res) => {
    req.on('error', () => {});
    req.on('data', () => {});
    res.socket.on('close', () => ends.put('closed'));
  });
  app.get('/endless', (req, res) => {
    const source = Readable.from((function* forever() {
      for (;;) yield LARGE.subarray(0, 100_000);
    })());
    res.on('error', () => {});
    res.socket.on('close', () => {
      source.destroy();
      ends.put('closed');
    });
    source.pipe(res);
  });
  app.get('/', (req, res) => res.send('alive'));
  const url = await listen(app);
  const port = Number(new URL(url).port);
  for (const end of ['reset', 'finish']) {
    const raw = await RawClient.connect(port);
    await raw.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`);
    raw[end]();
    assert.equal(await ends.take(), 'closed');
  }
  const raw = await RawClient.connect(port);
  await raw.send('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
  await raw.bytes(1_000_000);
  raw.reset();
  assert.equal(await ends.take(), 'closed');
  assert.equal(await (await fetch(url)).text(), 'alive');
});

test('ultimate-express: WebSockets beside it on its app', async () => {
  const app = express();
  app.get('/', (req, res) => res.send('http'));
  app.uwsApp.ws('/ws', {
    upgrade: (res, req, context) => res.upgrade(
      { who: req.getQuery('who') },
      req.getHeader('sec-websocket-key'),
      req.getHeader('sec-websocket-protocol'),
      req.getHeader('sec-websocket-extensions'),
      context,
    ),
    open: (ws) => ws.send(`hello ${ws.who}`),
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  const url = await listen(app);
  const raw = await RawWebSocket.open(app.port, { path: '/ws?who=you' });
  assert.deepEqual(await raw.frame(), ['text', 'hello you']);
  raw.sendText('echo');
  assert.deepEqual(await raw.frame(), ['text', 'echo']);
  assert.equal(await (await fetch(url)).text(), 'http');
});

test('ultimate-express: cookies, redirects, formats, and the address of the client', async () => {
  const app = express();
  app.set('trust proxy', true);
  app.get('/cookie', (req, res) => res.cookie('a', 'b', { httpOnly: true }).clearCookie('c').send(req.ip));
  app.get('/away', (req, res) => res.redirect(301, '/cookie'));
  app.get('/format', (req, res) => res.format({ json: () => res.json({}), html: () => res.send('<p>') }));
  const url = await listen(app);
  const cookie = await fetch(`${url}/cookie`, { headers: { 'X-Forwarded-For': '192.0.2.7' } });
  assert.equal(cookie.headers.getSetCookie().length, 2);
  assert.equal(await cookie.text(), '192.0.2.7');
  const away = await fetch(`${url}/away`, { redirect: 'manual' });
  assert.deepEqual([away.status, away.headers.get('location')], [301, '/cookie']);
  assert.match((await fetch(`${url}/format`, { headers: { Accept: 'text/html' } })).headers.get('content-type'), /html/);
});
