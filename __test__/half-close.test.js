'use strict';

// A client that closes its own direction behind the request can still read: answers that are given at once reach it.

const net = require('node:net');

const uWS = require('..');

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const NEVER = 'GET /never HTTP/1.1\r\nHost: a\r\n\r\n';

let app;
let port;
let aborted;

beforeEach(() => {
  aborted = [];
  app = uWS
    .App()
    .get('/', (res) => res.end('hello'))
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

test('HTTP: pipelined requests in front of a FIN are all answered', async () => {
  expect(answers(await sendAndFinish(REQUEST + REQUEST + REQUEST))).toBe(3);
});

test('HTTP: a FIN aborts the response that is not given yet, and the connection ends', async () => {
  expect(answers(await sendAndFinish(REQUEST + NEVER))).toBe(1);
  expect(aborted).toEqual([
    {
      reason: 'Received TCP FIN before the response was complete',
      info: { cause: 'ERR_FIN_BEFORE_RESPONSE', initiator: 'transport', wasClean: false },
    },
  ]);
});
