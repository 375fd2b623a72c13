'use strict';

// Topics: every answer is exact within the call, and a published message reaches exactly those who were subscribed when
// it was published, in the order of the calls.

const { randomBytes } = require('node:crypto');
const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const NOT_TEXT = {
  name: 'TypeError',
  code: 'ERR_INVALID_ARG_TYPE',
  message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
};
const MISSING_TWO = { name: 'TypeError', code: 'ERR_MISSING_ARGS', message: 'Function requires at least 2 arguments.' };
const MISSING_ONE = { ...MISSING_TWO, message: 'Function requires at least 1 arguments.' };

const text = (buffer) => Buffer.from(buffer).toString();

/** A server whose WebSockets do nothing by themselves. */
class Room {
  #opened = new Mailbox();

  constructor(behavior, options) {
    this.app = createApp(options);
    this.app.get('/barrier', (res) => res.end());
    this.app.ws('/*', { ...behavior, open: (ws) => this.#opened.put(ws) });
    this.port = listen(this.app);
  }

  /** The next WebSocket that has opened. */
  opened() {
    return this.#opened.take();
  }

  /** Lets somebody in, subscribed to these topics: both ends of a new connection. */
  async enter(...topics) {
    const client = await RawWebSocket.open(this.port);
    const ws = await this.#opened.take();
    topics.forEach((topic) => ws.subscribe(topic));
    return { client, ws };
  }

  /** The same for several. */
  async enterAll(count, ...topics) {
    const people = [];
    while (people.length < count) people.push(await this.enter(...topics));
    return people;
  }
}

/** Sends each of them a mark, and returns for each what it received in front of it. */
function received(...people) {
  people.forEach(({ ws }) => ws.send('the end'));
  return Promise.all(people.map(async ({ client }) => {
    const messages = [];
    for (;;) {
      const [, message] = await client.frame();
      if (message === 'the end') return messages;
      messages.push(message);
    }
  }));
}

describe('subscriptions', () => {
  test('every answer is exact and immediate', async () => {
    const room = new Room({});
    const { app } = room;
    const [ada, bob] = (await room.enterAll(2)).map(({ ws }) => ws);
    expect(app.numSubscribers('news')).toBe(0);
    expect(ada.isSubscribed('news')).toBe(false);
    expect(ada.subscribe('news')).toBe(true);
    expect([ada.isSubscribed('news'), bob.isSubscribed('news'), app.numSubscribers('news')]).toEqual([true, false, 1]);
    expect(ada.subscribe('news')).toBe(true);
    expect(app.numSubscribers('news')).toBe(1);
    expect(bob.subscribe('news')).toBe(true);
    expect(app.numSubscribers('news')).toBe(2);
    expect(ada.unsubscribe('news')).toBe(true);
    expect([ada.isSubscribed('news'), bob.isSubscribed('news'), app.numSubscribers('news')]).toEqual([false, true, 1]);
    expect(ada.unsubscribe('news')).toBe(false);
    expect(app.numSubscribers('news')).toBe(1);
  });

  test('getTopics lists them', async () => {
    const { ws } = await new Room({}).enter();
    expect(ws.getTopics()).toEqual([]);
    ['a', 'b', 'ü/+', ''].forEach((topic) => ws.subscribe(topic));
    expect(ws.getTopics().sort()).toEqual(['', 'a', 'b', 'ü/+']);
    ws.getTopics().forEach((topic) => ws.unsubscribe(topic));
    expect(ws.getTopics()).toEqual([]);
  });

  test('a name is its bytes, whether given as text or data', async () => {
    const room = new Room({});
    const { ws } = await room.enter();
    const bytes = new TextEncoder().encode('tür');
    ws.subscribe(Buffer.from('tür'));
    expect(ws.getTopics()).toEqual(['tür']);
    for (const topic of ['tür', bytes, bytes.buffer, new DataView(bytes.buffer)]) {
      expect(ws.isSubscribed(topic)).toBe(true);
      expect(room.app.numSubscribers(topic)).toBe(1);
      expect(room.app.publish(topic, 'x')).toBe(true);
    }
    expect(ws.unsubscribe(bytes)).toBe(true);
    expect(room.app.numSubscribers('tür')).toBe(0);
  });

  test('names are exact: no wildcards, no cases, no blanks', async () => {
    const room = new Room({});
    const person = await room.enter('a/b', 'x/+', 'y/#', 'z/*');
    for (const topic of ['A/b', 'a/b ', 'a', 'a/b/', '', 'x/1', 'y/1', 'z/1']) {
      expect([topic, room.app.numSubscribers(topic), room.app.publish(topic, 'no')]).toEqual([topic, 0, false]);
    }
    expect(room.app.publish('x/+', 'yes')).toBe(true);
    expect(await received(person)).toEqual([['yes']]);
  });

  test('a hundred topics of one connection', async () => {
    const room = new Room({});
    const topics = Array.from({ length: 100 }, (_, index) => `topic ${index}`);
    const person = await room.enter(...topics);
    expect(person.ws.getTopics().sort()).toEqual([...topics].sort());
    topics.filter((_, index) => index % 2 === 0).forEach((topic) => person.ws.unsubscribe(topic));
    topics.forEach((topic, index) => expect(room.app.publish(topic, topic)).toBe(index % 2 === 1));
    expect(await received(person)).toEqual([topics.filter((_, index) => index % 2 === 1)]);
  });

  test('apps do not share topics', async () => {
    const [one, two] = [new Room({}), new Room({})];
    const [ada, bob] = [await one.enter('news'), await two.enter('news')];
    expect([one.app.numSubscribers('news'), two.app.numSubscribers('news')]).toEqual([1, 1]);
    expect(one.app.publish('news', 'one')).toBe(true);
    expect(ada.ws.publish('news', 'nobody else is here')).toBe(false);
    expect(await received(ada, bob)).toEqual([['one'], []]);
  });

  test('a name that was given up and one that is new are different topics', async () => {
    const room = new Room({});
    const [ada, bob] = await room.enterAll(2);
    ada.ws.subscribe('old');
    ada.ws.unsubscribe('old');
    bob.ws.subscribe('new');
    expect([room.app.publish('old', 'x'), room.app.publish('new', 'y')]).toEqual([false, true]);
    expect(await received(ada, bob)).toEqual([[], ['y']]);
  });

  test('somebody who left gets nothing of a topic that came after', async () => {
    const room = new Room({});
    const [ada, bob] = await room.enterAll(2);
    ada.ws.subscribe('old');
    ada.ws.end(4000, 'bye');
    bob.ws.subscribe('new');
    room.app.publish('new', 'for bob');
    expect(await received(bob)).toEqual([['for bob']]);
    ada.client.send(closeFrame(4000));
    expect((await ada.client.rest()).frames).toEqual([['close', 4000, 'bye']]);
  });

  test.each([null, 7, {}, true])('%p is no topic', async (topic) => {
    const room = new Room({});
    const { ws } = await room.enter();
    const calls = [
      () => ws.subscribe(topic),
      () => ws.unsubscribe(topic),
      () => ws.isSubscribed(topic),
      () => ws.publish(topic, 'x'),
      () => room.app.publish(topic, 'x'),
      () => room.app.numSubscribers(topic),
    ];
    for (const call of calls) expect(failureOf(call)).toEqual(NOT_TEXT);
    expect(ws.getTopics()).toEqual([]);
  });

  test('calls without their arguments throw', async () => {
    const room = new Room({});
    const { ws } = await room.enter('news');
    expect(failureOf(() => ws.publish('news'))).toEqual(MISSING_TWO);
    expect(failureOf(() => room.app.publish('news'))).toEqual(MISSING_TWO);
    expect(failureOf(() => room.app.numSubscribers())).toEqual(MISSING_ONE);
  });
});

describe('publish', () => {
  test('app.publish reaches every subscriber, and says whether there was one', async () => {
    const app = createApp();
    expect(app.publish('news', 'no route yet')).toBe(false);
    const room = new Room({});
    const [ada, bob, eve] = await room.enterAll(3);
    expect(room.app.publish('news', 'nobody')).toBe(false);
    ada.ws.subscribe('news');
    expect(room.app.publish('news', 'one')).toBe(true);
    bob.ws.subscribe('news');
    expect(room.app.publish('news', 'two')).toBe(true);
    ada.ws.unsubscribe('news');
    bob.ws.unsubscribe('news');
    expect(room.app.publish('news', 'three')).toBe(false);
    expect(await received(ada, bob, eve)).toEqual([['one', 'two'], ['two'], []]);
  });

  test('ws.publish leaves out the sender, and says whether there was anybody else', async () => {
    const room = new Room({});
    const [ada, bob] = await room.enterAll(2);
    ada.ws.subscribe('news');
    expect(ada.ws.publish('news', 'to myself?')).toBe(false);
    bob.ws.subscribe('news');
    expect(ada.ws.publish('news', 'from ada')).toBe(true);
    expect(bob.ws.publish('news', 'from bob')).toBe(true);
    expect(await received(ada, bob)).toEqual([['from bob'], ['from ada']]);
  });

  test('ws.publish to a topic of others: only if it is subscribed to something', async () => {
    const room = new Room({});
    const [ada, bob] = [await room.enter(), await room.enter('news')];
    expect(ada.ws.publish('news', 'subscribed to nothing')).toBe(false);
    ada.ws.subscribe('weather');
    expect(ada.ws.publish('news', 'subscribed to something')).toBe(true);
    expect(ada.ws.publish('nobody is here', 'x')).toBe(false);
    expect(await received(ada, bob)).toEqual([[], ['subscribed to something']]);
  });

  test.each([
    ['a string', ['grüße'], 'grüße'],
    ['a string as binary', ['hi', true], Buffer.from('hi')],
    ['data as binary', [Buffer.of(0, 255), true], Buffer.of(0, 255)],
    ['data without isBinary: a text frame', [Buffer.from('plain')], 'plain'],
    ['an empty message', ['', false], ''],
    ['undefined: empty', [undefined], ''],
    ['a SharedArrayBuffer', [new SharedArrayBuffer(2), true], Buffer.alloc(2)],
  ])('%s', async (title, args, expected) => {
    const room = new Room({});
    const [ada, bob] = await room.enterAll(2, 'news');
    expect(room.app.publish('news', ...args)).toBe(true);
    expect(ada.ws.publish('news', ...args)).toBe(true);
    expect(await received(ada, bob)).toEqual([[expected], [expected, expected]]);
  });

  test.each([null, 7, {}, true])('%p is no message, even if nobody would get it', async (message) => {
    const room = new Room({});
    const person = await room.enter('news');
    for (const topic of ['news', 'nobody']) {
      expect(failureOf(() => room.app.publish(topic, message))).toEqual(NOT_TEXT);
      expect(failureOf(() => person.ws.publish(topic, message))).toEqual(NOT_TEXT);
    }
    expect(await received(person)).toEqual([[]]);
  });

  test('has copied the message when it returns', async () => {
    const room = new Room({});
    const person = await room.enter('news');
    const buffer = Buffer.alloc(10_000, 'a');
    room.app.publish('news', buffer);
    buffer.fill('b');
    expect(await received(person)).toEqual([['a'.repeat(10_000)]]);
  });

  test('send and publish arrive in the order of the calls', async () => {
    const room = new Room({});
    const [ada, bob] = await room.enterAll(2, 'news');
    const large = 'L'.repeat(20_000);
    ada.ws.send('1');
    room.app.publish('news', '2');
    ada.ws.send('3');
    bob.ws.publish('news', large);
    ada.ws.send(large);
    ada.ws.ping('4');
    room.app.publish('news', '5');
    ada.ws.cork(() => {
      ada.ws.send('6');
      room.app.publish('news', '7');
      ada.ws.send('8');
    });
    expect(await received(ada, bob)).toEqual([['1', '2', '3', large, large, '4', '5', '6', '7', '8'], ['2', '5', '7']]);
  });

  test('the recipients are those of the moment of the call', async () => {
    const room = new Room({});
    const [ada, bob, eve] = await room.enterAll(3);
    ada.ws.subscribe('news');
    room.app.publish('news', '1');
    bob.ws.subscribe('news');
    ada.ws.unsubscribe('news');
    room.app.publish('news', '2');
    bob.ws.unsubscribe('news');
    ada.ws.subscribe('news');
    eve.ws.subscribe('news');
    room.app.publish('news', '3');
    expect(await received(ada, bob, eve)).toEqual([['1', '3'], ['2'], ['3']]);
  });

  test('somebody who ends behind it gets it in front of the Close frame', async () => {
    const room = new Room({});
    const { client, ws } = await room.enter('news');
    room.app.publish('news', 'last words');
    ws.end(4000, 'bye');
    room.app.publish('news', 'too late');
    expect(await client.frame()).toEqual(['text', 'last words']);
    expect(await client.frame()).toEqual(['close', 4000, 'bye']);
  });

  test('inside handlers, those of closing included', async () => {
    const room = new Room({
      message: (ws, message) => ws.publish('news', message),
      close: (ws) => room.app.publish('news', `${ws.name} left`),
    });
    const [ada, bob] = await room.enterAll(2, 'news');
    ada.ws.name = 'ada';
    ada.client.sendText('hello');
    expect(await bob.client.frame()).toEqual(['text', 'hello']);
    ada.client.send(closeFrame(1000));
    expect(await bob.client.frame()).toEqual(['text', 'ada left']);
    expect((await ada.client.rest()).frames).toEqual([['close', 1000, '']]);
  });

  test('reaches the others when one subscriber is gone and has not been missed yet', async () => {
    const room = new Room({});
    const people = await room.enterAll(5, 'news');
    people[2].client.reset();
    for (let number = 0; number < 50; number++) room.app.publish('news', `${number}`);
    const numbers = Array.from({ length: 50 }, (_, number) => `${number}`);
    const [, , , ...others] = people;
    expect(await received(people[0], people[1], ...others)).toEqual(Array(4).fill(numbers));
  });
});

/** Publishes 400 messages of all kinds and lengths in one go, in three names; what each of the three is to receive. */
function publishBurst(room, people) {
  const lengths = [0, 1, 125, 126, 3000, 4096, 4097, 70_000];
  const expected = people.map(() => []);
  const subscribers = { news: [0, 1, 2], other: [1, 2] };
  for (let number = 0; number < 400; number += 1) {
    if (number === 150) people[2].ws.send('direct');
    if (number === 150) expected[2].push('direct');
    if (number === 300) {
      people[0].ws.unsubscribe('news');
      subscribers.news.shift();
    }
    const [topic, isBinary, compress] = [number % 50 > 40 ? 'other' : 'news', number % 4 === 0, number % 100 > 70];
    const message = `${number} ${'x'.repeat(lengths[number % 8])}`;
    // Now and then by somebody who is subscribed, and does not get it.
    const publisher = number % 10 === 3 ? 1 : undefined;
    const target = publisher === undefined ? room.app : people[publisher].ws;
    target.publish(topic, message, isBinary, compress);
    subscribers[topic].filter((index) => index !== publisher).forEach((index) => expected[index].push([message, isBinary]));
  }
  people.forEach(({ ws }) => ws.send('the end'));
  return expected.map((list) => [...list, 'the end']);
}

describe.each([['in a handler'], ['outside of handlers']])('many messages in one go, %s', (place) => {
  test('each arrives once, in order, at whom it is for, compressed or not', async () => {
    const room = new Room({ compression: uWS.SHARED_COMPRESSOR, maxBackpressure: 0 }, { threads: 1 });
    const people = [];
    for (const [perMessageDeflate, topics] of [[false, ['news']], [false, ['news', 'other']], [true, ['news', 'other']]]) {
      const client = new WebSocket(`ws://127.0.0.1:${room.port}`, { perMessageDeflate });
      afterTest(() => client.terminate());
      const messages = [];
      const ended = new Promise((resolve) => {
        client.on('message', (data, isBinary) => {
          const message = data.toString();
          const isMark = message === 'direct' || message === 'the end';
          messages.push(isMark ? message : [message, isBinary]);
          if (message === 'the end') resolve(messages);
        });
      });
      people.push({ ws: await room.opened(), ended });
      topics.forEach((topic) => people.at(-1).ws.subscribe(topic));
    }
    let expected;
    const burst = () => { expected = publishBurst(room, people); };
    if (place === 'in a handler') {
      room.app.get('/burst', (res) => {
        burst();
        res.end();
      });
      await (await RawClient.connect(room.port)).get('/burst');
    } else {
      burst();
    }
    expect(await Promise.all(people.map(({ ended }) => ended))).toEqual(expected);
  });

  test('who has too much waiting misses those that are too many, and they are counted', async () => {
    const room = new Room({ maxBackpressure: 1000 }, { threads: 1 });
    const [person] = await room.enterAll(1, 'news');
    const all = Array.from({ length: 4000 }, (_, number) => `${number} ${'x'.repeat(4000)}`);
    const burst = () => all.forEach((message) => room.app.publish('news', message));
    if (place === 'in a handler') {
      room.app.get('/burst', (res) => {
        burst();
        res.end();
      });
      await (await RawClient.connect(room.port)).get('/burst');
    } else {
      burst();
    }
    const arrived = [];
    // As long as something waits, this is dropped, too.
    let refused = 0;
    const end = () => {
      if (person.ws.send('the end') !== 2) return;
      refused += 1;
      setImmediate(end);
    };
    end();
    while (arrived.at(-1) !== 'the end') arrived.push((await person.client.frame())[1]);
    arrived.pop();
    expect(arrived).toEqual(all.filter((message) => arrived.includes(message)));
    expect(arrived.length).toBeLessThan(all.length);
    expect(room.app.getStats().messages.dropped).toBe(all.length - arrived.length + refused);
  });
});

describe('large messages, which subscribers share', () => {
  const LENGTHS = [1, 125, 126, 4085, 4091, 4092, 4096, 4097, 65_535, 65_536, 1024 * 1024];

  test.each(LENGTHS)('%i bytes arrive whole at every subscriber, between small ones', async (length) => {
    const room = new Room({});
    const people = await room.enterAll(3, 'news');
    const large = randomBytes(length).map((byte) => byte & 0x7f);
    room.app.publish('news', 'before');
    room.app.publish('news', large);
    room.app.publish('news', large, true);
    room.app.publish('news', 'after');
    for (const [before, asText, asBinary, after, ...others] of await received(...people)) {
      expect([before, after, others]).toEqual(['before', 'after', []]);
      expect(asText === large.toString('latin1')).toBe(true);
      expect(asBinary.equals(large)).toBe(true);
    }
  });

  test('quick subscribers do not wait for a slow one, which misses nothing', async () => {
    const COUNT = 400;
    const drained = new Mailbox();
    const room = new Room({ maxBackpressure: 0, drain: (ws) => ws === slow.ws && drained.put('drain') });
    const [slow, quick, other] = await room.enterAll(3, 'news');
    slow.client.pause();
    const messages = Array.from({ length: COUNT }, (_, number) => {
      return `${number}:`.padEnd(number % 2 === 0 ? 60_000 : 10, '.');
    });
    for (const [number, message] of messages.entries()) {
      room.app.publish('news', message);
      if (number % 50 === 0) slow.ws.send(`to slow ${number}`);
    }
    expect(await received(quick, other)).toEqual([messages, messages]);
    expect(slow.ws.getBufferedAmount()).toBeGreaterThan(0);
    slow.client.resume();
    const expected = messages.flatMap((message, number) => {
      return number % 50 === 0 ? [message, `to slow ${number}`] : [message];
    });
    expect(await received(slow)).toEqual([expected]);
    await drained.take();
    expect(slow.ws.getBufferedAmount()).toBe(0);
  });

  test('a slow subscriber that resets costs the others nothing', async () => {
    const room = new Room({ maxBackpressure: 0 });
    const [slow, quick] = await room.enterAll(2, 'news');
    slow.client.pause();
    const messages = Array.from({ length: 300 }, (_, number) => `${number}:`.padEnd(60_000, '.'));
    for (const [number, message] of messages.entries()) {
      room.app.publish('news', message);
      if (number === 200) slow.client.reset();
    }
    expect(await received(quick)).toEqual([messages]);
  });
});

describe('the subscription handler', () => {
  /** A room that notes subscription and close events, with the name of the WebSocket. */
  function noting(also = {}) {
    const events = [];
    const room = new Room({
      subscription: (ws, topic, now, before) => events.push([ws.name, text(topic), now, before]),
      close: (ws, code) => events.push([ws.name, 'close', code, room.app.numSubscribers('news')]),
      ...also,
    });
    return { room, events };
  }

  async function named(room, ...names) {
    const people = await room.enterAll(names.length);
    people.forEach(({ ws }, index) => { ws.name = names[index]; });
    return people;
  }

  test('runs inside subscribe and unsubscribe, only when something changes, with both counts', async () => {
    const { room, events } = noting();
    const [ada, bob] = await named(room, 'ada', 'bob');
    const next = () => events.splice(0);
    ada.ws.subscribe('news');
    expect(next()).toEqual([['ada', 'news', 1, 0]]);
    ada.ws.subscribe('news');
    expect(next()).toEqual([]);
    bob.ws.subscribe(Buffer.from('news'));
    expect(next()).toEqual([['bob', 'news', 2, 1]]);
    ada.ws.unsubscribe('news');
    expect(next()).toEqual([['ada', 'news', 1, 2]]);
    ada.ws.unsubscribe('news');
    bob.ws.unsubscribe('weather');
    expect(next()).toEqual([]);
    bob.ws.unsubscribe('news');
    expect(next()).toEqual([['bob', 'news', 0, 1]]);
  });

  test.each([
    ['ws.end', ({ ws }) => ws.end(4000), 4000],
    ['ws.close', ({ ws }) => ws.close(), 1006],
    ['app.close', (person, room) => room.app.close(), 1006],
  ])('runs for each topic just before close, inside %s; the counts are those without it', async (title, act, code) => {
    const { room, events } = noting();
    const [ada] = await named(room, 'ada');
    ['news', 'weather', 'sports'].forEach((topic) => ada.ws.subscribe(topic));
    events.length = 0;
    act(ada, room);
    expect(events).toEqual([
      ['ada', 'news', 0, 1],
      ['ada', 'weather', 0, 1],
      ['ada', 'sports', 0, 1],
      ['ada', 'close', code, 0],
    ]);
  });

  test('runs just before close when the peer closes or vanishes', async () => {
    const closed = new Mailbox();
    const events = [];
    const room = new Room({
      subscription: (ws, topic, now, before) => events.push([text(topic), now, before]),
      close: (ws, code) => closed.put([code, events.splice(0), room.app.numSubscribers('news')]),
    });
    const [ada, bob, eve] = await room.enterAll(3, 'news');
    eve.ws.subscribe('weather');
    events.length = 0;
    ada.client.send(closeFrame(1001));
    expect(await closed.take()).toEqual([1001, [['news', 2, 3]], 2]);
    bob.client.reset();
    expect(await closed.take()).toEqual([1006, [['news', 1, 2]], 1]);
    eve.client.finish();
    expect(await closed.take()).toEqual([1006, [['news', 0, 1], ['weather', 0, 1]], 0]);
  });

  test('finds the WebSocket closed when it runs because of a close', async () => {
    const failures = [];
    const room = new Room({
      subscription(ws, topic, now) {
        if (now === 0) failures.push(failureOf(() => ws.send('x')).code);
      },
    });
    const { ws } = await room.enter('news');
    ws.end();
    expect(failures).toEqual(['ERR_WEBSOCKET_CLOSED']);
  });

  test('gets the name in a buffer that stays', async () => {
    const kept = [];
    const room = new Room({ subscription: (ws, topic) => kept.push(topic) });
    const { ws } = await room.enter('tür', '');
    ws.end();
    await new Promise(setImmediate);
    expect(kept.map(text)).toEqual(['tür', '', 'tür', '']);
  });

  test('may subscribe, unsubscribe, publish and close, itself and others', async () => {
    const order = [];
    const room = new Room({
      subscription(ws, topic, now, before) {
        const name = text(topic);
        order.push([name, now, before]);
        if (name === 'first' && now > before) expect(ws.subscribe('second')).toBe(true);
        if (name === 'second' && now > before) expect(ws.unsubscribe('first')).toBe(true);
        if (name === 'last' && now > before) ws.end(4000, 'enough');
        if (name === 'news' && now > before) expect(room.app.publish('news', `${now}`)).toBe(true);
      },
      close: () => order.push('close'),
    });
    const [ada, bob] = await room.enterAll(2);
    expect(ada.ws.subscribe('first')).toBe(true);
    expect(order.splice(0)).toEqual([['first', 1, 0], ['second', 1, 0], ['first', 0, 1]]);
    expect(ada.ws.getTopics()).toEqual(['second']);

    ada.ws.subscribe('news');
    bob.ws.subscribe('news');
    expect(await received(ada, bob)).toEqual([['1', '2'], ['2']]);
    order.length = 0;
    ada.ws.subscribe('last');
    const gone = ['second', 'news', 'last'];
    expect(order.slice(1, -1).map(([name]) => name).sort()).toEqual([...gone].sort());
    expect([order[0], order.at(-1)]).toEqual([['last', 1, 0], 'close']);
  });
});

describe('across I/O threads', () => {
  const THREADS = { threads: 3 };

  test('200 subscribers each receive every message once, in order', async () => {
    const room = new Room({}, THREADS);
    const people = await room.enterAll(200, 'news');
    expect(room.app.numSubscribers('news')).toBe(200);
    const messages = Array.from({ length: 100 }, (_, number) => `${number}`.padEnd(number % 10 === 0 ? 5000 : 10, '.'));
    for (const message of messages) expect(room.app.publish('news', message)).toBe(true);
    for (const own of await received(...people)) expect(own).toEqual(messages);
  });

  test('the sender alone is left out', async () => {
    const room = new Room({ message: (ws, message) => ws.publish('news', message) }, THREADS);
    const people = await room.enterAll(9, 'news');
    for (const [index, { client, ws }] of people.entries()) {
      client.sendText(`from ${index}`);
      for (const other of people) {
        if (other.ws !== ws) expect(await other.client.frame()).toEqual(['text', `from ${index}`]);
      }
    }
    expect(await received(...people)).toEqual(people.map(() => []));
  });

  test('the recipients are those of the moment of the call, and orders are kept', async () => {
    const room = new Room({}, THREADS);
    const people = await room.enterAll(9);
    const expected = people.map(() => []);
    for (let round = 0; round < 200; round++) {
      const index = (round * 7) % people.length;
      const { ws } = people[index];
      if (ws.isSubscribed('news')) ws.unsubscribe('news');
      else ws.subscribe('news');
      const members = people.flatMap((person, other) => (person.ws.isSubscribed('news') ? [other] : []));
      expect(room.app.numSubscribers('news')).toBe(members.length);
      expect(room.app.publish('news', `${round}`)).toBe(members.length > 0);
      members.forEach((member) => expected[member].push(`${round}`));
      ws.send(`own ${round}`);
      expected[index].push(`own ${round}`);
    }
    expect(await received(...people)).toEqual(expected);
  });

  test('counts stay exact while subscribers come and go', async () => {
    const left = new Mailbox();
    const room = new Room({ close: () => left.put(room.app.numSubscribers('news')) }, THREADS);
    const people = await room.enterAll(30, 'news');
    for (let count = 29; count >= 15; count--) {
      people.pop().client.reset();
      expect(await left.take()).toBe(count);
    }
    expect(room.app.publish('news', 'still here')).toBe(true);
    for (const own of await received(...people)) expect(own).toEqual(['still here']);
    await (await RawClient.connect(room.port)).get('/barrier');
    expect(room.app.numSubscribers('news')).toBe(15);
    room.app.close();
    expect(room.app.numSubscribers('news')).toBe(0);
  });
});
