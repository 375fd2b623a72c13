'use strict';

// A subscriber that does not read must cost neither memory without bound nor the others a single message.

const WebSocket = require('ws');
const { Mailbox } = require('../helpers/mailbox.js');
const { createApp, listen } = require('../helpers/server.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');

const SIZE = 64 * 1024;
const COUNT = 400;

/** A client and the lengths of the messages that it receives. */
function connect(port) {
  const received = new Mailbox();
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  client.on('message', (message) => received.put(message.length));
  return { client, received };
}

test('publish: a subscriber beyond maxBackpressure misses messages, the others get all', async () => {
  const opened = [];
  let wake;
  const app = createApp();
  app.ws('/*', {
    maxBackpressure: SIZE,
    open: (ws) => {
      ws.subscribe('news');
      opened.push(ws);
      wake?.();
    },
  });
  const port = listen(app);
  const slow = await RawWebSocket.open(port);
  slow.pause();
  const { client, received } = connect(port);
  while (opened.length < 2) await new Promise((resolve) => (wake = resolve));

  const payload = Buffer.alloc(SIZE, 'x');
  for (let index = 0; index < COUNT; index += 1) {
    expect(app.publish('news', payload, true)).toBe(true);
    // One at a time, so that the reader among them keeps up.
    expect(await received.take()).toBe(SIZE);
  }

  opened[0].end(1000, 'enough');
  slow.resume();
  // What the kernel had taken, what the backlog may hold, and the Close frame: a Close is never dropped.
  let count = 0;
  let frame = await slow.frame();
  for (; frame[0] === 'binary'; frame = await slow.frame()) count += 1;
  expect(frame).toEqual(['close', 1000, 'enough']);
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(COUNT);
  client.terminate();
});

test('send: a burst inside one handler is not dropped while the peer reads', async () => {
  const results = new Set();
  const app = createApp();
  app.ws('/*', {
    maxBackpressure: 32 * 1024 * 1024,
    open: (ws) => {
      for (let index = 0; index < 100; index += 1) results.add(ws.send(Buffer.alloc(SIZE), true));
      ws.send('last');
    },
  });
  const { client, received } = connect(listen(app));
  for (let index = 0; index < 100; index += 1) expect(await received.take()).toBe(SIZE);
  expect(await received.take()).toBe('last'.length);
  expect(results.has(2)).toBe(false);
  client.terminate();
});
