'use strict';

// A peer that reads more slowly than this side sends: what `send` and `getBufferedAmount` say, when `dropped` and
// `drain` run, and that everything that was accepted arrives, in order.


const { afterTest } = require('../helpers/cleanup.js');
const { connect } = require('../helpers/connect.js');
const { passBarrier } = require('../helpers/closing-server.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawWebSocket, closeFrame, frame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const [QUEUED, SENT, DROPPED] = [0, 1, 2];
const MEGABYTE = 1024 * 1024;

/** Opens a connection whose client does not read, and returns it together with the server's WebSocket. */
async function openPaused(behavior) {
  const { app, opened } = serve(behavior);
  const port = listen(app);
  const client = await RawWebSocket.open(port);
  client.pause();
  return { app, client, port, ws: await opened.take() };
}

function serve(behavior) {
  const opened = new Mailbox();
  const app = createApp();
  app.get('/barrier', (res) => res.end());
  app.ws('/*', { ...behavior, open: (ws) => opened.put(ws) });
  return { app, opened };
}

/**
 * Sends numbered messages until the system takes no more for a client that does not read, and more than `limit` bytes
 * wait. What is merely on its way to the I/O thread does not count, so this looks only after that has caught up.
 */
async function choke({ ws, port }, limit = 64 * 1024) {
  let confirmations = 0;
  while (confirmations < 3) {
    if (ws.getBufferedAmount() <= limit) {
      confirmations = 0;
      sendWhile(ws, (status) => status === SENT);
    }
    await passBarrier(port);
    if (ws.getBufferedAmount() > limit) confirmations++;
  }
}

/** A message of a length that names its number. */
function numbered(number, length = 64 * 1024) {
  return `${number}:`.padEnd(length, '.');
}

/** Sends numbered messages until one of them is not taken as `status`; returns the statuses of all. */
function sendWhile(ws, isWanted, length) {
  const statuses = [];
  do statuses.push(ws.send(numbered(statuses.length, length))); while (isWanted(statuses.at(-1)));
  return statuses;
}

/** The numbers of the next messages that a client receives. */
async function numbersOf(client, count) {
  const numbers = [];
  while (numbers.length < count) {
    const [name, message] = await client.frame();
    if (name === 'text') numbers.push(Number(message.split(':')[0]));
  }
  return numbers;
}

describe('a peer that does not read', () => {
  test('send returns 1, then 0, then 2; what was not dropped arrives in order', async () => {
    const drained = new Mailbox();
    const { client, ws } = await openPaused({ maxBackpressure: MEGABYTE, drain: (socket) => drained.put(socket) });
    const statuses = sendWhile(ws, (status) => status !== DROPPED);
    expect(statuses[0]).toBe(SENT);
    expect(statuses).toContain(QUEUED);
    client.resume();
    expect(await drained.take()).toBe(ws);
    expect(ws.getBufferedAmount()).toBe(0);
    expect(ws.send(numbered(-1))).toBe(SENT);
    const accepted = [...statuses.keys()].filter((number) => statuses[number] !== DROPPED);
    expect(await numbersOf(client, accepted.length + 1)).toEqual([...accepted, -1]);
  });

  test.each([
    ['64 KiB if it is not given', undefined, 64 * 1024],
    ['64 KiB if it is undefined', { maxBackpressure: undefined }, 64 * 1024],
    ['1 byte', { maxBackpressure: 1 }, 1],
    ['1 MiB', { maxBackpressure: MEGABYTE }, MEGABYTE],
  ])('maxBackpressure is %s: the message that exceeds it is the last that is taken', async (title, behavior, limit) => {
    const { port, ws } = await openPaused(behavior);
    await choke({ ws, port }, 0);
    while (ws.getBufferedAmount() <= limit) {
      expect(ws.send('x'.repeat(1 + limit / 16))).toBe(QUEUED);
      await passBarrier(port);
    }
    const amount = ws.getBufferedAmount();
    expect(ws.send('x')).toBe(DROPPED);
    expect(ws.getBufferedAmount()).toBe(amount);
  });

  test('maxBackpressure: 0 never drops', async () => {
    const drained = new Mailbox();
    const dropped = [];
    const { client, ws } = await openPaused({
      maxBackpressure: 0,
      drain: () => drained.put('drain'),
      dropped: (socket, message) => dropped.push(message),
    });
    const count = 20 * 16;
    const statuses = Array.from({ length: count }, (_, number) => ws.send(numbered(number)));
    expect(statuses.at(-1)).toBe(QUEUED);
    expect(statuses).not.toContain(DROPPED);
    client.resume();
    expect(await numbersOf(client, count)).toEqual([...statuses.keys()]);
    await drained.take();
    expect(ws.getBufferedAmount()).toBe(0);
    expect(dropped).toEqual([]);
  });

  test('pings are never dropped, and neither is the Close frame', async () => {
    const dropped = [];
    const { client, port, ws } = await openPaused({ dropped: () => dropped.push('dropped') });
    await choke({ ws, port });
    expect(ws.send('x')).toBe(DROPPED);
    const before = dropped.length;
    expect(ws.ping('still there?')).toBe(QUEUED);
    ws.end(4000, 'too slow');
    expect(dropped).toHaveLength(before);
    client.resume();
    const frames = [];
    do frames.push(await client.frame()); while (frames.at(-1)[0] !== 'close');
    expect(frames.slice(-2)).toEqual([['ping', 'still there?'], ['close', 4000, 'too slow']]);
    client.send(closeFrame(4000));
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
  });

  test('does not hold up another one', async () => {
    const { app, opened } = serve({ maxBackpressure: 0, message: (ws, message) => ws.send(message) });
    const port = listen(app);
    const slow = await RawWebSocket.open(port);
    slow.pause();
    const socket = await opened.take();
    for (let number = 0; number < 200; number++) socket.send(numbered(number));
    const quick = await RawWebSocket.open(port);
    for (const word of ['one', 'two', 'three']) {
      quick.sendText(word);
      expect(await quick.frame()).toEqual(['text', word]);
    }
    expect(socket.getBufferedAmount()).toBeGreaterThan(0);
  });

  test('that resets: close runs once, with its reason, and no drain', async () => {
    const events = new Mailbox();
    const { client, port, ws } = await openPaused({
      maxBackpressure: 0,
      close: (socket, code, message, { cause }) => events.put([code, cause]),
      drain: () => events.put('drain'),
    });
    await choke({ ws, port });
    while (events.size > 0) await events.take();
    client.reset();
    expect(await events.take()).toEqual([1006, 'ERR_CONNECTION_RESET']);
    await passBarrier(port);
    expect(events.size).toBe(0);
  });
});

describe('dropped', () => {
  test('runs inside send, with the message and its kind', async () => {
    const seen = [];
    const { port, ws } = await openPaused({
      dropped: (socket, message, isBinary) => seen.push([socket, Buffer.from(message.slice(0)), isBinary]),
    });
    await choke({ ws, port });
    seen.length = 0;
    expect(ws.send('grüße')).toBe(DROPPED);
    expect(ws.send(Buffer.from('xyz').subarray(1), true)).toBe(DROPPED);
    expect(ws.send(undefined)).toBe(DROPPED);
    expect(seen.map(([, message, isBinary]) => [message.toString(), isBinary])).toEqual([
      ['grüße', false], ['yz', true], ['', false],
    ]);
    expect(seen.every(([socket]) => socket === ws)).toBe(true);
  });

  test('its buffer is detached when it returns, unless it returned a promise', async () => {
    const kept = [];
    let isAsync = false;
    const { port, ws } = await openPaused({
      dropped(socket, message) {
        kept.push(message);
        return isAsync ? Promise.resolve() : undefined;
      },
    });
    await choke({ ws, port });
    ws.send('goes');
    isAsync = true;
    ws.send('stays');
    expect(kept.slice(-2).map(({ byteLength }) => byteLength)).toEqual([0, 5]);
  });

  test('may close the WebSocket: send returns 2, and later calls throw', async () => {
    const events = [];
    const { ws } = await openPaused({
      dropped: (socket) => socket.close(),
      close: (socket, code, message, { cause }) => events.push(cause),
    });
    sendWhile(ws, (status) => status !== DROPPED);
    expect(events).toEqual(['CLOSED_BY_APPLICATION']);
    expect(failureOf(() => ws.send('x')).code).toBe('ERR_WEBSOCKET_CLOSED');
  });
});

describe('drain', () => {
  test('follows every amount above 0: the loop of the uWebSockets.js example sends on for ever', async () => {
    const ROUNDS = 20;
    let rounds = 0;
    let sent = 0;
    function fill(ws) {
      rounds++;
      if (rounds < ROUNDS) while (ws.getBufferedAmount() < MEGABYTE) ws.send(numbered(sent++));
      else if (rounds === ROUNDS) ws.end(4000, 'enough');
    }
    const { client, ws } = await openPaused({ maxBackpressure: 0, drain: fill });
    fill(ws);
    client.resume();
    for (let received = 0; ; received++) {
      const [name, message] = await client.frame();
      if (name === 'close') {
        expect(received).toBe(sent);
        break;
      }
      expect(message.split(':')[0]).toBe(`${received}`);
    }
  });

  test('the same loop with a peer that keeps up: each call of it ends, and others get their turn', async () => {
    const program = new Program(`
      const calls = [];
      let sent = 0;
      function fill(ws) {
        const before = sent;
        while (ws.getBufferedAmount() < 1024) {
          ws.send('message number ' + sent);
          sent++;
        }
        calls.push(sent - before);
      }
      uWS.App({ threads: 1 })
        .ws('/*', { open: fill, drain: fill, message: (ws) => say({ calls, sent }) })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const client = connect({ port: await program.hear(), host: '127.0.0.1' });
    afterTest(() => client.destroy());
    client.write(handshake());
    let received = 0;
    await new Promise((resolve) => {
      client.on('data', ({ length }) => {
        received += length;
        if (received > 20 * MEGABYTE) resolve();
      });
    });
    client.write(frame('text', 'enough'));
    const { calls, sent } = await program.hear();
    expect(sent).toBeGreaterThan(20 * MEGABYTE / 'message number 1000000'.length / 2);
    for (const count of calls) expect(count * 'message number '.length).toBeLessThan(MEGABYTE + 2048);
  });

  test('follows every 0 of send: a producer that awaits it delivers everything', async () => {
    let wake = () => {};
    const { client, ws } = await openPaused({ maxBackpressure: 0, drain: () => wake() });
    const COUNT = 500;
    let waits = 0;
    const producing = (async () => {
      for (let number = 0; number < COUNT; number++) {
        if (ws.send(numbered(number)) === SENT) continue;
        waits++;
        await new Promise((resolve) => { wake = resolve; });
      }
    })();
    client.resume();
    expect(await numbersOf(client, COUNT)).toEqual([...Array(COUNT).keys()]);
    await producing;
    // What a paused client leaves unread is more than the system takes at once.
    expect(waits).toBeGreaterThan(0);
  });

  test('follows a ping that returned 0', async () => {
    const drained = new Mailbox();
    const { client, port, ws } = await openPaused({ maxBackpressure: 0, drain: () => drained.put('drain') });
    await choke({ ws, port });
    while (drained.size > 0) await drained.take();
    expect(ws.ping()).toBe(QUEUED);
    client.resume();
    await drained.take();
    expect(ws.getBufferedAmount()).toBe(0);
    expect(ws.ping()).toBe(SENT);
  });

  test('finds nothing waiting, however many sends went before', async () => {
    const amounts = new Mailbox();
    const { client, ws } = await openPaused({
      maxBackpressure: 0,
      drain: (socket) => amounts.put(socket.getBufferedAmount()),
    });
    client.resume();
    for (let round = 0; round < 20; round++) {
      // Some of these are written while the others are still being sent: what the worker says of them comes too early.
      for (let number = 0; number < 50; number++) ws.send(numbered(number));
      if (ws.getBufferedAmount() > 0) expect(await amounts.take()).toBe(0);
    }
    while (amounts.size > 0) expect(await amounts.take()).toBe(0);
  });

  test('what is sent outside of handlers, a little per turn, and read at once is never taken for a burst', async () => {
    const { app, opened } = serve({});
    const client = await RawWebSocket.open(listen(app));
    const ws = await opened.take();
    const statuses = [];
    // Every turn of the loop but the first comes from the client: no event of this addon is handled in between.
    for (let number = 0; number < 40; number++) {
      statuses.push(ws.send(numbered(number)));
      await client.frame();
    }
    expect(statuses).toEqual(new Array(40).fill(SENT));
    expect(ws.getBufferedAmount()).toBe(0);
  });

  test('a large backlog costs no message of a busy peer: both directions at once', async () => {
    const COUNT = 300;
    const echo = (ws, message) => ws.send(message);
    const { app } = serve({ maxPayloadLength: MEGABYTE, maxBackpressure: 0, message: echo });
    const client = await RawWebSocket.open(listen(app));
    for (let number = 0; number < COUNT; number++) client.sendText(numbered(number));
    expect(await numbersOf(client, COUNT)).toEqual([...Array(COUNT).keys()]);
  });
});
