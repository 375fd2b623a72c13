'use strict';

// Connections that were accepted elsewhere and are given to an app by the number of their descriptor.

const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp } = require('../helpers/server.js');

/** A server of Node's that accepts and reads nothing. Resolves to its address and a mailbox of what it accepted. */
async function acceptor(address = { port: 0, host: '127.0.0.1' }) {
  const accepted = new Mailbox();
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    afterTest(() => socket.destroy());
    accepted.put(socket);
  });
  server.listen(address);
  await once(server, 'listening');
  afterTest(() => server.close());
  const target = address.path === undefined ? server.address().port : address;
  return { server, accepted, target };
}

/** Gives a socket of Node's away. */
function give(app, socket, ip) {
  app.adoptSocket(socket._handle.fd, ip);
  socket.destroy();
}

/** A client whose connection was given to the app. */
async function adopted(app, { address, ip } = {}) {
  const { accepted, target } = await acceptor(address);
  const client = await RawClient.connect(target);
  give(app, await accepted.take(), ip);
  return client;
}

function describePeer(res) {
  return `${Buffer.from(res.getRemoteAddressAsText())} ${res.getRemotePort()}`;
}

describe('an adopted connection', () => {
  test('is served like any other, for as many requests as it has', async () => {
    const client = await adopted(createApp().get('/', (res) => res.end(describePeer(res))));
    for (let count = 0; count < 3; count++) {
      expect((await client.get('/')).text).toBe(`127.0.0.1 ${client.socket.localPort}`);
    }
  });

  test('is served with what had arrived before', async () => {
    const { accepted, target } = await acceptor();
    const client = await RawClient.connect(target);
    await client.send(request('GET', '/early'));
    give(createApp().get('/early', (res) => res.end('served')), await accepted.take());
    expect((await client.response()).text).toBe('served');
  });

  test('may become a WebSocket', async () => {
    const app = createApp().ws('/*', { message: (ws, message) => ws.send(message) });
    const { accepted, target } = await acceptor();
    const client = new WebSocket(`ws://127.0.0.1:${target}/`);
    give(app, await accepted.take());
    await once(client, 'open');
    client.send('echo');
    expect(String((await once(client, 'message'))[0])).toBe('echo');
    client.terminate();
  });

  test('goes to every I/O thread in turn, and to filters', async () => {
    const counts = new Mailbox();
    const app = createApp({ threads: 2 }).filter((_, count) => counts.put(count)).get('/', (res) => res.end());
    for (let count = 0; count < 4; count++) {
      expect((await (await adopted(app)).get('/')).status).toBe(200);
      expect(await counts.take()).toBe(1);
    }
  });

  test('may be on a Unix socket', async () => {
    const address = { path: join(tmpdir(), `ferrows-adopt-${process.pid}.sock`) };
    const client = await adopted(createApp().get('/', (res) => res.end(describePeer(res))), { address });
    expect((await client.get('/')).text).toBe(' 0');
  });

  test.each([
    ['text', '203.0.113.7', '203.0.113.7'],
    ['IPv6 text', '2001:db8::7', '2001:0db8:0000:0000:0000:0000:0000:0007'],
    ['4 bytes', Buffer.from([203, 0, 113, 7]), '203.0.113.7'],
    ['16 bytes', new Uint8Array(16).fill(1).buffer, Array(8).fill('0101').join(':')],
  ])('has the address it was given: %s', async (_, ip, expected) => {
    const client = await adopted(createApp().get('/', (res) => res.end(describePeer(res))), { ip });
    expect((await client.get('/')).text).toBe(`${expected} ${client.socket.localPort}`);
  });

  test('is trusted by the address it was given', async () => {
    const app = createApp({ proxyProtocol: { trust: ['203.0.113.7'] } });
    app.get('/', (res) => res.end(res.getProxiedRemoteAddressAsText()));
    const client = await adopted(app, { ip: '203.0.113.7' });
    await client.send(proxyHeader({ ip: '198.51.100.1', port: 1 }));
    expect((await client.get('/')).text).toBe('198.51.100.1');
  });

  test('is closed by app.close()', async () => {
    const app = createApp().get('/', (res) => res.end());
    const client = await adopted(app);
    await client.get('/');
    app.close();
    await client.over();
  });

  test('belongs to the app alone once the descriptor is closed: its end is the end of the connection', async () => {
    const client = await adopted(createApp().get('/', (res) => res.end('', true)));
    await client.get('/');
    expect(await client.rest()).toBe('');
  });

  test('keeps the process alive until it ends, also if nobody listens', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 1 }).get('/', (res) => res.end('answer'));
      const server = require('node:net').createServer({ pauseOnConnect: true }, (socket) => {
        app.adoptSocket(socket._handle.fd);
        socket.destroy();
        server.close();
      });
      server.listen(0, '127.0.0.1', () => say(server.address().port));
    `);
    const client = await RawClient.connect(await program.hear());
    expect((await client.get('/')).text).toBe('answer');
    client.finish();
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('refused', () => {
  test('the descriptor stays open, and usable, whatever is said to it', async () => {
    const { accepted, target } = await acceptor();
    const client = await RawClient.connect(target);
    const socket = await accepted.take();
    const { fd } = socket._handle;
    expect(failureOf(() => createApp().adoptSocket(fd, 'nonsense')).code).toBe('ERR_INVALID_ARG_VALUE');
    socket.end('still ours');
    expect(await client.rest()).toBe('still ours');
  });

  test.each([-1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 53])('%p is no descriptor', (fd) => {
    expect(failureOf(() => createApp().adoptSocket(fd))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  });

  test.each([undefined, null, '3', {}, 3n])('%p is no number', (fd) => {
    expect(failureOf(() => createApp().adoptSocket(fd))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  test.each(['', 'localhost', '1.2.3', '::1::', Buffer.alloc(5), new ArrayBuffer(0)])('%p is no address', (ip) => {
    const failure = failureOf(() => createApp().adoptSocket(2 ** 30, ip));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('a number that names nothing', () => {
    expect(failureOf(() => createApp().adoptSocket(2 ** 30))).toMatchObject({
      name: 'Error', code: 'EBADF', message: expect.stringMatching(/^adoptSocket EBADF: .*: fd 1073741824$/),
    });
  });

  test('a file', () => {
    const fd = fs.openSync(__filename);
    afterTest(() => fs.closeSync(fd));
    expect(failureOf(() => createApp().adoptSocket(fd)).code).toBe('ENOTSOCK');
  });

  test('a socket that listens', async () => {
    const { server } = await acceptor();
    expect(failureOf(() => createApp().adoptSocket(server._handle.fd)).code).toBe('ENOTCONN');
  });

  test('a socket of another kind', async () => {
    const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    afterTest(() => socket.close());
    await once(socket, 'listening');
    const { fd } = socket._handle;
    expect(failureOf(() => createApp().adoptSocket(fd)).code).toBe('ERR_INVALID_ARG_VALUE');
  });

  test('returns the app, and refuses other objects', async () => {
    const app = createApp();
    const { accepted, target } = await acceptor();
    await RawClient.connect(target);
    const socket = await accepted.take();
    expect(app.adoptSocket(socket._handle.fd)).toBe(app);
    expect(failureOf(() => uWS.App().adoptSocket.call({}, 3)).code).toBe('ERR_INVALID_THIS');
  });
});
