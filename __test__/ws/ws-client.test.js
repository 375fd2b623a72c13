'use strict';

// Clients of `ferrows/ws`, whose handshake goes over the HTTP of Node, and what else the package exports.

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { WebSocketServer: NodeServer } = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { open, serveUpgrades } = require('../helpers/node-server.js');
const { acceptOf, serverFrame } = require('../helpers/raw-server.js');
const { WebSocket, closeOf, connect, messageOf, pair, serve } = require('../helpers/ws.js');

const { createWebSocketStream } = WebSocket;

/** The end of a client that fails: `[error, code]`. */
async function failureOf(client) {
  const closed = new Promise((resolve) => { client.on('close', resolve); });
  const error = await new Promise((resolve) => { client.on('error', resolve); });
  return [error.message, await closed];
}

/** A server that answers the upgrade with what `answer` returns, as lines. */
function serveAnswer(answer) {
  return serveUpgrades((request, socket) => {
    socket.on('error', () => {});
    socket.end(`${answer(acceptFor(request)).join('\r\n')}\r\n\r\n`);
  });
}

function acceptFor(request) {
  return acceptOf(request.rawHeaders.flatMap((text, index) => (index % 2 === 0 ? [`${text}: ${request.rawHeaders[index + 1]}`] : [])).join('\r\n'));
}

