'use strict';

// What is measured: each measure runs one server under one load and returns figures; its rows turn them into lines of
// the table, with the targets to reach.

const { certificate } = require('../__test__/helpers/certificates.js');
const { fanOut } = require('./fan-out.js');
const { Load, Server } = require('./processes.js');

/**
 * @typedef {object} Row
 * @property {string} title
 * @property {string} figure Which of the figures this line shows.
 * @property {number} digits Decimals shown.
 * @property {string} [target] The target in words.
 * @property {(value: number, ratio: number) => boolean} [reached] Of the first contestant's median and of the median
 *   ratio to the second.
 *
 * @typedef {object} Measure
 * @property {string} key For `--only`; several measures may share one.
 * @property {boolean} short Part of `--short`.
 * @property {Contestant[]} contestants The first is what the ratios are about, the second what it is compared with.
 * @property {(server: Server, settings: object) => Promise<object>} run
 * @property {Row[]} rows
 *
 * @typedef {{ name: string, server: string, env?: object }} Contestant
 */

const RATE = 'per_second';
const NODE_CPU = 'main_us';

const ECHO = [
  { name: 'ferrows', server: 'uws-echo.js' },
  { name: 'ws', server: 'ws-echo.js' },
];
const DEFLATED_ECHO = ECHO.map((contestant) => ({ ...contestant, env: { DEFLATE: '1' } }));
const BUSY_ECHO = ECHO.map((contestant) => ({ ...contestant, env: { BUSY_MS: '5' } }));
const TEXTS = [
  { name: 'string', server: 'uws-text.js', env: { TEXT: 'string' } },
  { name: 'TextDecoder', server: 'uws-text.js', env: { TEXT: 'arraybuffer' } },
];
const PUBLISH = [
  { name: 'ferrows', server: 'uws-publish.js' },
  { name: 'ws', server: 'ws-publish.js' },
];

const BODIES = [
  { name: 'ferrows', server: 'uws-bodies.js' },
  { name: 'node:http', server: 'node-bodies.js' },
];

const SECURE_BODIES = [
  { name: 'ferrows', server: 'uws-bodies.js' },
  { name: 'node:https', server: 'node-bodies.js' },
].map(secured);

/** @type {Measure[]} */
const measures = [
  {
    key: 'echo',
    short: true,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20 }),
    rows: [
      {
        title: 'echo 20 B, 64 connections, one at a time: messages/s',
        figure: RATE,
        digits: 0,
        target: '≥ 2.0× ws',
        reached: (rate, ratio) => ratio >= 2.0,
      },
      nodeCpuPerMessage('64 connections, one at a time'),
    ],
  },
  {
    key: 'echo20',
    short: true,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 20, size: 20 }),
    rows: [
      {
        title: 'echo 20 B, 64 connections, 20 in flight each: messages/s',
        figure: RATE,
        digits: 0,
        target: '≥ 8× ws',
        reached: (rate, ratio) => ratio >= 8,
      },
      nodeCpuPerMessage('64 connections, 20 in flight each'),
    ],
  },
  larger('1 KB', 1024),
  larger('64 KB', 64 * 1024),
  deflated('20 B', 20),
  deflated('1 KB', 1024),
  deflated('64 KB', 64 * 1024),
  {
    key: 'http',
    short: true,
    contestants: [
      { name: 'ferrows', server: 'uws-hello.js' },
      { name: 'node:http', server: 'node-http.js' },
      { name: 'bare', server: 'bare' },
    ],
    run: closedLoop('http', { connections: 64 }),
    rows: [
      {
        title: 'GET hello world, 64 connections: requests/s',
        figure: RATE,
        digits: 0,
        target: '≥ 2.6× node:http',
        reached: (rate, ratio) => ratio >= 2.6,
      },
      { title: 'Node-thread CPU per request, µs', figure: NODE_CPU, digits: 2 },
    ],
  },
  requests('100 headers, 64 connections: requests/s', 'headers', { connections: 64, fields: 97 }, 2.5),
  requests('POST 1 KB, 64 connections: requests/s', 'post', { connections: 64, body: 1024 }, 2.5),
  requests('POST 1 MB, 8 connections: requests/s', 'upload', { connections: 8, body: 1_000_000 }, 1, 0.5),
  requests('a response of 100 MB in pieces, 4 connections: responses/s', 'stream', { connections: 4, path: '/stream' }, 1, 0.5),
  secureEcho('20 B', 20, 2.5),
  secureEcho('16 KB', 16 * 1024),
  handshakes('full TLS handshakes', {}),
  handshakes('resumed TLS handshakes', { resume: true }),
  overTls(requests('a response of 100 MB over TLS, 4 connections: responses/s', 'tls-stream', { connections: 4, path: '/stream' }, 1, 0.5)),
  {
    key: 'tls-idle',
    short: false,
    contestants: ECHO.map(secured),
    run: (server, settings) => idle(server, settings, 2_000),
    rows: [{ title: 'RSS per idle WebSocket over TLS, 2,000 open, bytes', figure: 'bytes', digits: 0 }],
  },
  publishing(10),
  publishing(100),
  { ...publishing(1000), short: true },
  publishing(1000, 10),
  fanOut(100),
  fanOut(1_000),
  fanOut(10_000),
  {
    key: 'latency',
    short: false,
    contestants: BUSY_ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20, think: 10_000 }),
    rows: [
      latency("echo 20 B, some 6,000/s, while Node's thread works 5 ms ten times a second: p50, µs", 'p50_us'),
      latency('the same, p99, µs', 'p99_us'),
      latency('the same, p99.9, µs', 'p999_us'),
    ],
  },
  texts('20 B', 20),
  texts('1 KB', 1024),
  {
    key: 'idle',
    short: false,
    contestants: ECHO,
    run: idle,
    rows: [
      {
        title: 'RSS per idle WebSocket, 10,000 open, bytes',
        figure: 'bytes',
        digits: 0,
        target: '≤ 1,100 bytes',
        reached: (bytes) => bytes <= 1100,
      },
    ],
  },
  {
    key: 'pingpong',
    short: false,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 1, 'in-flight': 1, size: 20 }),
    rows: [{ title: 'echo 20 B, one connection, one at a time: median latency, µs', figure: 'p50_us', digits: 1 }],
  },
  {
    key: 'tracing',
    short: false,
    contestants: [
      { name: 'off', server: 'uws-echo.js', env: { FERROWS_LOG: undefined } },
      { name: 'FERROWS_LOG=error', server: 'uws-echo.js', env: { FERROWS_LOG: 'error' } },
    ],
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20 }),
    rows: [
      { title: 'echo with tracing off, compared with level error: messages/s', figure: RATE, digits: 0 },
      { title: 'the same, Node-thread CPU per message, µs', figure: NODE_CPU, digits: 2 },
      { title: 'the same, I/O-thread CPU per message, µs', figure: 'workers_us', digits: 2 },
    ],
  },
];

