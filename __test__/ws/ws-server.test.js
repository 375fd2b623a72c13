'use strict';

// `WebSocketServer` of `ferrows/ws`, over the HTTP of Node.

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { Duplex } = require('node:stream');

const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { open } = require('../helpers/node-server.js');
const { KEY, RawWebSocket, frame, handshake } = require('../helpers/raw-websocket.js');
const { WebSocket, closeOf, connect, messageOf, messagesOf, pair, serve } = require('../helpers/ws.js');

const { WebSocketServer } = WebSocket;

/** The answer to bytes, as text; the connection must end after it. */
async function answerTo(port, text) {
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(text);
  let answer = '';
  for await (const piece of socket) answer += piece;
  return answer;
}

/** The same for a handshake in which lines are replaced. */
function answerToHandshake(port, change, path = '/') {
  return answerTo(port, change(handshake(path)));
}

describe('a server of its own', () => {
  test('listens on a port, and answers ordinary requests with 426', async () => {
    const server = await serve();
    expect(server.address()).toMatchObject({ address: '127.0.0.1', port: server.port });
    const answer = await fetch(`http://127.0.0.1:${server.port}`);
    expect([answer.status, await answer.text()]).toEqual([426, 'Upgrade Required']);
  });

  test('calls back, or says why it cannot listen', async () => {
    const server = new WebSocketServer({ port: 0 });
    await once(server, 'listening');
    await new Promise((resolve) => { new WebSocketServer({ port: 0 }, resolve).on('listening', function listening() { this.close(); }); });
    const other = new WebSocketServer({ port: server.address().port });
    expect((await once(other, 'error'))[0].code).toBe('EADDRINUSE');
    await new Promise((resolve) => { server.close(resolve); });
    const error = await new Promise((resolve) => { server.close(resolve); });
    expect(error.message).toBe('The server is not running');
  });

  test.each([[{}], [{ port: 0, noServer: true }], [{ port: 0, server: new http.Server() }], [undefined]])('options %p are refused', (options) => {
    expect(() => new WebSocketServer(options)).toThrow(expect.objectContaining({ name: 'TypeError' }));
  });

  test('a window that there is not is refused', () => {
    for (const serverMaxWindowBits of [7, 16, 9.5]) {
      const options = { noServer: true, perMessageDeflate: { serverMaxWindowBits } };
      expect(() => new WebSocketServer(options)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    }
  });
});

describe('handshakes', () => {
  test('carry subprotocol, extensions, and headers of the program', async () => {
    const server = await serve({ perMessageDeflate: true, handleProtocols: (protocols, request) => [...protocols].find((name) => request.url.includes(name)) });
    server.on('headers', (headers, request) => headers.push(`X-Path: ${request.url}`, 'Set-Cookie: ä=b'));
    const raw = await RawWebSocket.open(server.port, {
      path: '/chat', fields: ['Sec-WebSocket-Protocol: other, chat', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9'],
    });
    expect(raw.head.split('\r\n').slice(0, 7)).toEqual([
      'HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9', 'X-Path: /chat',
    ]);
    expect([...server.clients].map(({ protocol, extensions, url }) => [protocol, extensions, url])).toEqual([['chat', 'permessage-deflate', undefined]]);
  });

  test.each([
    ['another method', (text) => text.replace('GET', 'POST'), '405', 'Invalid HTTP method'],
    ['another upgrade', (text) => text.replace('Upgrade: websocket', 'Upgrade: h2c'), '400', 'Invalid Upgrade header'],
    ['no key', (text) => text.replace(`Sec-WebSocket-Key: ${KEY}\r\n`, ''), '400', 'Missing or invalid Sec-WebSocket-Key header'],
    ['a wrong version', (text) => text.replace('Version: 13', 'Version: 12'), '400', 'Missing or invalid Sec-WebSocket-Version header'],
    ['a wrong path', (text) => text.replace('/here', '/there'), '400', 'Bad Request'],
    ['two subprotocols of one name', (text) => text.replace('Host', 'Sec-WebSocket-Protocol: a, a\r\nHost'), '400', 'Invalid Sec-WebSocket-Protocol header'],
    ['no extension', (text) => text.replace('Host', 'Sec-WebSocket-Extensions: ;;\r\nHost'), '400', 'Invalid or unacceptable Sec-WebSocket-Extensions header'],
  ])('%s is refused', async (_, change, status, message) => {
    const server = await serve({ path: '/here', perMessageDeflate: true });
    const answer = await answerToHandshake(server.port, change, '/here');
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\n\r\n${message}$`));
    if (message.includes('Version')) expect(answer).toContain('\r\nSec-WebSocket-Version: 13, 8\r\n');
    expect(server.clients.size).toBe(0);
  });

  test('wsClientError has the answer in its hand', async () => {
    const server = await serve();
    server.on('wsClientError', (error, socket, request) => socket.end(`HTTP/1.1 418 No\r\n\r\n${error.message} ${request.method}`));
    expect(await answerToHandshake(server.port, (text) => text.replace('GET', 'PUT'))).toBe('HTTP/1.1 418 No\r\n\r\nInvalid HTTP method PUT');
  });

  test('verifyClient decides, at once or later', async () => {
    const seen = [];
    const later = await serve({
      verifyClient: ({ origin, secure, req }, done) => {
        seen.push([origin, secure, req.url]);
        setImmediate(done, req.url === '/yes', 403, 'go away', { 'Retry-After': 9 });
      },
    });
    await RawWebSocket.open(later.port, { path: '/yes', fields: ['Origin: http://test'] });
    expect(await answerTo(later.port, handshake('/no'))).toMatch(/^HTTP\/1.1 403 [^]*Retry-After: 9\r\n\r\ngo away$/);
    expect(seen).toEqual([['http://test', false, '/yes'], [undefined, false, '/no']]);
    const now = await serve({ verifyClient: () => false });
    expect(await answerTo(now.port, handshake())).toMatch(/^HTTP\/1.1 401 /);
  });

  test('half a handshake in `head`: what came with the request is not lost', async () => {
    const server = await serve({ verifyClient: (_, done) => { setTimeout(done, 20, true); } });
    const connection = once(server, 'connection');
    const [first, second] = [frame('text', 'first'), frame('text', 'second')];
    const socket = net.connect(server.port, '127.0.0.1');
    afterTest(() => socket.destroy());
    socket.write(Buffer.concat([Buffer.from(handshake()), first.subarray(0, 3)]));
    await new Promise(setImmediate);
    socket.write(Buffer.concat([first.subarray(3), second]));
    const [ws] = await connection;
    const messages = [];
    ws.on('message', (data) => messages.push(String(data)));
    while (messages.length < 2) await new Promise(setImmediate);
    expect(messages).toEqual(['first', 'second']);
  });

  test('a client that has gone meanwhile closes at once', async () => {
    let ask;
    const asked = new Promise((resolve) => { ask = resolve; });
    const server = await serve({ verifyClient: (_, done) => ask(done) });
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(handshake());
    const done = await asked;
    socket.resetAndDestroy();
    await once(socket, 'close');
    const connection = once(server, 'connection');
    done(true);
    const [ws] = await connection;
    expect((await closeOf(ws))[0]).toBe(1006);
    expect(server.clients.size).toBe(0);
  });
});

describe('on the server of somebody else', () => {
  test('with `server`: HTTP stays as it was', async () => {
    const server = http.createServer((request, response) => response.end('http'));
    const wss = new WebSocketServer({ server });
    const port = await open(server);
    wss.port = port;
    const [end, client] = await pair(wss);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('http');
    end.send('both');
    expect(await messageOf(client)).toEqual(['both']);
    wss.close();
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('http');
    const closed = once(wss, 'close');
    client.close();
    await closed;
    expect(server.listenerCount('upgrade')).toBe(0);
  });

  test('with `noServer`, two of them share a port', async () => {
    const servers = { '/a': new WebSocketServer({ noServer: true }), '/b': new WebSocketServer({ noServer: true, clientTracking: false }) };
    const server = http.createServer();
    server.on('upgrade', (request, socket, head) => {
      servers[request.url].handleUpgrade(request, socket, head, (ws, req) => ws.send(`${req.url} ${ws._socket.remoteAddress} ${req.socket.remotePort}`));
    });
    const port = await open(server);
    for (const path of ['/a', '/b']) {
      const raw = await RawWebSocket.open(port, { path });
      expect(await raw.frame()).toEqual(['text', `${path} 127.0.0.1 ${raw.socket.localPort}`]);
    }
    expect([servers['/a'].clients.size, servers['/b'].clients]).toEqual([1, undefined]);
    expect(() => servers['/a'].address()).toThrow('The server is operating in "noServer" mode');
    const [ws] = servers['/a'].clients;
    ws.terminate();
    servers['/b'].close();
  });

  test('with a response of its own that middleware was given, and nobody sends', async () => {
    const wss = new WebSocketServer({ noServer: true });
    const server = http.createServer();
    server.on('upgrade', (request, socket, head) => {
      new http.ServerResponse(request).assignSocket(socket);
      wss.handleUpgrade(request, socket, head, (ws) => ws.send('handed over'));
    });
    const client = connect(await open(server));
    expect(await messageOf(client)).toEqual(['handed over']);
  });

  test('a socket is handed over once', async () => {
    const wss = new WebSocketServer({ noServer: true });
    const server = http.createServer();
    const thrown = new Promise((resolve) => {
      server.on('upgrade', (request, socket, head) => {
        wss.handleUpgrade(request, socket, head, (ws) => ws.close());
        try {
          wss.handleUpgrade(request, socket, head, () => resolve('twice'));
        } catch (error) {
          resolve(error.message);
        }
      });
    });
    await RawWebSocket.open(await open(server));
    expect(await thrown).toMatch(/^server.handleUpgrade\(\) was called more than once/);
  });

  test('over TLS, whose bytes go through Node', async () => {
    const { key_file_name, cert_file_name, ca } = certificate();
    const server = https.createServer({ key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) });
    const wss = new WebSocketServer({ server, perMessageDeflate: true });
    const port = await open(server);
    wss.on('connection', (ws) => {
      expect(ws._socket).toMatchObject({ encrypted: true, authorized: false, remoteFamily: 'IPv4', getProtocol: expect.any(Function) });
      expect(ws._socket.getProtocol()).toBe('TLSv1.3');
      ws.on('message', (data) => ws.send(data));
    });
    const client = new WebSocket(`wss://localhost:${port}`, { ca });
    afterTest(() => client.terminate());
    await once(client, 'open');
    client.send(Buffer.alloc(3_000_000, 'x'));
    expect((await once(client, 'message'))[0]).toHaveLength(3_000_000);
    const closed = [closeOf(client), closeOf([...wss.clients][0])];
    client.close(4000, 'bye');
    expect(await Promise.all(closed)).toEqual([[4000, 'bye'], [4000, 'bye']]);
  });

  test('over any stream', async () => {
    const [near, far] = [0, 1].map(() => new Duplex({ read() {}, write(chunk, _, done) { this.peer.push(chunk); done(); }, final(done) { this.peer.push(null); done(); } }));
    [near.peer, far.peer] = [far, near];
    const server = http.createServer();
    const wss = new WebSocketServer({ server });
    wss.on('connection', (ws) => ws.on('message', (data) => ws.send(`${data}!`)));
    server.emit('connection', near);
    const client = new WebSocket('ws://localhost', { createConnection: () => far });
    afterTest(() => client.terminate());
    await once(client, 'open');
    client.send('hello');
    expect(await messageOf(client)).toEqual(['hello!']);
  });

  test('by packages that make the handshake themselves', async () => {
    const [near, far] = [0, 1].map(() => new Duplex({ read() {}, write(chunk, _, done) { this.peer.push(chunk); done(); }, final(done) { this.peer.push(null); done(); } }));
    [near.peer, far.peer] = [far, near];
    const wss = new WebSocketServer({ noServer: true });
    const headers = { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-key': KEY, 'sec-websocket-version': 13 };
    wss.handleUpgrade({ method: 'GET', url: '/', headers, socket: near }, near, Buffer.alloc(0), (ws) => {
      ws.send('hello');
      ws.on('message', (data) => ws.send(`${data}!`));
    });
    // The response comes by itself, whatever is sent at once.
    const [response] = await once(far, 'data');
    expect(String(response)).toMatch(/^HTTP\/1.1 101 [^]*\r\n\r\n$/);
    far.removeAllListeners('data');
    const client = Object.assign(new WebSocket(null), { _isServer: false });
    client.setSocket(far, Buffer.alloc(0), { maxPayload: 0 });
    expect(await messageOf(client)).toEqual(['hello']);
    client.send('x');
    expect(await messageOf(client)).toEqual(['x!']);
    const closed = closeOf(client);
    client.close(4000);
    expect(await closed).toEqual([4000, '']);
  });
});

test('_socket says who the peer is, and what waits for it, and obeys', async () => {
  const [server, client] = await pair(await serve());
  const { port } = server._socket.address();
  expect(client._socket).toMatchObject({ remoteAddress: '127.0.0.1', remotePort: port, remoteFamily: 'IPv4', writableLength: 0, destroyed: false });
  expect(server._socket).toMatchObject({ remoteAddress: '127.0.0.1', remotePort: client._socket.localPort, localAddress: '127.0.0.1' });
  expect([client._socket.encrypted, client._socket.authorized, client._socket.getPeerCertificate]).toEqual([undefined, undefined, undefined]);
  expect(client._socket.setNoDelay(true).setKeepAlive(true, 1000).pause().isPaused()).toBe(true);
  server.send('x');
  client._socket.resume();
  expect(await messageOf(client)).toEqual(['x']);
  client._socket.destroy();
  expect((await closeOf(client))[0]).toBe(1006);
  expect(client._socket).toMatchObject({ destroyed: true, remoteAddress: '127.0.0.1' });
});

describe('its WebSockets', () => {
  test('can be of a class of the program', async () => {
    class Session extends WebSocket {
      user = 'ann';
    }
    const [end] = await pair(await serve({ WebSocket: Session }));
    expect([end instanceof Session, end instanceof WebSocket, end.user]).toEqual([true, true, 'ann']);
  });

  test('are counted out when they close, and the server closes after the last', async () => {
    const server = http.createServer();
    const wss = new WebSocketServer({ server });
    wss.port = await open(server);
    const ends = [await pair(wss), await pair(wss)];
    expect(wss.clients.size).toBe(2);
    let isClosed = false;
    wss.close(() => { isClosed = true; });
    for (const [, client] of ends) {
      expect(isClosed).toBe(false);
      client.close();
      await closeOf(client);
    }
    while (!isClosed) await new Promise(setImmediate);
    expect(wss.clients.size).toBe(0);
  });

  test('are refused with 503 while it closes', async () => {
    const server = http.createServer();
    const wss = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => wss.handleUpgrade(request, socket, head, () => {}));
    const port = await open(server);
    wss.close();
    expect(await answerTo(port, handshake())).toMatch(/^HTTP\/1.1 503 /);
  });

  test('a message is read in any case, though the listener comes late', async () => {
    const server = await serve();
    const message = new Promise((resolve) => {
      server.on('connection', (ws) => process.nextTick(() => ws.on('message', (data) => resolve(String(data)))));
    });
    const raw = await RawWebSocket.open(server.port, { behind: frame('text', 'early') });
    expect(await message).toBe('early');
    raw.reset();
  });

  test('heartbeats find the dead', async () => {
    const server = await serve();
    const [[alive, client], raw] = [await pair(server), await RawWebSocket.open(server.port)];
    for (const ws of server.clients) {
      ws.isAlive = false;
      ws.on('pong', () => { ws.isAlive = true; });
      ws.ping();
    }
    await once(alive, 'pong');
    for (const ws of server.clients) if (!ws.isAlive) ws.terminate();
    expect((await raw.rest()).frames).toEqual([['ping', '']]);
    client.send('x');
    await once(alive, 'message');
  });

  test('a thousand come and go', async () => {
    const server = await serve();
    server.on('connection', (ws) => ws.on('message', (data) => ws.send(data)));
    let closed = 0;
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 100 }, async (_, index) => {
        const client = new WebSocket(`ws://127.0.0.1:${server.port}`);
        await once(client, 'open');
        client.send(`${index}`);
        expect(String((await once(client, 'message'))[0])).toBe(`${index}`);
        if (index % 2 === 0) client.terminate();
        else client.close();
        await once(client, 'close');
        closed += 1;
      }));
    }
    while (server.clients.size > 0) await new Promise(setImmediate);
    expect(closed).toBe(1000);
  });
});

