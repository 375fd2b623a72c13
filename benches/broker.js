'use strict';

// Publishes in one thread to the subscribers of two: the rate, and what each message costs the thread that receives it.

const { performance } = require('node:perf_hooks');
const { cpuOfEach } = require('./closed-loop.js');
const { SHARING } = require('./contestants.js');
const { Load } = require('./processes.js');
const { atLeast, noMoreThan } = require('./targets.js');

/** Deliveries for each second that a closed loop would be measured. */
const DELIVERIES = 600_000;

/** The measure for messages of so many bytes to so many subscribers of each thread. */
function sharing(label, size, subscribers) {
  const crowd = subscribers.toLocaleString('en');
  return {
    key: 'broker',
    label,
    short: false,
    contestants: SHARING,
    run: (server, settings) => run(server, settings, size, subscribers),
    rows: [
      {
        title: `publish ${label} to ${crowd} subscribers of each of two threads: messages delivered/s`,
        figure: 'delivered_per_second',
        digits: 0,
        targets: { BroadcastChannel: atLeast(2) },
      },
      {
        title: 'the same, CPU of the receiving Node thread per publish, µs',
        figure: 'receiver_us',
        digits: 2,
        targets: { BroadcastChannel: noMoreThan(0.1, 'µs') },
      },
      { title: 'the same, CPU of all threads per delivered message, µs', figure: 'all_us', digits: 2 },
    ],
  };
}

/** A short round to warm up, then the measured one; every delivery is counted. */
async function run(server, settings, size, subscribers) {
  const { port } = await server.order('other');
  const ports = [server.port, port];
  const publishes = Math.ceil((DELIVERIES * settings.seconds) / (2 * subscribers));
  await deliver(server, settings, ports, size, subscribers, Math.ceil(publishes / 10));
  return deliver(server, settings, ports, size, subscribers, publishes);
}

async function deliver(server, { executable }, ports, size, subscribers, publishes) {
  const count = publishes * subscribers;
  const options = { connections: subscribers, count, seconds: 60 };
  const loads = ports.map((port) => new Load(executable, 'subscribe', { port, isSecure: server.isSecure }, options));
  try {
    for (const load of loads) await load.event('ready');
    const before = await server.order('stats');
    const start = performance.now();
    const answer = server.order('fanout', { publishes, size });
    const done = await Promise.all(loads.map((load) => load.event('done')));
    const seconds = (performance.now() - start) / 1000;
    await answer;
    const after = await server.order('stats');
    for (const { messages } of done) {
      if (messages !== count) throw new Error(`${publishes} publishes to ${subscribers} subscribers, but ${messages} messages arrived`);
    }
    const receiver = after.receiver === null ? null : (after.receiver - before.receiver) / publishes;
    return { delivered_per_second: (2 * count) / seconds, receiver_us: receiver, ...cpuOfEach(before, after, 2 * count) };
  } finally {
    for (const load of loads) await load.end();
  }
}

module.exports = { sharing };
