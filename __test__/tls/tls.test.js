'use strict';

// An app that speaks TLS serves everything that a plain one serves. The suites of HTTP and WebSocket run over TLS with
// `npm run test:tls`; here stands what TLS adds.

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const https = require('node:https');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const tls = require('node:tls');
const { promisify } = require('node:util');
const WebSocket = require('ws');

const uWS = require('../..');
const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');
const { connectClient, connectPlain, connectRelayed, connectTls, createSSLApp } = require('../helpers/tls.js');

const { ca } = certificate();
/** What a record of TLS 1.3 has besides its content: 5 bytes of header, 1 of type and 16 of tag (RFC 8446 §5.2). */
const AROUND = 22;
const run = promisify(execFile);

/** An app that answers every request with its method, its path and the length of its body, and echoes messages. */
function echo(options) {
  return createSSLApp(options)
    .any('/*', (res, req) => {
      const line = `${req.getMethod()} ${req.getUrl()}`;
      let length = 0;
      res.onAborted(() => {});
      res.onData((chunk, isLast) => {
        length += chunk.byteLength;
        if (isLast) res.end(`${line} ${length}`);
      });
    })
    .ws('/ws', { maxPayloadLength: 2 ** 25, maxBackpressure: 0, message: (ws, message, isBinary) => ws.send(message, isBinary) });
}

/** Sends a request with Node's client. Resolves to `[status, body]`. */
async function ask(port, path, { body, ...options } = {}) {
  const outgoing = https.request({ port, host: '127.0.0.1', servername: 'localhost', path, ca, ...options });
  outgoing.end(body);
  const [incoming] = await once(outgoing, 'response');
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return [incoming.statusCode, Buffer.concat(chunks)];
}

async function openWebSocket(port, options) {
  const client = new WebSocket(`wss://localhost:${port}/ws`, { ca, maxPayload: 2 ** 26, ...options });
  afterTest(() => client.terminate());
  await once(client, 'open');
  return client;
}

