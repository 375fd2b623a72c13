'use strict';

// What happens to those who read too slowly: messages to them are dropped and reported, or they are closed, and nobody
// else notices.

const { passBarrier, textOf } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');
const { WEBSOCKET_FACTS } = require('../helpers/facts.js');

const [SENT, DROPPED] = [1, 2];
const MEBIBYTE = 1024 * 1024;
const SIZE = 64 * 1024;
const REASON = 'Back-pressure limit exceeded: peer reads too slowly';
const INFO = { cause: 'ERR_BACKPRESSURE_LIMIT', initiator: 'local', wasClean: false, reason: REASON, ...WEBSOCKET_FACTS };
const LIMITED = { code: 1006, reason: REASON, info: INFO };

/** A message that names its number. */
const numbered = (number, length = SIZE) => `${number}:`.padEnd(length, '.');
const numberOf = (message) => Number(message.slice(0, message.indexOf(':')));

/** A server that tells what was dropped and who closed, and lets people in by name. */
class Room {
  events = new Mailbox();
  #opened = new Mailbox();

  constructor(behavior, options) {
    this.app = createApp(options);
    this.app.get('/barrier', (res) => res.end());
    this.app.ws('/*', {
      open: (ws) => this.#opened.put(ws),
      dropped: (ws, message, isBinary, unreported) => {
        this.events.put({ event: 'dropped', name: ws.name, message: textOf(message), isBinary, unreported });
      },
      close: (ws, code, message, info) => {
        this.events.put({ event: 'close', name: ws.name, code, reason: textOf(message), info });
      },
      ...behavior,
    });
    this.port = listen(this.app);
  }

  /** Lets somebody in, subscribed to `news`: both ends of a new connection. */
  async enter(name) {
    const client = await RawWebSocket.open(this.port);
    const ws = await this.#opened.take();
    ws.name = name;
    ws.subscribe('news');
    return { client, ws };
  }

  /** All events so far. */
  async take() {
    await passBarrier(this.port);
    const events = [];
    while (this.events.size > 0) events.push(await this.events.take());
    return events;
  }
}

/** Everything that a client receives up to a Close frame. */
async function untilClose(client) {
  const frames = [];
  do frames.push(await client.frame()); while (frames.at(-1)[0] !== 'close');
  return frames;
}

/** Sends until a message is dropped. Returns how many were not. */
function sendUntilDropped(ws) {
  let count = 0;
  while (ws.send(numbered(count)) !== DROPPED) count++;
  return count;
}

describe('send', () => {
  test('a message is dropped only for what the system really does not take, however large the burst', async () => {
    const room = new Room({ maxBackpressure: MEBIBYTE });
    const { client, ws } = await room.enter('slow');
    client.pause();
    sendUntilDropped(ws);
    await passBarrier(room.port);
    // Nobody reads, so what waited then still waits, give or take what the system makes room for later.
    expect(ws.getBufferedAmount()).toBeGreaterThan(MEBIBYTE / 2);
  });

  test('closeOnBackpressureLimit: dropped runs inside send, close in an event of its own, and nothing is sent between', async () => {
    const room = new Room({ closeOnBackpressureLimit: true });
    const { client, ws } = await room.enter('slow');
    client.pause();
    const count = sendUntilDropped(ws);
    expect(room.events.size).toBe(1);
    expect(await room.events.take()).toMatchObject({ event: 'dropped', message: numbered(count), unreported: 0 });
    expect([ws.send('late'), ws.send('later', true)]).toEqual([DROPPED, DROPPED]);
    expect(room.events.size).toBe(2);
    const rest = await room.take();
    expect(rest.map(({ event, message, isBinary }) => [event, message, isBinary])).toEqual([
      ['dropped', 'late', false], ['dropped', 'later', true], ['close', undefined, undefined],
    ]);
    expect(rest.at(-1)).toEqual({ event: 'close', name: 'slow', ...LIMITED });
    expect(() => ws.send('x')).toThrow(/Invalid access of closed/);

    client.resume();
    const frames = await untilClose(client);
    expect(frames.slice(0, -1).map(([, message]) => numberOf(message))).toEqual([...Array(count).keys()]);
    expect(frames.at(-1)).toEqual(['close', 1008, REASON]);
    expect(await client.rest()).toEqual({ frames: [], end: 'FIN' });
  });

  test('closeOnBackpressureLimit: a WebSocket that ends in dropped closes once, as it ended', async () => {
    const room = new Room({ closeOnBackpressureLimit: true, dropped: (ws) => ws.end(4000, 'enough') });
    const { client, ws } = await room.enter('slow');
    client.pause();
    sendUntilDropped(ws);
    expect(await room.take()).toMatchObject([{ event: 'close', code: 4000, reason: 'enough' }]);
  });

  test.each([['false', false], ['undefined', undefined]])('closeOnBackpressureLimit: %s does not close', async (title, value) => {
    const room = new Room({ closeOnBackpressureLimit: value });
    const { client, ws } = await room.enter('slow');
    client.pause();
    const count = sendUntilDropped(ws);
    expect(await room.take()).toMatchObject([{ event: 'dropped' }]);
    client.resume();
    for (let number = 0; number < count; number++) expect(numberOf((await client.frame())[1])).toBe(number);
    await passBarrier(room.port);
    expect(ws.send('goes on')).toBe(SENT);
  });
});

