'use strict';

// What the log tells: every transition of a connection, once and with its cause, every rule that a peer broke, and what
// keeps the server from serving.

const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { Log } = require('../helpers/log.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { KEY, RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** The fields that come from the span of a connection. */
const SPAN = { conn: expect.stringMatching(/^0\.\d+\.\d+$/), worker: 0 };

const debug = (message, fields = {}) => ({ level: 'debug', message, fields });

/** Address and port of every client, which a socket that is closed does not know any more. */
const peers = new WeakMap();

async function remember(opening) {
  const client = await opening;
  peers.set(client, `127.0.0.1:${client.socket.localPort}`);
  return client;
}

const connect = (port) => remember(RawClient.connect(port));
const open = (port) => remember(RawWebSocket.open(port, { path: '/ws' }));

/** The fields of a close without the facts that `info` has, which must be there. */
function withoutFacts({ cause, code, reason, ...facts }) {
  const { open_ms, silent_ms, quiet_ms, unanswered_pings, round_trip_ms = 0, ...counts } = facts;
  const { bytes_received, bytes_sent, messages_received, messages_sent, ...others } = counts;
  const numbers = [
    open_ms, silent_ms, quiet_ms, unanswered_pings, round_trip_ms, bytes_received, bytes_sent, messages_received, messages_sent,
  ];
  expect(numbers.filter((number) => !Number.isSafeInteger(number) || number < 0)).toEqual([]);
  expect(others).toEqual({});
  return { cause, code, reason };
}

/** The records without the fields of the span, which must be those of `client` in every one. */
function told(records, client) {
  const peer = peers.get(client);
  const ids = new Set(records.map(({ fields }) => fields.conn));
  expect(ids.size).toBe(1);
  return records.map(({ level, message, fields: { conn, worker, peer: theirs, ...fields } }) => {
    expect({ conn, worker, peer: theirs }).toEqual({ ...SPAN, peer });
    return { level, message, fields: message === 'WebSocket closed' ? withoutFacts(fields) : fields };
  });
}

/** Serves whatever a test needs, and listens to the log from the first connection on. */
function serve(level, behavior = {}) {
  const app = createApp()
    .ws('/ws', behavior)
    .get('/close', (res) => res.onAborted(() => {}).close())
    .get('/never', (res) => res.onAborted(() => {}))
    .any('/*', (res) => res.end('ok'));
  const port = listen(app);
  return { app, port, log: new Log(level) };
}

describe('HTTP', () => {
  test('accepted, requests with their number, method and path, and the end', async () => {
    const { port, log } = serve('debug');
    const client = await connect(port);
    await client.get('/first?token=secret');
    await client.get('/second', 'Connection: close');
    await client.rest();
    const records = await log.until('connection ended');
    expect(told(records.slice(-4), client)).toEqual([
      debug('accepted'),
      debug('request received', { request: 1, method: 'GET', path: '/first' }),
      debug('request received', { request: 2, method: 'GET', path: '/second' }),
      debug('connection ended', { cause: 'CLOSED_AFTER_RESPONSE' }),
    ]);
  });

  test.each([
    ['the peer leaves between requests', 'CLOSED_BY_PEER', async (client) => {
      await client.get('/');
      client.finish();
    }],
    ['the peer leaves before the response', 'ERR_FIN_BEFORE_RESPONSE', async (client) => {
      await client.send('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
      client.finish();
    }],
    ['the peer resets', 'ERR_CONNECTION_RESET', async (client) => {
      await client.get('/');
      client.reset();
    }],
    ['res.close()', 'CLOSED_BY_APPLICATION', (client) => client.send('GET /close HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['app.close()', 'CLOSED_BY_APP_CLOSE', async (client, app) => {
      await client.get('/');
      app.close();
    }],
  ])('%s: one end, with cause %s', async (title, cause, act) => {
    const { app, port, log } = serve('debug');
    const client = await connect(port);
    await act(client, app);
    const [end] = (await log.until('connection ended')).slice(-1);
    expect(told([end], client)).toEqual([debug('connection ended', { cause })]);
    expect((await log.rest()).filter(({ message }) => message === 'connection ended')).toEqual([]);
  });

  test('a rule of HTTP that a peer broke is a warning with rule and peer', async () => {
    const { port, log } = serve('warn');
    const client = await connect(port);
    await client.send('GET / HTTP/1.1\r\nHost : x\r\n\r\n');
    await client.response();
    const rule = 'a field name must be followed by its colon without whitespace (RFC 9112 section 5.1)';
    const fields = { cause: 'ERR_HTTP_SPACE_BEFORE_COLON', rule };
    expect(told(await log.rest(), client)).toEqual([{ level: 'warn', message: 'peer broke a rule of HTTP', fields }]);
  });

  test('bytes are told of at level trace, as they are read', async () => {
    const { port, log } = serve('trace');
    const client = await connect(port);
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
    await client.send(request);
    await client.response();
    const records = await log.until('read');
    expect(told(records.slice(-2), client)).toEqual([
      debug('accepted'),
      { level: 'trace', message: 'read', fields: { bytes: request.length } },
    ]);
  });

  test('a long path is cut at 256 characters', async () => {
    const { port, log } = serve('debug');
    const client = await connect(port);
    await client.get(`/${'a'.repeat(5000)}`);
    const [record] = (await log.until('request received')).slice(-1);
    expect(record.fields.path).toBe(`/${'a'.repeat(254)}…`);
  });

  test('a connection that was accepted before anybody listened is told of by name', async () => {
    const port = listen(createApp().any('/*', (res) => res.end()));
    const client = await connect(port);
    await client.get('/before');
    const log = new Log('debug');
    await client.get('/after');
    const records = await log.until('request received');
    expect(told(records, client)).toEqual([debug('request received', { request: 2, method: 'GET', path: '/after' })]);
  });

  const onUnix = process.platform === 'win32' ? test.skip : test;
  onUnix('a Unix socket has an address and no peers', async () => {
    const log = new Log('debug');
    const path = join(tmpdir(), `ferrows-events-${process.pid}.sock`);
    const app = createApp().any('/*', (res) => res.end());
    app.listen_unix(() => {}, path);
    await (await RawClient.connect({ path })).get('/');
    app.close();
    const records = (await log.until('stopped listening')).filter(({ level }) => level !== 'trace');
    expect(records.map(({ message, fields }) => [message, fields])).toEqual([
      ['listening', { address: path }],
      ['accepted', SPAN],
      ['request received', { request: 1, method: 'GET', path: '/', ...SPAN }],
      ['stopped listening', { address: path }],
    ]);
  });
});

describe('WebSocket', () => {
  test('upgraded, closed with cause, code and reason, and ended', async () => {
    const { port, log } = serve('debug');
    const client = await open(port);
    client.send(closeFrame(4000, 'bye'));
    await client.rest();
    expect(told((await log.until('connection ended')).slice(-5), client)).toEqual([
      debug('accepted'),
      debug('request received', { request: 1, method: 'GET', path: '/ws' }),
      debug('upgraded to WebSocket'),
      debug('WebSocket closed', { cause: 'CLOSED_BY_PEER', code: 4000, reason: 'bye' }),
      debug('connection ended', { cause: 'CLOSED_BY_PEER' }),
    ]);
  });

  const CLOSE = 'Application called close()';

  test.each([
    ['ws.end(code, reason)', ['CLOSED_BY_END', 4001, 'over'], (ws) => ws.end(4001, 'over')],
    ['ws.end()', ['CLOSED_BY_END', 0, 'Application called end() without a reason'], (ws) => ws.end()],
    ['ws.close()', ['CLOSED_BY_APPLICATION', 1006, CLOSE], (ws) => ws.close()],
    ['app.close()', ['CLOSED_BY_APP_CLOSE', 1006, 'Application called app.close()'], (ws, app) => app.close()],
  ])('%s: closed once and ended once, with cause, code and reason', async (title, [cause, code, reason], act) => {
    const { app, port, log } = serve('debug', { message: (ws) => act(ws, app) });
    const client = await open(port);
    client.sendText('go');
    // Not all of them send a Close frame to be answered.
    await client.frame().then(() => client.send(closeFrame(1000)), () => {});
    const records = (await log.until('connection ended')).concat(await log.rest());
    const ends = records.filter(({ message }) => /closed|ended/.test(message));
    expect(told(ends, client)).toEqual([
      debug('WebSocket closed', { cause, code, reason }),
      debug('connection ended', { cause }),
    ]);
  });

  test('a FIN without a Close frame has the cause that the close handler is told', async () => {
    const { port, log } = serve('debug');
    const client = await open(port);
    client.finish();
    const cause = 'ERR_FIN_WITHOUT_CLOSE';
    const reason = 'Received TCP FIN before WebSocket close frame';
    const records = (await log.until('connection ended')).concat(await log.rest());
    expect(told(records.filter(({ message }) => /closed|ended/.test(message)), client)).toEqual([
      debug('WebSocket closed', { cause, code: 1006, reason }),
      debug('connection ended', { cause }),
    ]);
  });

  test.each([
    ['a reserved bit', 'ERR_FRAME_RESERVED_BITS', frame('text', 'x', { rsv: 4 })],
    ['an unmasked frame', 'ERR_FRAME_UNMASKED', '81 01 41'],
    ['a text that is not UTF-8', 'ERR_INVALID_UTF8', frame('text', Buffer.of(0xff))],
    ['a message that is too big', 'ERR_FRAME_TOO_BIG', frame('text', 'x'.repeat(101))],
  ])('%s is a warning with rule and peer: %s', async (title, cause, bytes) => {
    const { port, log } = serve('warn', { maxPayloadLength: 100 });
    const client = await open(port);
    client.send(bytes);
    await client.rest();
    const rule = expect.stringMatching(/^Received (invalid|too big) /);
    expect(told(await log.rest(), client)).toEqual([
      { level: 'warn', message: 'peer broke a rule of WebSocket', fields: { cause, rule } },
    ]);
  });

  test('an end in good order is no warning', async () => {
    const { port, log } = serve('warn');
    const client = await open(port);
    client.send(closeFrame(1000));
    await client.rest();
    expect(await log.rest()).toEqual([]);
  });

  test('a handshake that breaks a rule is a warning with rule and peer', async () => {
    const { port, log } = serve('warn');
    const client = await connect(port);
    await client.send(handshake('/ws').replace('Version: 13', 'Version: 8'));
    expect((await client.response()).status).toBe(426);
    expect(KEY).toHaveLength(24);
    const fields = { rule: 'Sec-WebSocket-Version header must be 13' };
    expect(told(await log.rest(), client)).toEqual([
      { level: 'warn', message: 'peer broke a rule of WebSocket', fields },
    ]);
  });
});

describe('the server', () => {
  test('listening and stopped listening are told with the address', async () => {
    const log = new Log('info');
    const app = createApp();
    const port = listen(app, 0);
    app.close();
    const address = `[::]:${port}`;
    expect((await log.rest()).map(({ message, fields }) => [message, fields])).toEqual([
      ['listening', { address }],
      ['stopped listening', { address }],
    ]);
  });

  const withShell = process.platform === 'win32' ? test.skip : test;
  withShell('accepting that pauses because descriptors ran out is one error, and goes on when there are some', async () => {
    const program = new Program(`
      const fs = require('node:fs');
      const taken = [];
      uWS.setLogger('warn', ({ level, message, fields }) => {
        say({ level, message, fields });
        // Meanwhile it is tried in vain ten times a second.
        if (level === 'error') setTimeout(() => taken.forEach((descriptor) => fs.closeSync(descriptor)), 500);
      });
      const app = uWS.App({ threads: 1 }).get('/', (res) => {
        res.end('served', true);
      });
      app.listen('127.0.0.1', 0, (token) => {
        say(uWS.us_socket_local_port(token));
        try {
          for (;;) taken.push(fs.openSync('/dev/null'));
        } catch ({ code }) {
          say(code);
        }
      });
    `, { descriptors: 200 });
    const port = await program.hear();
    expect(await program.hear()).toBe('EMFILE');
    const client = await connect(port);
    expect(await program.hear()).toEqual({
      level: 'error',
      message: 'accepting connections pauses',
      fields: { worker: 0, error: expect.stringContaining('(os error 24)') },
    });
    expect((await client.get('/')).text).toBe('served');
    const { fields, ...end } = await program.hear();
    expect(end).toEqual({ level: 'warn', message: 'accepting connections goes on' });
    expect(Object.keys(fields).sort()).toEqual(['duration_ms', 'failures', 'worker']);
    expect(fields.failures).toBeGreaterThan(1);
  });
});
