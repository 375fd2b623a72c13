'use strict';

// A client that closes its own direction behind the request can still read: answers that are given at once reach it.

const net = require('node:net');

const uWS = require('../..');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { RESPONSE_FACTS, WEBSOCKET_FACTS } = require('../helpers/facts.js');

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const NEVER = 'GET /never HTTP/1.1\r\nHost: a\r\n\r\n';

let app;
let port;
let aborted;
let closes;

beforeEach(() => {
  aborted = [];
  closes = new Mailbox();
  app = uWS
    .App()
    .get('/', (res) => res.end('hello'))
    .ws('/ws', {
      maxBackpressure: 0,
      maxPayloadLength: 2 ** 20,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, message, info) => closes.put({ code, reason: Buffer.from(message).toString(), info }),
    })
    .get('/never', (res) => res.onAborted((reason, info) => aborted.push({ reason, info })))
    .listen('127.0.0.1', 0, (token) => {
      port = uWS.us_socket_local_port(token);
    });
});

afterEach(() => app.close());

/** Sends `text` and FIN; resolves with all that comes back, once the server has sent FIN. */
function sendAndFinish(text) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(text));
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => (received += chunk));
    socket.on('end', () => resolve(received));
    socket.on('error', reject);
  });
}

const answers = (received) => received.split('hello').length - 1;

test('HTTP: a response given before the FIN was heard of reaches the client', async () => {
  expect(answers(await sendAndFinish(REQUEST))).toBe(1);
});

test('HTTP: a response of which the client has taken a part only, when the FIN is heard of, reaches it whole', async () => {
  const length = 8 * 1024 * 1024;
  app.get('/long', (res) => res.end('x'.repeat(length)));
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let received = 0;
  socket.write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => { socket.once('readable', resolve); });
  socket.end();
  // The server reads its socket again before this has gone through.
  for await (const chunk of socket) received += chunk.length;
  expect(received).toBeGreaterThan(length);
});

test('HTTP: pipelined requests in front of a FIN are all answered', async () => {
  expect(answers(await sendAndFinish(REQUEST + REQUEST + REQUEST))).toBe(3);
});

test('HTTP: a FIN aborts the response that is not given yet, and the connection ends', async () => {
  expect(answers(await sendAndFinish(REQUEST + NEVER))).toBe(1);
  expect(aborted).toEqual([
    {
      reason: 'Received TCP FIN before the response was complete',
      info: { cause: 'ERR_FIN_BEFORE_RESPONSE', initiator: 'transport', wasClean: false, ...RESPONSE_FACTS },
    },
  ]);
});

const REASON = 'Received TCP FIN before WebSocket close frame';
const FIN_WITHOUT_CLOSE = {
  code: 1006,
  reason: REASON,
  info: { cause: 'ERR_FIN_WITHOUT_CLOSE', initiator: 'transport', wasClean: false, reason: REASON, ...WEBSOCKET_FACTS },
};

/** Opens a WebSocket to the echo route, with a socket that does not answer a FIN by itself. */
function openWebSocket() {
  return RawWebSocket.open({ port, host: '127.0.0.1', allowHalfOpen: true }, { path: '/ws' });
}

test('WebSocket: messages in front of a FIN without a Close frame are answered, and then the server sends FIN', async () => {
  for (let round = 0; round < 10; round++) {
    const client = await openWebSocket();
    const words = Array.from({ length: 50 }, (_, number) => `${round} ${number}`);
    client.send(...words.map((word) => frame('text', word)));
    client.finish();
    expect(await client.rest()).toEqual({ frames: words.map((word) => ['text', word]), end: 'FIN' });
    expect(await closes.take()).toEqual(FIN_WITHOUT_CLOSE);
    expect(closes.size).toBe(0);
  }
});

test('WebSocket: large answers to messages in front of a FIN arrive whole', async () => {
  const client = await openWebSocket();
  const words = Array.from({ length: 12 }, (_, number) => `${number}`.padEnd(300_000, '.'));
  client.pause();
  client.send(...words.map((word) => frame('text', word)));
  client.finish();
  expect(await closes.take()).toEqual(FIN_WITHOUT_CLOSE);
  client.resume();
  const { frames, end } = await client.rest();
  expect(frames.map(([, word]) => word.length)).toEqual(words.map(({ length }) => length));
  expect(end).toBe('FIN');
});

test('WebSocket: a FIN in the middle of a message is the end of it', async () => {
  const client = await openWebSocket();
  client.send(frame('text', 'whole'), frame('text', 'half', { fin: false }));
  client.finish();
  expect(await client.rest()).toEqual({ frames: [['text', 'whole']], end: 'FIN' });
  expect(await closes.take()).toEqual(FIN_WITHOUT_CLOSE);
});

test('WebSocket: what was sent in front of ws.end reaches a peer that answers with a FIN', async () => {
  const ended = new Mailbox();
  app.ws('/end', {
    maxBackpressure: 0,
    open(ws) {
      for (let number = 0; number < 100; number++) ws.send('x'.repeat(100_000));
      ws.end(4000, 'bye');
      ended.put('ended');
    },
  });
  const options = { port, host: '127.0.0.1', allowHalfOpen: true };
  const client = await RawWebSocket.open(options, { path: '/end' });
  client.pause();
  await ended.take();
  client.finish();
  client.resume();
  const { frames, end } = await client.rest();
  expect(frames.length).toBe(101);
  expect(frames.at(-1)).toEqual(['close', 4000, 'bye']);
  expect(end).toBe('FIN');
});