describe('topics', () => {
  test('publish reaches the subscribers of this server only', async () => {
    const [one, other] = [await serve({ topics: true }), await serve({ topics: true })];
    const [[a, clientA], [b, clientB], [c, clientC]] = [await pair(one), await pair(one), await pair(other)];
    for (const ws of [a, b, c]) ws.subscribe('news');
    b.unsubscribe('news');
    b.unsubscribe('unknown');
    const received = Promise.all([messagesOf(clientA, 2), messagesOf(clientB, 1), messagesOf(clientC, 2)]);
    expect([one.publish('news', 'hello'), one.publish('nothing', 'x')]).toEqual([true, false]);
    expect(other.publish('news', Buffer.from('other'))).toBe(true);
    for (const ws of [a, b, c]) ws.send('last');
    expect(await received).toEqual([[['hello'], ['last']], [['last']], [[Buffer.from('other'), true], ['last']]]);
    a.close();
    await closeOf(a);
    expect(one.publish('news', 'nobody')).toBe(false);
    expect(() => a.subscribe('late')).not.toThrow();
  });

  test('before the hand-over', async () => {
    const server = await serve({ topics: true });
    server.on('connection', (ws) => {
      ws.subscribe('news');
      ws.send('ready');
    });
    const client = connect(server.port);
    expect(await messageOf(client)).toEqual(['ready']);
    server.publish('news', 'now');
    expect(await messageOf(client)).toEqual(['now']);
  });

  test('need the option, and a string', async () => {
    const [end] = await pair(await serve());
    const server = await serve({ topics: true });
    expect(() => end.subscribe('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
    expect(() => new WebSocketServer({ noServer: true }).publish('x', 'y')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
    const [other] = await pair(server);
    for (const topic of [undefined, 1, {}]) {
      expect(() => other.subscribe(topic)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
      expect(() => server.publish(topic, 'x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    }
  });
});
