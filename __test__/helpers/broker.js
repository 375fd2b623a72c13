'use strict';

// What tests of topics that processes share need, whichever broker it is.

const { once } = require('node:events');
const net = require('node:net');

const { afterTest } = require('./cleanup.js');
const { Member, PATIENCE } = require('./members.js');

/** A port of 127.0.0.1 at which nobody listens. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A process that is connected to its broker. */
async function connected(options, topics, env) {
  const member = await Member.process(options, topics, env);
  await member.state('connected');
  return member;
}

/** Waits until a condition holds of the statistics of a member. */
async function until(member, holds) {
  let latest;
  const tell = () => console.error(`not ${holds} after ${PATIENCE} ms: ${JSON.stringify(latest)}`);
  const timer = setTimeout(tell, PATIENCE);
  try {
    for (;;) {
      latest = await member.order('stats');
      if (holds(latest)) return latest;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The texts that a client receives up to `last`. */
async function upTo(client, last) {
  const texts = [];
  while (texts.at(-1) !== last) texts.push((await client.frame())[1]);
  return texts;
}

/** Two processes with such options whose clients are subscribed to `news`, and these clients. */
async function pairOf(...options) {
  const members = [];
  const clients = [];
  for (const its of options) members.push(await connected(its, ['news']));
  for (const member of members) {
    clients.push(await member.enter());
    await until(member, ({ subscribed }) => subscribed === 1);
  }
  return { members, clients };
}

/** Publishes a message, because what a process loses of another one that it has never heard of, it cannot know. */
async function acquaint([first], clients) {
  await first.order('publish', 'news', 'start');
  for (const client of clients) await upTo(client, 'start');
}

/**
 * Such a pair while its server is away: the own process is served, what waits is bounded by `maxPending`, the oldest are lost,
 * and the other process counts them.
 */
async function expectBoundedOutage(server, options) {
  const { members, members: [first, second], clients } = await pairOf(options, options);
  await acquaint(members, clients);
  await server.kill();
  await Promise.all(members.map((member) => member.state('disconnected')));
  const count = 1000;
  await first.order('publishMany', 'news', 0, count);
  expect((await upTo(clients[0], String(count - 1))).length).toBe(count);
  const { lost, pending } = await first.order('stats');
  expect(lost.sent).toBeGreaterThan(0);
  expect(pending).toBeLessThanOrEqual(options.broker.maxPending);
  await server.run();
  await Promise.all(members.map((member) => member.state('connected')));
  await until(first, ({ messages }) => messages.sent === 1 + count - lost.sent);
  await first.order('publish', 'news', 'end');
  await upTo(clients[1], 'end');
  const received = await second.order('stats');
  expect(received.messages.received + received.lost.received).toBe(1 + count - lost.sent + 1);
}

/** A process whose broker cannot be used for a reason with this code, of which it tells, while it is served by itself. */
async function expectServedAlone(options, code) {
  const member = await Member.process(options, ['news']);
  expect((await member.state('disconnected')).cause).toEqual({ code, message: expect.any(String) });
  const client = await member.enter();
  expect(await member.order('publish', 'news', 'here')).toBe(true);
  expect(await client.frame()).toEqual(['text', 'here']);
  expect((await member.order('stats')).state).toBe('disconnected');
}

/** A TCP server that does `act` with each connection; its port. */
async function scripted(act) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    act(socket);
  }).listen(0, '127.0.0.1');
  afterTest(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  await once(server, 'listening');
  return server.address().port;
}

module.exports = { acquaint, connected, expectBoundedOutage, expectServedAlone, freePort, pairOf, scripted, until, upTo };
