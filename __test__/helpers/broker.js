'use strict';

// What tests of topics that processes share need, whichever broker it is.

const { once } = require('node:events');
const net = require('node:net');

const { afterTest } = require('./cleanup.js');
const { Member } = require('./members.js');

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
  for (;;) {
    const stats = await member.order('stats');
    if (holds(stats)) return stats;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** The texts that a client receives up to `last`. */
async function upTo(client, last) {
  const texts = [];
  while (texts.at(-1) !== last) texts.push((await client.frame())[1]);
  return texts;
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

module.exports = { connected, freePort, scripted, until, upTo };
