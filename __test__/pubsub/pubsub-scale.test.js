'use strict';

// Topics with very many subscribers, subscribers with very many topics, and all of them coming and going.

const { once } = require('node:events');
const net = require('node:net');

const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, handshake } = require('../helpers/raw-websocket.js');
const { afterTest } = require('../helpers/cleanup.js');
const { createApp, listen } = require('../helpers/server.js');

const text = (buffer) => Buffer.from(buffer).toString();

/** As many subscribers as there are promised, or as this machine lets one process have: the server keeps 256 descriptors free. */
const CROWD = Math.min(10_000, Math.floor((openFiles() - 456) / 2));

function openFiles() {
  const limit = process.report.getReport().userLimits?.open_files?.soft;
  return typeof limit === 'number' ? limit : 1_000_000;
}

/** A server that lets people in, and keeps their WebSockets in order. */
class Room {
  sockets = [];
  #opened = new Mailbox();

  constructor(behavior, options) {
    this.app = createApp(options);
    this.app.ws('/*', {
      ...behavior,
      open: (ws) => {
        this.sockets.push(ws);
        this.#opened.put(ws);
      },
    });
    this.port = listen(this.app);
  }

  async enter() {
    const client = await RawWebSocket.open(this.port);
    return { client, ws: await this.#opened.take() };
  }

  /** Opens plain sockets that only count what they receive behind the handshake. */
  async crowd(count) {
    const people = [];
    while (people.length < count) {
      const some = Array.from({ length: Math.min(200, count - people.length) }, () => this.#enterPlain());
      people.push(...await Promise.all(some));
    }
    return people;
  }

  async #enterPlain() {
    const socket = net.connect(this.port, '127.0.0.1');
    afterTest(() => socket.destroy());
    socket.write(handshake());
    const person = { socket, received: 0, waiting: undefined };
    const [answer] = await once(socket, 'data');
    person.received = answer.length - (answer.indexOf('\r\n\r\n') + 4);
    socket.on('data', ({ length }) => {
      person.received += length;
      person.waiting?.();
    });
    return person;
  }
}

/** Waits until a person has received so many bytes. */
async function receive(person, bytes) {
  while (person.received < bytes) await new Promise((resolve) => { person.waiting = resolve; });
}

test(`publish reaches each of ${CROWD} subscribers, on several I/O threads, once and in order`, async () => {
  const room = new Room({ idleTimeout: 0 }, { threads: 2 });
  const people = await room.crowd(CROWD);
  const before = people.map(({ received }) => received);
  room.sockets.forEach((ws) => ws.subscribe('news'));
  expect(room.app.numSubscribers('news')).toBe(CROWD);
  const messages = Array.from({ length: 20 }, (_, number) => `${number}`.padEnd(100, '.'));
  for (const message of messages) expect(room.app.publish('news', message)).toBe(true);
  expect(room.sockets[0].publish('news', 'x'.repeat(98))).toBe(true);
  // Frames of 102 bytes; the sender alone gets one fewer.
  const least = before.map((bytes) => bytes + 102 * messages.length);
  await Promise.all(people.map((person, index) => receive(person, least[index])));
  room.sockets.forEach((ws) => ws.send('0123456789'));
  await Promise.all(people.map((person, index) => receive(person, least[index] + 12)));

  room.sockets.filter((ws, index) => index % 2 === 0).forEach((ws) => ws.unsubscribe('news'));
  expect(room.app.numSubscribers('news')).toBe(Math.floor(CROWD / 2));
  room.app.close();
  expect(room.app.numSubscribers('news')).toBe(0);
});

test('ten thousand topics of one WebSocket: every answer is exact, and leaving costs no search', async () => {
  const COUNT = 10_000;
  const left = [];
  const room = new Room({
    maxBackpressure: 0,
    subscription: (ws, topic, now, before) => { if (now < before) left.push(text(topic)); },
  });
  const { client, ws } = await room.enter();
  const other = await room.enter();
  const topics = Array.from({ length: COUNT }, (_, index) => `topic ${index}`);
  topics.forEach((topic) => {
    ws.subscribe(topic);
    other.ws.subscribe(topic);
  });
  expect(ws.getTopics()).toEqual(topics);
  const [even, odd] = [0, 1].map((rest) => topics.filter((_, index) => index % 2 === rest));
  even.forEach((topic) => expect(ws.unsubscribe(topic)).toBe(true));
  expect(left.splice(0)).toEqual(even);
  expect(topics.filter((topic) => ws.isSubscribed(topic))).toEqual(odd);
  expect(topics.map((topic) => room.app.numSubscribers(topic)).reduce((sum, count) => sum + count)).toBe(COUNT * 1.5);
  topics.forEach((topic) => room.app.publish(topic, topic));
  ws.send('the end');
  for (const topic of odd) expect((await client.frame())[1]).toBe(topic);
  expect((await client.frame())[1]).toBe('the end');
  ws.end(4000);
  expect([...left].sort()).toEqual([...odd].sort());
  expect(topics.every((topic) => room.app.numSubscribers(topic) === 1)).toBe(true);
  topics.forEach((topic) => room.app.publish(topic, topic));
  for (const topic of [...topics, ...topics]) expect((await other.client.frame())[1]).toBe(topic);
});

test('a storm of subscribes and unsubscribes keeps counts and recipients exact', async () => {
  const [PEOPLE, TOPICS, ROUNDS] = [20, 50, 20_000];
  const room = new Room({ maxBackpressure: 0 }, { threads: 2 });
  const people = [];
  while (people.length < PEOPLE) people.push(await room.enter());
  const members = Array.from({ length: TOPICS }, () => new Set());
  const expected = people.map(() => []);
  let seed = 1;
  const random = (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const [person, topic] = [random(PEOPLE), random(TOPICS)];
    const name = `topic ${topic}`;
    const was = members[topic].has(person);
    expect(people[person].ws.isSubscribed(name)).toBe(was);
    if (was) {
      expect(people[person].ws.unsubscribe(name)).toBe(members[topic].delete(person));
    } else {
      people[person].ws.subscribe(name);
      members[topic].add(person);
    }
    if (round % 20 > 0) continue;
    const target = random(TOPICS);
    expect(room.app.numSubscribers(`topic ${target}`)).toBe(members[target].size);
    expect(room.app.publish(`topic ${target}`, `${round}`)).toBe(members[target].size > 0);
    members[target].forEach((member) => expected[member].push(`${round}`));
  }
  for (const [index, { client, ws }] of people.entries()) {
    ws.send('the end');
    for (const message of [...expected[index], 'the end']) expect((await client.frame())[1]).toBe(message);
  }
});

test('topics may be left and entered while they are iterated, and inside any handler', async () => {
  const closed = new Mailbox();
  const room = new Room({
    maxBackpressure: 0,
    message(ws) {
      for (const topic of ws.getTopics()) {
        ws.unsubscribe(topic);
        ws.subscribe(`${topic}'`);
      }
    },
    subscription(ws, topic, now, before) {
      if (now > before) room.app.publish('log', `${text(topic)} +`);
    },
    close(ws) {
      const [first, second] = room.sockets;
      if (ws !== first) return;
      room.app.publish('log', 'closed');
      second.unsubscribe('log');
      closed.put(room.app.numSubscribers('log'));
    },
  });
  const [ada, bob] = [await room.enter(), await room.enter()];
  bob.ws.subscribe('log');
  ['a', 'b', 'c'].forEach((topic) => ada.ws.subscribe(topic));
  ada.client.sendText('turn');
  const seen = [];
  while (seen.length < 7) seen.push((await bob.client.frame())[1]);
  expect(seen).toEqual(['log +', 'a +', 'b +', 'c +', "a' +", "b' +", "c' +"]);
  expect(ada.ws.getTopics().sort()).toEqual(["a'", "b'", "c'"]);
  ada.client.reset();
  expect(await closed.take()).toBe(0);
  expect((await bob.client.frame())[1]).toBe('closed');
});
