'use strict';

// Connections that a server of Node's hands over and that are no sockets of the system: their bytes go through JavaScript.

const { once } = require('node:events');
const http = require('node:http');
const { Duplex } = require('node:stream');
const tls = require('node:tls');
const WebSocket = require('ws');

const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { open, serveSecureUpgrades } = require('../helpers/node-server.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp } = require('../helpers/server.js');
const { connectTls, createSSLApp } = require('../helpers/tls.js');

/** Gives everything to the app. */
const give = (app) => (req, socket, head) => app.handleUpgrade(req, socket, head);

/** A client of `ws`. */
async function openClient(port, path = '/') {
  const client = new WebSocket(`wss://localhost:${port}${path}`, { ca: certificate().ca });
  afterTest(() => client.terminate());
  await once(client, 'open');
  return client;
}

/** A client of bytes over TLS that has shaken hands; `behind` leaves together with the request. */
async function openRaw(port, { behind = '', path = '/' } = {}) {
  const socket = await connectTls(port);
  const client = new RawClient(socket);
  await client.send(Buffer.concat([Buffer.from(handshake(path)), Buffer.from(behind)]));
  const head = [];
  while (!head.join('').endsWith('\r\n\r\n')) head.push(await client.bytes(1));
  expect(head.join('')).toMatch(/^HTTP\/1.1 101 /);
  return client;
}

/** A frame of the server with a short text. */
const textFrame = (text) => String.fromCharCode(0x81, text.length) + text;

function openOf(app) {
  const { http: plain, webSocket } = app.getStats().connections;
  return plain.open + webSocket.open;
}

async function nobodyLeft(app) {
  while (openOf(app) > 0) await new Promise(setImmediate);
}

describe('a WebSocket of an https.Server', () => {
  test('works: messages of every size, both ways, compressed and not', async () => {
    const uWS = require('../..');
    const app = createApp().ws('/*', {
      compression: uWS.SHARED_COMPRESSOR, maxPayloadLength: 2 ** 24, maxBackpressure: 0,
      message: (ws, message, isBinary) => ws.send(message, isBinary, message.byteLength % 2 === 0),
    });
    const client = await openClient(await serveSecureUpgrades(give(app)));
    for (const size of [0, 1, 125, 126, 65_536, 2 ** 20 + 1, 2 ** 23]) {
      client.send(Buffer.alloc(size, 'x'));
      expect((await once(client, 'message'))[0].length).toBe(size);
    }
    client.close(4000, 'bye');
    expect((await once(client, 'close')).map(String)).toEqual(['4000', 'bye']);
    await nobodyLeft(app);
  });

  test('has the frames that came with the request, and those while the program thought', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const go = new Mailbox();
    const port = await serveSecureUpgrades(async (req, socket, head) => {
      await go.take();
      app.handleUpgrade(req, socket, head);
    });
    const socket = await connectTls(port);
    const client = new RawClient(socket);
    await client.send(Buffer.concat([Buffer.from(handshake()), frame('text', '1')]));
    await client.send(frame('text', '2'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    go.put();
    await client.send(frame('text', '3'));
    const wanted = ['1', '2', '3'].map(textFrame).join('');
    let text = '';
    while (!text.endsWith(wanted)) text += await client.bytes(1);
    expect(text).toMatch(/^HTTP\/1.1 101/);
  });

  test('has the peer\'s address and port, and Node\'s request', async () => {
    const app = createApp().ws('/*', {
      upgrade: (res, req, context) => res.upgrade({ host: context.request.headers.host }),
      open: (ws) => ws.send(`${Buffer.from(ws.getRemoteAddressAsText())} ${ws.getRemotePort()} ${ws.host}`),
    });
    const client = await openRaw(await serveSecureUpgrades(give(app)));
    const expected = textFrame(`127.0.0.1 ${client.socket.below.localPort} test`);
    expect(await client.bytes(expected.length)).toBe(expected);
  });

  test('goes by server name to the routes of a domain, and has the certificate of the client', async () => {
    const { key_file_name, cert_file_name, ca } = certificate('other.test');
    const app = createSSLApp().addServerName('other.test', { key_file_name, cert_file_name });
    const upgrade = (res) => {
      const pem = res.getX509Certificate();
      res.upgrade({ pem });
    };
    app.ws('/*', { upgrade, open: (ws) => ws.send(`default ${ws.pem.length}`) }).domain('other.test');
    app.ws('/*', { upgrade, open: (ws) => ws.send(ws.pem) });
    const { readFileSync } = require('node:fs');
    const pair = { key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) };
    const port = await serveSecureUpgrades(give(app), { ...pair, ca, requestCert: true, rejectUnauthorized: false });
    const connect = async (options) => {
      const client = new WebSocket(`wss://127.0.0.1:${port}/`, { ca, ...options });
      afterTest(() => client.terminate());
      return String((await once(client, 'message'))[0]);
    };
    expect(await connect({ servername: 'localhost' })).toBe('default 0');
    expect((await connect({ servername: 'other.test', ...pair })).replaceAll(/\s/g, '')).toBe(pair.cert.toString().replaceAll(/\s/g, ''));
    // One that Node does not believe is none.
    const foreign = certificate('foreign.test');
    const unknown = { key: readFileSync(foreign.key_file_name), cert: readFileSync(foreign.cert_file_name) };
    expect(await connect({ servername: 'localhost', ...unknown })).toBe('default 0');
  });

  test.each([
    ['a reset', (client) => client.socket.below.resetAndDestroy(), 'ERR_CONNECTION_RESET'],
    ['close_notify and FIN', (client) => client.finish(), 'ERR_FIN_WITHOUT_CLOSE'],
    ['a Close frame', (client) => client.send(closeFrame(1000, 'done')), 'CLOSED_BY_PEER'],
    ['a broken rule', (client) => client.send(frame('ping', 'x', { fin: false })), 'ERR_FRAME_FRAGMENTED_CONTROL'],
  ])('ends with the cause that it has: %s', async (_, act, cause) => {
    const closed = new Mailbox();
    const app = createApp().ws('/*', { close: (ws, code, message, info) => closed.put(info.cause) });
    const client = await openRaw(await serveSecureUpgrades(give(app)));
    client.socket.on('error', () => {});
    act(client);
    expect(await closed.take()).toBe(cause);
    client.socket.destroy();
    await nobodyLeft(app);
  });

  test('a message in front of the reset is delivered', async () => {
    const events = new Mailbox();
    const app = createApp().ws('/*', {
      message: (ws, message) => events.put(Buffer.from(message).toString()), close: (ws, code, message, info) => events.put(info.cause),
    });
    const sockets = new Mailbox();
    const port = await serveSecureUpgrades((req, socket, head) => {
      app.handleUpgrade(req, socket, head);
      sockets.put(socket);
    });
    const client = await openRaw(port, { behind: frame('text', 'first') });
    expect(await events.take()).toBe('first');
    (await sockets.take()).destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' }));
    expect(await events.take()).toBe('ERR_TRANSPORT_TIMED_OUT');
    client.socket.destroy();
  });

  test.each([
    ['ws.close()', (ws) => ws.close(), ''],
    ['ws.end()', (ws) => ws.end(4001, 'x'), '\x88\x03\x0f\xa1x'],
  ])('%s ends the stream, also of a client that does nothing about it', async (_, act, expected) => {
    const app = createApp().ws('/*', { message: act });
    const sockets = new Mailbox();
    const port = await serveSecureUpgrades((req, socket, head) => {
      app.handleUpgrade(req, socket, head);
      socket.on('close', () => sockets.put('closed'));
    });
    const client = await openRaw(port);
    client.send(frame('text', 'x'));
    expect(await client.rest()).toBe(expected);
    // The client, whose socket is half-open, says nothing more.
    expect(await sockets.take()).toBe('closed');
    await nobodyLeft(app);
  });

  test('a refusal reaches the client whole, and the stream ends with it', async () => {
    const app = createApp().ws('/chat', { upgrade: (res) => res.writeStatus('403 Forbidden').end('x'.repeat(200_000)) });
    const port = await serveSecureUpgrades(give(app));
    for (const [path, status, length] of [['/chat', 403, 200_000], ['/other', 404, 37]]) {
      const client = new RawClient(await connectTls(port));
      await client.send(handshake(path));
      const response = await client.response();
      expect([response.status, response.body.length]).toEqual([status, length]);
      expect(await client.rest()).toBe('');
    }
  });

  test('back-pressure goes through: a client that does not read is noticed, and loses nothing once it does', async () => {
    let [sent, isStalled] = [0, false];
    const fill = (ws) => {
      for (let status = 1; status === 1 && sent < 2000; sent++) status = ws.send(Buffer.alloc(65_536, 'x'), true);
      isStalled = sent < 2000;
    };
    const app = createApp().ws('/*', { maxBackpressure: 0, drain: fill, message: fill });
    const client = await openClient(await serveSecureUpgrades(give(app)));
    client.pause();
    client.send('go');
    // All that lies between fills up, and then nothing moves.
    for (let before = -1; sent === 0 || sent > before; await new Promise((resolve) => setTimeout(resolve, 200))) before = sent;
    expect(isStalled).toBe(true);
    expect(sent).toBeLessThan(1000);
    let received = 0;
    client.on('message', () => { received += 1; });
    client.resume();
    while (received < 2000) await new Promise(setImmediate);
    expect(sent).toBe(2000);
  });

  test('and the other way: a server that is busy slows the client down', async () => {
    let sum = 0;
    const app = createApp().ws('/*', { maxPayloadLength: 2 ** 20, message: (ws, message) => { sum += message.byteLength; } });
    const client = await openClient(await serveSecureUpgrades(give(app)));
    for (let count = 0; count < 300; count++) client.send(Buffer.alloc(100_000));
    while (sum < 30_000_000) await new Promise(setImmediate);
    expect(sum).toBe(30_000_000);
  });

  test('app.shutdown() and app.close() end it', async () => {
    const app = createApp().ws('/*', {});
    const port = await serveSecureUpgrades(give(app));
    const client = await openClient(port);
    const over = app.shutdown({ timeout: 60_000 });
    expect((await once(client, 'close')).map(String)).toEqual(['1001', 'Server is shutting down']);
    expect(await over).toEqual({ forced: 0 });
    const second = await openClient(port);
    app.close();
    expect((await once(second, 'close'))[0]).toBe(1001);
  });

  test('two hundred come and go, some of them in the middle', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const port = await serveSecureUpgrades(give(app));
    const visit = async (number) => {
      const client = await openClient(port);
      client.on('error', () => {});
      client.send(`${number}`);
      expect(String((await once(client, 'message'))[0])).toBe(`${number}`);
      if (number % 2 === 0) client.terminate();
      else client.close();
      if (client.readyState !== WebSocket.CLOSED) await once(client, 'close');
    };
    for (let start = 0; start < 200; start += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, index) => visit(start + index)));
    }
    await nobodyLeft(app);
  });

  test('without descriptors for the pair, the stream is closed with a warning', async () => {
    const { key_file_name, cert_file_name } = certificate();
    const program = new Program(`
      const fs = require('node:fs');
      const app = uWS.App({ threads: 1 }).ws('/*', {});
      const [key, cert] = [fs.readFileSync(${JSON.stringify(key_file_name)}), fs.readFileSync(${JSON.stringify(cert_file_name)})];
      const server = require('node:https').createServer({ key, cert });
      process.on('warning', (warning) => say(warning.code));
      server.on('upgrade', (req, socket, head) => {
        const held = [];
        try { for (;;) held.push(fs.openSync('/dev/null')); } catch {}
        app.handleUpgrade(req, socket, head);
        held.forEach(fs.closeSync);
      });
      app.listen('127.0.0.1', 0).then(() => server.listen(0, '127.0.0.1', () => say(server.address().port)));
    `, { descriptors: 100 });
    const client = new RawClient(await connectTls(await program.hear()));
    await client.send(handshake());
    await client.over();
    expect(await program.hear()).toBe('FERROWS_TAKEOVER');
  });
});

