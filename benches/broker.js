'use strict';

// Publishes in one thread to the subscribers of two, or in one process to those of two: the rate, what each message costs the
// thread that receives it, and how long it takes. And what a broker costs where nobody else is.

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { WebSocket } = require('ws');
const { cpuOfEach } = require('./closed-loop.js');
const { ALONE, BROKERS, SHARING } = require('./contestants.js');
const { Load } = require('./processes.js');
const { atLeast, atMost, noMoreThan } = require('./targets.js');

/** Deliveries of so many bytes for each second that a closed loop would be measured: some of that second. */
const DELIVERIES = { 20: 20_000_000, 1024: 4_000_000 };

/** The measure for messages of so many bytes to so many subscribers of each of two threads. */
function sharing(label, size, subscribers) {
  return shared('broker', 'threads', SHARING, label, size, subscribers);
}

/** The same for two processes, over a Redis server. */
function overRedis(label, size, subscribers) {
  return shared('broker-redis', 'processes', BROKERS, label, size, subscribers);
}

function shared(key, peers, contestants, label, size, subscribers) {
  const crowd = subscribers.toLocaleString('en');
  const other = contestants[1].name;
  return {
    key,
    label,
    short: false,
    contestants,
    run: (server, settings) => run(server, settings, size, subscribers),
    rows: [
      {
        title: `publish ${label} to ${crowd} subscribers of each of two ${peers}: messages delivered/s`,
        figure: 'delivered_per_second',
        digits: 0,
        targets: { [other]: atLeast(2) },
      },
      {
        title: 'the same, CPU of the receiving Node thread per publish, µs',
        figure: 'receiver_us',
        digits: 2,
        targets: { [other]: noMoreThan(0.1, 'µs') },
      },
      { title: 'the same, CPU of all threads per delivered message, µs', figure: 'all_us', digits: 2 },
      { title: 'the same, CPU of the load clients, µs', figure: 'client_us', digits: 2 },
    ],
  };
}

/** How long a message takes from one process to a client of the other one. */
const latency = {
  key: 'broker-latency',
  label: '1,000/s',
  short: false,
  contestants: BROKERS,
  run: measureLatency,
  rows: [
    {
      title: '1,000 publishes a second in one process to a client of the other one: p50, µs',
      figure: 'p50',
      digits: 0,
      targets: { 'node-redis': atMost(0.7) },
    },
    { title: 'the same, p99, µs', figure: 'p99', digits: 0, targets: { 'node-redis': atMost(0.5) } },
  ],
};

/** What a broker costs where nobody else is subscribed. */
const alone = {
  key: 'broker-alone',
  label: 'nobody elsewhere',
  short: false,
  contestants: ALONE,
  run: measureAlone,
  rows: [
    {
      title: 'publish 20 B with a broker and nobody elsewhere: CPU of Node\'s thread, µs',
      figure: 'main',
      digits: 2,
      targets: { 'no broker': atMost(1.3) },
    },
    { title: 'the same, CPU of other threads, µs', figure: 'workers', digits: 2 },
  ],
};

/** The memory of a topic. */
const topics = {
  key: 'broker-topics',
  label: '100,000 topics',
  short: false,
  contestants: ALONE,
  run: measureTopics,
  rows: [
    {
      title: 'memory of one of 100,000 topics with one subscriber each, bytes',
      figure: 'bytes',
      digits: 0,
      targets: {
        'no broker': {
          words: (other) => `≤ 500 beside ${other}`,
          reached: (value, ratio) => value - value / ratio <= 500,
        },
      },
    },
  ],
};

/** Whether the server of Redis and the client that programs use are installed; the client may be named by REDIS_MODULE. */
function hasRedis() {
  try {
    require.resolve(process.env.REDIS_MODULE ?? 'redis');
    return spawnSync('redis-server', ['--version']).status === 0;
  } catch {
    return false;
  }
}

/** A client that is subscribed to `news`. */
async function subscribe(port) {
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  await once(client, 'open');
  return client;
}

async function measureLatency(server, { seconds }) {
  const client = await subscribe((await server.order('other')).port);
  const times = [];
  client.on('message', (data) => times.push(Number(process.hrtime.bigint() - BigInt(data.toString('latin1').trim())) / 1000));
  try {
    const count = Math.ceil(seconds * 1000);
    // The first ones find everything cold.
    await server.order('clock', { count: 300, rate: 1000 });
    while (times.length < 300) await once(client, 'message');
    times.length = 0;
    await server.order('clock', { count, rate: 1000 });
    while (times.length < count) await once(client, 'message');
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.floor((times.length - 1) * share)];
    return { p50: at(0.5), p99: at(0.99) };
  } finally {
    client.terminate();
  }
}

async function measureAlone(server, { publishBlocks }) {
  const client = await subscribe(server.port);
  client.resume();
  try {
    const order = { blocks: publishBlocks, turns: 20, together: 50, every: 1, size: 20 };
    const { main, workers } = await server.order('publish', order);
    return { main, workers };
  } finally {
    client.terminate();
  }
}

async function measureTopics(server) {
  const client = await subscribe(server.port);
  try {
    return await server.order('topics', { count: 100_000 });
  } finally {
    client.terminate();
  }
}

/** A short round to warm up, then the measured one; every delivery is counted. */
async function run(server, settings, size, subscribers) {
  const { port } = await server.order('other');
  const ports = [server.port, port];
  const publishes = Math.ceil((DELIVERIES[size] * settings.seconds) / (2 * subscribers));
  await deliver(server, settings, ports, size, subscribers, Math.ceil(publishes / 10));
  return deliver(server, settings, ports, size, subscribers, publishes);
}

async function deliver(server, { executable }, ports, size, subscribers, publishes) {
  const count = publishes * subscribers;
  const options = { connections: subscribers, count, seconds: 60 };
  const loads = ports.map((port) => new Load(executable, 'subscribe', { port, isSecure: server.isSecure }, options));
  try {
    for (const load of loads) await load.event('ready');
    // What reading costs the thread that is read is no cost of messages.
    const { receiver: unread } = await server.order('stats');
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
    const spent = after.receiver - before.receiver - (before.receiver - unread);
    const receiver = after.receiver === null ? null : spent / publishes;
    const client_us = (done.reduce((sum, { client_cpu_seconds: cpu }) => sum + cpu, 0) * 1e6) / (2 * count);
    return { delivered_per_second: (2 * count) / seconds, receiver_us: receiver, ...cpuOfEach(before, after, 2 * count), client_us };
  } finally {
    for (const load of loads) await load.end();
  }
}

/** The measures that need Redis. */
const redisMeasures = hasRedis() ? [overRedis('20 B', 20, 1_000), overRedis('1 KB', 1024, 1_000), latency, alone, topics] : [];

module.exports = { redisMeasures, sharing };
