'use strict';

/** `uWS.connect` against our own server: what it gives, its handlers, and what is refused. */

const { once } = require('node:events');
const net = require('node:net');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failure, open, textOf } = require('../helpers/client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { createApp, listen } = require('../helpers/server.js');

/** A server with these handlers. Returns its url, and what its WebSockets hear of their end. */
function serve(behavior = {}) {
  const closed = new Mailbox();
  const app = createApp().ws('/*', {
    message: (ws, message, isBinary) => ws.send(message, isBinary, true),
    close: (ws, code, reason, { cause }) => closed.put([code, textOf(reason), cause]),
    ...behavior,
  });
  return { app, url: `ws://127.0.0.1:${listen(app)}`, closed };
}

describe('connect', () => {
  test('resolves with the WebSocket when open has run, before the first message is handled', async () => {
    const { url } = serve({ open: (ws) => ws.send('first') });
    const order = [];
    const heard = new Mailbox();
    const ws = await uWS.connect(url, {
      open: (it) => order.push(['open', it]),
      message: (it) => {
        order.push(['message', it]);
        heard.put();
      },
    });
    afterTest(() => ws.close());
    order.push(['resolved', ws]);
    await heard.take();
    expect(order.map(([event]) => event)).toEqual(['open', 'resolved', 'message']);
    expect(order.every(([, it]) => it === ws)).toBe(true);
    expect(ws.constructor.name).toBe('uWS.WebSocket');
  });

  test('open is given what the response says', async () => {
    const { url } = serve({
      compression: uWS.SHARED_COMPRESSOR,
      upgrade: (res, req, context) => {
        const header = (name) => req.getHeader(`sec-websocket-${name}`);
        res.writeHeader('X-One', 'a').writeHeader('X-One', 'b');
        res.upgrade({}, header('key'), header('protocol').split(', ')[1], header('extensions'), context);
      },
    });
    const { received } = await open(url, { compression: uWS.SHARED_COMPRESSOR }, { protocols: ['a', 'b'] });
    const [, response] = await received.take();
    expect(response.protocol).toBe('b');
    expect(response.extensions).toBe('permessage-deflate; server_no_context_takeover; client_no_context_takeover');
    expect(response.headers).toMatchObject({ upgrade: 'websocket', 'x-one': 'a, b', 'sec-websocket-protocol': 'b' });
  });

  test('the request has path, query, Host and the headers that were asked for', async () => {
    const seen = new Mailbox();
    const { url } = serve({
      upgrade: (res, req, context) => {
        const headers = {};
        req.forEach((name, value) => { headers[name] = name in headers ? `${headers[name]}|${value}` : value; });
        seen.put({ path: req.getUrl(), query: req.getQuery(), headers });
        res.upgrade({}, headers['sec-websocket-key'], '', '', context);
      },
    });
    const headers = { Origin: 'http://a', 'X-Many': ['1', 2], 'X-Empty': '' };
    await open(`${url.replace('//', '//user:p%40ss@')}/a/b?c=d%20e`, {}, { headers });
    const request = await seen.take();
    expect(request).toMatchObject({ path: '/a/b', query: 'c=d%20e' });
    expect(request.headers).toMatchObject({
      host: url.slice('ws://'.length), origin: 'http://a', 'x-many': '1|2', 'x-empty': '', upgrade: 'websocket',
      authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
    });
    await open(url, {}, { headers: { host: 'other.example' } });
    expect((await seen.take()).headers.host).toBe('other.example');
    await open(url.replace('//', '//user:pass@'), {}, { headers: { AUTHORIZATION: 'Bearer token' } });
    expect((await seen.take()).headers.authorization).toBe('Bearer token');
    await open(new URL(url), {});
    expect((await seen.take()).path).toBe('/');
  });

  test('userData with a property __proto__ leaves the prototype alone', async () => {
    const userData = JSON.parse('{ "__proto__": { "isAdmin": true }, "name": "client" }');
    const { ws } = await open(serve().url, {}, { userData });
    expect([ws.name, ws.isAdmin, typeof ws.send]).toEqual(['client', undefined, 'function']);
  });

  test('userData is copied onto the WebSocket before open', async () => {
    const { url } = serve();
    let seen;
    const { ws } = await open(url, { open: (it) => { seen = it.name; } }, { userData: { name: 'client' } });
    expect([seen, ws.name, ws.getUserData()]).toEqual(['client', 'client', ws]);
  });

  test('addresses are those of the server', async () => {
    const { url } = serve();
    const { ws } = await open(url);
    expect(textOf(ws.getRemoteAddressAsText())).toBe('127.0.0.1');
    expect(ws.getRemotePort()).toBe(Number(new URL(url).port));
    expect(Buffer.from(ws.getRemoteAddress())).toEqual(Buffer.of(127, 0, 0, 1));
  });

  test('a host name is resolved, and an IPv6 address understood', async () => {
    const app = createApp().ws('/*', {});
    const { port } = new URL(`ws://x:${listen(app, 0)}`);
    const { ws } = await open(`ws://localhost:${port}`);
    expect(['127.0.0.1', '0000:0000:0000:0000:0000:0000:0000:0001']).toContain(textOf(ws.getRemoteAddressAsText()));
    if (await hasIPv6()) await open(`ws://[::1]:${port}`);
  });

  test('a client belongs to no app: closing one leaves it open', async () => {
    const { url } = serve();
    const other = createApp();
    listen(other);
    const { ws, received } = await open(url);
    await received.take();
    other.close();
    ws.send('still here');
    expect(await received.take()).toEqual(['text', 'still here']);
  });
});

async function hasIPv6() {
  const server = net.createServer().listen(0, '::1');
  return new Promise((resolve) => {
    server.on('error', () => resolve(false));
    server.on('listening', () => server.close(() => resolve(true)));
  });
}

describe('traffic', () => {
  test('text and binary messages of every length go there and back', async () => {
    const { url } = serve({ maxPayloadLength: 2 ** 20, maxBackpressure: 0 });
    const { ws, received } = await open(url, { maxPayloadLength: 2 ** 20, maxBackpressure: 0 });
    await received.take();
    const lengths = [0, 1, 125, 126, 127, 65535, 65536, 2 ** 20];
    for (const length of lengths) {
      ws.send('x'.repeat(length));
      ws.send(Buffer.alloc(length, 7), true);
    }
    const messages = [];
    while (messages.length < 2 * lengths.length) {
      const [event, message] = await received.take();
      if (event !== 'drain') messages.push([event, message.length, message[0] ?? 0]);
    }
    expect(messages).toEqual(lengths.flatMap((length) => [
      ['text', length, length === 0 ? 0 : 'x'], ['binary', length, length === 0 ? 0 : 7],
    ]));
  });

  test.each([
    ['SHARED_COMPRESSOR', uWS.SHARED_COMPRESSOR],
    ['DEDICATED_COMPRESSOR_4KB', uWS.DEDICATED_COMPRESSOR_4KB | uWS.DEDICATED_DECOMPRESSOR_1KB],
    ['DEDICATED_COMPRESSOR', uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR],
  ])('messages compressed with %s are understood at both ends', async (_, compression) => {
    for (const atServer of [compression, uWS.SHARED_COMPRESSOR, uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR]) {
      const { url } = serve({ compression: atServer, maxPayloadLength: 2 ** 20 });
      const { ws, received } = await open(url, { compression, maxPayloadLength: 2 ** 20 });
      const [, { extensions }] = await received.take();
      expect(extensions).toMatch(/^permessage-deflate/);
      for (let turn = 0; turn < 5; turn++) {
        const text = `the same words, ${'again and '.repeat(2000)} ${turn}`;
        ws.send(text, false, true);
        expect(await received.take()).toEqual(['text', text]);
      }
    }
  });

  test('fragments arrive as one message', async () => {
    const { url } = serve();
    const { ws, received } = await open(url);
    await received.take();
    ws.sendFirstFragment('a');
    ws.sendFragment('b');
    ws.ping('between');
    ws.sendLastFragment('c');
    expect([await received.take(), await received.take()]).toEqual([['pong', 'between'], ['text', 'abc']]);
  });

  test('pings are answered, and told at both ends', async () => {
    const atServer = new Mailbox();
    const { url } = serve({
      open: (ws) => ws.ping('from server'),
      ping: (ws, payload) => atServer.put(['ping', textOf(payload)]),
      pong: (ws, payload) => atServer.put(['pong', textOf(payload)]),
    });
    const { ws, received } = await open(url);
    await received.take();
    expect(await received.take()).toEqual(['ping', 'from server']);
    expect(await atServer.take()).toEqual(['pong', 'from server']);
    ws.ping('from client');
    expect(await received.take()).toEqual(['pong', 'from client']);
    expect(await atServer.take()).toEqual(['ping', 'from client']);
  });

  test("text: 'string' gives text as strings", async () => {
    const { url } = serve();
    const heard = new Mailbox();
    const ws = await uWS.connect(url, { text: 'string', message: (_, message) => heard.put(message) });
    afterTest(() => ws.close());
    ws.send('grüße');
    ws.send('bytes', true);
    expect(await heard.take()).toBe('grüße');
    expect(await heard.take()).toBeInstanceOf(ArrayBuffer);
  });

  test('send says when something has to wait, and drain when it does not any more', async () => {
    const { url } = serve({ maxPayloadLength: 2 ** 26, message: () => {} });
    const { ws, received } = await open(url, { maxBackpressure: 0 });
    await received.take();
    const chunk = Buffer.alloc(2 ** 20);
    let status = 1;
    for (let count = 0; status === 1; count++) {
      if (count > 2000) throw new Error('nothing ever waited');
      status = ws.send(chunk, true);
    }
    expect(status).toBe(0);
    expect(await received.take()).toEqual(['drain']);
    expect(ws.getBufferedAmount()).toBe(0);
  });

  test('what exceeds maxBackpressure is dropped, and told by dropped', async () => {
    const { url } = serve({ maxPayloadLength: 2 ** 26, message: () => {} });
    const dropped = [];
    const { ws } = await open(url, { maxBackpressure: 1, dropped: (_, message) => dropped.push(message.byteLength) });
    const chunk = Buffer.alloc(2 ** 22);
    let status = 1;
    for (let count = 0; status !== 2 && count < 100; count++) status = ws.send(chunk, true);
    expect(status).toBe(2);
    expect(dropped).toEqual([2 ** 22]);
  });

  test('a random conversation of many clients arrives in order', async () => {
    const { url } = serve({ compression: uWS.SHARED_COMPRESSOR });
    const clients = await Promise.all(Array.from({ length: 20 }, (_, index) => open(url, {
      compression: index % 2 === 0 ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
    })));
    await Promise.all(clients.map(async ({ ws, received }, index) => {
      await received.take();
      const sent = Array.from({ length: 50 }, (_, turn) => `${index} ${turn} ${'z'.repeat((index * turn * 37) % 3000)}`);
      for (const text of sent) ws.send(text, false, true);
      for (const text of sent) expect(await received.take()).toEqual(['text', text]);
    }));
  });
});

describe('the end', () => {
  test('end: the server hears code and reason, and both sides are closed cleanly', async () => {
    const { url, closed } = serve();
    const { ws, received } = await open(url);
    await received.take();
    ws.end(4001, 'enough');
    expect(await received.take()).toEqual(['close', 4001, 'enough', 'CLOSED_BY_END']);
    expect(await closed.take()).toEqual([4001, 'enough', 'CLOSED_BY_PEER']);
    expect(() => ws.send('late')).toThrow(expect.objectContaining({ code: 'ERR_WEBSOCKET_CLOSED' }));
  });

  test('the server ends: code and reason are told', async () => {
    const { url, closed } = serve({ message: (ws) => ws.end(4002, 'go away') });
    const { ws, received } = await open(url);
    await received.take();
    ws.send('hello');
    expect(await received.take()).toEqual(['close', 4002, 'go away', 'CLOSED_BY_PEER']);
    expect(await closed.take()).toEqual([4002, 'go away', 'CLOSED_BY_END']);
  });

  test('close drops the connection', async () => {
    const { url, closed } = serve();
    const { ws, received } = await open(url);
    await received.take();
    ws.close();
    expect(await received.take()).toEqual(['close', 1006, 'Application called close()', 'CLOSED_BY_APPLICATION']);
    expect((await closed.take())[0]).toBe(1006);
  });

  test('app.close() and app.shutdown() of the server are told by Close frames', async () => {
    for (const [act, code, reason] of [
      [(app) => app.close(), 1001, 'Application called app.close()'],
      [(app) => app.shutdown(), 1001, 'Server is shutting down'],
    ]) {
      const { app, url } = serve();
      const { received } = await open(url);
      await received.take();
      await act(app);
      expect(await received.take()).toEqual(['close', code, reason, 'CLOSED_BY_PEER']);
    }
  });
});

describe('failures', () => {
  test('a port where nobody listens: refused', async () => {
    const app = createApp();
    const port = listen(app);
    app.close();
    const error = await failure(`ws://127.0.0.1:${port}`);
    expect(error).toMatchObject({
      code: 'ERR_CONNECT_REFUSED', system: 'ECONNREFUSED', message: `Connection refused: 127.0.0.1:${port} (ECONNREFUSED)`,
    });
    expect('status' in error).toBe(false);
  });

  const withDescriptors = process.platform === 'win32' ? test.skip : test;
  withDescriptors('no descriptor is left: that is what is said, whether or not there is a name to resolve', async () => {
    const program = new Program(`
      const fs = require('fs');
      const app = uWS.App({ threads: 1 }).ws('/*', {});
      app.listen('127.0.0.1', 0, async (token) => {
        const port = uWS.us_socket_local_port(token);
        const ws = await uWS.connect('ws://127.0.0.1:' + port, {});
        const taken = [];
        try {
          for (;;) taken.push(fs.openSync('/dev/null'));
        } catch {}
        for (const url of ['ws://localhost:', 'ws://127.0.0.1:', 'wss://localhost:', 'ws://some.example:']) {
          await uWS.connect(url + port, {}).catch(({ code, system, message }) => say([code, system, message]));
        }
        taken.forEach((descriptor) => fs.closeSync(descriptor));
        (await uWS.connect('ws://localhost:' + port, {})).close();
        say('again');
      });
    `, { descriptors: 200 });
    for (let attempt = 0; attempt < 4; attempt++) {
      expect(await program.hear()).toEqual(
        ['ERR_CONNECT_DESCRIPTORS', 'EMFILE', expect.stringMatching(/^No file descriptor is left: /)]);
    }
    expect(await program.hear()).toBe('again');
  });

  test('a name that does not exist: DNS', async () => {
    const error = await failure('ws://does-not-exist.invalid:9/');
    expect(error).toMatchObject({ code: 'ERR_CONNECT_DNS', system: 'ENOTFOUND' });
    expect(error.message).toMatch(/^Host name could not be resolved: does-not-exist\.invalid: /);
  });

  test('a server that refuses: status, headers and body are at hand', async () => {
    const app = createApp().get('/*', (res) => {
      res.writeStatus('401 Unauthorized').writeHeader('WWW-Authenticate', 'Basic').end('who are you?');
    });
    const error = await failure(`ws://127.0.0.1:${listen(app)}/private`);
    expect(error).toMatchObject({
      code: 'ERR_CONNECT_STATUS', status: 401, body: 'who are you?',
      message: 'Server refused the upgrade to WebSocket: status 401 Unauthorized',
    });
    expect(error.headers).toMatchObject({ 'www-authenticate': 'Basic', 'content-length': '12' });
  });

  test('a signal gives it up, before and during', async () => {
    const silent = net.createServer().listen(0, '127.0.0.1');
    afterTest(() => silent.close());
    await once(silent, 'listening');
    const url = `ws://127.0.0.1:${silent.address().port}`;
    const controller = new AbortController();
    const connecting = once(silent, 'connection');
    const attempt = failure(url, {}, { signal: controller.signal });
    const [socket] = await connecting;
    afterTest(() => socket.destroy());
    socket.resume();
    const ended = once(socket, 'close');
    controller.abort(new Error('changed my mind'));
    expect((await attempt).message).toBe('changed my mind');
    await ended;
    expect((await failure(url, {}, { signal: controller.signal })).message).toBe('changed my mind');
  });

  test('a signal has no effect once it is open', async () => {
    const { url } = serve();
    const controller = new AbortController();
    const { ws, received } = await open(url, {}, { signal: controller.signal });
    await received.take();
    controller.abort();
    ws.send('still here');
    expect(await received.take()).toEqual(['text', 'still here']);
  });

  test.each([
    ['no behavior', ['ws://127.0.0.1'], 'TypeError', 'ERR_MISSING_ARGS'],
    ['a url of another type', [5, {}], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a url that is none', ['127.0.0.1', {}], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['another scheme', ['http://127.0.0.1', {}], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a fragment', ['ws://127.0.0.1/#a', {}], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a behavior that is none', ['ws://127.0.0.1', null], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a handler of servers', ['ws://127.0.0.1', { upgrade() {} }], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a handler that is none', ['ws://127.0.0.1', { open: 5 }], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a setting out of range', ['ws://127.0.0.1', { idleTimeout: 1 }], 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['options that are none', ['ws://127.0.0.1', {}, 5], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a timeout out of range', ['ws://127.0.0.1', {}, { connectTimeout: -1 }], 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['a timeout that is none', ['ws://127.0.0.1', {}, { connectTimeout: '1' }], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a header that is none', ['ws://127.0.0.1', {}, { headers: { a: {} } }], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['a header with a line break', ['ws://127.0.0.1', {}, { headers: { a: 'b\r\nc: d' } }], 'TypeError', 'ERR_HTTP_INVALID_HEADER'],
    ['a header of the handshake', ['ws://127.0.0.1', {}, { headers: { Upgrade: 'h2c' } }], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a subprotocol that is none', ['ws://127.0.0.1', {}, { protocols: 'a b' }], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a subprotocol twice', ['ws://127.0.0.1', {}, { protocols: ['a', 'a'] }], 'TypeError', 'ERR_INVALID_ARG_VALUE'],
    ['a signal that is none', ['ws://127.0.0.1', {}, { signal: {} }], 'TypeError', 'ERR_INVALID_ARG_TYPE'],
  ])('%s is refused', async (_, args, name, code) => {
    const error = await uWS.connect(...args).catch((reason) => reason);
    expect([error.name, error.code]).toEqual([name, code]);
  });

  test('topics are for servers', async () => {
    const { url } = serve();
    const { ws } = await open(url);
    for (const call of [() => ws.subscribe('a'), () => ws.publish('a', 'b')]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
    }
    expect([ws.unsubscribe('a'), ws.isSubscribed('a'), ws.getTopics()]).toEqual([false, false, []]);
  });
});

describe('the process', () => {
  const SERVER = `
    const app = uWS.App({ threads: 1 }).ws('/*', { message: (ws, message) => ws.send(message) });
    let token;
    app.listen('127.0.0.1', 0, (it) => { token = it; });
    const url = 'ws://127.0.0.1:' + uWS.us_socket_local_port(token);
  `;

  test('ends by itself when no client is open', async () => {
    const { url } = serve();
    const program = new Program(`
      uWS.connect(${JSON.stringify(url)}, {
        message: (ws, message) => { say(Buffer.from(message).toString()); ws.end(1000, 'done'); },
        close: (ws, code) => say(code),
      }).then((ws) => ws.send('hello'));
    `);
    expect([await program.hear(), await program.hear()]).toEqual(['hello', 1000]);
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('ends by itself when a connect has failed or was given up', async () => {
    const silent = net.createServer().listen(0, '127.0.0.1');
    afterTest(() => silent.close());
    await once(silent, 'listening');
    silent.on('connection', (socket) => {
      afterTest(() => socket.destroy());
      socket.on('error', () => {});
    });
    const program = new Program(`
      const controller = new AbortController();
      uWS.connect('ws://127.0.0.1:1', {}).catch((error) => say(error.code));
      uWS.connect('ws://127.0.0.1:${silent.address().port}', {}, { signal: controller.signal }).catch((error) => say(error.name));
      setTimeout(() => controller.abort(), 100);
    `);
    expect([await program.hear(), await program.hear()]).toEqual(['ERR_CONNECT_REFUSED', 'AbortError']);
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('a thread that is terminated takes its clients with it, open ones and those under way', async () => {
    const { url, closed } = serve();
    const silent = net.createServer().listen(0, '127.0.0.1');
    afterTest(() => silent.close());
    await once(silent, 'listening');
    const ended = new Promise((resolve) => {
      silent.on('connection', (socket) => {
        afterTest(() => socket.destroy());
        socket.resume().on('error', () => {}).on('close', resolve);
      });
    });
    const program = new Program(`
      const { Worker, isMainThread, parentPort } = require('node:worker_threads');
      const source = \`
        const uWS = require('ferrows');
        const { parentPort } = require('node:worker_threads');
        uWS.connect('ws://127.0.0.1:${silent.address().port}', {}).catch(() => {});
        uWS.connect('ws://name-to-be-resolved.invalid', {}).catch(() => {});
        uWS.connect(${JSON.stringify(url)}, {}).then(() => parentPort.postMessage('open'));
      \`;
      const worker = new Worker(source, { eval: true });
      worker.on('message', async (message) => { say(message); await worker.terminate(); say('terminated'); });
    `);
    expect([await program.hear(), await program.hear()]).toEqual(['open', 'terminated']);
    expect((await closed.take())[0]).toBe(1006);
    await ended;
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('a thousand clients of one process talk to a server of the same process', async () => {
    const program = new Program(`${SERVER}
      const answers = new Set();
      (async () => {
        const connect = (index) => new Promise((resolve, reject) => {
          uWS.connect(url, {
            text: 'string',
            message: (ws, message) => { answers.add(message); ws.end(); },
            close: (ws, code, message, info) => resolve(info.cause),
          }).then((ws) => ws.send('hello ' + index), reject);
        });
        const causes = await Promise.all(Array.from({ length: 1000 }, (_, index) => connect(index)));
        say([new Set(causes).size, causes[0], answers.size]);
        app.close();
      })();
    `);
    expect(await program.hear()).toEqual([1, 'CLOSED_BY_END', 1000]);
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });
});
