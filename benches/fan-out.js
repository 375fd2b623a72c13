'use strict';

// One message to many, again and again: how fast it reaches all of them, and what each delivery costs Node's thread.

const { performance } = require('node:perf_hooks');
const { Load } = require('./processes.js');

const CONTESTANTS = [
  { name: 'ferrows', server: 'uws-publish.js' },
  { name: 'ws', server: 'ws-publish.js' },
];
/** Bytes of a message. */
const SIZE = 20;
/** Deliveries for each second that a closed loop would be measured. `ws` takes some two seconds for them. */
const DELIVERIES = 300_000;

/** The measure for so many subscribers. */
function fanOut(subscribers) {
  return {
    key: 'fanout',
    short: false,
    contestants: CONTESTANTS,
    run: (server, settings) => run(server, settings, subscribers),
    rows: [
      {
        title: `fan-out to ${subscribers.toLocaleString('en')} subscribers: messages delivered/s`,
        figure: 'delivered_per_second',
        digits: 0,
        target: '≥ 4× ws',
        reached: (rate, ratio) => ratio >= 4,
      },
      { title: 'the same, Node-thread CPU per delivered message, µs', figure: 'main_us', digits: 4 },
      { title: 'the same, I/O-thread CPU per delivered message, µs', figure: 'workers_us', digits: 2 },
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
    const each = (thread) => (after[thread] === null ? null : (after[thread] - before[thread]) / deliveries);
    return { delivered_per_second: deliveries / seconds, main_us: each('main'), workers_us: each('workers') };
  } finally {
    await load.end();
  }
}

module.exports = { fanOut };
