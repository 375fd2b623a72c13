'use strict';

/** `uWS.connect` against a server of npm ws: another implementation of the same protocol. */

const { once } = require('node:events');
const { WebSocketServer } = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failure, open } = require('../helpers/client.js');
const { Mailbox } = require('../helpers/mailbox.js');

/** An echo server. `heard` gets how each connection ended. */
async function serve(options = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  afterTest(() => {
    server.clients.forEach((client) => client.terminate());
    server.close();
  });
  const heard = new Mailbox();
  server.on('connection', (socket, request) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('ping', (payload) => heard.put(['ping', payload.toString()]));
    socket.on('close', (code, reason) => heard.put(['close', code, reason.toString()]));
    socket.on('error', (error) => heard.put(['error', error.code]));
    heard.put(['open', request.url, socket.protocol, socket.extensions]);
  });
  await once(server, 'listening');
  return { server, heard, url: `ws://127.0.0.1:${server.address().port}` };
}

test('subprotocol, messages, pings and the closing handshake', async () => {
  const { url, heard } = await serve();
  const { ws, received } = await open(`${url}/path?query`, {}, { protocols: ['first', 'second'] });
  expect(await heard.take()).toEqual(['open', '/path?query', 'first', '']);
  expect((await received.take())[1].protocol).toBe('first');
  ws.send('text');
  ws.send(Buffer.from('binary'), true);
  ws.ping('ping');
  expect(await received.take()).toEqual(['text', 'text']);
  expect(await received.take()).toEqual(['binary', Buffer.from('binary')]);
  expect(await received.take()).toEqual(['pong', 'ping']);
  expect(await heard.take()).toEqual(['ping', 'ping']);
  ws.end(4000, 'bye');
  expect(await heard.take()).toEqual(['close', 4000, 'bye']);
});

test.each([
  ['shared', uWS.SHARED_COMPRESSOR],
  ['a small window', uWS.DEDICATED_COMPRESSOR_3KB | uWS.DEDICATED_DECOMPRESSOR_512B],
  ['dedicated', uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR],
])('compression, %s: messages of all lengths are understood at both ends', async (_, compression) => {
  const { url, heard } = await serve({ perMessageDeflate: { threshold: 0 } });
  const { ws, received } = await open(url, { compression, maxPayloadLength: 2 ** 20, maxBackpressure: 0 });
  expect((await heard.take())[3]).toBe('permessage-deflate');
  await received.take();
  for (const length of [0, 1, 100, 5000, 40_000, 200_000]) {
    const text = 'some words, '.repeat(Math.ceil(length / 12)).slice(0, length);
    for (const compress of [true, false]) {
      ws.send(text, false, compress);
      let event = await received.take();
      while (event[0] === 'drain') event = await received.take();
      expect(event).toEqual(['text', text]);
    }
  }
});

test('a server that ends, terminates or refuses', async () => {
  const { server, url } = await serve({ verifyClient: ({ req }, done) => done(req.url !== '/no', 403, 'not you') });
  const ended = await open(url);
  [...server.clients][0].close(1012, 'restarting');
  expect((await ended.received.take())[0]).toBe('open');
  expect(await ended.received.take()).toEqual(['close', 1012, 'restarting', 'CLOSED_BY_PEER']);
  const terminated = await open(url);
  [...server.clients].at(-1).terminate();
  await terminated.received.take();
  expect((await terminated.received.take())[3]).toMatch(/^ERR_(FIN_WITHOUT_CLOSE|CONNECTION_RESET)$/);
  expect(await failure(`${url}/no`)).toMatchObject({ code: 'ERR_CONNECT_STATUS', status: 403, body: 'not you' });
});

test('a message that the server does not take: its reason is told', async () => {
  const { url } = await serve({ maxPayload: 100 });
  const { ws, received } = await open(url);
  await received.take();
  ws.send('x'.repeat(101));
  expect((await received.take()).slice(0, 2)).toEqual(['close', 1009]);
});
