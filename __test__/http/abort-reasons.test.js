'use strict';

// Every way in which an HTTP response is aborted, driven by raw bytes: `onAborted` is told once, with a reason that is
// never empty and the info that belongs to it.

const { passBarrier } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

const aborted = (reason, cause, initiator) => ({ reason, info: { cause, initiator, wasClean: false, ...RESPONSE_FACTS } });

/** A server whose route /wait calls `act` and answers nothing; `aborts` gets what its abort handler is told. */
function serveWaiting(act = () => {}) {
  const aborts = new Mailbox();
  const begun = new Mailbox();
  const app = createApp();
  app.any('/wait', (res) => {
    res.onAborted((reason, info) => aborts.put({ reason, info }));
    begun.put(res);
    act(res, aborts);
  });
  app.get('/barrier', (res) => res.end());
  return { app, aborts, begun, port: listen(app) };
}

async function expectOneAbort(server, expected) {
  expect(await server.aborts.take()).toStrictEqual(expected);
  await passBarrier(server.port);
  expect(server.aborts.size).toBe(0);
}

test.each([
  ['before the response', () => {}],
  ['inside a chunked response', (res) => res.write('begun')],
])('FIN %s', async (title, act) => {
  const server = serveWaiting(act);
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  const res = await server.begun.take();
  expect(res.aborted).toBe(false);
  client.finish();
  const text = 'Received TCP FIN before the response was complete';
  await expectOneAbort(server, aborted(text, 'ERR_FIN_BEFORE_RESPONSE', 'transport'));
  expect(res.aborted).toBe(true);
});

test('FIN inside the body of the request', async () => {
  const server = serveWaiting();
  const client = await RawClient.connect(server.port);
  await client.send('POST /wait HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf');
  await server.begun.take();
  client.finish();
  const text = 'Received TCP FIN before the response was complete';
  await expectOneAbort(server, aborted(text, 'ERR_FIN_BEFORE_RESPONSE', 'transport'));
});

test.each([
  ['before the response', () => {}],
  ['inside a chunked response', (res) => res.write('begun')],
])('RST %s', async (title, act) => {
  const server = serveWaiting(act);
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  await server.begun.take();
  client.reset();
  await expectOneAbort(server, aborted('Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport'));
});

test.each([
  ['while the request is paused', (res) => res.pause(), ''],
  ['behind more pipelined requests than are read', () => {}, 'GET / HTTP/1.1\r\nHost: test\r\n\r\n'.repeat(4000)],
])('RST %s', async (title, act, more) => {
  const server = serveWaiting(act);
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  await server.begun.take();
  await client.send(more);
  await passBarrier(server.port);
  client.reset();
  await expectOneAbort(server, aborted('Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport'));
});

test('res.close: the handler runs inside the call', async () => {
  const server = serveWaiting((res, aborts) => {
    res.close();
    expect(aborts.size).toBe(1);
  });
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  expect(await client.rest()).toBe('');
  await expectOneAbort(server, aborted('Application called close()', 'CLOSED_BY_APPLICATION', 'local'));
});

test('app.close: the handler runs inside the call', async () => {
  const server = serveWaiting();
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  await server.begun.take();
  server.app.close();
  expect(server.aborts.size).toBe(1);
  expect(await client.rest()).toBe('');
  const expected = aborted('Application called app.close()', 'CLOSED_BY_APP_CLOSE', 'local');
  expect(await server.aborts.take()).toStrictEqual(expected);
});

describe('a body that is not framed as HTTP says', () => {
  const HEAD = 'POST /wait HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n';
  const ABORTED = aborted('Received invalid HTTP request body', 'ERR_HTTP_INVALID_BODY', 'peer');

  test.each([
    ['a chunk has no length', 'zz\r\n'],
    ['a chunk is longer than it says', '3\r\nabcd\r\n'],
    ['a line ends with a bare LF', '3\nabc\r\n'],
  ])('%s: the peer is answered 400', async (title, body) => {
    const server = serveWaiting();
    const client = await RawClient.connect(server.port);
    await client.send(`${HEAD}2\r\nok\r\n`);
    await server.begun.take();
    await client.send(body);
    expect((await client.response()).status).toBe(400);
    expect(await client.rest()).toBe('');
    await expectOneAbort(server, ABORTED);
  });

  test('in one piece with the head', async () => {
    const server = serveWaiting();
    const client = await RawClient.connect(server.port);
    await client.send(`${HEAD}zz\r\n`);
    expect((await client.response()).status).toBe(400);
    expect(await client.rest()).toBe('');
    await expectOneAbort(server, ABORTED);
  });

  test('after the response has begun: it is cut off', async () => {
    const server = serveWaiting((res) => res.write('begun'));
    const client = await RawClient.connect(server.port);
    await client.send(HEAD);
    const chunk = '5\r\nbegun\r\n';
    let answer = '';
    while (!answer.endsWith(chunk)) answer += await client.bytes(1);
    await client.send('zz\r\n');
    expect(await client.rest()).toBe('');
    await expectOneAbort(server, ABORTED);
  });

  test('after the response is over: nothing is aborted', async () => {
    const server = serveWaiting((res) => res.end('over'));
    const client = await RawClient.connect(server.port);
    await client.send(HEAD);
    expect((await client.response()).text).toBe('over');
    await client.send('zz\r\n');
    expect(await client.rest()).toBe('');
    await passBarrier(server.port);
    expect(server.aborts.size).toBe(0);
  });
});

test('a handler registered after the abort is told the same, asynchronously', async () => {
  const server = serveWaiting();
  const client = await RawClient.connect(server.port);
  await client.send('GET /wait HTTP/1.1\r\nHost: test\r\n\r\n');
  const res = await server.begun.take();
  client.reset();
  const first = await server.aborts.take();
  let inside = true;
  res.onAborted((reason, info) => server.aborts.put({ reason, info, inside }));
  inside = false;
  expect(await server.aborts.take()).toStrictEqual({ ...first, inside: false });
});
