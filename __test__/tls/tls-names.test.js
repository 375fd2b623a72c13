'use strict';

// Server names (SNI): which certificate and which routes answer to which name, and the handshake that waits for an answer
// of JavaScript.

const { once } = require('node:events');
const tls = require('node:tls');

const uWS = require('../..');
const { issue, selfSigned } = require('../helpers/authority.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

let authority;
let fallback;
let first;
let second;
beforeAll(() => {
  authority = selfSigned('authority');
  fallback = issue(authority, 'fallback.test');
  first = issue(authority, 'first.test');
  second = issue(authority, 'second.test', '*.second.test');
});

const documents = ({ key, cert }) => ({ key, cert });

/** An app whose default certificate is that of fallback.test. */
function createSSLApp(options) {
  const app = uWS.SSLApp({ threads: 1, ...documents(fallback), ...options });
  afterTest(() => app.close());
  return app;
}

/** A connection that asks for this name (for none, if it is empty), whatever certificate answers. */
async function connect(port, servername, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...options });
  afterTest(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Whose certificate answers to a name. */
async function certificateFor(port, servername) {
  const socket = await connect(port, servername);
  return socket.getPeerCertificate().subject.CN;
}

async function get(port, servername, path) {
  const { status, body } = await new RawClient(await connect(port, servername)).get(path);
  return [status, body.toString()];
}

const answer = (text) => (res) => res.end(text);

describe('certificates by name', () => {
  test('each name gets its own, and the others get the default', async () => {
    const app = createSSLApp();
    expect(app.addServerName('first.test', documents(first))).toBe(app);
    app.addServerName('*.second.test', { key_file_name: second.key_file_name, cert_file_name: second.cert_file_name });
    const port = listen(app);
    expect(await certificateFor(port, 'first.test')).toBe('first.test');
    expect(await certificateFor(port, 'FIRST.test')).toBe('first.test');
    expect(await certificateFor(port, 'a.second.test')).toBe('second.test');
    expect(await certificateFor(port, 'second.test')).toBe('fallback.test');
    expect(await certificateFor(port, 'a.b.second.test')).toBe('fallback.test');
    expect(await certificateFor(port, 'unknown.test')).toBe('fallback.test');
    expect(await certificateFor(port, '')).toBe('fallback.test');
  });

  test('a name is verified by its client as a whole', async () => {
    const app = createSSLApp().addServerName('first.test', documents(first));
    const options = { ca: authority.cert, rejectUnauthorized: true };
    const socket = await connect(listen(app), 'first.test', options);
    expect(socket.authorized).toBe(true);
  });

  test('names come, change and go while the app listens', async () => {
    const app = createSSLApp();
    const port = listen(app);
    app.addServerName('name.test', documents(first));
    expect(await certificateFor(port, 'name.test')).toBe('first.test');
    app.addServerName('name.test', documents(second));
    expect(await certificateFor(port, 'name.test')).toBe('second.test');
    expect(app.removeServerName('name.test')).toBe(app);
    expect(await certificateFor(port, 'name.test')).toBe('fallback.test');
    app.removeServerName('name.test');
  });

  test('a connection outlives the name it came by', async () => {
    const app = createSSLApp().any('/*', answer('ok')).addServerName('first.test', documents(first));
    const client = new RawClient(await connect(listen(app), 'first.test'));
    app.removeServerName('first.test');
    expect((await client.get('/')).status).toBe(200);
  });

  test('options that cannot be used are named, and the name stays as it was', async () => {
    const app = createSSLApp().addServerName('first.test', documents(first));
    const attempt = () => app.addServerName('first.test', { key: first.key, cert: second.cert });
    expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY_MISMATCH' }));
    expect(attempt).toThrow(/^addServerName failed: key: /);
    expect(() => app.addServerName('other.test', null)).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY' }));
    expect(() => app.addServerName('other.test', 'x')).toThrow('Options must be an object.');
    expect(() => app.addServerName('other.test')).toThrow(expect.objectContaining({ code: 'ERR_TLS_KEY' }));
    expect(() => app.addServerName()).toThrow('Function requires at least 1 arguments.');
    expect(() => app.removeServerName()).toThrow('Function requires at least 1 arguments.');
    const port = listen(app);
    expect(await certificateFor(port, 'first.test')).toBe('first.test');
    expect(await certificateFor(port, 'other.test')).toBe('fallback.test');
  });

  test('what is no name is refused', () => {
    const app = createSSLApp();
    for (const name of ['', 'a..b', '*x.test', 'é.test', 'a b', 'https://a', 'a'.repeat(64)]) {
      const refused = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
      expect(() => app.addServerName(name, documents(first))).toThrow(refused);
    }
    for (const name of [5, null, {}]) {
      const refused = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      expect(() => app.addServerName(name, documents(first))).toThrow(refused);
    }
  });

  test('what a name does not say for itself is as the app says', async () => {
    const app = createSSLApp({ ca: authority.cert, requireClientCertificate: true });
    app.any('/*', answer('ok'));
    app.addServerName('first.test', documents(first));
    app.addServerName('open.test', { ...documents(second), ca: '', requireClientCertificate: false });
    const port = listen(app);
    const refused = await new RawClient(await connect(port, 'first.test')).get('/').catch((error) => error);
    expect(refused.code).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(await get(port, 'open.test', '/')).toEqual([200, 'ok']);
  });
});

describe('routes by name', () => {
  test('a name has the routes that were added after domain(), and no others', async () => {
    const app = createSSLApp().get('/', answer('app'));
    app.addServerName('first.test', documents(first)).addServerName('second.test', documents(second));
    expect(app.domain('first.test')).toBe(app);
    app.get('/', answer('first')).get('/only', answer('only'));
    app.domain('second.test').get('/', answer('second'));
    app.domain('').get('/later', answer('later'));
    const port = listen(app);
    expect(await get(port, 'first.test', '/')).toEqual([200, 'first']);
    expect(await get(port, 'first.test', '/only')).toEqual([200, 'only']);
    expect(await get(port, 'second.test', '/')).toEqual([200, 'second']);
    expect((await get(port, 'second.test', '/only'))[0]).toBe(404);
    expect((await get(port, 'first.test', '/later'))[0]).toBe(404);
    expect(await get(port, 'unknown.test', '/')).toEqual([200, 'app']);
    expect(await get(port, 'unknown.test', '/later')).toEqual([200, 'later']);
  });

  test('a name without routes of its own has those of the app', async () => {
    const app = createSSLApp().get('/', answer('app')).addServerName('first.test', documents(first));
    app.domain('first.test');
    const port = listen(app);
    expect(await get(port, 'first.test', '/')).toEqual([200, 'app']);
    // There is nothing to remove, and what there is belongs to the app.
    app.get('/', null).any('/*', null);
    expect(await get(port, 'first.test', '/')).toEqual([200, 'app']);
    expect((await get(port, 'first.test', '/missing'))[0]).toBe(404);
  });

  test('it is the name of the handshake that counts, whatever the Host field says', async () => {
    const app = createSSLApp().get('/', answer('app')).addServerName('first.test', documents(first));
    app.domain('first.test').get('/', answer('first'));
    const client = new RawClient(await connect(listen(app), 'first.test'));
    for (let count = 0; count < 2; count += 1) {
      await client.send('GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n');
      expect((await client.response()).body.toString()).toBe('first');
    }
  });

  test('domain() finds the pattern that answers to a name', async () => {
    const app = createSSLApp().addServerName('*.second.test', documents(second));
    app.domain('a.second.test').get('/', answer('wildcard'));
    expect(await get(listen(app), 'b.second.test', '/')).toEqual([200, 'wildcard']);
  });

  test('routes of a name can be replaced, removed and yielded from', async () => {
    const app = createSSLApp().addServerName('first.test', documents(first)).domain('first.test');
    app.get('/a', answer('one')).get('/a', answer('two')).get('/b', answer('b')).get('/b', null);
    app.get('/c', (res, req) => req.setYield(true)).any('/c', answer('any')).any('/*', answer('rest'));
    const port = listen(app);
    expect(await get(port, 'first.test', '/a')).toEqual([200, 'two']);
    expect(await get(port, 'first.test', '/b')).toEqual([200, 'rest']);
    expect(await get(port, 'first.test', '/c')).toEqual([200, 'any']);
  });

  test('WebSockets upgrade on the routes of their name', async () => {
    const app = createSSLApp().addServerName('first.test', documents(first)).domain('first.test');
    let opened;
    const isOpen = new Promise((resolve) => { opened = resolve; });
    app.ws('/*', { open: opened });
    const socket = await connect(listen(app), 'first.test');
    socket.write([
      'GET /chat HTTP/1.1', 'Host: first.test', 'Upgrade: websocket', 'Connection: Upgrade',
      'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '',
    ].join('\r\n'));
    expect((await isOpen).constructor.name).toBe('uWS.SSLWebSocket');
  });

  test('a name that is removed takes its routes with it', async () => {
    const app = createSSLApp().get('/', answer('app')).addServerName('first.test', documents(first));
    app.domain('first.test').get('/', answer('first')).get('/more', answer('more'));
    const port = listen(app);
    const old = new RawClient(await connect(port, 'first.test'));
    expect((await old.get('/')).body.toString()).toBe('first');
    app.removeServerName('first.test');
    expect((await old.get('/')).body.toString()).toBe('app');
    // Nobody edits the routes of a name that is gone.
    app.get('/next', answer('next'));
    app.addServerName('first.test', documents(first));
    expect(await get(port, 'first.test', '/')).toEqual([200, 'app']);
    expect(await get(port, 'first.test', '/next')).toEqual([200, 'next']);
  });

  test('an app that speaks plain HTTP has one domain', async () => {
    const app = createApp();
    app.addServerName('first.test', { key: 'none' }).missingServerName(() => {}).removeServerName('first.test');
    app.domain('first.test').get('/', answer('app'));
    const client = await RawClient.connect(listen(app));
    expect((await client.get('/')).body.toString()).toBe('app');
    expect(() => app.domain()).toThrow('Function requires at least 1 arguments.');
  });
});

describe('missingServerName', () => {
  test('the handler may add the name, and the handshake that asked for it gets it', async () => {
    const asked = [];
    const app = createSSLApp();
    expect(app.missingServerName((name) => {
      asked.push(name);
      app.addServerName(name, documents(first));
      app.domain(name).get('/', answer(`routes of ${name}`)).domain('');
    })).toBe(app);
    const port = listen(app);
    expect(await certificateFor(port, 'first.test')).toBe('first.test');
    expect(await get(port, 'first.test', '/')).toEqual([200, 'routes of first.test']);
    expect(await get(port, 'other.test', '/')).toEqual([200, 'routes of other.test']);
    expect(asked).toEqual(['first.test', 'other.test']);
  });

  test('if it does not, the default answers; it is asked again each time', async () => {
    let asked = 0;
    const app = createSSLApp().missingServerName(() => { asked += 1; });
    const port = listen(app);
    expect(await certificateFor(port, 'first.test')).toBe('fallback.test');
    expect(await certificateFor(port, 'first.test')).toBe('fallback.test');
    expect(asked).toBe(2);
  });

  test('who asks for no name, or a known one, does not wait for it', async () => {
    const app = createSSLApp().addServerName('*.second.test', documents(second));
    app.missingServerName(() => { throw new Error('not to be asked'); });
    const port = listen(app);
    expect(await certificateFor(port, '')).toBe('fallback.test');
    expect(await certificateFor(port, 'a.second.test')).toBe('second.test');
  });

  test.each(['TLSv1.2', 'TLSv1.3'])('the handshake waits for a promise (%s)', async (version) => {
    const app = createSSLApp();
    let add;
    const asked = new Promise((resolve) => {
      app.missingServerName((name) => new Promise((done) => {
        add = () => done(app.addServerName(name, documents(first)));
        resolve();
      }));
    });
    const port = listen(app);
    const connecting = connect(port, 'first.test', { minVersion: version, maxVersion: version });
    await asked;
    // Others are served meanwhile.
    expect(await certificateFor(port, '')).toBe('fallback.test');
    add();
    expect((await connecting).getPeerCertificate().subject.CN).toBe('first.test');
  });

  test('of several handshakes that wait, those are not asked for whose name was added meanwhile', async () => {
    const asked = [];
    const app = createSSLApp({ threads: 2 });
    app.missingServerName((name) => {
      asked.push(name);
      app.addServerName('*.second.test', documents(second));
    });
    const port = listen(app);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((label) => `${label}.second.test`);
    const found = await Promise.all(names.map((name) => certificateFor(port, name)));
    expect(new Set(found)).toEqual(new Set(['second.test']));
    // Workers looked before the handler ran; but then the others were known.
    expect(asked.length).toBe(1);
  });

  test('the time for the handshake does not stop while it waits', async () => {
    const app = createSSLApp({ handshakeTimeout: 100 });
    app.missingServerName(() => new Promise(() => {}));
    const failed = await connect(listen(app), 'first.test').catch((error) => error);
    expect(failed.code).toBe('ECONNRESET');
  });

  test('a client that gives up while it waits does no harm', async () => {
    const app = createSSLApp();
    let resume;
    const asked = new Promise((resolve) => {
      app.missingServerName(() => new Promise((done) => {
        resume = done;
        resolve();
      }));
    });
    const port = listen(app);
    const { socket } = await RawClient.connect(port);
    tls.connect({ socket, servername: 'first.test', rejectUnauthorized: false }).on('error', () => {});
    await asked;
    socket.resetAndDestroy();
    resume();
    expect(await certificateFor(port, '')).toBe('fallback.test');
  });

  test('closing the app ends the handshakes that wait', async () => {
    const app = createSSLApp();
    const asked = new Promise((resolve) => {
      app.missingServerName(() => {
        resolve();
        return new Promise(() => {});
      });
    });
    const connecting = connect(listen(app), 'first.test').catch((error) => error);
    await asked;
    app.close();
    expect((await connecting).code).toBe('ECONNRESET');
  });

  test('a handler that throws raises uncaughtException, one that rejects unhandledRejection, and the default answers', async () => {
    const program = new Program(`
      process.on('uncaughtException', ({ message }) => say(message));
      process.on('unhandledRejection', ({ message }) => say(message));
      const { key_file_name, cert_file_name } = ${JSON.stringify(fallback)};
      uWS.SSLApp({ key_file_name, cert_file_name })
        .missingServerName((name) => {
          if (name === 'throw.test') throw new Error('thrown');
          return Promise.reject(new Error('rejected'));
        })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    expect(await certificateFor(port, 'throw.test')).toBe('fallback.test');
    expect(await program.hear()).toBe('thrown');
    expect(await certificateFor(port, 'reject.test')).toBe('fallback.test');
    expect(await program.hear()).toBe('rejected');
  });

  test('the last handler is the one that is asked', async () => {
    const app = createSSLApp();
    app.missingServerName(() => { throw new Error('replaced'); });
    app.missingServerName((name) => { app.addServerName(name, documents(first)); });
    expect(await certificateFor(listen(app), 'first.test')).toBe('first.test');
    expect(() => app.missingServerName(null)).toThrow('Passed callback is not a valid function.');
  });
});
