'use strict';

// Connections that an HTTP server of Node's gives away at its 'upgrade' event, with their descriptor.

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { open, serveUpgrades } = require('../helpers/node-server.js');
const { Program } = require('../helpers/program.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const isWindows = process.platform === 'win32';

/** Gives everything to the app. */
const give = (app) => (req, socket, head) => app.handleUpgrade(req, socket, head);

/** An app that echoes on every path, and a server of Node's that gives it everything. Resolves to the port. */
function serveEcho(options) {
  return serveUpgrades(give(createApp(options).ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) })));
}

/** How many connections of an app are open. */
function openOf(app) {
  const { http, webSocket } = app.getStats().connections;
  return http.open + webSocket.open;
}

/** What an app answers a request with, on a connection that ends then. */
async function refusal(port, text) {
  const client = await RawClient.connect(port);
  await client.send(text);
  const response = await client.response();
  expect(await client.rest()).toBe('');
  expect(response.values('connection')).toEqual(['close']);
  return response;
}

describe('a WebSocket of a server of Node\'s', () => {
  test('works, and Node serves everything else', async () => {
    const port = await serveEcho();
    const client = await RawWebSocket.open(port);
    for (const text of ['one', 'two']) {
      client.sendText(text);
      expect(await client.frame()).toEqual(['text', text]);
    }
    client.send(closeFrame(4000, 'bye'));
    expect(await client.rest()).toEqual({ frames: [['close', 4000, 'bye']], end: 'FIN' });
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('node');
  });

  test('compression, messages of a megabyte and pings are as everywhere', async () => {
    const uWS = require('../..');
    const app = createApp().ws('/*', {
      compression: uWS.SHARED_COMPRESSOR, maxPayloadLength: 2 ** 21, message: (ws, message) => ws.send(message, true, true),
    });
    const client = new WebSocket(`ws://127.0.0.1:${await serveUpgrades(give(app))}/`);
    afterTest(() => client.terminate());
    await once(client, 'open');
    expect(client.extensions).toMatch(/^permessage-deflate/);
    client.send(Buffer.alloc(2 ** 20, 'x'));
    expect((await once(client, 'message'))[0].equals(Buffer.alloc(2 ** 20, 'x'))).toBe(true);
    client.ping('p');
    expect(String((await once(client, 'pong'))[0])).toBe('p');
  });

  test('frames behind the request, in one packet with it, are its first messages', async () => {
    const behind = Buffer.concat(['1', '2', '3'].map((text) => frame('text', text)));
    const client = await RawWebSocket.open(await serveEcho(), { behind });
    for (const text of ['1', '2', '3']) expect(await client.frame()).toEqual(['text', text]);
  });

  test.each([1, 7, 64, 300])('what comes while the program thinks is kept, in pieces of %i bytes, and is seen once', async (size) => {
    const app = createApp().ws('/*', { maxPayloadLength: 2 ** 20, message: (ws, message) => ws.send(message) });
    const [asked, go] = [new Mailbox(), new Mailbox()];
    const port = await serveUpgrades(async (req, socket, head) => {
      asked.put();
      await go.take();
      app.handleUpgrade(req, socket, head);
    });
    const client = await RawClient.connect(port);
    client.socket.setNoDelay(true);
    const words = Array.from({ length: 200 }, (_, index) => `word ${index}`);
    const bytes = Buffer.concat([Buffer.from(handshake()), ...words.map((word) => frame('text', word))]);
    for (let start = 0; start < bytes.length; start += size) {
      await client.send(bytes.subarray(start, start + size));
      if (start % (size * 20) === 0) await new Promise(setImmediate);
    }
    await asked.take();
    go.put();
    expect((await client.bytes(12))).toBe('HTTP/1.1 101');
    const rest = [];
    const wanted = words.map((word) => String.fromCharCode(0x81, word.length) + word).join('');
    for (let text = ''; !text.endsWith('\r\n\r\n'); text += rest.at(-1)) rest.push(await client.bytes(1));
    expect(await client.bytes(wanted.length)).toBe(wanted);
  });

  test('more than Node takes at once while the program thinks waits in the system, and nothing is lost', async () => {
    let sum = 0;
    const done = new Mailbox();
    const app = createApp().ws('/*', {
      maxPayloadLength: 2 ** 20,
      message: (ws, message) => {
        sum += message.byteLength;
        if (message.byteLength === 1) done.put(sum);
      },
    });
    const go = new Mailbox();
    const port = await serveUpgrades(async (req, socket, head) => {
      await go.take();
      app.handleUpgrade(req, socket, head);
    });
    const client = await RawClient.connect(port);
    await client.send(handshake());
    const piece = frame('binary', Buffer.alloc(100_000));
    const sent = Promise.all(Array.from({ length: 50 }, () => client.send(piece)));
    const last = client.send(frame('binary', 'x'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    go.put();
    await Promise.all([sent, last]);
    expect(await done.take()).toBe(5_000_001);
  });

  test('the upgrade handler has its own req and res, Node\'s request, and the address of the peer', async () => {
    const seen = new Mailbox();
    const app = createApp().ws('/rooms/:room', {
      upgrade: (res, req, context) => {
        const { user } = context.request;
        seen.put([req.getMethod(), req.getUrl(), req.getQuery('a'), req.getHeader('x-two'), req.getParameter('room'),
          Buffer.from(res.getRemoteAddressAsText()).toString(), res.getRemotePort(), context.request.headers['x-two'], user]);
        res.upgrade({ user });
      },
      open: (ws) => ws.send(`${ws.user} ${ws.getRemotePort()}`),
    });
    const port = await serveUpgrades((req, socket, head) => {
      req.user = 'ann';
      app.handleUpgrade(req, socket, head);
    });
    const client = await RawWebSocket.open(port, { path: '/rooms/a%20b?a=1', fields: ['X-Two: caf\xe9', 'X-Two: b'] });
    const { localPort } = client.socket;
    expect(await seen.take()).toEqual([
      'get', '/rooms/a%20b', '1', 'caf\xc3\xa9', 'a%20b', '127.0.0.1', localPort, 'caf\xc3\xa9, b', 'ann',
    ]);
    expect(await client.frame()).toEqual(['text', `ann ${localPort}`]);
  });

  test('of a connection of our own, context has no request', async () => {
    const seen = new Mailbox();
    const app = createApp().ws('/*', {
      upgrade: (res, req, context) => {
        seen.put(context.request);
        res.upgrade({});
      },
    });
    await RawWebSocket.open(listen(app));
    expect(await seen.take()).toBe(undefined);
  });

  test('an upgrade handler may answer something else, later, and the connection ends with it', async () => {
    const app = createApp().ws('/*', {
      upgrade: async (res) => {
        res.onAborted(() => {});
        await new Promise(setImmediate);
        res.cork(() => res.writeStatus('401 Unauthorized').writeHeader('X-Why', 'cookie').end('who are you?'));
      },
    });
    const response = await refusal(await serveUpgrades(give(app)), handshake());
    expect([response.status, response.text, response.values('x-why')]).toEqual([401, 'who are you?', ['cookie']]);
  });

  test('a handler that yields leaves the request to the next ws route, and to no route of HTTP', async () => {
    const app = createApp().any('/*', (res) => res.end('HTTP')).get('/b', (res) => res.end('HTTP'));
    app.ws('/:any', { upgrade: (res, req) => req.setYield(true) });
    app.ws('/*', {
      upgrade: (res, req, context) => {
        if (req.getUrl() === '/b') req.setYield(true);
        else res.upgrade({ user: context.request.headers.host });
      },
      open: (ws) => ws.send(ws.user),
    });
    const port = await serveUpgrades(give(app));
    expect(await (await RawWebSocket.open(port, { path: '/a' })).frame()).toEqual(['text', 'test']);
    expect((await refusal(port, handshake('/b'))).status).toBe(404);
  });

  test('is counted, filtered, listed and limited as one of our own', async () => {
    const counts = new Mailbox();
    const app = createApp({ threads: 1, maxHeaderSize: 1024 }).filter((connection, count) => counts.put(count));
    app.ws('/*', { maxPayloadLength: 10 });
    const port = await serveUpgrades(give(app));
    const client = await RawWebSocket.open(port);
    expect(await counts.take()).toBe(1);
    expect([...app.webSockets]).toHaveLength(1);
    const { connections, bytes, requests } = app.getStats();
    expect(connections).toEqual({ http: { open: 0, total: 1 }, webSocket: { open: 1, total: 1 } });
    expect([bytes.received, requests]).toEqual([handshake().length, 1]);
    client.sendText('x'.repeat(11));
    expect(await client.frame()).toEqual(['close', 1009, expect.stringMatching(/^Received too big message/)]);
    client.finish();
    expect(await counts.take()).toBe(-1);
    expect(app.webSockets.size).toBe(0);
    expect((await refusal(port, handshake('/', [`X: ${'x'.repeat(1024)}`]))).status).toBe(431);
  });

  test.each([
    ['FIN', (client) => client.finish(), 'ERR_FIN_WITHOUT_CLOSE'],
    ['a reset', (client) => client.reset(), 'ERR_CONNECTION_RESET'],
    ['a Close frame', (client) => client.send(closeFrame(1000, 'done')), 'CLOSED_BY_PEER'],
    ['a broken rule', (client) => client.send(frame('ping', 'x', { fin: false })), 'ERR_FRAME_FRAGMENTED_CONTROL'],
  ])('ends with the cause that it has: %s', async (_, act, cause) => {
    const closed = new Mailbox();
    const app = createApp().ws('/*', { close: (ws, code, message, info) => closed.put(info) });
    const client = await RawWebSocket.open(await serveUpgrades(give(app)));
    act(client);
    expect(await closed.take()).toMatchObject({ cause });
  });

  test('app.shutdown() waits for it, and tells the client', async () => {
    const app = createApp().ws('/*', {});
    const client = await RawWebSocket.open(await serveUpgrades(give(app)));
    const over = app.shutdown({ timeout: 60_000 });
    expect(await client.frame()).toEqual(['close', 1001, 'Server is shutting down']);
    client.send(closeFrame(1001));
    client.finish();
    expect(await over).toEqual({ forced: 0 });
  });

  test('app.close() closes it', async () => {
    const app = createApp().ws('/*', {});
    const client = await RawWebSocket.open(await serveUpgrades(give(app)));
    app.close();
    expect((await client.rest()).frames).toEqual([['close', 1001, 'Application called app.close()']]);
  });

  test('the server of Node does not wait for it, and its object is destroyed', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const sockets = new Mailbox();
    const server = http.createServer().on('upgrade', (req, socket, head) => {
      app.handleUpgrade(req, socket, head);
      sockets.put(socket);
    });
    const client = await RawWebSocket.open(await open(server));
    const socket = await sockets.take();
    expect([socket.destroyed, socket.remotePort]).toEqual([true, client.socket.localPort]);
    await new Promise((resolve) => server.close(resolve));
    // None of these reaches the client.
    socket.write('x');
    socket.end('y');
    socket.resetAndDestroy();
    socket.emit('timeout');
    client.sendText('still here');
    expect(await client.frame()).toEqual(['text', 'still here']);
  });

  test('keeps the process alive by itself, and lets it end', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 1 }).ws('/*', { message: (ws, message) => ws.end(1000, message) });
      const server = require('node:http').createServer();
      server.on('upgrade', (req, socket, head) => {
        app.handleUpgrade(req, socket, head);
        server.close();
      });
      server.listen(0, '127.0.0.1', () => say(server.address().port));
    `);
    const client = await RawWebSocket.open(await program.hear());
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.sendText('enough');
    expect(await client.frame()).toEqual(['close', 1000, 'enough']);
    client.send(closeFrame(1000));
    client.finish();
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });

  test('has read nothing ahead if the memory of its head is detached', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    for (const view of [(buffer) => buffer, (buffer) => new Uint8Array(buffer)]) {
      const buffer = new ArrayBuffer(8);
      const head = view(buffer);
      structuredClone(buffer, { transfer: [buffer] });
      const client = await RawWebSocket.open(await serveUpgrades((req, socket) => app.handleUpgrade(req, socket, head)));
      client.sendText('x');
      expect(await client.frame()).toEqual(['text', 'x']);
    }
  });

  (isWindows ? test.skip : test)('may be on a Unix socket', async () => {
    const path = join(tmpdir(), `ferrows-upgrade-${process.pid}.sock`);
    const app = createApp().ws('/*', { open: (ws) => ws.send(`[${Buffer.from(ws.getRemoteAddressAsText())}]`) });
    await serveUpgrades(give(app), path);
    expect(await (await RawWebSocket.open({ path })).frame()).toEqual(['text', '[]']);
  });

  test('an app that reads PROXY headers or speaks TLS takes it as it is', async () => {
    const proxied = createApp({ threads: 1, proxyProtocol: { trust: ['127.0.0.1'], required: true } }).ws('/*', {});
    await RawWebSocket.open(await serveUpgrades(give(proxied)));
    const secure = createSSLApp().ws('/*', { open: (ws) => ws.send(ws.constructor.name) });
    expect(await (await RawWebSocket.open(await serveUpgrades(give(secure)))).frame()).toEqual(['text', 'uWS.SSLWebSocket']);
    const client = await RawClient.connect(await serveUpgrades(give(proxied)));
    await client.send(proxyHeader({ ip: '198.51.100.1', port: 1 }));
    expect((await client.response()).status).toBe(400);
  });

  test('a thousand come and go, on two threads, and leave nothing', async () => {
    const app = createApp({ threads: 2 }).ws('/*', { message: (ws, message) => ws.send(message) });
    const port = await serveUpgrades(give(app));
    const visit = async (number) => {
      const client = await RawWebSocket.open(port, { behind: frame('text', `${number}`) });
      expect(await client.frame()).toEqual(['text', `${number}`]);
      if (number % 3 === 0) client.reset();
      else if (number % 3 === 1) client.finish();
      else client.socket.destroy();
    };
    for (let start = 0; start < 1000; start += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => visit(start + index)));
    }
    while (openOf(app) > 0) await new Promise(setImmediate);
    expect(app.getStats().connections.webSocket.total).toBe(1000);
  });
});

describe('what no route takes', () => {
  test('is answered with 404 and the reason', async () => {
    const app = createApp().ws('/chat', {}).get('/*', (res) => res.end('never'));
    const response = await refusal(await serveUpgrades(give(app)), handshake('/other'));
    expect([response.status, response.text]).toEqual([404, 'No WebSocket route takes this request']);
    expect(app.getStats().handshakeFailures.webSocket).toBe(1);
  });

  test('is left alone with passOn', async () => {
    const app = createApp().ws('/chat', { open: (ws) => ws.send('ours') });
    const results = [];
    const port = await serveUpgrades((req, socket, head) => {
      const isTaken = app.handleUpgrade(req, socket, head, { passOn: true });
      results.push(isTaken);
      if (!isTaken) socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n');
    });
    const client = await RawClient.connect(port);
    await client.send(handshake('/other'));
    expect((await client.response()).status).toBe(418);
    expect(await (await RawWebSocket.open(port, { path: '/chat' })).frame()).toEqual(['text', 'ours']);
    expect(results).toEqual([false, true]);
  });

  test.each([
    ['another protocol', ['GET /chat HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: h2c'], 400, /^Upgrade/],
    ['no key', ['GET /chat HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'], 400, /Key/],
    ['another version', [...handshake('/chat').replace('Version: 13', 'Version: 8').split('\r\n').slice(0, -2)], 426, /./],
    ['another method', [...handshake('/chat').replace('GET', 'PUT').split('\r\n').slice(0, -2)], 404, /./],
    ['a body', [...handshake('/chat').split('\r\n').slice(0, -2), 'Content-Length: 3'], 400, /body/],
    ['HTTP/1.0', [...handshake('/chat').replace('HTTP/1.1', 'HTTP/1.0').split('\r\n').slice(0, -2)], 400, /./],
  ])('a request with %s is told what is wrong with it', async (_, lines, status, text) => {
    const port = await serveUpgrades(give(createApp().ws('/chat', {})));
    const client = await RawClient.connect(port);
    await client.send([...lines, '', ''].join('\r\n'));
    if (_ === 'a body') await client.send('abc');
    const response = await client.response();
    expect([response.status, response.text]).toEqual([status, expect.stringMatching(text)]);
  });

  test('with passOn, requests without a key or that break a rule of ours are others\' too', async () => {
    const app = createApp({ threads: 1, maxHeaderSize: 1024 }).ws('/chat', {});
    const results = new Mailbox();
    const port = await serveUpgrades((req, socket, head) => {
      results.put(app.handleUpgrade(req, socket, head, { passOn: true }));
      socket.destroy();
    });
    for (const text of [handshake('/chat').replace('Key:', 'Kez:'), handshake('/chat', [`X: ${'x'.repeat(2000)}`])]) {
      await (await RawClient.connect(port)).send(text);
      expect(await results.take()).toBe(false);
    }
  });

  test('a request that the program has bent is refused, and nothing in it ends a line', async () => {
    const app = createApp().ws('/*', { upgrade: (res, req) => res.end(req.getHeader('x-injected')) });
    for (const url of ['/a HTTP/1.1\r\nX-Injected: yes', '/\u010aX-Injected: yes', '/a b', '/\0', '']) {
      const port = await serveUpgrades((req, socket, head) => {
        req.url = url;
        app.handleUpgrade(req, socket, head);
      });
      expect((await refusal(port, handshake())).status).toBe(400);
    }
  });
});

describe('requests in front of the upgrade on its connection', () => {
  test('are answered first, however late', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const waiting = [];
    const server = http.createServer((req, res) => waiting.push(res)).on('upgrade', (req, socket, head) => {
      app.handleUpgrade(req, socket, head);
    });
    const client = await RawClient.connect(await open(server));
    await client.send(request('GET', '/1') + request('GET', '/2') + handshake() + frame('text', 'x').toString('latin1'));
    while (waiting.length < 2) await new Promise(setImmediate);
    waiting[1].end('second');
    await new Promise((resolve) => setTimeout(resolve, 20));
    waiting[0].write('fir');
    await new Promise((resolve) => setTimeout(resolve, 20));
    waiting[0].end('st');
    expect((await client.response()).text).toBe('first');
    expect((await client.response()).text).toBe('second');
    expect(await client.bytes(12)).toBe('HTTP/1.1 101');
  });

  test('and a megabyte that the client is slow to read is not overtaken', async () => {
    const app = createApp().ws('/*', {});
    const server = http.createServer((req, res) => res.end(Buffer.alloc(2 ** 22, 'x'))).on('upgrade', give(app));
    const client = await RawClient.connect(await open(server));
    client.pause();
    await client.send(request('GET', '/1') + handshake());
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.resume();
    expect((await client.response()).body.length).toBe(2 ** 22);
    expect(await client.bytes(12)).toBe('HTTP/1.1 101');
  });

  test('a client that leaves before is nobody\'s business', async () => {
    const app = createApp().ws('/*', {});
    const waiting = new Mailbox();
    const server = http.createServer((req, res) => waiting.put(res)).on('upgrade', (req, socket, head) => {
      waiting.put(app.handleUpgrade(req, socket, head));
      socket.on('close', () => waiting.put('closed'));
    });
    const client = await RawClient.connect(await open(server));
    await client.send(request('GET', '/1') + handshake());
    await waiting.take();
    expect(await waiting.take()).toBe(true);
    client.reset();
    expect(await waiting.take()).toBe('closed');
    expect(app.getStats().connections.http.total).toBe(0);
  });
});

describe('sockets that die while they are handed over', () => {
  test.each([
    ['a reset', (client) => client.reset()],
    ['FIN', (client) => client.finish()],
  ])('%s of the client, before and after Node has heard of it', async (_, die) => {
    const closed = new Mailbox();
    const app = createApp().ws('/*', { open: () => closed.put('open'), close: (ws, code) => closed.put(code) });
    for (const delay of [0, 1, 5, 50]) {
      const asked = new Mailbox();
      const port = await serveUpgrades((req, socket, head) => asked.put({ req, socket, head }));
      const client = await RawClient.connect(port);
      await client.send(handshake());
      const { req, socket, head } = await asked.take();
      socket.on('error', () => {});
      die(client);
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      expect(app.handleUpgrade(req, socket, head)).toBe(true);
    }
    while (openOf(app) > 0) await new Promise(setImmediate);
  });

  test('one that the program has destroyed, or ended', async () => {
    const app = createApp().ws('/*', {});
    const results = new Mailbox();
    const port = await serveUpgrades((req, socket, head) => {
      socket.destroy();
      results.put(app.handleUpgrade(req, socket, head));
    });
    await (await RawClient.connect(port)).send(handshake());
    expect(await results.take()).toBe(true);
    expect(app.getStats().connections.http.total).toBe(0);
  });

  test('an error of the socket ends nothing', async () => {
    const app = createApp().ws('/*', {});
    const results = new Mailbox();
    const port = await serveUpgrades((req, socket, head) => {
      app.handleUpgrade(req, socket, head);
      socket.emit('error', new Error('late'));
      results.put();
    });
    await RawWebSocket.open(port);
    await results.take();
  });

  (isWindows ? test.skip : test)('for want of descriptors it is closed with a warning, and the process lives', async () => {
    const program = new Program(`
      const fs = require('node:fs');
      const app = uWS.App({ threads: 1 }).ws('/*', {});
      const server = require('node:http').createServer((req, res) => res.end('alive'));
      process.on('warning', (warning) => say(warning.code));
      const held = [];
      server.on('upgrade', (req, socket, head) => {
        try { for (;;) held.push(fs.openSync('/dev/null')); } catch {}
        app.handleUpgrade(req, socket, head);
        held.splice(0).forEach(fs.closeSync);
      });
      const warm = app.listen('127.0.0.1', 0).then(() => server.listen(0, '127.0.0.1', () => say(server.address().port)));
      process.on('SIGTERM', () => process.exit());
    `, { descriptors: 100 });
    const port = await program.hear();
    const client = await RawClient.connect(port);
    await client.send(handshake());
    await client.over();
    expect(await program.hear()).toBe('FERROWS_TAKEOVER');
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('alive');
  });
});

describe('misuse', () => {
  const ARGUMENT = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  const valid = () => [{ method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: [] }, new net.Socket(), Buffer.alloc(0)];

  test.each([
    undefined, null, 5, 'request', {}, [], () => {}, { method: 'GET', url: '/', httpVersion: '1.1' },
    { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: [1] }, { method: 5, url: '/', httpVersion: '1.1', rawHeaders: [] },
    new Request('http://localhost/'),
  ])('%p is no request', (req) => {
    const [, socket, head] = valid();
    expect(failureOf(() => createApp().handleUpgrade(req, socket, head))).toMatchObject(ARGUMENT);
  });

  test.each([undefined, null, 5, 'socket', {}, new EventTarget()])('%p is no socket', (socket) => {
    const [req, , head] = valid();
    expect(failureOf(() => createApp().handleUpgrade(req, socket, head))).toMatchObject(ARGUMENT);
  });

  test.each([5, 'head', {}, [], true])('%p is no head', (head) => {
    const [req, socket] = valid();
    expect(failureOf(() => createApp().handleUpgrade(req, socket, head))).toMatchObject(ARGUMENT);
  });

  test.each([5, 'options', true, { passOn: 1 }, { passOn: null }])('%p are no options', (options) => {
    expect(failureOf(() => createApp().handleUpgrade(...valid(), options))).toMatchObject(ARGUMENT);
  });

  test('arguments that are missing, and another object', () => {
    const [req, socket] = valid();
    expect(failureOf(() => createApp().handleUpgrade(req, socket))).toMatchObject({ code: 'ERR_MISSING_ARGS' });
    expect(failureOf(() => createApp().handleUpgrade.call({}, ...valid()))).toMatchObject({ code: 'ERR_INVALID_THIS' });
  });

  test('a socket whose bytes have become text', () => {
    const [req, socket, head] = valid();
    socket.setEncoding('utf8');
    expect(failureOf(() => createApp().handleUpgrade(req, socket, head))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  test.each([undefined, null, Buffer.alloc(0), new ArrayBuffer(0), new DataView(new ArrayBuffer(3), 1, 0), new SharedArrayBuffer(0)])(
    '%p is a head without bytes', async (head) => {
      const app = createApp().ws('/*', {});
      await RawWebSocket.open(await serveUpgrades((req, socket) => app.handleUpgrade(req, socket, head)));
    },
  );

  test('a socket twice, whoever does it', async () => {
    const [app, other] = [createApp().ws('/*', { message: (ws, message) => ws.send(message) }), createApp().ws('/*', {})];
    const failures = new Mailbox();
    const port = await serveUpgrades((req, socket, head) => {
      app.handleUpgrade(req, socket, head);
      for (const again of [app, other]) failures.put(failureOf(() => again.handleUpgrade(req, socket, head, { passOn: true })));
    });
    const client = await RawWebSocket.open(port);
    for (let count = 0; count < 2; count++) expect(await failures.take()).toMatchObject({ name: 'Error', code: 'ERR_INVALID_STATE' });
    client.sendText('unharmed');
    expect(await client.frame()).toEqual(['text', 'unharmed']);
  });

  test('an app that was closed takes connections again, as it listens again', async () => {
    const app = createApp().ws('/*', {});
    app.close();
    await RawWebSocket.open(await serveUpgrades(give(app)));
  });

  test('an app that nobody holds serves its connections to their end, and goes', async () => {
    const program = new Program(`
      const { setFlagsFromString } = require('node:v8');
      setFlagsFromString('--expose-gc');
      const collect = require('node:vm').runInNewContext('gc');
      const gone = new FinalizationRegistry(() => say('gone'));
      const server = require('node:http').createServer();
      server.on('upgrade', (req, socket, head) => {
        const app = uWS.App({ threads: 1 }).ws('/*', {
          upgrade: (res, req, context) => res.upgrade({ user: context.request.url }),
          message: (ws) => { collect(); ws.send(ws.user); },
        });
        gone.register(app);
        app.handleUpgrade(req, socket, head);
      });
      server.listen(0, '127.0.0.1', () => say(server.address().port));
      setInterval(collect, 20).unref();
    `);
    const client = await RawWebSocket.open(await program.hear(), { path: '/path' });
    for (let count = 0; count < 3; count++) {
      client.sendText('x');
      expect(await client.frame()).toEqual(['text', '/path']);
    }
    client.finish();
    expect(await program.hear()).toBe('gone');
  });

  test('requests are not kept, but for the last one that a handler had', async () => {
    const program = new Program(`
      const { setFlagsFromString } = require('node:v8');
      setFlagsFromString('--expose-gc');
      const collect = require('node:vm').runInNewContext('gc');
      let left = 10;
      const gone = new FinalizationRegistry(() => { left -= 1; if (left === 1) say('gone'); });
      const app = uWS.App({ threads: 1, maxHeaderSize: 1024 }).ws('/refused', { upgrade: (res) => res.end() });
      app.ws('/taken', { open: (ws) => ws.close() });
      const server = require('node:http').createServer();
      server.on('upgrade', (req, socket, head) => {
        gone.register(req);
        app.handleUpgrade(req, socket, head);
      });
      server.listen(0, '127.0.0.1', () => say(server.address().port));
      setInterval(collect, 20).unref();
    `);
    const port = await program.hear();
    const texts = ['/refused', '/taken', '/none'].map((path) => handshake(path));
    texts.push(handshake('/taken', [`X: ${'x'.repeat(1100)}`]), handshake('/taken').replace('Version: 13', 'Version: 7'));
    for (const text of [...texts, ...texts]) {
      const client = await RawClient.connect(port);
      await client.send(text);
      await client.over();
      client.socket.destroy();
    }
    expect(await program.hear()).toBe('gone');
  });
});
