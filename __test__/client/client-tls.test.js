'use strict';

/** `uWS.connect` with `wss://`: whom it believes, how it makes itself known, and how TLS fails. */

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const https = require('node:https');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const tls = require('node:tls');
const { WebSocketServer } = require('ws');

const uWS = require('../..');
const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failure, open, textOf } = require('../helpers/client.js');
const { Program } = require('../helpers/program.js');
const { RawServer, granted, serverFrame } = require('../helpers/raw-server.js');
const { createSSLApp } = require('../helpers/tls.js');
const { listen } = require('../helpers/server.js');

/** An echo server of ours. */
function serve() {
  const app = createSSLApp().ws('/*', {
    compression: uWS.SHARED_COMPRESSOR,
    maxPayloadLength: 2 ** 22,
    maxBackpressure: 0,
    message: (ws, message, isBinary) => ws.send(message, isBinary, true),
  });
  return `wss://localhost:${listen(app)}`;
}

/** A server of Node's that takes every handshake of TLS and grants every upgrade. */
async function serveTls(options, onSocket = () => {}) {
  const server = tls.createServer(options, (socket) => {
    socket.on('error', () => {});
    afterTest(() => socket.destroy());
    socket.once('data', (data) => socket.write(granted(data.toString('latin1'))));
    onSocket(socket);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  afterTest(() => server.close());
  await once(server, 'listening');
  return { server, url: `wss://localhost:${server.address().port}` };
}

/** A directory for what openssl makes. */
function folder() {
  const path = mkdtempSync(join(tmpdir(), 'ferrows-client-tls-'));
  afterTest(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

let authorities = 0;

/** An authority, and a certificate of it: `{ ca, cert, key }` as PEM. */
function issued({ names = 'DNS:localhost', usage = 'serverAuth' } = {}) {
  const at = folder();
  const openssl = (...args) => execFileSync('openssl', args, { cwd: at, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=Authority ${authorities++}`, '-keyout', 'ca.key', '-out', 'ca.crt');
  openssl('req', ...newKey, '-subj', '/CN=leaf', '-keyout', 'leaf.key', '-out', 'leaf.csr');
  writeFileSync(join(at, 'extensions'), `subjectAltName=${names}\nextendedKeyUsage=${usage}\n`);
  openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
    '-extfile', 'extensions', '-out', 'leaf.crt');
  const [ca, cert, key] = ['ca.crt', 'leaf.crt', 'leaf.key'].map((name) => readFileSync(join(at, name)));
  return { ca, cert, key };
}

/** A certificate for clients with a key that the passphrase `secret` opens: `{ ca, cert, key }` as PEM. */
function encrypted() {
  const { ca, cert, key } = issued({ names: 'DNS:client', usage: 'clientAuth' });
  const args = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', 'pass:secret'];
  return { ca, cert, key: execFileSync('openssl', args, { input: key, stdio: 'pipe' }) };
}

/** Certificate and key of the helpers, as PEM. */
function selfSigned() {
  const { key_file_name, ca } = certificate();
  return { cert: ca, key: readFileSync(key_file_name) };
}

describe('a server that is believed', () => {
  test('messages of every length go there and back, compressed or not', async () => {
    const url = serve();
    const { ws, received } = await open(`${url}/path?query`, {
      compression: uWS.SHARED_COMPRESSOR, maxPayloadLength: 2 ** 22, maxBackpressure: 0,
    }, { ca: certificate().ca });
    expect(ws.constructor.name).toBe('uWS.SSLWebSocket');
    expect((await received.take())[0]).toBe('open');
    const lengths = [0, 1, 16_383, 16_384, 65_536, 2 ** 20];
    for (const compress of [false, true]) for (const length of lengths) ws.send('y'.repeat(length), false, compress);
    const messages = [];
    while (messages.length < 2 * lengths.length) {
      const [event, message] = await received.take();
      if (event === 'text') messages.push(message.length);
    }
    expect(messages).toEqual([...lengths, ...lengths]);
    ws.end(4000, 'bye');
    expect(await received.take()).toEqual(['close', 4000, 'bye', 'CLOSED_BY_END']);
  });

  test('by an authority, given as a Buffer, as text, or among others', async () => {
    const { ca, cert, key } = issued();
    const { url } = await serveTls({ cert, key });
    for (const given of [ca, ca.toString(), [certificate().ca, ca], [certificate().ca.toString(), ca.toString()]]) {
      const { received } = await open(url, {}, { ca: given });
      expect((await received.take())[0]).toBe('open');
    }
  });

  test('by its name: servername says which', async () => {
    const { ca, cert, key } = issued({ names: 'DNS:inside.example' });
    const names = [];
    const { url } = await serveTls({
      cert, key, SNICallback: (name, done) => { names.push(name); done(null, null); },
    });
    await open(url, {}, { ca, servername: 'inside.example' });
    expect(names).toEqual(['inside.example']);
  });

  test('by an address', async () => {
    const { ca, cert, key } = issued({ names: 'IP:127.0.0.1' });
    const { url } = await serveTls({ cert, key });
    await open(url.replace('localhost', '127.0.0.1'), {}, { ca });
    expect((await failure(url, {}, { ca })).code).toBe('ERR_CONNECT_TLS');
  });

  test.each(['TLSv1.2', 'TLSv1.3'])('with %s', async (version) => {
    const { ca, cert, key } = issued();
    const versions = [];
    const { url } = await serveTls({ cert, key, minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] }, (socket) => {
      versions.push(socket.getProtocol(), socket.alpnProtocol);
    });
    await open(url, {}, { ca });
    expect(versions).toEqual([version, 'http/1.1']);
  });

  test('of npm ws on https', async () => {
    const { ca, cert, key } = issued();
    const server = https.createServer({ cert, key });
    const webSockets = new WebSocketServer({ server, perMessageDeflate: true });
    webSockets.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
    server.listen(0, '127.0.0.1');
    afterTest(() => {
      webSockets.clients.forEach((client) => client.terminate());
      server.close();
    });
    await once(server, 'listening');
    const { ws, received } = await open(`wss://localhost:${server.address().port}`, { compression: uWS.SHARED_COMPRESSOR }, { ca });
    await received.take();
    ws.send('hello', false, true);
    expect(await received.take()).toEqual(['text', 'hello']);
  });

  test('frames in the record of the response, and however records are cut', async () => {
    const { ca, cert, key } = issued();
    const { url } = await serveTls({ cert, key }, (socket) => {
      socket.removeAllListeners('data');
      socket.once('data', (data) => {
        const bytes = Buffer.concat([Buffer.from(granted(data.toString('latin1'))), serverFrame(1, 'one'), serverFrame(1, 'two')]);
        for (let start = 0; start < bytes.length; start += 7) socket.write(bytes.subarray(start, start + 7));
      });
    });
    const { received } = await open(url, {}, { ca });
    expect((await received.take())[0]).toBe('open');
    expect([await received.take(), await received.take()]).toEqual([['text', 'one'], ['text', 'two']]);
  });

  test('by the system: SSL_CERT_FILE names its authorities', async () => {
    const { ca, cert, key } = issued();
    const { url } = await serveTls({ cert, key });
    const file = join(folder(), 'authorities.pem');
    writeFileSync(file, ca);
    const source = `uWS.connect(${JSON.stringify(url)}, {}).then((ws) => { say('open'); ws.close(); }, (error) => say(error.code));`;
    const program = new Program(source, { env: { SSL_CERT_FILE: file } });
    expect(await program.hear()).toBe('open');
    expect(await new Program(source).hear()).toBe('ERR_CONNECT_TLS');
  });
});

describe('a client that makes itself known', () => {
  test('by certificate and key', async () => {
    const { ca, cert, key } = issued();
    const own = issued({ names: 'DNS:client', usage: 'clientAuth' });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      const subjects = [];
      const { url } = await serveTls({ cert, key, ca: own.ca, requestCert: true, rejectUnauthorized: true, maxVersion }, (socket) => {
        subjects.push(socket.getPeerCertificate().subjectaltname);
      });
      await open(url, {}, { ca, cert: own.cert, key: own.key });
      expect(subjects).toEqual(['DNS:client']);
      const stranger = issued({ names: 'DNS:stranger', usage: 'clientAuth' });
      for (const options of [{ ca }, { ca, cert: stranger.cert, key: stranger.key }]) {
        const error = await failure(url, {}, options);
        expect(['ERR_CONNECT_TLS', 'ERR_CONNECT_ENDED']).toContain(error.code);
      }
    }
  });
});

test('an encrypted key is opened by its passphrase', async () => {
  const { ca, cert, key } = issued();
  const own = encrypted();
  const { url } = await serveTls({ cert, key, ca: own.ca, requestCert: true, rejectUnauthorized: true });
  const { received } = await open(url, {}, { ca, cert: own.cert, key: own.key, passphrase: 'secret' });
  expect((await received.take())[0]).toBe('open');
});

describe('a server that is not believed', () => {
  test.each([
    ['nobody vouches for it', () => issued(), () => ({ ca: issued().ca }), /UnknownIssuer/],
    ['the system does not know it', () => issued(), () => ({}), /UnknownIssuer/],
    ['it is another one', () => issued({ names: 'DNS:other.example' }), ({ ca }) => ({ ca }), /not valid for.*localhost/],
    ['another name is asked for', () => issued(), ({ ca }) => ({ ca, servername: 'other.example' }), /not valid for.*other\.example/],
    ['its certificate is for clients', () => issued({ usage: 'clientAuth' }), ({ ca }) => ({ ca }), /purpose|usage/i],
  ])('%s', async (_, make, optionsOf, message) => {
    const { ca, cert, key } = make();
    const { url } = await serveTls({ cert, key });
    const error = await failure(url, {}, optionsOf({ ca }));
    expect(error.code).toBe('ERR_CONNECT_TLS');
    expect(error.message).toMatch(/^TLS handshake failed: invalid peer certificate: /);
    expect(error.message).toMatch(message);
  });

  test('its certificate, which is given itself, is for another name', async () => {
    const at = folder();
    const make = (name) => {
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
        '-subj', '/CN=x', '-addext', `subjectAltName=DNS:${name}`, '-keyout', 'key', '-out', 'cert'], { cwd: at, stdio: 'pipe' });
      return { cert: readFileSync(join(at, 'cert')), key: readFileSync(join(at, 'key')) };
    };
    const good = make('localhost');
    const { received } = await open((await serveTls(good)).url, {}, { ca: good.cert });
    expect((await received.take())[0]).toBe('open');
    const other = make('other.example');
    expect((await failure((await serveTls(other)).url, {}, { ca: other.cert })).message).toMatch(/not valid for/);
  });

  test.each([
    ['for clients', 'extendedKeyUsage=clientAuth', /extended key usage for server authentication/],
    ['to issue others', 'keyUsage=critical,keyCertSign', /InvalidPurpose/],
  ])('its certificate, which is given itself, is good only %s: as Node has it', async (_, extension, message) => {
    const at = folder();
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
      '-subj', '/CN=x', '-addext', 'subjectAltName=DNS:localhost', '-addext', extension, '-keyout', 'key', '-out', 'cert'], { cwd: at, stdio: 'pipe' });
    const [cert, key] = ['cert', 'key'].map((name) => readFileSync(join(at, name)));
    const { url, server } = await serveTls({ cert, key });
    const ofNode = tls.connect({ port: server.address().port, servername: 'localhost', ca: cert });
    expect((await once(ofNode, 'error').catch((error) => [error]))[0].code).toBe('INVALID_PURPOSE');
    const error = await failure(url, {}, { ca: cert });
    expect(error.code).toBe('ERR_CONNECT_TLS');
    expect(error.message).toMatch(message);
  });

  test('rejectUnauthorized: false believes anybody', async () => {
    const { received } = await open((await serveTls(selfSigned())).url, {}, { rejectUnauthorized: false, servername: 'whoever' });
    expect((await received.take())[0]).toBe('open');
  });

  test('the server hears why, by an alert', async () => {
    const { url, server } = await serveTls(selfSigned());
    const alert = new Promise((resolve) => { server.on('tlsClientError', (error) => resolve(error.code)); });
    await failure(url);
    expect(await alert).toMatch(/ALERT_(UNKNOWN_CA|CERTIFICATE_UNKNOWN|BAD_CERTIFICATE)/);
  });
});