function nodeCpuPerMessage(load) {
  return {
    title: `Node-thread CPU per echoed message, ${load}, µs`,
    figure: NODE_CPU,
    digits: 2,
    target: '≤ 1.6 µs, or ≤ 0.17 of ws',
    reached: (microseconds, ratio) => microseconds <= 1.6 || ratio <= 0.17,
  };
}

/** Echo of larger messages. */
function larger(title, size) {
  return {
    key: 'echo-size',
    short: false,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size }),
    rows: [
      { title: `echo ${title}, 64 connections, one at a time: messages/s`, figure: RATE, digits: 0 },
      { title: 'the same, Node-thread CPU per message, µs', figure: NODE_CPU, digits: 2 },
    ],
  };
}

function latency(title, figure) {
  return { title, figure, digits: 0 };
}

/** Echo of texts that the application gets as strings, or decodes. */
function texts(title, size) {
  return {
    key: 'text',
    short: false,
    contestants: TEXTS,
    run: closedLoop('echo', { connections: 64, 'in-flight': 20, size }),
    rows: [
      { title: `echo ${title} as a string, compared with an ArrayBuffer that is decoded: messages/s`, figure: RATE, digits: 0 },
      { title: 'the same, Node-thread CPU per message, µs', figure: NODE_CPU, digits: 2 },
    ],
  };
}

/** Echo of messages that are compressed both ways, each on its own. */
function deflated(title, size) {
  return {
    key: 'deflate',
    short: false,
    contestants: DEFLATED_ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size, deflate: true }),
    rows: [
      {
        title: `compressed echo ${title}, 64 connections, one at a time: messages/s`,
        figure: RATE,
        digits: 0,
        target: '≥ 3× ws',
        reached: (rate, ratio) => ratio >= 3,
      },
      {
        title: 'the same, Node-thread CPU per message, µs',
        figure: NODE_CPU,
        digits: 2,
        target: '≤ 0.1 of ws',
        reached: (microseconds, ratio) => ratio <= 0.1,
      },
      { title: 'the same, I/O-thread CPU per message, µs', figure: 'workers_us', digits: 2 },
    ],
  };
}

/** Requests in a closed loop: the least ratio of their rates, and the largest of the CPU time on Node's thread. */
function requests(title, key, load, rate, cpu) {
  const target = cpu === undefined ? {} : { target: `≤ ${cpu} of node:http`, reached: (value, ratio) => ratio <= cpu };
  return {
    key,
    short: false,
    contestants: BODIES,
    run: closedLoop('http', load),
    rows: [
      { title, figure: RATE, digits: 0, target: `≥ ${rate}× node:http`, reached: (value, ratio) => ratio >= rate },
      { title: `the same, Node-thread CPU, µs`, figure: NODE_CPU, digits: 2, ...target },
    ],
  };
}

/** The same contestant with TLS. The certificate is made when it is first needed. */
function secured(contestant) {
  return {
    ...contestant,
    get env() {
      const { key_file_name, cert_file_name } = certificate();
      return { TLS_KEY: key_file_name, TLS_CERT: cert_file_name };
    },
  };
}

