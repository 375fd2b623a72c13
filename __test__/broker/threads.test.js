'use strict';

// Apps of one broker name in several threads, and in one: they have the topics of one app.

const uWS = require('../..');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Member } = require('../helpers/members.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

let latest = 0;

/** Options of an app with a broker; each test has a name of its own. */
const broker = (name = `threads-${process.pid}-${latest}`) => ({ threads: 1, broker: { name } });

beforeEach(() => { latest += 1; });

/** An app of this thread, whose WebSockets subscribe to `topics` when they open. */
class Room {
  #opened = new Mailbox();

  constructor(options, topics = []) {
    this.app = createApp(options).ws('/*', {
      idleTimeout: 0,
      open: (ws) => {
        for (const topic of topics) ws.subscribe(topic);
        this.#opened.put(ws);
      },
    });
    this.port = listen(this.app);
  }

  async enter() {
    const client = await RawWebSocket.open(this.port);
    return { client, ws: await this.#opened.take() };
  }
}

/** The texts that a client receives up to `last`. */
async function upTo(client, last) {
  const texts = [];
  while (texts.at(-1) !== last) texts.push((await client.frame())[1]);
  return texts;
}

test('publish reaches every subscriber in every app of the name, once, and nobody else', async () => {
  const here = [new Room(broker(), ['news']), new Room(broker(), ['news'])];
  const strangers = [new Room(broker('another'), ['news']), new Room({ threads: 1 }, ['news'])];
  const threads = [await Member.thread(broker(), ['news']), await Member.thread({ ...broker(), threads: 2 }, ['news'])];
  const clients = [];
  for (const room of here) clients.push((await room.enter()).client);
  for (const thread of threads) clients.push(await thread.enter(), await thread.enter());
  const outsiders = [];
  for (const room of strangers) outsiders.push(await room.enter());
  expect(here[0].app.publish('news', 'first')).toBe(true);
  expect(await threads[0].order('publish', 'news', 'second')).toBe(true);
  expect(here[1].app.publish('news', Buffer.of(0, 255), true)).toBe(true);
  expect(await threads[1].order('publish', 'news', 'end')).toBe(true);
  for (const client of clients) {
    const frames = [];
    while (frames.length < 4) frames.push(await client.frame());
    expect(frames.filter(([kind]) => kind === 'binary')).toEqual([['binary', Buffer.of(0, 255)]]);
    expect(frames.filter(([kind]) => kind === 'text').map(([, text]) => text).sort()).toEqual(['end', 'first', 'second']);
  }
  for (const { client, ws } of outsiders) {
    ws.send('nothing came before');
    expect(await client.frame()).toEqual(['text', 'nothing came before']);
  }
});

test('ws.publish leaves out the sender, and nobody else', async () => {
  const room = new Room(broker(), ['news']);
  const thread = await Member.thread(broker(), ['news']);
  const [sender, neighbour, other] = [await room.enter(), await room.enter(), await thread.enter()];
  expect(sender.ws.publish('news', 'from the sender')).toBe(true);
  sender.ws.send('to the sender');
  expect(await sender.client.frame()).toEqual(['text', 'to the sender']);
  for (const client of [neighbour.client, other]) expect(await client.frame()).toEqual(['text', 'from the sender']);
  other.sendText('news from the thread');
  for (const { client } of [sender, neighbour]) expect(await client.frame()).toEqual(['text', 'from']);
});

test('publish says whether there was anybody, here or elsewhere', async () => {
  const room = new Room(broker());
  const thread = await Member.thread(broker());
  await thread.enter();
  const { ws } = await room.enter();
  expect(room.app.publish('news', 'nobody')).toBe(false);
  await thread.order('subscribe', 0, 'news');
  expect(room.app.publish('news', 'somebody elsewhere')).toBe(true);
  // As everywhere, a WebSocket without topics publishes to nobody.
  expect(ws.publish('news', 'nobody')).toBe(false);
  ws.subscribe('own');
  expect(ws.publish('own', 'the sender alone')).toBe(false);
  expect(ws.publish('news', 'somebody elsewhere')).toBe(true);
  await thread.order('unsubscribe', 0, 'news');
  expect(room.app.publish('news', 'nobody')).toBe(false);
  expect(uWS.App(broker()).publish('own', 'by an app without WebSockets')).toBe(true);
});

test('numSubscribers counts this app, countSubscribers all of them', async () => {
  const [room, second] = [new Room(broker(), ['news']), new Room(broker(), ['news'])];
  const thread = await Member.thread(broker(), ['news']);
  for (const _ of [1, 2]) await thread.enter();
  await Promise.all([room.enter(), second.enter(), second.enter()]);
  expect(room.app.numSubscribers('news')).toBe(1);
  expect(await room.app.countSubscribers('news')).toBe(5);
  expect(await second.app.countSubscribers(Buffer.from('news'), { timeout: 10 })).toBe(5);
  expect(await room.app.countSubscribers('weather')).toBe(0);
  expect(await thread.order('count', 'news')).toEqual([2, 5]);
  expect(room.app.getStats().broker).toEqual({ name: broker().broker.name, state: 'local', apps: 3, topics: 1 });
  await thread.end();
  expect(await room.app.countSubscribers('news')).toBe(3);
  expect(room.app.getStats().broker.apps).toBe(2);
});

test('without a broker, countSubscribers counts this app, and there are no statistics of one', async () => {
  const room = new Room({ threads: 1 }, ['news']);
  await room.enter();
  expect(await room.app.countSubscribers('news')).toBe(1);
  expect(room.app.getStats().broker).toBeUndefined();
});

test('whoever has subscribed gets what any thread publishes from then on', async () => {
  const room = new Room(broker());
  const [first, second] = [await Member.thread(broker()), await Member.thread(broker())];
  const [client, other] = [await first.enter(), await second.enter()];
  for (let round = 0; round < 100; round++) {
    // Of a topic of its own each time: the numbers of topics are used again.
    await first.order('subscribe', 0, `round ${round}`);
    expect(await second.order('publish', `round ${round}`, 'to the first')).toBe(true);
    expect(await client.frame()).toEqual(['text', 'to the first']);
    await first.order('unsubscribe', 0, `round ${round}`);
    await second.order('subscribe', 0, `round ${round}`);
    expect(room.app.publish(`round ${round}`, 'to the second')).toBe(true);
    expect(await other.frame()).toEqual(['text', 'to the second']);
    await second.order('unsubscribe', 0, `round ${round}`);
    expect(room.app.publish(`round ${round}`, 'to nobody')).toBe(false);
  }
});

test('in a handler, too, it subscribes at once', async () => {
  const room = new Room(broker());
  const thread = await Member.thread(broker(), ['news'], 5);
  for (let round = 0; round < 50; round++) {
    // The handler still runs when this is published.
    const client = await thread.enter();
    expect(room.app.publish('news', 'hello')).toBe(true);
    expect(await client.frame()).toEqual(['text', 'hello']);
    client.finish();
  }
});

test('messages of one publisher on one topic arrive in their order everywhere', async () => {
  const room = new Room(broker(), ['news']);
  const [publisher, thread] = [await Member.thread(broker(), ['news']), await Member.thread(broker(), ['news'])];
  const clients = [(await room.enter()).client, await publisher.enter(), await thread.enter()];
  const count = 3000;
  await publisher.order('publishMany', 'news', 0, count);
  const expected = Array.from({ length: count }, (_, number) => String(number));
  for (const client of clients) expect(await upTo(client, String(count - 1))).toEqual(expected);
});

test('a message arrives although the thread of its subscribers is blocked', async () => {
  const room = new Room(broker());
  const thread = await Member.thread(broker(), ['news']);
  const client = await thread.enter();
  let isBlocked = true;
  const blocked = thread.order('block', 3000).then(() => { isBlocked = false; });
  expect(room.app.publish('news', 'hello')).toBe(true);
  expect(await client.frame()).toEqual(['text', 'hello']);
  expect(isBlocked).toBe(true);
  await blocked;
});

test('threads that start and are terminated at any moment lose nobody else a message', async () => {
  const room = new Room(broker(), ['news']);
  const [publisher, listener] = [await Member.thread(broker()), await Member.thread(broker(), ['news'])];
  const clients = [(await room.enter()).client, await listener.enter()];
  const [rounds, each] = [12, 500];
  for (let round = 0; round < rounds; round++) {
    const visitor = await Member.thread(broker(), ['news']);
    await visitor.enter();
    publisher.send('publishMany', 'news', round * each, (round + 1) * each);
    // Others publish at its end, and it does itself.
    visitor.send('publishMany', 'elsewhere', 0, 20_000);
    room.app.publish('elsewhere', 'at the end');
    await visitor.end();
    await publisher.result();
  }
  const expected = Array.from({ length: rounds * each }, (_, number) => String(number));
  for (const client of clients) expect(await upTo(client, String(rounds * each - 1))).toEqual(expected);
  expect(room.app.getStats().broker.apps).toBe(3);
});

test('an app that was closed is in the group when it listens again', async () => {
  const [room, thread] = [new Room(broker(), ['news']), await Member.thread(broker(), ['news'])];
  await room.enter();
  room.app.close();
  expect(await room.app.countSubscribers('news')).toBe(0);
  await thread.enter();
  room.port = listen(room.app);
  const { client } = await room.enter();
  expect(await thread.order('publish', 'news', 'again')).toBe(true);
  expect(await client.frame()).toEqual(['text', 'again']);
});

test('a name is 1 to 64 letters, digits, hyphens and underscores', () => {
  for (const name of ['a', 'Chat-2_x', 'x'.repeat(64)]) expect(() => uWS.App({ broker: { name } })).not.toThrow();
  for (const name of ['', 'a b', 'a:b', 'ä', 'a\0', '*', 'x'.repeat(65)]) {
    expect(failureOf(() => uWS.App({ broker: { name } }))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const wrong of [{}, { name: 1 }, { name: null }, { name: Buffer.from('chat') }, 'chat', true, () => {}]) {
    expect(failureOf(() => uWS.App({ broker: wrong }))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const none of [undefined, null]) expect(() => uWS.App({ broker: none })).not.toThrow();
});

test('what countSubscribers cannot mean rejects', async () => {
  const app = createApp(broker());
  await expect(app.countSubscribers()).rejects.toMatchObject({ code: 'ERR_MISSING_ARGS' });
  await expect(app.countSubscribers(1)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await expect(app.countSubscribers('news', 5)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await expect(app.countSubscribers('news', { timeout: '5' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  for (const timeout of [0, -1, 1.5, 2 ** 31]) {
    await expect(app.countSubscribers('news', { timeout })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  }
  await expect(app.countSubscribers.call({}, 'news')).rejects.toMatchObject({ code: 'ERR_INVALID_THIS' });
});