describe('a connect', () => {
  test('to a server of the package ws', async () => {
    const server = new NodeServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true, handleProtocols: () => 'b' });
    afterTest(() => server.close());
    await once(server, 'listening');
    server.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
    const client = connect(server.address().port, ['a', 'b'], { perMessageDeflate: { threshold: 0 } });
    expect([client.readyState, client.url, client._socket]).toEqual([0, `ws://127.0.0.1:${server.address().port}/`, null]);
    await once(client, 'open');
    expect([client.readyState, client.protocol, client.extensions]).toEqual([1, 'b', 'permessage-deflate']);
    client.send('x'.repeat(100_000));
    expect(await messageOf(client)).toEqual(['x'.repeat(100_000)]);
    client.close(1000, 'done');
    expect(await closeOf(client)).toEqual([1000, 'done']);
  });

  test('headers, origin, agent, and finishRequest reach the server', async () => {
    const server = await serve();
    const agent = new http.Agent();
    const finishRequest = (request, ws) => {
      expect(ws.readyState).toBe(WebSocket.CONNECTING);
      request.setHeader('X-Late', 'yes');
      request.end();
    };
    const [, , request] = await pair(server, { headers: { 'X-Mine': 'a' }, origin: 'http://origin', agent, finishRequest });
    expect(request.headers).toMatchObject({ 'x-mine': 'a', 'x-late': 'yes', origin: 'http://origin', 'sec-websocket-version': '13' });
    const [, , old] = await pair(server, { origin: 'http://origin', protocolVersion: 8 });
    expect(old.headers).toMatchObject({ 'sec-websocket-origin': 'http://origin', 'sec-websocket-version': '8' });
  });

  test('credentials of the address', async () => {
    const server = await serve();
    const client = new WebSocket(`ws://ann:secret@127.0.0.1:${server.port}`).on('error', () => {});
    afterTest(() => client.terminate());
    const [, request] = await once(server, 'connection');
    expect(request.headers.authorization).toBe(`Basic ${Buffer.from('ann:secret').toString('base64')}`);
  });

  test('to a Unix socket', async () => {
    const path = join(tmpdir(), `ferrows-ws-${process.pid}.sock`);
    const server = http.createServer();
    await open(server, path);
    const wss = new WebSocket.Server({ server });
    wss.on('connection', (ws, request) => ws.send(request.url));
    const client = new WebSocket(`ws+unix:${path}:/room?a=b`);
    afterTest(() => client.terminate());
    expect(await messageOf(client)).toEqual(['/room?a=b']);
  });

  test('messages that came with the response are the first', async () => {
    const port = await serveUpgrades((request, socket) => {
      const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptFor(request)}`];
      socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), serverFrame(1, 'first'), serverFrame(1, 'second')]));
    });
    const client = connect(port);
    const messages = [];
    client.on('message', (data) => messages.push(String(data)));
    while (messages.length < 2) await new Promise(setImmediate);
    expect(messages).toEqual(['first', 'second']);
  });

  test('redirects are followed, and credentials stay with their host', async () => {
    const server = await serve();
    const target = once(server, 'connection');
    const port = await serveUpgrades((request, socket) => socket.end(`HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:${server.port}/next\r\n\r\n`));
    const client = connect(port, { followRedirects: true, headers: { Cookie: 'a=b', Authorization: 'x', 'X-Other': 'c' } });
    const [, request] = await target;
    expect(request.headers).toMatchObject({ host: `127.0.0.1:${server.port}`, 'x-other': 'c' });
    expect([request.headers.cookie, request.headers.authorization]).toEqual([undefined, undefined]);
    await once(client, 'open');
    expect(client.url).toBe(`ws://127.0.0.1:${server.port}/next`);
  });

  test.each([
    ['too many redirects', (port) => [`HTTP/1.1 302 Found`, `Location: ws://127.0.0.1:${port}/`], 'Maximum redirects exceeded', { followRedirects: true, maxRedirects: 2 }],
    ['another status', () => ['HTTP/1.1 401 Unauthorized', 'Content-Length: 0'], 'Unexpected server response: 401'],
    ['no upgrade to WebSocket', (_, accept) => granted101(accept, 'Upgrade: foo'), 'Invalid Upgrade header'],
    ['the answer to another key', () => granted101('wrong'), 'Invalid Sec-WebSocket-Accept header'],
    ['an unasked subprotocol', (_, accept) => granted101(accept, 'Sec-WebSocket-Protocol: x'), 'Server sent a subprotocol but none was requested'],
    ['an unasked extension', (_, accept) => granted101(accept, 'Sec-WebSocket-Extensions: x'), 'Server indicated an extension that was not requested'],
    ['a bad window', (_, accept) => granted101(accept, 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=7'), 'Invalid Sec-WebSocket-Extensions header'],
  ])('%s fails', async (_, answer, message, options = {}) => {
    const where = {};
    where.port = await serveAnswer((accept) => answer(where.port, accept));
    const client = connect(where.port, options);
    expect(await failureOf(client)).toEqual([message, 1006]);
    expect(client.closeInfo).toMatchObject({ cause: 'ERR_CONNECT_FAILED', initiator: 'transport', wasClean: false, reason: message });
  });

  function granted101(accept, ...lines) {
    const upgrade = lines[0]?.startsWith('Upgrade') ? [] : ['Upgrade: websocket'];
    return ['HTTP/1.1 101 Switching Protocols', ...upgrade, 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, ...lines];
  }

  test('unexpected-response and upgrade have the response', async () => {
    const port = await serveAnswer(() => ['HTTP/1.1 402 Pay', 'X-Price: 1', 'Content-Length: 0']);
    const client = connect(port);
    const [request, response] = await once(client, 'unexpected-response');
    expect([response.statusCode, response.headers['x-price']]).toEqual([402, '1']);
    request.destroy();
    const server = await serve();
    server.on('headers', (headers) => headers.push('Set-Cookie: a=b'));
    const other = connect(server.port);
    expect((await once(other, 'upgrade'))[0].headers['set-cookie']).toEqual(['a=b']);
  });

  test('handshakeTimeout, close and terminate end it', async () => {
    const port = await serveUpgrades(() => {});
    expect(await failureOf(connect(port, { handshakeTimeout: 20 }))).toEqual(['Opening handshake has timed out', 1006]);
    for (const how of ['close', 'terminate']) {
      const client = connect(port);
      const failure = failureOf(client);
      client[how]();
      expect(client.readyState).toBe(WebSocket.CLOSING);
      expect(await failure).toEqual(['WebSocket was closed before the connection was established', 1006]);
    }
  });

  test('nobody listens', async () => {
    const server = await serve();
    await new Promise((resolve) => { server.close(resolve); });
    const client = connect(server.port);
    const [message, code] = await failureOf(client);
    expect([message, code]).toEqual([expect.stringContaining('ECONNREFUSED'), 1006]);
  });

  test.each([
    ['an address', ['nowhere'], 'Invalid URL: nowhere'], ['its protocol', ['ftp://host'], /^The URL's protocol must be one of/],
    ['a fragment', ['ws://host#x'], 'The URL contains a fragment identifier'], ['a subprotocol', ['ws://host', ['a', 'a']], 'An invalid or duplicated subprotocol was specified'],
    ['a subprotocol', ['ws://host', ['a b']], 'An invalid or duplicated subprotocol was specified'], ['a version', ['ws://host', { protocolVersion: 7 }], /^Unsupported protocol version: 7/],
  ])('%s that is not valid throws: %p', (_, args, message) => {
    expect(() => new WebSocket(...args)).toThrow(message);
  });

  test('nothing can be sent before it is open', async () => {
    const server = await serve();
    const client = connect(server.port);
    for (const call of ['send', 'ping', 'pong']) expect(() => client[call]('x')).toThrow('WebSocket is not open: readyState 0 (CONNECTING)');
    client.pause();
    client.resume();
    expect([client.isPaused, client.bufferedAmount]).toEqual([false, 0]);
    await once(client, 'open');
  });
});

describe('the events of the DOM', () => {
  test('come to listeners and attributes', async () => {
    const server = await serve();
    server.on('connection', (ws) => {
      ws.send('text');
      ws.close(4000, 'bye');
    });
    const client = connect(server.port);
    const seen = [];
    client.onopen = ({ type, target }) => seen.push([type, target === client]);
    client.onopen = client.onopen;
    client.addEventListener('message', { handleEvent: ({ data }) => seen.push(data) });
    client.addEventListener('message', () => seen.push('once'), { once: true });
    const removed = () => seen.push('removed');
    client.addEventListener('message', removed);
    client.removeEventListener('message', removed);
    client.addEventListener('unknown', removed);
    await new Promise((resolve) => {
      client.onclose = ({ code, reason, wasClean }) => resolve(seen.push([code, reason, wasClean]));
    });
    expect(seen).toEqual([['open', true], 'text', 'once', [4000, 'bye', true]]);
    client.onclose = 'nothing';
    expect([client.onclose, client.onmessage, typeof client.onopen]).toEqual([null, null, 'function']);
  });
});

describe('createWebSocketStream', () => {
  test('carries bytes both ways, with back-pressure, and ends both', async () => {
    const server = await serve();
    server.on('connection', (ws) => {
      const stream = createWebSocketStream(ws);
      stream.pipe(stream);
    });
    const stream = createWebSocketStream(connect(server.port));
    const sent = Buffer.alloc(2_000_000, 'abcdefg');
    stream.end(sent.subarray(0, 1_500_000));
    const received = [];
    for await (const piece of stream) received.push(piece);
    expect(Buffer.concat(received).equals(sent.subarray(0, 1_500_000))).toBe(true);
  }, 20_000);

  test('is paused while nobody reads', async () => {
    const [end, client] = await pair(await serve());
    const stream = createWebSocketStream(client, { readableHighWaterMark: 1000 });
    end.send(Buffer.alloc(2000));
    await once(stream, 'readable');
    expect(client.isPaused).toBe(true);
    stream.resume();
    while (client.isPaused) await new Promise(setImmediate);
  });

  test('destroying either ends both, and errors come through', async () => {
    const [end, client] = await pair(await serve());
    const stream = createWebSocketStream(client, { encoding: 'utf8' });
    end.send('text');
    expect((await once(stream, 'data'))[0]).toBe('text');
    stream.destroy();
    await once(stream, 'close');
    expect(client.readyState).toBe(WebSocket.CLOSED);
    const failed = createWebSocketStream(connect(1));
    expect((await once(failed, 'error'))[0].code).toBe('ECONNREFUSED');
  });
});

describe('the package', () => {
  test('exports what ws exports, to require and import', () => {
    const names = ['CLOSED', 'CLOSING', 'CONNECTING', 'OPEN', 'Server', 'WebSocket', 'WebSocketServer', 'createWebSocketStream'];
    expect(names.filter((name) => WebSocket[name] === undefined)).toEqual([]);
    expect([WebSocket.WebSocket, WebSocket.Server]).toEqual([WebSocket, WebSocket.WebSocketServer]);
    const script = `
      import WebSocket, * as all from 'ferrows/ws';
      import { createRequire } from 'node:module';
      const required = createRequire(import.meta.url)('ferrows/ws');
      console.log(WebSocket === required && all.WebSocket === required && all.WebSocketServer === required.Server, Object.keys(all).sort().join());
    `;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: join(__dirname, '..', '..') });
    expect(String(output).trim()).toBe('true WebSocket,WebSocketServer,createWebSocketStream,default');
  });

  test('in a browser it is the WebSocket of the platform', () => {
    const script = `
      globalThis.WebSocket = class WebSocket {};
      const browser = require('ferrows/ws');
      console.log(browser === globalThis.WebSocket, browser.WebSocket === browser);
      try { new browser.WebSocketServer({ port: 0 }); } catch (error) { console.log(error.message); }
    `;
    const output = execFileSync(process.execPath, ['--conditions=browser', '--eval', script], { cwd: join(__dirname, '..', '..') });
    expect(String(output)).toMatch(/^true true\nWebSocketServer of ferrows\/ws is not there in a browser/);
  });
});