/** A measure of requests, compared with `node:https`. */
function overTls(measure) {
  const rows = measure.rows.map((row) => ({ ...row, target: row.target?.replace('node:http', 'node:https') }));
  return { ...measure, contestants: SECURE_BODIES, rows };
}

/** Echo over TLS. */
function secureEcho(title, size, least) {
  const target = least === undefined ? {} : { target: `≥ ${least}× ws`, reached: (rate, ratio) => ratio >= least };
  return {
    key: 'tls-echo',
    short: false,
    contestants: ECHO.map(secured),
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size }),
    rows: [
      { title: `echo ${title} over TLS, 64 connections, one at a time: messages/s`, figure: RATE, digits: 0, ...target },
      { title: 'the same, Node-thread CPU per message, µs', figure: NODE_CPU, digits: 2 },
      { title: 'the same, I/O-thread CPU per message, µs', figure: 'workers_us', digits: 2 },
    ],
  };
}

/** New connections, each with one small request, four at a time. */
function handshakes(title, load) {
  return {
    key: 'tls-handshake',
    short: false,
    contestants: SECURE_BODIES,
    run: closedLoop('handshake', { connections: 4, ...load }),
    rows: [
      { title: `${title}, each with a GET: connections/s`, figure: RATE, digits: 0, target: '≥ 1× node:https', reached: (rate, ratio) => ratio >= 1 },
      { title: 'the same, Node-thread CPU per connection, µs', figure: NODE_CPU, digits: 1 },
      { title: 'the same, I/O-thread CPU per connection, µs', figure: 'workers_us', digits: 1 },
    ],
  };
}

/** Publishes to so many subscribers, so many of them in each turn of the event loop. */
function publishing(subscribers, together = 1) {
  const target = { target: '≤ 10 µs', reached: (microseconds) => microseconds <= 10 };
  return {
    key: 'publish',
    short: false,
    contestants: PUBLISH,
    run: (server, settings) => publish(server, settings, subscribers, together),
    rows: [
      {
        title:
          `publish to ${subscribers.toLocaleString('en')} subscribers, ` +
          `${together === 1 ? 'one' : together} at a time: Node-thread CPU per publish, µs`,
        figure: NODE_CPU,
        digits: 1,
        ...(subscribers === 1000 ? target : {}),
      },
    ],
  };
}

/** Echo or GET in a closed loop; CPU per answered message, exact because nothing is on its way at either reading. */
function closedLoop(mode, options) {
  return async (server, { executable, seconds, warmUp }) => {
    const load = new Load(executable, mode, server, { ...options, seconds, 'warm-up': warmUp, gate: true });
    try {
      await load.event('warm');
      const before = await server.order('stats');
      load.write('go');
      const done = await load.event('done');
      const after = await server.order('stats');
      const each = (total) => (total === null ? null : total / done.answered);
      return {
        per_second: done.messages_per_second ?? done.requests_per_second,
        main_us: each(difference(after.main, before.main)),
        workers_us: each(difference(after.workers, before.workers)),
        client_us: each(done.client_cpu_seconds * 1e6),
        p50_us: done.p50_us,
        p99_us: done.p99_us,
        p999_us: done.p999_us,
      };
    } finally {
      await load.end();
    }
  };
}

/** Every delivery is counted. */
async function publish(server, { executable, publishBlocks }, subscribers, together) {
  const order = { blocks: publishBlocks, turns: 10, together, every: 5 * together, size: 20 };
  const load = new Load(executable, 'subscribe', server, {
    connections: subscribers,
    count: (order.blocks + 1) * order.turns * together * subscribers,
    seconds: 60,
  });
  try {
    await load.event('ready');
    const { published, main, workers } = await server.order('publish', order);
    const { messages } = await load.event('done');
    if (messages !== published * subscribers) {
      throw new Error(`${published} publishes to ${subscribers} subscribers, but ${messages} messages arrived`);
    }
    return { main_us: main, workers_us: workers };
  } finally {
    await load.end();
  }
}

/** Growth of RSS by 10,000 WebSockets; a thousand are there before, so that code and pools exist already. */
async function idle(server, { executable }, count = 10_000) {
  const first = new Load(executable, 'idle', server, { connections: 1_000 });
  let crowd;
  try {
    await first.event('ready');
    const before = await server.order('stats', { settle: true });
    crowd = new Load(executable, 'idle', server, { connections: count });
    await crowd.event('ready');
    const after = await server.order('stats', { settle: true });
    const growth = difference(after.rss, before.rss);
    return { bytes: growth === null ? null : growth / count };
  } finally {
    await Promise.all([first.end(), crowd?.end()]);
  }
}

function difference(after, before) {
  return after === null || before === null ? null : after - before;
}

/** Runs one contestant of a measure once, in a process of its own. */
async function runOnce(measure, contestant, settings) {
  const server = await Server.start(contestant.server, { ...settings.env, ...contestant.env }, settings.executable);
  try {
    return await measure.run(server, settings);
  } finally {
    await server.end();
  }
}

module.exports = { measures, runOnce };
