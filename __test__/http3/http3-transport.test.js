'use strict';

// What is beneath HTTP/3: addresses that change, datagrams that are lost, clients that are gone, and floods.

const { randomBytes } = require('node:crypto');
const dgram = require('node:dgram');
const { once } = require('node:events');
const net = require('node:net');

const uWS = require('../..');
const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { CODE, Http3Client, describeWithHttp3, http3Options, openWebSocket } = require('../helpers/http3.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { listen, listenToken } = require('../helpers/server.js');
const { connectClient, createSSLApp } = require('../helpers/tls.js');
const { UdpRelay } = require('../helpers/udp-relay.js');

const BIG = Buffer.alloc(1 << 20, Uint8Array.from({ length: 251 }, (_, index) => index));

/** An app of HTTP/3 alone, closed after the test. */
function createApp(http3 = true, options = {}) {
  const app = uWS.H3App(http3Options({ http3, ...options }));
  afterTest(() => app.close());
  return app;
}

/** An app that sends back what it is sent. */
function createEcho(http3, options) {
  return createApp(http3, options).post('/*', (res) => {
    res.onAborted(() => {});
    res.collectBody(BIG.length, (body) => res.end(body));
  }).get('/*', (res) => res.end(Buffer.from(res.getRemoteAddressAsText())));
}

/** A UDP socket that speaks to a port, with the datagrams that it receives. Closed after the test. */
async function openSocket(port) {
  const socket = dgram.createSocket('udp4');
  afterTest(() => socket.close());
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const received = new Mailbox();
  socket.on('message', (datagram) => received.put(datagram));
  return { send: (datagram) => socket.send(datagram), received };
}

/** A datagram with a long header of this version, padded to what starts a connection (RFC 9000 §14.1). */
function longHeader(version, length = 1200) {
  const header = Buffer.concat([Buffer.of(0xc0), version, Buffer.of(8), randomBytes(8), Buffer.of(8), randomBytes(8)]);
  return Buffer.concat([header, randomBytes(length - header.length)]);
}

/** Whether a datagram is a Retry packet of version 1: a long header of type 3 (RFC 9000 §17.2.5). */
function isRetry(datagram) {
  return (datagram[0] & 0xf0) === 0xf0 && datagram.readUInt32BE(1) === 1;
}

describeWithHttp3('addresses', () => {
  test.each([[1], [3]])('a client goes on from another port, with %i threads', async (threads) => {
    const relay = await UdpRelay.start(listen(createEcho(true, { threads, inline: threads === 1 })));
    const client = await Http3Client.connect(relay.port);
    for (let round = 0; round < 4; round += 1) {
      const { body } = await client.request('/echo', BIG.subarray(0, 100_000));
      expect(body.equals(BIG.subarray(0, 100_000))).toBe(true);
      relay.rebind();
    }
  });

  test('a WebSocket goes on from another port', async () => {
    const app = createApp().ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });
    const relay = await UdpRelay.start(listen(app));
    const { socket } = await openWebSocket(await Http3Client.connect(relay.port), '/');
    for (const text of ['before', 'after']) {
      socket.send(text);
      const [message] = await once(socket, 'message');
      expect(message.toString()).toBe(text);
      relay.rebind();
    }
  });

  test('without migration, datagrams from another port are ignored', async () => {
    const relay = await UdpRelay.start(listen(createEcho({ migration: false, idleTimeout: 1000 })));
    const client = await Http3Client.connect(relay.port, { idleTimeout: 2 });
    await expect(client.request('/')).resolves.toMatchObject({ status: 200 });
    relay.rebind();
    await expect(client.request('/')).rejects.toThrow('closed');
  });

  test('many clients are served by all threads', async () => {
    const port = listen(createEcho(true, { threads: 3, inline: false }));
    const clients = await Promise.all(Array.from({ length: 12 }, () => Http3Client.connect(port)));
    const answers = await Promise.all(clients.map((client, index) => client.request('/', Buffer.from(`client ${index}`))));
    expect(answers.map(({ text }) => text)).toStrictEqual(clients.map((_, index) => `client ${index}`));
  });

  test.each([[true], [false]])('with retry %s, a client has to show that it receives at its address, or has not', async (retry) => {
    const relay = await UdpRelay.start(listen(createEcho({ retry })));
    const answer = relay.next();
    const client = await Http3Client.connect(relay.port);
    const datagram = await answer;
    expect(isRetry(datagram)).toBe(retry);
    // A Retry packet is smaller than what it answers (RFC 9000 §17.2.5).
    if (retry) expect(datagram.length).toBeLessThan(300);
    await expect(client.request('/', Buffer.from('hello'))).resolves.toMatchObject({ text: 'hello' });
  });

  test('a version that is not spoken is answered with those that are', async () => {
    const { send, received } = await openSocket(listen(createApp()));
    // A shorter datagram gets nothing (RFC 9000 §5.2.2).
    send(longHeader(Buffer.from('1a2a3a4a', 'hex'), 1199));
    const asked = longHeader(Buffer.from('1a2a3a4a', 'hex'));
    send(asked);
    const answer = await received.take();
    expect(answer.subarray(1, 5)).toStrictEqual(Buffer.alloc(4));
    expect(answer.subarray(6, 14)).toStrictEqual(asked.subarray(15, 23));
    expect(answer.toString('hex')).toContain('00000001');
    expect(received.size).toBe(0);
  });
});