describe('an app of SSLApp', () => {
  test.each(['TLSv1.2', 'TLSv1.3'])('serves HTTP and WebSockets over %s', async (version) => {
    const port = listen(echo());
    const versions = { minVersion: version, maxVersion: version };
    const client = await connectClient(port, versions);
    expect(client.socket.getProtocol()).toBe(version);
    expect((await client.get('/first')).text).toBe('get /first 0');
    expect((await client.get('/second')).text).toBe('get /second 0');
    const socket = await openWebSocket(port, versions);
    socket.send('hello');
    const [message, isBinary] = await once(socket, 'message');
    expect([String(message), isBinary]).toEqual(['hello', false]);
  });

  test('has objects with the class names of uWebSockets.js', async () => {
    const names = new Mailbox();
    const app = createSSLApp()
      .get('/', (res) => {
        names.put(res.constructor.name);
        res.end();
      })
      .ws('/ws', {
        upgrade(res, req, context) {
          names.put(res.constructor.name);
          const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) => req.getHeader(`sec-websocket-${name}`));
          res.upgrade({}, key, protocol, extensions, context);
        },
        open: (ws) => names.put(ws.constructor.name),
      });
    expect(app.constructor.name).toBe('uWS.SSLApp');
    const port = listen(app);
    await ask(port, '/');
    await openWebSocket(port);
    expect(await Promise.all([names.take(), names.take(), names.take()])).toEqual([
      'uWS.SSLHttpResponse', 'uWS.SSLHttpResponse', 'uWS.SSLWebSocket',
    ]);
  });

  test('sends and receives bodies of many records, byte by byte the same', async () => {
    const bytes = Buffer.from(Uint32Array.from({ length: 2 ** 20 }, (_, index) => index * 2654435761).buffer);
    const app = createSSLApp()
      .get('/', (res) => res.end(bytes))
      .post('/', (res) => res.onAborted(() => {}).collectBody(2 ** 23, (body) => res.end(String(Buffer.compare(Buffer.from(body), bytes)))));
    const port = listen(app);
    const [, body] = await ask(port, '/');
    expect(Buffer.compare(body, bytes)).toBe(0);
    expect(String((await ask(port, '/', { method: 'POST', body: bytes }))[1])).toBe('0');
  });

  test('echoes large messages on many connections at once', async () => {
    const port = listen(echo({ threads: 2 }));
    await Promise.all(Array.from({ length: 8 }, async (_, index) => {
      const socket = await openWebSocket(port);
      const payload = Buffer.alloc(2 ** 21 + index, index);
      socket.send(payload);
      expect(Buffer.compare((await once(socket, 'message'))[0], payload)).toBe(0);
    }));
  });

  test('waits for a client that does not read, and goes on when it does', async () => {
    const total = 24 * 2 ** 20;
    const waits = new Mailbox();
    const app = createSSLApp().get('/', (res) => {
      const chunk = Buffer.alloc(2 ** 20, 'x');
      const fill = () => {
        for (;;) {
          const [ok, isDone] = res.tryEnd(chunk.subarray(0, Math.min(chunk.length, total - res.getWriteOffset())), total);
          if (isDone) return true;
          if (!ok) break;
        }
        waits.put(res.getWriteOffset());
        return true;
      };
      res.onAborted(() => {}).onWritable(fill);
      fill();
    });
    const socket = await connectTls(listen(app));
    socket.write(request('GET', '/', ['Connection: close']));
    expect(await waits.take()).toBeLessThan(total);
    let received = '';
    let length = 0;
    for await (const data of socket) {
      if (length === 0) received = data.toString('latin1');
      length += data.length;
    }
    expect(length).toBe(total + received.indexOf('\r\n\r\n') + 4);
  });

  test('takes pipelined requests that come in one record, and one request that comes in many', async () => {
    const client = await connectClient(listen(echo()));
    await client.send(request('GET', '/a') + request('GET', '/b') + request('GET', '/c'));
    for (const path of ['/a', '/b', '/c']) expect((await client.response()).text).toBe(`get ${path} 0`);
    for (const byte of request('GET', '/slow')) await client.send(byte);
    expect((await client.response()).text).toBe('get /slow 0');
  });

  test('sends a response of a kilobyte in one record', async () => {
    const port = listen(createSSLApp().get('/', (res) => res.end('x'.repeat(1024))));
    const client = await connectClient(port);
    await client.get('/');
    const { bytesRead } = client.socket.below;
    const { headText } = await client.get('/');
    expect(client.socket.below.bytesRead - bytesRead).toBe(headText.length + 1024 + AROUND);
  });

  test('ends a connection with close_notify and FIN', async () => {
    const client = await connectClient(listen(createSSLApp().get('/', (res) => res.end('bye', true))));
    expect((await client.get('/')).text).toBe('bye');
    expect(await client.rest()).toBe('');
  });

  test.each([
    ['res.close()', (app) => app.get('/', (res) => res.close())],
    ['app.close()', (app) => app.get('/', () => app.close())],
  ])('%s says close_notify, too', async (title, build) => {
    const app = createSSLApp();
    const client = await connectClient(listen(build(app)));
    // Behind the session tickets.
    expect((await client.get('/unknown')).status).toBe(404);
    // Node's client takes a FIN without close_notify for an end, too, so the bytes have to tell: one alert.
    const before = client.socket.below.bytesRead;
    await client.send(request('GET', '/'));
    expect(await client.rest()).toBe('');
    expect(client.socket.below.bytesRead - before).toBe(2 + AROUND);
  });

  test('answers a client that has closed its own direction', async () => {
    const { socket, relay } = await connectRelayed(listen(createSSLApp().get('/', (res) => res.end('answer'))));
    const client = new RawClient(socket);
    // Kept back until the end: Node's client would not look at an answer that comes before it has sent close_notify.
    const kept = [];
    relay.change = (bytes) => {
      kept.push(bytes);
      return Buffer.alloc(0);
    };
    socket.end(request('GET', '/'));
    await once(socket, 'finish');
    relay.below.write(Buffer.concat(kept));
    expect((await client.response()).text).toBe('answer');
    expect(await client.rest()).toBe('');
  });

  test('serves Unix sockets', async () => {
    const path = join(tmpdir(), `ferrows-tls-${process.pid}.sock`);
    echo().listen_unix(() => {}, path);
    const client = await connectClient({ path });
    expect((await client.get('/unix')).text).toBe('get /unix 0');
  });

  test('takes connections over from an acceptor that reads nothing of them, and from adoptSocket', async () => {
    const child = echo();
    const acceptor = createApp().addChildAppDescriptor(child.getDescriptor());
    expect((await (await connectClient(listen(acceptor))).get('/child')).text).toBe('get /child 0');
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      child.adoptSocket(socket._handle.fd);
      socket.destroy();
    });
    afterTest(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    expect((await (await connectClient(server.address().port)).get('/adopted')).text).toBe('get /adopted 0');
  });

  test.each([
    ['in one piece with the first bytes of TLS', false],
    ['byte by byte', true],
  ])('reads a header of the PROXY protocol in front of TLS, %s', async (title, isSlow) => {
    const app = createSSLApp({ proxyProtocol: { trust: ['127.0.0.1'], required: true } });
    const port = listen(app.get('/', (res) => res.end(`${Buffer.from(res.getProxiedRemoteAddressAsText())}`)));
    const below = await connectPlain(port);
    const header = proxyHeader({ ip: '192.0.2.7', port: 4711 });
    below.socket.removeAllListeners('data');
    if (isSlow) for (const byte of header) await below.send(Buffer.of(byte));
    else {
      below.socket.cork();
      below.socket.write(header);
    }
    const socket = tls.connect({ socket: below.socket, ca, servername: 'localhost' });
    setImmediate(() => below.socket.uncork());
    await once(socket, 'secureConnect');
    expect((await new RawClient(socket).get('/')).text).toBe('192.0.2.7');
  });

  test('tells filters of the begin and the end of connections', async () => {
    const counts = new Mailbox();
    const client = await connectClient(listen(echo().filter((connection, count) => counts.put(count))));
    expect(await counts.take()).toBe(1);
    client.socket.end();
    expect(await counts.take()).toBe(-1);
  });
});