describe('any stream', () => {
  /** Two streams, of which each reads what the other one is given. */
  function streams(options = {}) {
    const make = () => new Duplex({
      read() {
        this.goOn?.();
        this.goOn = undefined;
      },
      write(bytes, encoding, done) {
        if (this.other.push(bytes)) done();
        else this.other.goOn = done;
      },
      final(done) {
        this.other.push(null);
        done();
      },
      ...options,
    });
    const [one, other] = [make(), make()];
    [one.other, other.other] = [other, one];
    return [one, other];
  }

  const req = { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders: handshake().split('\r\n').slice(1, -2).flatMap((line) => line.split(': ')) };

  async function until(stream, wanted) {
    let text = '';
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      text += chunk.toString('latin1');
      if (text.endsWith(wanted)) return text;
    }
    throw new Error(`the stream ended behind ${JSON.stringify(text)}`);
  }

  test('is served, without an address', async () => {
    const closed = new Mailbox();
    const app = createApp().ws('/*', {
      open: (ws) => ws.send(`[${Buffer.from(ws.getRemoteAddressAsText())}:${ws.getRemotePort()}]`),
      message: (ws, message) => ws.send(message), close: (ws, code) => closed.put(code),
    });
    const [ours, theirs] = streams();
    expect(app.handleUpgrade(req, ours, frame('text', 'head'))).toBe(true);
    expect(await until(theirs, textFrame('[:0]') + textFrame('head'))).toMatch(/^HTTP\/1.1 101/);
    theirs.write(frame('text', 'more'));
    await until(theirs, textFrame('more'));
    theirs.end(closeFrame(1000));
    expect(await closed.take()).toBe(1000);
    await nobodyLeft(app);
  });

  test.each([
    ['fails', (stream) => stream.destroy(Object.assign(new Error('lost'), { code: 'EHOSTUNREACH' })), 'ERR_UNREACHABLE'],
    ['fails in a way of its own', (stream) => stream.destroy(new TypeError('bug')), 'ERR_CONNECTION_RESET'],
    ['is destroyed', (stream) => stream.destroy(), 'ERR_CONNECTION_RESET'],
    ['emits an error only', (stream) => stream.emit('error', Object.assign(new Error(), { code: 'ETIMEDOUT' })), 'ERR_TRANSPORT_TIMED_OUT'],
    ['has something else wrong', (stream) => stream.destroy(Object.assign(new Error(), { code: 'EPROTO' })), 'ERR_TRANSPORT'],
  ])('one that %s breaks the connection', async (_, act, cause) => {
    const events = new Mailbox();
    const app = createApp().ws('/*', { open: () => events.put('open'), close: (ws, code, message, info) => events.put(info.cause) });
    const [ours] = streams();
    app.handleUpgrade(req, ours, null);
    expect(await events.take()).toBe('open');
    act(ours);
    expect(await events.take()).toBe(cause);
    await nobodyLeft(app);
  });

  test('one that had ended, or was destroyed, before', async () => {
    const app = createApp().ws('/*', {});
    const [ours, theirs] = streams();
    theirs.end();
    ours.resume();
    await once(ours, 'end');
    expect(app.handleUpgrade(req, ours, null)).toBe(true);
    await nobodyLeft(app);
    const [destroyed] = streams();
    destroyed.destroy();
    expect(app.handleUpgrade(req, destroyed, null)).toBe(true);
    // One that can be read only, in effect.
    const [half] = streams();
    half.end();
    expect(app.handleUpgrade(req, half, null)).toBe(true);
    await nobodyLeft(app);
  });

  test('one of an address that is none, or has a zone', async () => {
    const app = createApp().ws('/*', { open: (ws) => ws.send(Buffer.from(ws.getRemoteAddressAsText())) });
    for (const [remoteAddress, text] of [['nonsense', ''], [5, ''], ['fe80::1%eth0', 'fe80:0000:0000:0000:0000:0000:0000:0001']]) {
      const [ours, theirs] = streams();
      app.handleUpgrade(req, Object.assign(ours, { remoteAddress, remotePort: 2 ** 20 }), null);
      await until(theirs, textFrame(text));
      theirs.destroy();
      ours.destroy();
    }
    await nobodyLeft(app);
  });

  test('one that an http.Server serves', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const server = http.createServer().on('upgrade', give(app));
    const [ours, theirs] = streams();
    server.emit('connection', ours);
    theirs.write(Buffer.concat([Buffer.from(handshake()), frame('text', 'x')]));
    expect(await until(theirs, textFrame('x'))).toMatch(/^HTTP\/1.1 101/);
    theirs.destroy();
    ours.destroy();
    await nobodyLeft(app);
  });

  test('a socket of TLS over a stream of the program\'s', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const { readFileSync } = require('node:fs');
    const { key_file_name, cert_file_name, ca } = certificate();
    const [ours, theirs] = streams();
    const secure = new tls.TLSSocket(ours, { isServer: true, key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) });
    const client = tls.connect({ socket: theirs, ca, servername: 'localhost' });
    await once(client, 'secureConnect');
    app.handleUpgrade(req, secure, null);
    client.write(frame('text', 'x'));
    await until(client, textFrame('x'));
    client.destroy();
    secure.destroy();
    await nobodyLeft(app);
  });
});