describe('no TLS', () => {
  test('a server without TLS', async () => {
    const server = await RawServer.start();
    const attempt = failure(server.url.replace('ws:', 'wss:'));
    const peer = await server.peer();
    peer.send('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await attempt).toMatchObject({
      code: 'ERR_CONNECT_TLS', message: 'TLS handshake failed: the server does not speak TLS',
    });
  });

  test('a client without TLS', async () => {
    const error = await failure(serve().replace('wss:', 'ws:'));
    expect(error).toMatchObject({ code: 'ERR_CONNECT_STATUS', status: 400 });
    expect(error.body).toMatch(/^ERR_TLS_PLAIN_HTTP/);
  });

  test('FIN, RST and silence during the handshake', async () => {
    const server = await RawServer.start();
    const url = server.url.replace('ws:', 'wss:');
    const finished = failure(url);
    (await server.peer()).finish();
    expect(await finished).toMatchObject({ code: 'ERR_CONNECT_TLS', message: expect.stringMatching(/left in the middle/) });
    const reset = failure(url);
    (await server.peer()).reset();
    expect((await reset).code).toBe('ERR_CONNECT_ENDED');
    const silent = await failure(url, {}, { connectTimeout: 100 });
    expect(silent).toMatchObject({
      code: 'ERR_CONNECT_TIMEOUT', message: 'Connecting timed out: connectTimeout is up while shaking hands for TLS',
    });
  });

  test('no version in common: the alert of the server is told', async () => {
    const { url } = await serveTls({ ...selfSigned(), maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' });
    const error = await failure(url, {}, { ca: certificate().ca });
    expect(error).toMatchObject({ code: 'ERR_CONNECT_TLS', message: expect.stringMatching(/the alert ProtocolVersion/) });
  });
});

describe('the end of the stream', () => {
  test('without close_notify is told apart from a clean one', async () => {
    const { ca, cert, key } = issued();
    const [sockets, below] = [[], []];
    const { server, url } = await serveTls({ cert, key }, (socket) => sockets.push(socket));
    server.on('connection', (socket) => below.push(socket));
    const clean = await open(url, {}, { ca });
    await clean.received.take();
    sockets.shift().end();
    expect((await clean.received.take())[3]).toBe('ERR_FIN_WITHOUT_CLOSE');
    const cut = await open(url, {}, { ca });
    await cut.received.take();
    below.at(-1).end();
    expect((await cut.received.take()).slice(2)).toEqual([
      'Received TCP FIN before TLS close_notify: the stream was cut off', 'ERR_TLS_TRUNCATED',
    ]);
  });

  test('a Close frame is answered, and the server leaves first', async () => {
    const { ca, cert, key } = issued();
    const sockets = [];
    const { url } = await serveTls({ cert, key }, (socket) => sockets.push(socket));
    const { received } = await open(url, {}, { ca });
    await received.take();
    const [socket] = sockets;
    const answer = once(socket, 'data');
    socket.write(serverFrame(8, Buffer.from([0x03, 0xe8])));
    expect((await received.take())[1]).toBe(1000);
    expect((await answer)[0][0]).toBe(0x88);
    const closed = once(socket, 'close');
    socket.end();
    await closed;
  });
});

describe('mistakes', () => {
  test.each([
    ['a ca that is none', { ca: 'no certificate' }, 'ERR_TLS_CA', /^connect failed: ca: /],
    ['a ca of another type', { ca: 5 }, 'ERR_INVALID_ARG_TYPE', /./],
    ['a list of them', { ca: [5] }, 'ERR_INVALID_ARG_TYPE', /./],
    ['a certificate without its key', () => ({ cert: selfSigned().cert }), 'ERR_INVALID_ARG_VALUE', /^cert and key must be given together/],
    ['a key that is none', () => ({ cert: selfSigned().cert, key: 'no key' }), 'ERR_TLS_KEY', /^connect failed: key: /],
    ['a key of another certificate', () => ({ cert: selfSigned().cert, key: issued().key }), 'ERR_TLS_KEY_MISMATCH', /^connect failed: key: /],
    ['an encrypted key without its passphrase', () => encrypted(), 'ERR_TLS_PASSPHRASE', /^connect failed: key: /],
    ['an encrypted key with another passphrase', () => ({ ...encrypted(), passphrase: 'other' }), 'ERR_TLS_PASSPHRASE', /./],
    ['a servername that is none', { servername: 'a b' }, 'ERR_INVALID_ARG_VALUE', /^servername must be/],
    ['a servername of another type', { servername: 5 }, 'ERR_INVALID_ARG_TYPE', /^servername must be/],
    ['rejectUnauthorized of another type', { rejectUnauthorized: 0 }, 'ERR_INVALID_ARG_TYPE', /^rejectUnauthorized must be/],
  ])('%s', async (_, options, code, message) => {
    const given = typeof options === 'function' ? options() : options;
    const error = await uWS.connect('wss://127.0.0.1:1', {}, given).catch((reason) => reason);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });
});

test('addresses and user data are those of any WebSocket', async () => {
  const { ws } = await open(serve(), {}, { ca: certificate().ca, userData: { name: 'secure' } });
  expect([ws.name, textOf(ws.getRemoteAddressAsText())]).toEqual(['secure', '127.0.0.1']);
});
