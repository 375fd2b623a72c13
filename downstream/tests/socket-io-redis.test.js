'use strict';

// Socket.IO in two processes that its own Redis adapter connects: the publishes of the adapter become those of the app.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');
const { io } = require('socket.io-client');

const { RedisServer, afterTest, hasRedis, test } = require('../helpers/project.js');
const { next } = require('../helpers/waiting.js');

const PROGRAM = join(__dirname, '../programs/socket-io-redis.js');

/** Options of a test that needs a server. */
const WITH_REDIS = { skip: hasRedis ? false : 'there is no redis-server here' };

/** A process with a Socket.IO server. */
class Process {
  static async start(url, adapter) {
    const child = fork(PROGRAM, [url, adapter]);
    const ended = once(child, 'exit');
    afterTest(() => {
      child.kill('SIGKILL');
      return ended;
    });
    const started = new Process();
    started.pid = child.pid;
    [started.port] = await Promise.race([once(child, 'message'), ended.then(() => assert.fail('the program has ended'))]);
    return started;
  }

  /** A client that is connected. */
  async enter(transports = ['websocket']) {
    const client = new Client(this.port, transports);
    await next(client.socket, 'connect');
    return client;
  }
}

/** A client, and the events that it has received. */
class Client {
  received = [];

  constructor(port, transports) {
    this.socket = io(`http://127.0.0.1:${port}`, { forceNew: true, reconnection: false, transports });
    afterTest(() => this.socket.disconnect());
    this.socket.onAny((event, ...words) => this.received.push([event, ...words]));
  }

  /** Has its server do something; what that results in. */
  order(order, ...words) {
    return this.socket.timeout(20_000).emitWithAck(order, ...words);
  }
}

/** Two processes that know each other. */
async function pair(adapter) {
  const { url } = await RedisServer.start();
  const processes = [await Process.start(url, adapter), await Process.start(url, adapter)];
  for (const each of processes) {
    const client = await each.enter();
    while (await client.order('servers') !== 2);
    client.socket.disconnect();
  }
  return processes;
}

/** Four clients, by WebSocket and by long polling of each process, in this order. */
async function crowd(adapter) {
  const processes = await pair(adapter);
  const clients = [];
  for (const each of processes) {
    for (const transport of ['websocket', 'polling']) clients.push(await each.enter([transport]));
  }
  return { processes, clients };
}

/** Waits until each client has what a last broadcast of each process brings, and returns what came before. */
async function settled(clients) {
  const ends = clients.map(({ socket }) => Promise.all(['end of first', 'end of second'].map((end) => next(socket, end))));
  await clients[0].order('to all', 'end of first');
  await clients.at(-1).order('to all', 'end of second');
  await Promise.all(ends);
  return clients.map(({ received }) => received.filter(([event]) => !event.startsWith('end')));
}

for (const adapter of ['pub/sub', 'sharded pub/sub']) {
  const name = `Socket.IO with its Redis adapter (${adapter})`;

  test(`${name}: broadcasts reach everybody in both processes once, in order, text and binary`, async () => {
    const { clients } = await crowd(adapter);
    const bytes = randomBytes(70_000);
    for (let number = 0; number < 100; number++) await clients[0].order('to all', 'news', number, 'é✓');
    await clients[0].order('to all', 'bytes', bytes);
    for (const received of await settled(clients)) {
      assert.deepEqual(received.slice(0, -1), Array.from({ length: 100 }, (_, number) => ['news', number, 'é✓']));
      assert.ok(Buffer.from(received.at(-1)[1]).equals(bytes));
    }
  }, WITH_REDIS);

  test(`${name}: rooms have members in both processes; the sender, and another room, can be left out`, async () => {
    const { clients } = await crowd(adapter);
    const [first, second, third, fourth] = clients;
    for (const client of [first, second, third]) await client.order('join', 'room');
    await first.order('to room', 'room', 'a');
    await third.order('to room', 'room', 'b');
    await first.order('to others', 'room', 'c');
    await fourth.order('to all but', 'room', 'd');
    await settled(clients);
    await third.order('leave', 'room');
    await first.order('to room', 'room', 'e');
    const events = (await settled(clients)).map((received) => received.map(([event]) => event).sort());
    assert.deepEqual(events, [['a', 'b', 'e'], ['a', 'b', 'c', 'e'], ['a', 'b', 'c'], ['d']]);
  }, WITH_REDIS);

  test(`${name}: what asks all processes: members, acknowledgements, joining, disconnecting`, async () => {
    const { clients, processes } = await crowd(adapter);
    const [first, second, third, fourth] = clients;
    for (const client of clients) await client.order('join', 'room');
    const ids = (list) => list.map(({ socket }) => socket.id).sort();
    assert.deepEqual((await first.order('members', 'room')).sort(), ids(clients));
    assert.deepEqual(await first.order('ask servers'), [processes[1].pid]);
    clients.forEach(({ socket }, index) => socket.on('which', (answer) => answer(index)));
    assert.deepEqual((await fourth.order('ask', 'room', 'which')).sort(), [0, 1, 2, 3]);
    await first.order('move in', third.socket.id, 'small');
    while ((await third.order('members', 'small')).length === 0);
    const told = next(third.socket, 'told');
    await second.order('to room', 'small', 'told', 'you');
    assert.equal(await told, 'you');
    const away = next(fourth.socket, 'disconnect');
    await first.order('send away', fourth.socket.id);
    assert.equal(await away, 'io server disconnect');
    assert.deepEqual((await third.order('members', 'room')).sort(), ids([first, second, third]));
  }, WITH_REDIS);

  test(`${name}: a process that is killed takes only its own clients with it`, async () => {
    const { clients, processes } = await crowd(adapter);
    const [first, second, third] = clients;
    const gone = next(third.socket, 'disconnect');
    process.kill(processes[1].pid, 'SIGKILL');
    await gone;
    const told = [first, second].map(({ socket }) => next(socket, 'told'));
    await first.order('to all', 'told', 'still here');
    assert.deepEqual(await Promise.all(told), ['still here', 'still here']);
  }, WITH_REDIS);
}