describe('where sockets have no descriptors, as on Windows', () => {
  test('the bytes go through a connection of their own, of plain sockets, too; nothing is left listening', async () => {
    const program = new Program(`
      Object.defineProperty(process, 'platform', { value: 'win32' });
      const app = uWS.App({ threads: 1 }).ws('/*', {
        open: (ws) => ws.send(String(ws.getRemotePort())),
        message: (ws, message) => ws.send(message),
        close: (ws, code, message, info) => say(info.cause),
      });
      const server = require('node:http').createServer();
      server.on('upgrade', (req, socket, head) => {
        app.handleUpgrade(req, socket, head);
        socket.on('close', () => { if (req.url === '/last') server.close(); });
      });
      server.listen(0, '127.0.0.1', () => say(server.address().port));
    `);
    const port = await program.hear();
    const clients = await Promise.all(['/', '/', '/'].map((path) => RawWebSocket.open(port, { path, behind: frame('text', 'x') })));
    for (const client of clients) {
      expect(await client.frame()).toEqual(['text', `${client.socket.localPort}`]);
      expect(await client.frame()).toEqual(['text', 'x']);
    }
    clients[0].reset();
    expect(await program.hear()).toBe('ERR_CONNECTION_RESET');
    clients[1].finish();
    expect(await program.hear()).toBe('ERR_FIN_WITHOUT_CLOSE');
    clients[2].send(closeFrame(1000));
    expect(await program.hear()).toBe('CLOSED_BY_PEER');
    const last = await RawWebSocket.open(port, { path: '/last' });
    last.send(closeFrame(1000));
    expect(await program.hear()).toBe('CLOSED_BY_PEER');
    clients.forEach((client) => client.finish());
    last.finish();
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });
});

test('responses in front of the upgrade are written first, here, too', async () => {
  const app = createApp().ws('/*', {});
  const { readFileSync } = require('node:fs');
  const { key_file_name, cert_file_name } = certificate();
  const server = require('node:https').createServer({ key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) });
  const waiting = new Mailbox();
  server.on('request', (_, res) => waiting.put(res)).on('upgrade', give(app));
  const client = new RawClient(await connectTls(await open(server)));
  await client.send(request('GET', '/1') + handshake());
  (await waiting.take()).end('first');
  expect((await client.response()).text).toBe('first');
  expect(await client.bytes(12)).toBe('HTTP/1.1 101');
});
