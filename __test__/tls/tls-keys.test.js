'use strict';

/**
 * Keys of TLS 1.2 seal so many records with AES-GCM, and no more. Both ends have to hear of it before the connection falls
 * silent. For a server or client of its own process that number is made small here: 2^24 records take a while.
 */

const { once } = require('events');
const { readFileSync } = require('fs');
const https = require('https');
const WebSocket = require('ws');

const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { ask, connectHttp2, openWebSocket } = require('../helpers/http2-client.js');
const { Program } = require('../helpers/program.js');
const { connectClient } = require('../helpers/tls.js');
const { WEBSOCKET_FACTS } = require('../helpers/facts.js');

const RECORDS = 400;
const CAUSE = 'ERR_TLS_KEYS_EXHAUSTED';
const REASON = 'TLS keys are used up: please reconnect';
const TLS_1_2 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };

/** A program whose keys of TLS 1.2 last for {@link RECORDS}; `files` are the options of an `SSLApp`. */
function start(source) {
  const { key_file_name, cert_file_name } = certificate();
  return new Program(`
    require('./binding.js')().tlsLowerRecordLimit(${RECORDS});
    const files = ${JSON.stringify({ key_file_name, cert_file_name })};
    ${source}`);
}

function startServer() {
  return start(`
    const app = uWS.SSLApp({ threads: 1, http2: true, ...files }).ws('/*', {
      message: (ws, message) => ws.send(message),
      close: (ws, code, message, info) => say([code, Buffer.from(message).toString(), info]),
    }).get('/short', (res) => res.end('short')).get('/long', (res) => {
      res.onAborted((reason, { cause }) => { say([reason, cause]); res.isOver = true; });
      const more = () => {
        if (res.isOver) return;
        res.write('x');
        setImmediate(more);
      };
      more();
    });
    app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));`);
}

/** Echoes until it closes. Resolves to how many messages came, and the close event. */
async function talk(ws) {
  let count = 0;
  ws.on('message', (message) => { count++; ws.send(message); });
  ws.on('open', () => ws.send('ping'));
  const [code, reason] = await once(ws, 'close');
  return { count, code, reason: reason.toString() };
}

const closed = [1006, REASON, { cause: CAUSE, initiator: 'local', wasClean: false, reason: REASON, ...WEBSOCKET_FACTS }];

/** A client of HTTP/2 with TLS 1.2, and what the server says at the end of the connection. */
async function connect(port) {
  const session = await connectHttp2(port, { isSecure: true, ...TLS_1_2 });
  const goaway = once(session, 'goaway').then(([code, , why]) => ({ code, why: why.toString() }));
  return { session, goaway, closed: once(session, 'close') };
}

describe('a server', () => {
  test('closes a WebSocket while that can still be said', async () => {
    const program = startServer();
    const ws = new WebSocket(`wss://localhost:${await program.hear()}`, { ca: certificate().ca, ...TLS_1_2 });
    afterTest(() => ws.terminate());
    const { count, ...close } = await talk(ws);
    expect(close).toEqual({ code: 1001, reason: REASON });
    expect(count).toBeGreaterThan(RECORDS / 2);
    expect(count).toBeLessThan(RECORDS);
    expect(await program.hear()).toEqual(closed);
  });

  test('goes on with new keys where TLS 1.3 is spoken', async () => {
    const program = startServer();
    const ws = new WebSocket(`wss://localhost:${await program.hear()}`, { ca: certificate().ca, minVersion: 'TLSv1.3' });
    afterTest(() => ws.terminate());
    let count = 0;
    ws.on('open', () => ws.send('ping'));
    ws.on('message', (message) => {
      count++;
      if (count < 2 * RECORDS) ws.send(message);
      else ws.close(1000, 'enough');
    });
    expect((await once(ws, 'close'))[0]).toBe(1000);
    expect((await program.hear()).slice(0, 2)).toEqual([1000, 'enough']);
  });

  test('says with a response that it is the last one of its connection', async () => {
    const program = startServer();
    const client = await connectClient(await program.hear(), TLS_1_2);
    let count = 0;
    for (let last = false; !last; count++) {
      const response = await client.get('/short');
      expect(response.text).toBe('short');
      last = response.values('connection').includes('close');
    }
    expect(count).toBeGreaterThan(RECORDS / 2);
    expect(count).toBeLessThan(RECORDS);
    await client.rest();
  });

  test('aborts a response that outlasts them', async () => {
    const program = startServer();
    const client = await connectClient(await program.hear(), TLS_1_2);
    client.send('GET /long HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await program.hear()).toEqual([REASON, CAUSE]);
    await client.rest();
  });

  test('says so in a GOAWAY, whose connection of HTTP/2 serves what has begun, and ends', async () => {
    const program = startServer();
    const { session, goaway, closed } = await connect(await program.hear());
    let isLeaving = false;
    goaway.then(() => { isLeaving = true; });
    let count = 0;
    for (; !isLeaving; count++) await expect(ask(session, { ':path': '/short' })).resolves.toMatchObject({ status: 200, text: 'short' });
    expect(count).toBeGreaterThan(RECORDS / 4);
    expect(count).toBeLessThan(RECORDS);
    await expect(goaway).resolves.toEqual({ code: 0, why: `${CAUSE}: ${REASON}` });
    await closed;
  });

  test('aborts a response in a stream of HTTP/2 that outlasts them', async () => {
    const program = startServer();
    const { session, goaway, closed } = await connect(await program.hear());
    const answer = ask(session, { ':path': '/long' });
    answer.catch(() => {});
    await expect(goaway).resolves.toEqual({ code: 0, why: `${CAUSE}: ${REASON}` });
    expect(await program.hear()).toEqual([REASON, CAUSE]);
    await expect(answer).rejects.toThrow('the stream was reset');
    await closed;
  });

  test('closes a WebSocket in a stream of HTTP/2 while that can still be said', async () => {
    const program = startServer();
    const { session, goaway, closed: sessionClosed } = await connect(await program.hear());
    const { socket } = await openWebSocket(session, '/');
    const talked = talk(socket);
    socket.send('ping');
    await expect(talked).resolves.toMatchObject({ code: 1001, reason: REASON });
    expect((await talked).count).toBeGreaterThan(RECORDS / 4);
    expect(await program.hear()).toEqual(closed);
    await expect(goaway).resolves.toEqual({ code: 0, why: `${CAUSE}: ${REASON}` });
    await sessionClosed;
  });
});

test('a client closes its WebSocket while that can still be said', async () => {
  const { key_file_name, cert_file_name, ca } = certificate();
  const server = https.createServer({ key: readFileSync(key_file_name), cert: readFileSync(cert_file_name), ...TLS_1_2 });
  const sockets = new WebSocket.Server({ server });
  const peer = new Promise((resolve) => { sockets.on('connection', (ws) => resolve(ws)); });
  server.listen(0, '127.0.0.1');
  afterTest(() => server.close());
  await once(server, 'listening');
  const program = start(`
    uWS.connect('wss://localhost:${server.address().port}', {
      open: (ws) => ws.send('ping'),
      message: (ws, message) => ws.send(message),
      close: (ws, code, message, info) => say([code, Buffer.from(message).toString(), info]),
    }, { ca: ${JSON.stringify(ca.toString())} });`);
  const { count, ...close } = await talk(await peer);
  expect(close).toEqual({ code: 1001, reason: REASON });
  expect(count).toBeGreaterThan(RECORDS / 2);
  expect(count).toBeLessThan(RECORDS);
  expect(await program.hear()).toEqual(closed);
});
