'use strict';

// Repeatedly publishes one message to many subscribers: the rate, and the CPU time of each delivery.

const { performance } = require('node:perf_hooks');
const { cpuOfEach } = require('./closed-loop.js');
const { PUBLISH } = require('./contestants.js');
const { Load } = require('./processes.js');
const { atLeast } = require('./targets.js');

/** Bytes of a message. */
const SIZE = 20;
/** Deliveries for each second that a closed loop would be measured. `ws` takes some two seconds for them. */
const DELIVERIES = 300_000;

/** The measure for so many subscribers, and how many times a peer's rate is to be reached. */
function fanOut(subscribers, ofPeer, key = 'fanout', contestants = PUBLISH) {
  const crowd = subscribers.toLocaleString('en');
  return {
    key,
    label: key === 'fanout' ? crowd : `fan-out to ${crowd}`,
    short: false,
    contestants,
    run: (server, settings) => run(server, settings, subscribers),
    rows: [
      {
        title: `fan-out to ${crowd} subscribers: messages delivered/s`,
        figure: 'delivered_per_second',
        digits: 0,
        targets: { ws: atLeast(4), peer: atLeast(ofPeer) },
      },
      { title: 'the same, Node-thread CPU per delivered message, µs', figure: 'main_us', digits: 4 },
      { title: 'the same, CPU of all threads per delivered message, µs', figure: 'all_us', digits: 2 },
    ],
  };
}

/** A short round to warm up, then the measured one; every delivery is counted. */
async function run(server, settings, subscribers) {
  const deliveries = DELIVERIES * settings.seconds;
  await deliver(server, settings, subscribers, Math.ceil(deliveries / 10 / subscribers));
  return deliver(server, settings, subscribers, Math.ceil(deliveries / subscribers));
}

async function deliver(server, { executable }, subscribers, publishes) {
  const deliveries = publishes * subscribers;
  const load = new Load(executable, 'subscribe', server, { connections: subscribers, count: deliveries, seconds: 60 });
  try {
    await load.event('ready');
    const before = await server.order('stats');
    const start = performance.now();
    const answer = server.order('fanout', { publishes, size: SIZE });
    const { messages } = await load.event('done');
    const seconds = (performance.now() - start) / 1000;
    await answer;
    const after = await server.order('stats');
    if (messages !== deliveries) {
      throw new Error(`${publishes} publishes to ${subscribers} subscribers, but ${messages} messages arrived`);
    }
    return { delivered_per_second: deliveries / seconds, ...cpuOfEach(before, after, deliveries) };
  } finally {
    await load.end();
  }
}

module.exports = { fanOut };