describe('publish', () => {
  /** Publishes one message at a time, each read by `quick`, until `isEnough` of the events. Returns all. */
  async function publishUntil(room, quick, isEnough) {
    const events = [];
    let count = 0;
    while (!isEnough(events)) {
      expect(room.app.publish('news', numbered(count), count % 2 === 1)).toBe(true);
      for (const { client } of quick) {
        const [kind, message] = await client.frame();
        expect([kind, numberOf(String(message))]).toEqual([count % 2 === 1 ? 'binary' : 'text', count]);
      }
      count++;
      events.push(...await room.take());
    }
    return { count, events };
  }

  test('dropped tells of every message that a slow subscriber misses, and of nobody else', async () => {
    const room = new Room({});
    const [slow, ...quick] = [await room.enter('slow'), await room.enter('one'), await room.enter('two')];
    slow.client.pause();
    const { count, events } = await publishUntil(room, quick, ({ length }) => length >= 10);
    for (const { event, name, message, isBinary, unreported } of events) {
      expect([event, name, isBinary, unreported]).toEqual(['dropped', 'slow', numberOf(message) % 2 === 1, 0]);
      expect(message).toBe(numbered(numberOf(message)));
    }
    slow.ws.end(4000);
    slow.client.resume();
    const frames = await untilClose(slow.client);
    const received = frames.slice(0, -1).map(([, message]) => numberOf(String(message)));
    const missed = events.map(({ message }) => numberOf(message));
    expect([...received, ...missed]).toEqual([...Array(count).keys()]);
  });

  test('closeOnBackpressureLimit closes the slow one alone, behind its dropped event', async () => {
    const room = new Room({ closeOnBackpressureLimit: true });
    const [slow, ...quick] = [await room.enter('slow'), await room.enter('one'), await room.enter('two')];
    slow.client.pause();
    const { count, events } = await publishUntil(room, quick, ({ length }) => length > 0);
    expect(events).toEqual([
      { event: 'dropped', name: 'slow', message: numbered(count - 1), isBinary: count % 2 === 0, unreported: 0 },
      { event: 'close', name: 'slow', ...LIMITED },
    ]);
    expect(room.app.numSubscribers('news')).toBe(2);
    slow.client.resume();
    const frames = await untilClose(slow.client);
    expect(frames.length).toBe(count);
    expect(frames.at(-1)).toEqual(['close', 1008, REASON]);
    room.app.publish('news', 'and so on');
    for (const { client } of quick) expect(await client.frame()).toEqual(['text', 'and so on']);
  });

  test('without a dropped handler messages are dropped in silence', async () => {
    const room = new Room({ dropped: undefined });
    const slow = await room.enter('slow');
    slow.client.pause();
    for (let number = 0; number < 400; number++) room.app.publish('news', numbered(number));
    expect(await room.take()).toEqual([]);
    slow.ws.end(4000);
    slow.client.resume();
    expect((await untilClose(slow.client)).length).toBeLessThan(400);
  });

  test('more drops than there is room to tell of are counted', async () => {
    const COUNT = 1000;
    const room = new Room({});
    const slow = await room.enter('slow');
    slow.client.pause();
    // Events cannot be delivered meanwhile.
    for (let number = 0; number < COUNT; number++) room.app.publish('news', numbered(number));
    const events = await room.take();
    room.app.publish('news', numbered(COUNT));
    events.push(...await room.take());
    const unreported = events.map((event) => event.unreported);
    expect(Math.max(...unreported)).toBeGreaterThan(0);
    expect(events.length * SIZE).toBeLessThan(16 * MEBIBYTE);
    slow.ws.end(4000);
    slow.client.resume();
    const received = (await untilClose(slow.client)).length - 1;
    const missed = events.length + unreported.reduce((sum, count) => sum + count, 0);
    expect(received + missed).toBe(COUNT + 1);
  });

  test('a message that many miss is handed over once', async () => {
    const PEOPLE = 50;
    const room = new Room({});
    const people = [];
    for (let index = 0; index < PEOPLE; index++) people.push(await room.enter(`${index}`));
    people.forEach(({ client }) => client.pause());
    let events = [];
    for (let number = 0; events.length < PEOPLE; number++) {
      room.app.publish('news', numbered(number, MEBIBYTE));
      events = await room.take();
    }
    // Fifty copies would have exceeded what may wait.
    expect(new Set(events.map(({ name }) => name)).size).toBe(PEOPLE);
    expect(events.every(({ message, unreported }) => message.length === MEBIBYTE && unreported === 0)).toBe(true);
    people.forEach(({ client }) => client.reset());
  });

  test('a handler that publishes without end does not fill the memory', async () => {
    const room = new Room({ dropped: undefined });
    const slow = await room.enter('slow');
    slow.client.pause();
    const before = process.memoryUsage().rss;
    const message = Buffer.alloc(SIZE);
    for (let number = 0; number < 8000; number++) room.app.publish('news', message, true);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MEBIBYTE);
  });
});
