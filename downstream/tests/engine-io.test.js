'use strict';

// Engine.IO by itself: `new uServer().attach(app)`.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { Socket: ClientSocket } = require('engine.io-client');

const { afterTest, createApp, listen, Mailbox, RawClient, RawWebSocket, test } = require('../helpers/project.js');
const { next, until } = require('../helpers/waiting.js');

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];

/** An engine on an app, and its port. */
function serve(uServer, options, attachOptions) {
  const app = createApp();
  const engine = new uServer(options);
  engine.attach(app, attachOptions);
  afterTest(() => engine.close());
  return { engine, port: listen(app), app };
}

function connect(port, options) {
  const client = new ClientSocket(`ws://127.0.0.1:${port}`, options);
  afterTest(() => client.close());
  return client;
}

function testSessions(name, uServer) {
  for (const transports of TRANSPORTS) {
    test(`${name} over ${transports.join(', then ')}: text and binary, both ways, in order`, async () => {
      const { engine, port } = serve(uServer);
      engine.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
      const client = connect(port, { transports });
      const got = new Mailbox();
      client.on('message', (data) => got.put(data));
      await next(client, 'open');
      const sent = ['é✓😀', Buffer.alloc(0), randomBytes(1), randomBytes(70_000), 'x'.repeat(100_000), 'end'];
      for (const data of sent) client.send(data);
      for (const data of sent) {
        const echo = await got.take();
        assert.ok(typeof data === 'string' ? echo === data : Buffer.from(echo).equals(data));
      }
      assert.equal(engine.clientsCount, 1);
    });

    test(`${name} over ${transports.join(', then ')}: who closes, and why`, async () => {
      const { engine, port } = serve(uServer);
      for (const [end, there, here] of [
        [(client) => client.close(), 'transport close', 'forced close'],
        [(client, socket) => socket.close(), 'forced close', 'transport close'],
      ]) {
        const connected = next(engine, 'connection');
        const client = connect(port, { transports });
        const socket = await connected;
        await next(client, 'open');
        if (transports.length > 1) await next(client, 'upgrade');
        const reasons = Promise.all([next(socket, 'close'), next(client, 'close')]);
        end(client, socket);
        assert.deepEqual(await reasons, [there, here]);
        await until(() => engine.clientsCount === 0);
      }
    });
  }

  test(`${name}: another path, and other routes beside it`, async () => {
    const { engine, port, app } = serve(uServer, {}, { path: '/other' });
    app.any('/*', (res) => res.end('mine'));
    engine.on('connection', (socket) => socket.send('hello'));
    const client = connect(port, { path: '/other' });
    assert.equal(await next(client, 'message'), 'hello');
    assert.equal((await (await RawClient.connect(port)).get('/anything')).text, 'mine');
  });

  test(`${name}: engine.close() ends every session`, async () => {
    const { engine, port } = serve(uServer);
    const clients = [];
    for (const transports of [['polling'], ['websocket']]) {
      const connected = next(engine, 'connection');
      clients.push(connect(port, { transports }));
      await connected;
      await next(clients.at(-1), 'open');
    }
    const closed = clients.map((client) => next(client, 'close'));
    engine.close();
    await Promise.all(closed);
    assert.equal(engine.clientsCount, 0);
  });
}

const POLLING = '/engine.io/?EIO=4&transport=polling';
const WEBSOCKET = '/engine.io/?EIO=4&transport=websocket';

function testOptions(name, uServer) {
  test(`${name}: headers of handlers are sent on both transports`, async () => {
    const { engine, port } = serve(uServer);
    engine.on('initial_headers', (headers) => {
      headers['X-First'] = 'yes';
      headers['Set-Cookie'] = 'a=b';
    });
    engine.on('headers', (headers) => {
      headers['X-Every'] = 'yes';
    });
    const { headText: head } = await (await RawClient.connect(port)).get(POLLING);
    assert.match(head, /x-first: yes\r\n/i);
    assert.match(head, /set-cookie: a=b\r\n/i);
    assert.match(head, /x-every: yes\r\n/i);
    // On upgrades 6.6.0 emits neither event for uWebSockets.js.
    const raw = await RawWebSocket.open(port, { path: WEBSOCKET });
    if (name === 'Engine.IO') assert.match(raw.head, /x-first: yes[\s\S]*x-every: yes/i);
  });

  test(`${name}: middlewares run on both transports, and those that answer late too`, async () => {
    const { engine, port } = serve(uServer);
    engine.use((request, response, proceed) => {
      response.setHeader('X-Middleware', request.headers.host);
      setImmediate(() => setTimeout(proceed, 10));
    });
    const { headText: head } = await (await RawClient.connect(port)).get(POLLING);
    assert.match(head, /x-middleware: [^\r]+\r\n/i);
    const raw = await RawWebSocket.open(port, { path: WEBSOCKET });
    assert.match(raw.head, /x-middleware: /i);
    engine.use((request, response, proceed) => proceed(new Error('no')));
    const refused = await (await RawClient.connect(port)).get(POLLING);
    assert.deepEqual([refused.status, JSON.parse(refused.text).code], [400, 3]);
  });

  test(`${name}: allowRequest that decides late refuses both transports`, async () => {
    const allowRequest = (request, decide) => setTimeout(() => decide('later', false), 10);
    const { port } = serve(uServer, { allowRequest });
    const refused = await (await RawClient.connect(port)).get(POLLING);
    assert.deepEqual([refused.status, JSON.parse(refused.text).message], [403, 'later']);
    await assert.rejects(RawWebSocket.open(port, { path: WEBSOCKET }), /403 Forbidden/);
  });

  for (const limit of [1e10, Infinity]) {
    test(`${name}: maxHttpBufferSize: ${limit} takes what there is`, async () => {
      const { engine, port } = serve(uServer, { maxHttpBufferSize: limit });
      engine.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data.length))));
      for (const transports of [['polling'], ['websocket']]) {
        const client = connect(port, { transports });
        client.send('x'.repeat(2_000_000));
        assert.equal(await next(client, 'message'), '2000000');
      }
    });
  }

  test(`${name}: a body in chunks, which has no length, is refused`, async () => {
    const { port } = serve(uServer);
    const raw = await RawClient.connect(port);
    const [, sid] = /"sid":"([^"]+)"/.exec((await raw.get(POLLING)).text);
    await raw.send(`POST ${POLLING}&sid=${sid} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4x\r\n0\r\n\r\n`);
    assert.equal((await raw.response()).status, 411);
  });
}

for (const [name, { uServer }] of [['Engine.IO', require('engine.io')], ['Engine.IO 6.6.0', require('engine.io-6.6.0')]]) {
  testSessions(name, uServer);
  testOptions(name, uServer);
}