describeWithHttp3('networks', () => {
  test.each([1, 2, 3])('5 % loss, doubles and another order change nothing (%i)', async (seed) => {
    // A busy machine may make the client as slow as one that is refused.
    const relay = await UdpRelay.start(listen(createEcho(true, { bodyTimeout: 0 })), seed);
    Object.assign(relay, { loss: 0.05, doubling: 0.02, reordering: 0.05 });
    const client = await Http3Client.connect(relay.port);
    const body = BIG.subarray(0, 100_000);
    const answers = await Promise.all(Array.from({ length: 4 }, (_, index) => client.request('/', body.subarray(index))));
    answers.forEach((answer, index) => expect([answer.status, answer.body.equals(body.subarray(index))]).toStrictEqual([200, true]));
    expect(relay.counts.lost).toBeGreaterThan(0);
  });

  test('a client that is gone is told apart by the idle timeout', async () => {
    const causes = new Mailbox();
    const begun = new Mailbox();
    const app = createApp({ idleTimeout: 300 }).get('/*', (res) => {
      res.onAborted((reason, info) => causes.put(info.cause));
      begun.put(true);
    });
    const client = await Http3Client.connect(listen(app));
    await client.start('/');
    await begun.take();
    await client.command('vanish');
    await expect(causes.take()).resolves.toBe('ERR_QUIC_IDLE_TIMEOUT');
  });

  test('a handler may take longer than the idle timeout', async () => {
    const waiting = new Mailbox();
    const app = createApp({ idleTimeout: 400 }).get('/*', (res) => {
      res.onAborted((reason, info) => waiting.put(info.cause));
      setTimeout(() => res.end('late'), 1500);
    });
    const client = await Http3Client.connect(listen(app));
    await expect(client.request('/')).resolves.toMatchObject({ text: 'late' });
    expect(waiting.size).toBe(0);
  });
});

