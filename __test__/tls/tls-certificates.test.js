'use strict';

// Certificates that change while the app serves, and those of clients.

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { X509Certificate } = require('node:crypto');
const https = require('node:https');
const tls = require('node:tls');

const uWS = require('../..');
const { issue, selfSigned, selfSignedVersion1 } = require('../helpers/authority.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failure } = require('../helpers/client.js');
const { Log } = require('../helpers/log.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

let authority;
let stranger;
let one;
let two;
let three;
let friend;
beforeAll(() => {
  authority = selfSigned('authority');
  stranger = selfSigned('stranger');
  [one, two, three] = ['one.test', 'two.test', 'three.test'].map((name) => issue(authority, name));
  friend = issue(authority, 'friend.test');
});

const documents = ({ key, cert }) => ({ key, cert });

function createSSLApp(options) {
  const app = uWS.SSLApp({ threads: 1, ...documents(one), ...options });
  afterTest(() => app.close());
  return app;
}

async function connect(port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  afterTest(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

async function certificateFor(port, servername) {
  const socket = await connect(port, { servername });
  return socket.getPeerCertificate().subject.CN;
}

/** The body of the answer to a GET on a new connection, or the code of the error. */
async function ask(port, options) {
  try {
    const client = new RawClient(await connect(port, options));
    return (await client.get('/')).body.toString();
  } catch (error) {
    return error.code;
  }
}

describe('a certificate of version 1 of X.509', () => {
  let old;
  let older;
  beforeAll(() => {
    [old, older] = [selfSignedVersion1('old.test'), selfSignedVersion1('older.test')];
  });

  /** Asks as somebody who believes nobody but this certificate; Node finds its name in the subject. */
  const askAs = ({ cert }, port, servername, options) =>
    ask(port, { ca: cert, servername, rejectUnauthorized: true, ...options });

  test.each(['TLSv1.2', 'TLSv1.3'])('serves those who take it (%s): of the app, of a server name, and as a new one', async (version) => {
    const versions = { minVersion: version, maxVersion: version };
    const app = createSSLApp(documents(old)).get('/*', (res) => res.end('secure'));
    const port = listen(app.addServerName('older.test', documents(older)));
    expect(await askAs(old, port, 'old.test', versions)).toBe('secure');
    expect(await askAs(older, port, 'older.test', versions)).toBe('secure');
    const newer = selfSignedVersion1('old.test');
    app.setCertificate(documents(newer));
    expect(await askAs(newer, port, 'old.test', versions)).toBe('secure');
    expect(await askAs(old, port, 'old.test', versions)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  });

  test('is remarked upon, and its key is compared', async () => {
    const log = new Log('warn');
    createSSLApp(documents(old));
    await log.until('questionable TLS option', ({ fields }) => fields.remark.startsWith('cert: the certificate has version 1 of X.509'));
    const mismatch = expect.objectContaining({ code: 'ERR_TLS_KEY_MISMATCH' });
    expect(() => createSSLApp({ key: older.key, cert: old.cert })).toThrow(mismatch);
  });

  test('is refused by our own client, which says why', async () => {
    const port = listen(createSSLApp(documents(old)).ws('/*', {}));
    const error = await failure(`wss://127.0.0.1:${port}`, {}, { ca: old.cert, servername: 'old.test' });
    expect(error.code).toBe('ERR_CONNECT_TLS');
    expect(error.message).toContain('it has version 1 of X.509, in which there is no subjectAltName');
  });
});

test('a certificate with what OpenSSL has been told of it (TRUSTED CERTIFICATE) is one like any other', async () => {
  const trusted = execFileSync('openssl', ['x509', '-trustout', '-addtrust', 'serverAuth'], { input: two.cert, stdio: 'pipe' });
  expect(trusted.toString()).toContain('BEGIN TRUSTED CERTIFICATE');
  const port = listen(createSSLApp({ key: two.key, cert: trusted }));
  expect(await certificateFor(port)).toBe('two.test');
});

describe('setCertificate', () => {
  test('new handshakes use it, and open connections live on', async () => {
    const app = createSSLApp().any('/*', (res) => res.end('ok'));
    const port = listen(app);
    const old = new RawClient(await connect(port));
    expect(await certificateFor(port)).toBe('one.test');
    expect(app.setCertificate(documents(two))).toBe(app);
    expect(await certificateFor(port)).toBe('two.test');
    app.setCertificate({ key_file_name: three.key_file_name, cert_file_name: three.cert_file_name });
    expect(await certificateFor(port)).toBe('three.test');
    expect((await old.get('/')).body.toString()).toBe('ok');
  });

  test('the certificate of a server name changes alone', async () => {
    const app = createSSLApp().addServerName('name.test', documents(two));
    app.domain('name.test').any('/*', (res) => res.end('name')).domain('');
    const port = listen(app);
    expect(app.setCertificate('Name.test', documents(three))).toBe(app);
    expect(await certificateFor(port, 'name.test')).toBe('three.test');
    expect(await certificateFor(port, 'other.test')).toBe('one.test');
    app.setCertificate(documents(two));
    expect(await certificateFor(port, 'name.test')).toBe('three.test');
    expect(await certificateFor(port, 'other.test')).toBe('two.test');
    expect(await ask(port, { servername: 'name.test' })).toBe('name');
  });

  test('what cannot be used is thrown, and the last one stays', async () => {
    const app = createSSLApp();
    const port = listen(app);
    const mismatch = () => app.setCertificate({ key: one.key, cert: two.cert });
    expect(mismatch).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY_MISMATCH' }));
    expect(mismatch).toThrow(/^setCertificate failed: key: /);
    for (const options of [{}, undefined, null]) {
      expect(() => app.setCertificate(options)).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY' }));
    }
    const unknown = () => app.setCertificate('unknown.test', documents(two));
    expect(unknown).toThrow(expect.objectContaining({ name: 'Error', code: 'ERR_TLS_SERVER_NAME' }));
    expect(() => app.setCertificate()).toThrow('Function requires at least 1 arguments.');
    const plain = expect.objectContaining({ name: 'Error', code: 'ERR_INVALID_STATE' });
    expect(() => createApp().setCertificate(documents(two))).toThrow(plain);
    expect(await certificateFor(port)).toBe('one.test');
  });

  test('what is asked of clients stays as it is, unless it is said', async () => {
    const app = createSSLApp({ ca: authority.cert, requireClientCertificate: true });
    app.any('/*', (res) => res.end('ok'));
    const port = listen(app);
    app.setCertificate(documents(two));
    expect(await ask(port)).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(await ask(port, documents(friend))).toBe('ok');
    app.setCertificate({ ...documents(two), requireClientCertificate: false });
    expect(await ask(port)).toBe('ok');
  });

  test('a session from before is not resumed, and so its client is verified anew', async () => {
    const guest = issue(stranger, 'guest.test');
    const app = createSSLApp({ ca: stranger.cert }).any('/*', (res) => res.end('ok'));
    const port = listen(app);
    const client = await connect(port, documents(guest));
    const tickets = new Mailbox();
    client.on('session', (session) => tickets.put(session));
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const session = await tickets.take();
    const again = await connect(port, { session, ...documents(guest) });
    expect(again.isSessionReused()).toBe(true);
    app.setCertificate({ ...documents(two), ca: authority.cert });
    expect(await ask(port, { session, ...documents(guest) })).toMatch(/^(ERR_SSL_.*|ECONNRESET)$/);
    expect((await connect(port, { session })).isSessionReused()).toBe(false);
  });

  test('certificates rotate under load without a connection lost or a request failed', async () => {
    const app = createSSLApp({ threads: 2 }).any('/*', (res, req) => res.end(req.getUrl()));
    const port = listen(app);
    const kept = await Promise.all(Array.from({ length: 8 }, async () => new RawClient(await connect(port))));
    const seen = new Set();
    let isRotating = true;
    const failures = [];
    let requests = 0;

    /** Requests on connections of their own, until the last certificate is in use. */
    async function visit() {
      const agent = new https.Agent({ maxCachedSessions: 0 });
      while (isRotating || !seen.has('last')) {
        const outgoing = https.get({ port, host: '127.0.0.1', agent, rejectUnauthorized: false });
        const [incoming] = await once(outgoing, 'response').catch((error) => [error]);
        requests += 1;
        if (incoming.statusCode !== 200) failures.push(incoming);
        else seen.add(isRotating ? incoming.socket.getPeerCertificate().subject.CN : 'last');
        incoming.resume?.();
        if (failures.length > 10) return;
      }
    }

    /** Requests on a connection that is there from the beginning to the end. */
    async function stay(client) {
      while (isRotating) {
        const response = await client.get('/stay').catch((error) => error);
        if (response.body?.toString() !== '/stay') return failures.push(response);
      }
      return undefined;
    }

    const load = [...kept.map(stay), ...Array.from({ length: 4 }, visit)];
    const certificates = [two, three, one];
    for (let rotation = 0; rotation < 30; rotation += 1) {
      const before = requests;
      app.setCertificate(documents(certificates[rotation % 3]));
      // Each of them is in use for a while.
      while (requests < before + 3 && failures.length === 0) await new Promise(setImmediate);
    }
    isRotating = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
    expect([...seen].sort()).toEqual(['last', 'one.test', 'three.test', 'two.test']);
    expect(await certificateFor(port)).toBe('one.test');
    for (const client of kept) expect((await client.get('/end')).body.toString()).toBe('/end');
  });
});

describe('client certificates', () => {
  /** An app that answers with the certificate of its client. */
  function mirror(options) {
    return listen(createSSLApp(options).any('/*', (res) => res.end(`<${res.getX509Certificate()}>`)));
  }

  test.each(['TLSv1.2', 'TLSv1.3'])('one that verifies is shown to the application (%s)', async (version) => {
    const port = mirror({ ca_file_name: authority.cert_file_name });
    const client = new RawClient(await connect(port, { ...documents(friend), minVersion: version, maxVersion: version }));
    for (let count = 0; count < 2; count += 1) {
      const pem = (await client.get('/')).body.toString().slice(1, -1);
      expect(new X509Certificate(pem).fingerprint256).toBe(new X509Certificate(friend.cert).fingerprint256);
    }
  });

  test('a client needs none, unless it is required', async () => {
    expect(await ask(mirror({ ca: authority.cert }))).toBe('<>');
    const strict = mirror({ ca: authority.cert, requireClientCertificate: true });
    expect(await ask(strict)).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(await ask(strict, documents(friend))).toContain('BEGIN CERTIFICATE');
  });

  test('one that does not verify is refused, required or not', async () => {
    const port = mirror({ ca: authority.cert });
    expect(await ask(port, documents(issue(stranger, 'guest.test')))).toMatch(/^(ERR_SSL_.*|ECONNRESET)$/);
    expect(await ask(port, documents(friend))).toContain('BEGIN CERTIFICATE');
  });

  test('one of an authority is not taken for that of a client, even if it is trusted', async () => {
    expect(await ask(mirror({ ca: stranger.cert }), documents(stranger))).toMatch(/^(ERR_SSL_.*|ECONNRESET)$/);
  });

  test('several authorities may stand in one document', async () => {
    const other = selfSigned('other authority');
    const port = mirror({ ca: Buffer.concat([other.cert, authority.cert]) });
    expect(await ask(port, documents(friend))).toContain('BEGIN CERTIFICATE');
    expect(await ask(port, documents(issue(other, 'second.test')))).toContain('BEGIN CERTIFICATE');
  });

  test('without authorities nobody is asked for one', async () => {
    expect(await ask(mirror({}), documents(friend))).toBe('<>');
  });

  test('a session that is resumed keeps the certificate it was begun with', async () => {
    const port = mirror({ ca: authority.cert });
    const first = await connect(port, documents(friend));
    const tickets = new Mailbox();
    first.on('session', (session) => tickets.put(session));
    first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const socket = await connect(port, { session: await tickets.take() });
    expect(socket.isSessionReused()).toBe(true);
    expect((await new RawClient(socket).get('/')).body.toString()).toContain('BEGIN CERTIFICATE');
  });

  test('over plain HTTP there is none', async () => {
    const client = await RawClient.connect(listen(createApp().any('/*', (res) => res.end(`<${res.getX509Certificate()}>`))));
    expect((await client.get('/')).body.toString()).toBe('<>');
  });
});

describe('ssl_ciphers', () => {
  const suiteOf = async (port, options) => (await connect(port, options)).getCipher().name;

  test('a suite of TLS 1.2 that is not in the list is not agreed upon', async () => {
    const port = listen(createSSLApp({ ssl_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }));
    const old = { maxVersion: 'TLSv1.2' };
    expect(await suiteOf(port, old)).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
    await expect(suiteOf(port, { ...old, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).rejects.toThrow('alert handshake failure');
    expect(await suiteOf(port, { minVersion: 'TLSv1.3' })).toMatch(/^TLS_/);
  });

  test('without a list AES-128 is preferred, and ChaCha20 if it is what the client likes best', async () => {
    const port = listen(createSSLApp());
    const [strong, light, chacha] = ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'];
    expect(await suiteOf(port)).toBe(light);
    expect(await suiteOf(port, { ciphers: `${strong}:${chacha}:${light}` })).toBe(light);
    expect(await suiteOf(port, { ciphers: `${strong}:${chacha}` })).toBe(strong);
    expect(await suiteOf(port, { ciphers: `${chacha}:${strong}:${light}` })).toBe(chacha);
    const old = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256' };
    expect(await suiteOf(port, old)).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
  });

  test('a list that names AES-256 only is how to have nothing else', async () => {
    const port = listen(createSSLApp({ ssl_ciphers: 'TLS_AES_256_GCM_SHA384:ECDHE+AES256' }));
    expect(await suiteOf(port)).toBe('TLS_AES_256_GCM_SHA384');
    expect(await suiteOf(port, { maxVersion: 'TLSv1.2' })).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
    await expect(suiteOf(port, { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3' })).rejects.toThrow('alert');
  });

  test('a list of TLS 1.3 suites leaves no other version', async () => {
    const port = listen(createSSLApp({ ssl_ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }));
    expect(await suiteOf(port)).toBe('TLS_CHACHA20_POLY1305_SHA256');
    await expect(suiteOf(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow('alert');
  });
});

test('without memory of sessions clients resume by tickets all the same', async () => {
  const port = listen(createSSLApp({ ssl_prefer_low_memory_usage: true }).any('/*', (res) => res.end('ok')));
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    const first = await connect(port, { maxVersion });
    const session = maxVersion === 'TLSv1.2' ? first.getSession() : (await once(first, 'session'))[0];
    expect((await connect(port, { session, maxVersion })).isSessionReused()).toBe(true);
  }
});
