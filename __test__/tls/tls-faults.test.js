'use strict';

// Every way in which TLS goes wrong or ends: what handlers are told, what the peer is told, and what the log says of
// handshakes, which no handler hears of.

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');

const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Log } = require('../helpers/log.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { request } = require('../helpers/raw-http.js');
const { handshake } = require('../helpers/raw-websocket.js');
const { listen } = require('../helpers/server.js');
const { connectClient, connectPlain, connectRelayed, connectTls, createSSLApp } = require('../helpers/tls.js');
const { RESPONSE_FACTS, WEBSOCKET_FACTS } = require('../helpers/facts.js');

const aborted = (reason, cause, initiator) => ({ reason, info: { cause, initiator, wasClean: false, ...RESPONSE_FACTS } });
const closed = (reason, cause, initiator) => ({ code: 1006, reason, info: { cause, initiator, wasClean: false, reason, ...WEBSOCKET_FACTS } });

const CUT_OFF = ['Received TCP FIN before TLS close_notify: the stream was cut off', 'ERR_TLS_TRUNCATED', 'transport'];
const INVALID = ['Received invalid TLS record', 'ERR_TLS_INVALID', 'peer'];

/** A server that answers nothing and tells what ends, and a client of it with the socket under its TLS. */
async function serve(path) {
  const ends = new Mailbox();
  const begins = new Mailbox();
  const app = createSSLApp()
    .get('/wait', (res) => {
      res.onAborted((reason, info) => ends.put({ reason, info }));
      begins.put('request');
    })
    .ws('/ws', {
      open: () => begins.put('WebSocket'),
      close: (ws, code, message, info) => ends.put({ code, reason: Buffer.from(message).toString(), info }),
    });
  const { socket, relay } = await connectRelayed(listen(app));
  socket.on('error', () => {});
  socket.write(path === '/ws' ? handshake('/ws') : request('GET', path));
  await begins.take();
  return { ends, socket, relay };
}

describe('an open connection', () => {
  test.each([
    ['/wait', aborted('Received TCP FIN before the response was complete', 'ERR_FIN_BEFORE_RESPONSE', 'transport')],
    ['/ws', closed('Received TCP FIN before WebSocket close frame', 'ERR_FIN_WITHOUT_CLOSE', 'transport')],
  ])('%s: close_notify is an end in order', async (path, expected) => {
    const { ends, socket } = await serve(path);
    socket.end();
    expect(await ends.take()).toStrictEqual(expected);
  });

  test.each([['/wait', aborted(...CUT_OFF)], ['/ws', closed(...CUT_OFF)]])(
    '%s: FIN without close_notify is told apart from it',
    async (path, expected) => {
      const { ends, relay } = await serve(path);
      relay.below.end();
      expect(await ends.take()).toStrictEqual(expected);
    },
  );

  test.each([['/wait', aborted(...INVALID)], ['/ws', closed(...INVALID)]])(
    '%s: a record that was changed on its way is refused, and the peer told so by an alert',
    async (path, expected) => {
      const { ends, socket, relay } = await serve(path);
      relay.change = (bytes) => {
        bytes[bytes.length - 1] ^= 1;
        return bytes;
      };
      socket.write('changed');
      const [told] = await Promise.all([once(socket, 'error'), ends.take().then((end) => expect(end).toStrictEqual(expected))]);
      expect(told[0].code).toBe('ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC');
    },
  );

  test.each([['/wait', aborted], ['/ws', closed]])('%s: an alert of the peer is named', async (path, as) => {
    const { ends, relay } = await serve(path);
    // A record that the server has not sealed: the client complains.
    relay.inner.push(Buffer.concat([Buffer.of(23, 3, 3, 0, 30), Buffer.alloc(30)]));
    expect(await ends.take()).toStrictEqual(as('Peer sent a TLS alert: bad_record_mac (20)', 'ERR_TLS_ALERT', 'peer'));
  });

  test('a reset is a reset', async () => {
    const { ends, relay } = await serve('/ws');
    relay.below.resetAndDestroy();
    expect(await ends.take()).toStrictEqual(closed('Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport'));
  });
});

describe('before there is a connection', () => {
  /** An app, and the log; `failure` resolves to the next record of a handshake that failed. */
  function watch(options) {
    const log = new Log('debug');
    const app = createSSLApp(options).get('/', (res) => res.end('served'));
    const failure = async () => (await log.until('TLS handshake failed')).at(-1);
    return { app, port: listen(app), log, failure };
  }

  /** The record that a failed handshake leaves. */
  const failed = (client, cause, reason) => ({
    level: 'warn',
    message: 'TLS handshake failed',
    fields: expect.objectContaining({ cause, reason, peer: `127.0.0.1:${client.port}` }),
  });

  /** The first message of a client that asks for the name `first.test`. */
  function clientHello() {
    return new Promise((resolve) => {
      const wire = new Duplex({ read() {}, write: (bytes) => resolve(bytes) });
      const socket = tls.connect({ socket: wire, servername: 'first.test' });
      afterTest(() => socket.on('error', () => {}).destroy());
    });
  }

  test.each([
    ['a request of HTTP', request('GET', '/')],
    ['the first byte of one', 'P'],
  ])('%s without TLS is answered 400 in clear', async (title, bytes) => {
    const { port, failure } = watch();
    const client = await connectPlain(port);
    await client.send(bytes);
    const response = await client.response();
    expect([response.status, response.values('connection')]).toEqual([400, ['close']]);
    expect(response.text).toMatch(/^ERR_TLS_PLAIN_HTTP: /);
    expect(await client.rest()).toBe('');
    expect(await failure()).toMatchObject(failed(client, 'ERR_TLS_PLAIN_HTTP', 'the peer speaks HTTP without TLS'));
  });

  test('bytes that are neither TLS nor HTTP end the connection', async () => {
    const { port, failure } = watch();
    const client = await connectPlain(port);
    await client.send(Buffer.alloc(100, 3));
    await client.rest();
    expect(await failure()).toMatchObject(failed(client, 'ERR_TLS_NOT_TLS', 'the peer does not speak TLS'));
  });

  test('a client that does not trust the certificate is logged with its alert', async () => {
    const { port, failure } = watch();
    // Node's client would hang up without a word.
    const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-verify_return_error']);
    child.stdin.end();
    await once(child, 'close');
    expect((await failure()).fields).toMatchObject({ cause: 'ERR_TLS_ALERT', reason: expect.stringContaining('UnknownCA') });
  });

  test('a client that has nothing in common with this side is told by an alert', async () => {
    const { port, failure } = watch();
    await expect(connectTls(port, { ALPNProtocols: ['h2'] })).rejects.toThrow();
    expect((await failure()).fields).toMatchObject({ cause: 'ERR_TLS_HANDSHAKE', reason: expect.stringContaining('known protocol') });
  });

  test('a client that leaves in the middle has cut the handshake off', async () => {
    const { port, failure } = watch();
    const client = await connectPlain(port);
    await client.send(Buffer.of(22, 3, 1));
    client.finish();
    const reason = 'the peer has left in the middle of the handshake';
    expect(await failure()).toMatchObject(failed(client, 'ERR_TLS_TRUNCATED', reason));
  });

  test('a client that leaves without a word has not failed', async () => {
    const { port, log } = watch();
    const client = await connectPlain(port);
    client.finish();
    await client.rest();
    const records = await log.until('connection ended');
    expect(records.at(-1).fields.cause).toBe('CLOSED_WITHOUT_REQUEST');
    expect(records.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('a client that resets the connection is logged as such', async () => {
    const { port, failure } = watch();
    const client = await connectPlain(port);
    await client.send(Buffer.of(22, 3, 1));
    client.reset();
    expect((await failure()).fields).toMatchObject({ cause: 'ERR_CONNECTION_RESET' });
  });

  test('a client that resets the connection while JavaScript is asked for its name is logged, too', async () => {
    const { app, port, failure } = watch();
    const asked = new Promise((resolve) => {
      app.missingServerName(() => {
        resolve();
        return new Promise(() => {});
      });
    });
    const client = await connectPlain(port);
    await client.send(await clientHello());
    await asked;
    client.reset();
    expect((await failure()).fields).toMatchObject({ cause: 'ERR_CONNECTION_RESET' });
    expect((await app.getStats()).handshakeFailures.tls).toBe(1);
  });

  test.each([['silence', []], ['half a ClientHello', [22, 3, 1]]])('%s ends after handshakeTimeout', async (title, bytes) => {
    const { port, failure } = watch({ handshakeTimeout: 100 });
    const client = await connectPlain(port);
    await client.send(Buffer.from(bytes));
    await client.rest();
    expect((await failure()).fields).toMatchObject({ cause: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
  });

  test('headersTimeout begins when the handshake is complete', async () => {
    const { port, log } = watch({ handshakeTimeout: 0, headersTimeout: 200 });
    const below = net.connect(port, '127.0.0.1');
    afterTest(() => below.destroy());
    await once(below, 'connect');
    const { localPort } = below;
    // Longer than headersTimeout: another connection runs into it meanwhile.
    await (await connectClient(port)).over();
    const socket = tls.connect({ socket: below, ca: certificate().ca, servername: 'localhost' });
    await once(socket, 'secureConnect');
    await once(socket.resume(), 'end');
    const records = await log.until('connection ended', ({ fields }) => fields.peer === `127.0.0.1:${localPort}`);
    expect(records.at(-1).fields.cause).toBe('CLOSED_WITHOUT_REQUEST');
  });

  test('beyond maxHandshakes the one that takes the longest is ended, and nobody counts who has said nothing', async () => {
    const { port, log } = watch({ maxHandshakes: 2 });
    const silent = [await connectPlain(port), await connectPlain(port), await connectPlain(port)];
    const begun = [];
    for (let count = 0; count < 3; count++) {
      begun.push(await connectPlain(port));
      // Its time is counted from the accept.
      await log.until('accepted', ({ fields }) => fields.peer === `127.0.0.1:${begun[count].port}`);
      await begun[count].send(Buffer.of(22));
    }
    const failed = (await log.until('TLS handshake failed')).at(-1);
    expect(failed.fields).toMatchObject({ cause: 'ERR_TLS_TOO_MANY_HANDSHAKES' });
    const ended = begun.find((client) => failed.fields.peer === `127.0.0.1:${client.port}`);
    await ended.over();
    // A newcomer is let through all the same, and another one goes for it.
    expect((await (await connectClient(port)).get('/')).text).toBe('served');
    for (const client of silent) expect(client.socket.readyState).toBe('open');
  });

  test('failures are counted, and a client that leaves without a word is none', async () => {
    const app = createSSLApp({ maxHandshakes: 1 });
    const port = listen(app);
    for (const bytes of [request('GET', '/'), Buffer.alloc(9, 3), '']) {
      const client = await connectPlain(port);
      await client.send(bytes);
      client.finish();
      await client.rest();
    }
    const [silent, begun, other] = [await connectPlain(port), await connectPlain(port), await connectPlain(port)];
    for (const client of [begun, other]) await client.send(Buffer.of(22));
    await Promise.race([begun.over(), other.over()]);
    silent.finish();
    await silent.rest();
    expect((await app.getStats()).handshakeFailures).toEqual({ tls: 3, webSocket: 0 });
  });
});