describeWithHttp3('ends', () => {
  test.each([
    [{ code: CODE.NO_ERROR }, 'ERR_QUIC_CLOSED', 'Peer closed the QUIC connection: H3_NO_ERROR (0x100)'],
    [{ code: CODE.EXCESSIVE_LOAD, reason: 'too much' }, 'ERR_QUIC_CLOSED', 'Peer closed the QUIC connection: H3_EXCESSIVE_LOAD (0x107): too much'],
    [{ code: CODE.NO_ERROR, reason: ' \n' }, 'ERR_QUIC_CLOSED', 'Peer closed the QUIC connection: H3_NO_ERROR (0x100)'],
    [{ code: 0x12345 }, 'ERR_QUIC_CLOSED', 'Peer closed the QUIC connection'],
    [{ code: 0x3, frame: 0x8 }, 'ERR_QUIC_PEER', 'Peer closed the QUIC connection because of a transport error: FLOW_CONTROL_ERROR (0x3)'],
    [
      { code: 0xa, frame: 0x8, reason: 'it\'s "over"\r\n\u001b[31m\u202e' }, 'ERR_QUIC_PEER',
      'Peer closed the QUIC connection because of a transport error: PROTOCOL_VIOLATION (0xa): it\'s "over"\\r\\n\\u{1b}[31m\\u{202e}',
    ],
    [{ code: 0x150, frame: 0x6 }, 'ERR_TLS_ALERT', 'Peer sent a TLS alert: internal_error (80)'],
  ])('a client that closes its connection with %j ends what is open', async (how, cause, text) => {
    const [causes, begun] = [new Mailbox(), new Mailbox()];
    const app = createApp().get('/*', (res) => {
      res.onAborted((reason, info) => causes.put({ reason, ...info }));
      begun.put(true);
    });
    const client = await Http3Client.connect(listen(app));
    await client.start('/');
    await begun.take();
    await client.command('close', how);
    expect(await causes.take()).toMatchObject({ cause, reason: text, initiator: 'peer' });
  });

  test('what a client says when it closes its connection is told to every response and WebSocket, cut if it is long', async () => {
    const [ends, begun] = [new Mailbox(), new Mailbox()];
    const app = createApp().get('/*', (res) => {
      res.onAborted((reason) => ends.put(reason));
      begun.put(true);
    }).ws('/*', { open: () => begun.put(true), close: (ws, code, message, info) => ends.put(info.reason) });
    const client = await Http3Client.connect(listen(app));
    await client.start('/');
    await openWebSocket(client, '/');
    await begun.take();
    await begun.take();
    await client.command('close', { code: CODE.NO_ERROR, reason: 'ü'.repeat(200) });
    const text = `Peer closed the QUIC connection: H3_NO_ERROR (0x100): ${'ü'.repeat(128)}…`;
    expect([await ends.take(), await ends.take()]).toStrictEqual([text, text]);
  });

  test('close tells clients why, and frees the port', async () => {
    const app = createApp().get('/*', (res) => res.end('hello'));
    const port = listen(app);
    const client = await Http3Client.connect(port);
    await client.request('/');
    app.close();
    expect(await client.closed).toMatchObject({ code: 0x100, frame: null, reason: 'Application called app.close()' });
    const again = createApp().get('/*', (res) => res.end('again'));
    listen(again, '127.0.0.1', port);
    await expect((await Http3Client.connect(port)).request('/')).resolves.toMatchObject({ text: 'again' });
  });

  test('close tells a client that has acknowledged nothing of much', async () => {
    const begun = new Mailbox();
    const app = createApp().get('/*', (res) => {
      res.onAborted(() => {}).end(BIG);
      begun.put(true);
    });
    const relay = await UdpRelay.start(listen(app));
    const client = await Http3Client.connect(relay.port);
    relay.delay = 200;
    await client.start('/');
    await begun.take();
    app.close();
    expect(await client.closed).toMatchObject({ code: 0x100, frame: null, reason: 'Application called app.close()' });
  });

  test('a socket that is closed leaves its connections, and goes with the last of them', async () => {
    const app = createApp().get('/*', (res) => res.end('hello'));
    const token = listenToken(app);
    const port = uWS.us_socket_local_port(token);
    const client = await Http3Client.connect(port);
    await client.request('/');
    uWS.us_listen_socket_close(token);
    await expect(client.request('/')).resolves.toMatchObject({ text: 'hello' });
    await expect(Http3Client.connect(port)).rejects.toMatchObject({ error: 'connection closed', code: 2 });
    await client.close();
  });

  test('shutdown serves what has begun, and resolves when its clients are told', async () => {
    const begun = new Mailbox();
    const app = createApp().get('/*', (res) => {
      res.onAborted(() => {});
      begun.put(res);
    });
    const client = await Http3Client.connect(listen(app));
    const answer = client.request('/');
    const res = await begun.take();
    const done = app.shutdown({ timeout: 20_000 });
    await client.goaways.take();
    res.end('in time');
    await expect(answer).resolves.toMatchObject({ text: 'in time' });
    await expect(done).resolves.toStrictEqual({ forced: 0 });
    expect(await client.closed).toMatchObject({ code: 0x100, frame: null });
  });

  test('the end of the process tells clients', async () => {
    const { key_file_name, cert_file_name } = certificate();
    const program = new Program(`
      const app = uWS.H3App(${JSON.stringify({ key_file_name, cert_file_name })});
      app.get('/exit', (res) => { res.end('bye'); process.exit(); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const client = await Http3Client.connect(await program.hear());
    await expect(client.request('/exit')).resolves.toMatchObject({ text: 'bye' });
    expect(await client.closed).toMatchObject({ code: 0x100, frame: null, reason: 'Server is shutting down' });
  });

  test('a server that was started again tells clients that their connections are gone', async () => {
    const { key_file_name, cert_file_name } = certificate();
    const source = (port) => `
      const app = uWS.H3App(${JSON.stringify({ key_file_name, cert_file_name })});
      app.get('/*', (res) => res.end('hello')).listen('127.0.0.1', ${port}, (token) => say(uWS.us_socket_local_port(token)));
    `;
    const first = new Program(source(0));
    const port = await first.hear();
    const relay = await UdpRelay.start(port);
    const client = await Http3Client.connect(relay.port);
    await client.request('/');
    await first.kill();
    const second = new Program(source(port));
    await second.hear();
    const reset = relay.next();
    client.request('/').catch(() => {});
    // With other keys, the server could not tell it from garbage. What it says looks like any packet, and is shorter than the
    // client's (RFC 9000 §10.3).
    const datagram = await reset;
    expect(datagram[0] & 0xc0).toBe(0x40);
    expect(datagram.length).toBeGreaterThanOrEqual(21);
  });
});

describeWithHttp3('floods', () => {
  test('garbage is dropped, and others are served', async () => {
    const port = listen(createEcho());
    const { send, received } = await openSocket(port);
    const client = await Http3Client.connect(port);
    for (let length = 0; length < 1500; length += 1) send(randomBytes(length));
    for (let count = 0; count < 200; count += 1) send(longHeader(Buffer.from('00000001', 'hex')));
    await expect(client.request('/', Buffer.from('hello'))).resolves.toMatchObject({ text: 'hello' });
    // Now and then, random bytes are a long header of a version that nobody knows (RFC 9000 §6.1).
    while (received.size > 0) expect((await received.take()).subarray(0, 5).toString('hex')).toMatch(/^[89a-f].00000000$/);
  });

  test('first packets of many clients that never go on get Retry, and others are served', async () => {
    const app = createEcho(true, { maxHandshakes: 64 });
    const port = listen(app);
    const initial = await firstDatagram(port);
    const sockets = await Promise.all(Array.from({ length: 8 }, () => openSocket(port)));
    for (let count = 0; count < 400; count += 1) {
      // Another connection id, under which the packet cannot be decrypted, is not even a handshake; the same from another
      // address is one.
      sockets[count % sockets.length].send(initial);
    }
    const client = await Http3Client.connect(port);
    await expect(client.request('/', Buffer.from('hello'))).resolves.toMatchObject({ text: 'hello' });
  });

  test('first packets from ever other addresses cost the memory of so many handshakes, and no more', async () => {
    const limit = 64;
    const app = createEcho(true, { maxHandshakes: limit });
    const port = listen(app);
    const client = await Http3Client.connect(port);
    const { datagrams } = await client.command('initials', { count: 4 * limit });
    const kinds = datagrams.map(async (datagram) => {
      const { send, received } = await openSocket(port);
      send(Buffer.from(datagram, 'base64'));
      return isRetry(await received.take()) ? 'retry' : 'handshake';
    });
    const answers = await Promise.all(kinds);
    const begun = answers.filter((kind) => kind === 'handshake').length;
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThanOrEqual(limit);
    await expect((await Http3Client.connect(port)).request('/', Buffer.from('hello'))).resolves.toMatchObject({ text: 'hello' });
  });
});

/** The first datagram that a client sends. */
async function firstDatagram(port) {
  const relay = await UdpRelay.start(port);
  await Http3Client.connect(relay.port);
  return relay.first;
}

describe('options', () => {
  const tls = () => ({ key_file_name: certificate().key_file_name, cert_file_name: certificate().cert_file_name });

  test('what cannot be meant is refused', () => {
    const refused = (code) => expect.objectContaining({ code });
    expect(() => uWS.App({ http3: true })).toThrow(refused('ERR_INVALID_ARG_VALUE'));
    expect(() => uWS.SSLApp({ ...tls(), http3: 1 })).toThrow(refused('ERR_INVALID_ARG_TYPE'));
    expect(() => uWS.SSLApp({ ...tls(), http3: { retry: 1 } })).toThrow(refused('ERR_INVALID_ARG_TYPE'));
    expect(() => uWS.H3App({ ...tls(), http2: true })).toThrow(refused('ERR_INVALID_ARG_VALUE'));
    expect(() => uWS.H3App({ ...tls(), http3: false })).toThrow(refused('ERR_INVALID_ARG_VALUE'));
    expect(() => uWS.H3App()).toThrow(refused('ERR_TLS_KEY'));
    expect(() => uWS.App({ http3: false }).close()).not.toThrow();
  });

  test('an app of HTTP/3 alone takes no sockets of TCP', async () => {
    const app = createApp();
    const refused = expect.objectContaining({ code: 'ERR_INVALID_STATE' });
    expect(() => app.listen_unix(() => {}, '/tmp/none.sock')).toThrow(refused);
    expect(() => app.listen({ fd: 0 }, () => {})).toThrow(refused);
    expect(() => app.adoptSocket(0)).toThrow(refused);
    expect(() => app.getDescriptor()).toThrow(refused);
    const port = listen(app);
    const socket = net.connect(port, '127.0.0.1');
    const [error] = await once(socket, 'error');
    expect(error.code).toBe('ECONNREFUSED');
  });

  test('responses over TCP say where HTTP/3 is, unless the program does', async () => {
    const app = createSSLApp({ http3: true });
    app.get('/', (res) => res.end('hello'));
    app.get('/own', (res) => res.writeHeader('Alt-Svc', 'clear').end('hello'));
    const port = listen(app);
    const client = await connectClient(port);
    expect((await client.get('/')).values('alt-svc')).toStrictEqual([`h3=":${port}"; ma=86400`]);
    expect((await client.get('/own')).values('alt-svc')).toStrictEqual(['clear']);
  });
});