describe('handshakes', () => {
  test.each(['TLSv1.2', 'TLSv1.3'])('a client that comes back over %s resumes its session, on whichever thread', async (version) => {
    const port = listen(echo({ threads: 2 }));
    const options = { minVersion: version, maxVersion: version };
    const first = await connectTls(port, options);
    // Tickets of TLS 1.3 come behind the handshake.
    const session = version === 'TLSv1.3' ? (await once(first, 'session'))[0] : first.getSession();
    expect(first.isSessionReused()).toBe(false);
    for (let count = 0; count < 4; count++) {
      const client = await connectClient(port, { ...options, session });
      expect(client.socket.isSessionReused()).toBe(true);
      expect((await client.get('/again')).text).toBe('get /again 0');
    }
  });

  test.each([
    ['http/1.1 alone', ['http/1.1'], 'http/1.1'],
    ['h2 and http/1.1', ['h2', 'http/1.1'], 'http/1.1'],
    ['none', undefined, false],
  ])('a client that offers %s gets %s by ALPN', async (title, ALPNProtocols, agreed) => {
    const socket = await connectTls(listen(echo()), { ALPNProtocols });
    expect(socket.alpnProtocol).toBe(agreed);
  });

  test('a client that speaks h2 only is refused by the alert that says so', async () => {
    const port = listen(echo());
    await expect(connectTls(port, { ALPNProtocols: ['h2'] })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    });
  });

  test('a client that speaks TLS 1.1 only is refused by an alert', async () => {
    const options = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
    await expect(connectTls(listen(echo()), options)).rejects.toMatchObject({ code: expect.stringMatching(/_ALERT_/) });
  });

  test('renegotiation is refused by the alert that says so', async () => {
    const client = await connectClient(listen(echo()), { maxVersion: 'TLSv1.2' });
    client.socket.renegotiate({}, () => {});
    // A warning, which Node's client takes for the end.
    await expect(once(client.socket, 'data')).rejects.toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' });
  });
});

describe('clients', () => {
  test('curl', async () => {
    const port = listen(echo());
    const { stdout } = await run('curl', [
      '--silent', '--show-error', '--cacert', certificate().cert_file_name, '--data-binary', 'twelve bytes', `https://localhost:${port}/curl`,
    ]);
    expect(stdout).toBe('post /curl 12');
  });

  test.each(['-tls1_2', '-tls1_3'])('openssl s_client %s', async (version) => {
    const port = listen(createSSLApp().get('/openssl', (res) => res.end('served', true)));
    const child = execFile('openssl', [
      's_client', version, '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', certificate().cert_file_name,
      '-verify_return_error', '-quiet', '-ign_eof',
    ]);
    let output = '';
    child.stdout.on('data', (text) => { output += text; });
    child.stdin.write(request('GET', '/openssl'));
    const [status] = await once(child, 'close');
    expect([status, output.endsWith('\r\n\r\nserved')]).toEqual([0, true]);
  });

  test('fetch-like keep-alive of node:https uses one connection', async () => {
    const ports = new Set();
    const port = listen(createSSLApp().get('/', (res) => {
      ports.add(res.getRemotePort());
      res.end();
    }));
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    afterTest(() => agent.destroy());
    for (let count = 0; count < 3; count++) expect((await ask(port, '/', { agent }))[0]).toBe(200);
    expect(ports.size).toBe(1);
  });
});

describe('construction', () => {
  const { key_file_name, cert_file_name } = certificate();

  test.each([
    ['the key', { key_file_name: '/nowhere/key.pem', cert_file_name }, /key_file_name.*\/nowhere\/key\.pem/],
    ['the certificate', { key_file_name, cert_file_name: '/nowhere/cert.pem' }, /cert_file_name.*\/nowhere\/cert\.pem/],
    ['a certificate in it', { key_file_name, cert_file_name: key_file_name }, /cert_file_name/],
  ])('fails without %s, and names the option', (title, options, message) => {
    expect(failureOf(() => uWS.SSLApp(options))).toMatchObject({
      code: expect.stringMatching(/^ERR_TLS_(FILE|CERTIFICATE)$/), message: expect.stringMatching(/^App construction failed: /),
    });
    expect(failureOf(() => uWS.SSLApp(options)).message).toMatch(message);
  });

  test.each([
    [{ handshakeTimeout: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ handshakeTimeout: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxHandshakes: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ maxHandshakes: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %p', (options, code) => {
    expect(failureOf(() => uWS.SSLApp({ key_file_name, cert_file_name, ...options }))).toMatchObject({ code });
  });
});
