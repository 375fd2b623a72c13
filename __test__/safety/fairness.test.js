'use strict';

// A client that sends faster than its handler works: it waits for itself, not the others for it. Counted in events, because
// how long one takes is the business of the handler.

const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** Work of a handler, in milliseconds: long enough that the I/O thread could read everything meanwhile. */
const WORK = 0.02;
/** How many events of others may be handled between a request and its answer. Two windows are 512. */
const AT_MOST = 2000;
/** How many a client sends: they fit into the kernel's buffers, and the queue of a worker would have room for them. */
const FLOOD = 50_000;

let port;
/** Events handled so far, and who waits for how many of them. */
let handled;
let waiting;
/** The numbers that came in another order than that of their connection. */
let misplaced;

function work() {
  handled += 1;
  if (waiting !== undefined && handled >= waiting.count) {
    waiting.resolve();
    waiting = undefined;
  }
  for (const end = performance.now() + WORK; performance.now() < end;);
}

/** Resolves once so many events were handled. */
function handledAtLeast(count) {
  return new Promise((resolve) => {
    if (handled >= count) resolve();
    else waiting = { count, resolve };
  });
}

beforeEach(() => {
  handled = 0;
  misplaced = 0;
  const app = createApp()
    .ws('/flood', {
      message: (ws, message) => {
        const number = new DataView(message).getUint32(0);
        ws.next ??= 0;
        if (number !== ws.next) misplaced += 1;
        ws.next = number + 1;
        work();
      },
      ping: work,
    })
    .get('/work', (res) => {
      work();
      res.end();
    })
    .get('/handled', (res) => { res.end(String(handled)); });
  port = listen(app);
});

/** Opens a WebSocket and sends `count` frames at once. */
async function flood(count, opcode) {
  const client = await RawWebSocket.open(port, { path: '/flood' });
  client.send(...Array.from({ length: count }, (_, number) => {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(number);
    return frame(opcode, payload);
  }));
  return client;
}

/** How many events are handled between each of some requests and its answer; the largest number. */
async function wait() {
  const other = await RawClient.connect(port);
  const waits = [];
  for (let turn = 1; turn <= 5; turn++) {
    await handledAtLeast(turn * 1000);
    const before = handled;
    const { text } = await other.get('/handled');
    waits.push(Number(text) - before);
  }
  return Math.max(...waits);
}

test.each(['binary', 'ping'])('a flood of %s frames makes the request of another client wait for a few of them', async (opcode) => {
  await flood(FLOOD, opcode);
  expect(await wait()).toBeLessThan(AT_MOST);
  await handledAtLeast(FLOOD);
  expect(misplaced).toBe(0);
});

test('twenty floods make it wait for little more than one does', async () => {
  await Promise.all(Array.from({ length: 20 }, () => flood(FLOOD / 20, 'binary')));
  expect(await wait()).toBeLessThan(2 * AT_MOST);
  await handledAtLeast(FLOOD);
  expect(misplaced).toBe(0);
});

test('requests that are pipelined make it wait for a few of them', async () => {
  const client = await RawClient.connect(port);
  const head = 'GET /work HTTP/1.1\r\nHost: test\r\n\r\n';
  await client.send(head.repeat(6000));
  expect(await wait()).toBeLessThan(AT_MOST);
});
