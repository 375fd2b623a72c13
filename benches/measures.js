'use strict';

// What is measured: each measure runs one server under one load and returns figures; its rows turn them into lines of
// the table, with the targets to reach, and its points put them into the pictures.

const { redisMeasures, sharing } = require('./broker.js');
const { closedLoop } = require('./closed-loop.js');
const { BODIES, ECHO, HELLO, SECURE_BODIES, WS_API, environment, secured, withVariables } = require('./contestants.js');
const { fanOut } = require('./fan-out.js');
const { flood } = require('./flood.js');
const { http2Measures } = require('./http2.js');
const { http3Measures } = require('./http3.js');
const { idle } = require('./memory.js');
const { Server } = require('./processes.js');
const { publishing } = require('./publish.js');
const { atLeast, atMost, either, noMoreThan } = require('./targets.js');

/**
 * @typedef {object} Row
 * @property {string} title
 * @property {string} figure Which of the figures this line shows.
 * @property {number} digits Decimals shown.
 * @property {Record<string, import('./targets.js').Target>} [targets] By the name of the contestant that the first one
 *   is compared with; `peer` stands for the first `--peer`.
 *
 * @typedef {object} Point
 * @property {string} picture One of `pictures.js`.
 * @property {string} place Where on its axis.
 * @property {string} figure
 *
 * @typedef {object} Measure
 * @property {string} key For `--only`; several measures may share one.
 * @property {string} [label] Distinguishes those.
 * @property {boolean} short Part of `--short`.
 * @property {import('./contestants.js').Contestant[]} contestants
 * @property {{ server: string, load: string }} [cores] Where the two processes run, as `taskset --cpu-list` has it; without
 *   them, wherever the system likes.
 * @property {string} [command] A program that the measure needs, and is left out without.
 * @property {(server: Server, settings: object, contestant: import('./contestants.js').Contestant) => Promise<object>} run
 * @property {Row[]} rows
 * @property {Point[]} [points]
 */

const TEXTS = [
  { name: 'string', server: 'uws-text.js', env: { TEXT: 'string' } },
  { name: 'TextDecoder', server: 'uws-text.js', env: { TEXT: 'arraybuffer' } },
];
const TRACING = [
  { name: 'off', server: 'uws-echo.js', env: { FERROWS_LOG: undefined } },
  { name: 'FERROWS_LOG=error', server: 'uws-echo.js', env: { FERROWS_LOG: 'error' } },
];

/** The target for the CPU time of a message on Node's thread. */
const FEW_MICROSECONDS = { ws: either(noMoreThan(1.6, 'µs'), atMost(0.17)) };

const STREAM = { connections: 4, path: '/stream' };

/** @type {Measure[]} */
const measures = [
  echo('pingpong', 1, {
    short: true,
    targets: { all: { peer: atMost(1.05) } },
    rows: [latency('the same: p50, µs', 'p50_us', { ws: atMost(0.9), peer: atMost(1.05) }, 1)],
  }),
  echo('few', 8, { targets: { rate: { peer: atLeast(1) } } }),
  echo('echo', 64, { short: true, targets: { rate: { ws: atLeast(2), peer: atLeast(1.05) }, main: FEW_MICROSECONDS } }),
  echo('many', 500),
  echo('many', 5_000),
  {
    key: 'echo20',
    short: true,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 20, size: 20 }),
    rows: rates('echo 20 B, 64 connections, 20 in flight each: messages/s', 'message', {
      rate: { ws: atLeast(8), peer: atLeast(1.2) },
      main: FEW_MICROSECONDS,
    }),
  },
  larger('1 KB', 1024),
  larger('64 KB', 64 * 1024, { peer: atLeast(1) }),
  paced(1_000),
  paced(5_000, { all: { peer: atMost(1.05) }, p50: { peer: atMost(1.1) } }),
  paced(20_000),
  paced(50_000),
  paced(100_000),
  oneCore(1, atLeast(1)),
  oneCore(20, atLeast(1.1)),
  working(1),
  working(20),
  {
    key: 'latency',
    short: false,
    contestants: withVariables(ECHO, { BUSY_MS: '5' }),
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20, think: 10_000 }),
    rows: [
      latency("echo 20 B, some 6,000/s, while Node's thread works 5 ms ten times a second: p50, µs", 'p50_us'),
      latency('the same, p99, µs', 'p99_us'),
      latency('the same, p99.9, µs', 'p999_us'),
    ],
  },
  {
    key: 'blocked',
    short: true,
    contestants: withVariables(ECHO, { BUSY_MS: '50' }),
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20, think: 10_000, ping: true }),
    rows: [
      latency('pongs, 64 connections, some 6,000/s, while Node works 50 of every 100 ms: p50, µs', 'p50_us'),
      latency('the same, p99, µs', 'p99_us', { ws: noMoreThan(4_000, 'µs'), peer: noMoreThan(4_000, 'µs') }),
    ],
  },
  flood(50),
  deflated('20 B', 20, atLeast(1)),
  deflated('1 KB', 1024, atLeast(1.2)),
  deflated('64 KB', 64 * 1024, atLeast(3)),
  hello('http10', 10, {}),
  hello('http', 64, { 'node:http': atLeast(2.6) }),
  requests('100 headers, 64 connections: requests/s', 'headers', { connections: 64, fields: 97 }, 2.5),
  requests('POST 1 KB, 64 connections: requests/s', 'post', { connections: 64, body: 1024 }, 2.5),
  requests('POST 1 MB, 8 connections: requests/s', 'upload', { connections: 8, body: 1_000_000 }, 1, 0.5),
  requests('a response of 100 MB in pieces, 4 connections: responses/s', 'stream', STREAM, 1, 0.5),
  secureEcho('20 B', 20, { ws: atLeast(2.5), peer: atLeast(1) }),
  secureEcho('16 KB', 16 * 1024, { peer: atLeast(1) }),
  handshakes('full', {}),
  handshakes('resumed', { resume: true }),
  overTls(requests('a response of 100 MB over TLS, 4 connections: responses/s', 'tls-stream', STREAM, 1, 0.5)),
  ...http2Measures,
  ...http3Measures,
  publishing(10),
  publishing(100),
  { ...publishing(1000), short: true },
  publishing(1000, 10),
  fanOut(100, 2),
  fanOut(1_000, 1.8),
  fanOut(10_000, 1.9),
  sharing('20 B', 20, 1_000),
  sharing('1 KB', 1024, 1_000),
  ...redisMeasures,
  wsApi('one connection, one at a time', { connections: 1, 'in-flight': 1, size: 20 }, {}, {}, { ws: atMost(1) }),
  wsApi('64 connections, one at a time', { connections: 64, 'in-flight': 1, size: 20 }, { ws: atLeast(1.3) }, { ws: atMost(0.35) }),
  wsApi('64 connections, 20 in flight each', { connections: 64, 'in-flight': 20, size: 20 }, { ws: atLeast(3) }, { ws: atMost(0.35) }),
  wsApi('compressed 1 KB, 64 connections', { connections: 64, 'in-flight': 1, size: 1024, deflate: true }, { ws: atLeast(3) }),
  fanOut(1_000, 0, 'ws-api', WS_API.publish),
  {
    ...silent('ws-api', 'RSS per idle WebSocket of ferrows/ws, 10,000 open, bytes', WS_API.echo, 10_000, 'ws API', { ws: atMost(0.5) }),
    label: 'idle',
    points: [],
  },
  texts('20 B', 20),
  texts('1 KB', 1024),
  silent('idle', 'RSS per idle WebSocket, 10,000 open, bytes', ECHO, 10_000, 'in clear', {
    ws: noMoreThan(1100, 'bytes'),
    peer: atMost(1.1),
  }),
  silent('tls-idle', 'RSS per idle WebSocket over TLS, 2,000 open, bytes', secured(ECHO), 2_000, 'over TLS', {
    peer: atMost(1.3),
  }),
  {
    key: 'tracing',
    short: false,
    contestants: TRACING,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: 20 }),
    rows: rates('echo with tracing off, compared with level error: messages/s', 'message'),
  },
  // Last, because closed connections stay in TIME_WAIT for a minute.
  visits('accept', 'new connections', 'new connections, each with a GET: connections/s', BODIES, {}, {
    'node:http': atLeast(1),
    peer: atLeast(1),
  }),
];

/** A rate, and what each message of it costs. */
function rates(title, each, targets = {}, digits = 2) {
  return [
    { title, figure: 'per_second', digits: 0, targets: targets.rate },
    { title: `the same, Node-thread CPU per ${each}, µs`, figure: 'main_us', digits, targets: targets.main },
    { title: `the same, CPU of all threads per ${each}, µs`, figure: 'all_us', digits, targets: targets.all },
  ];
}

function latency(title, figure, targets, digits = 0) {
  return { title, figure, digits, targets };
}

/** Echo of small messages, one on its way on each of so many connections. */
function echo(key, connections, { short = false, targets, rows = [] } = {}) {
  const place = connections.toLocaleString('en');
  const title = `echo 20 B, ${connections === 1 ? 'one connection' : `${place} connections`}, one at a time: messages/s`;
  return {
    key,
    label: place,
    short,
    contestants: ECHO,
    run: closedLoop('echo', { connections, 'in-flight': 1, size: 20 }),
    rows: [...rates(title, 'message', targets), ...rows],
    points: [
      { picture: 'rate', place, figure: 'per_second' },
      { picture: 'cpu', place, figure: 'all_us' },
      { picture: 'node-cpu', place, figure: 'main_us' },
    ],
  };
}

/** Echo of larger messages. */
function larger(size, bytes, rate) {
  return {
    key: 'echo-size',
    label: size,
    short: false,
    contestants: ECHO,
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: bytes }),
    rows: rates(`echo ${size}, 64 connections, one at a time: messages/s`, 'message', { rate }),
  };
}

/** A program of ws, on `ferrows/ws` and on ws. */
function wsApi(label, load, rate, main, p50) {
  const title = `echo of ferrows/ws, ${label}: messages/s`;
  return {
    key: 'ws-api',
    label,
    short: false,
    contestants: load.deflate ? withVariables(WS_API.echo, { DEFLATE: '1' }) : WS_API.echo,
    run: closedLoop('echo', load),
    rows: [...rates(title, 'message', { rate, main }), latency('the same: p50, µs', 'p50_us', p50, 1)],
  };
}

/** A thousand connections that together send so many messages a second. */
function paced(perSecond, targets = {}) {
  const place = perSecond.toLocaleString('en');
  const connections = 1_000;
  return {
    key: 'paced',
    label: place,
    short: false,
    contestants: ECHO,
    run: closedLoop('echo', { connections, 'in-flight': 1, size: 20, think: Math.round((connections * 1e6) / perSecond) }),
    rows: [
      ...rates(`echo 20 B, 1,000 connections, some ${place} messages/s in all: messages/s`, 'message', targets),
      latency('the same: p50, µs', 'p50_us', targets.p50),
      latency('the same: p99, µs', 'p99_us'),
    ],
    points: [
      { picture: 'latency-p50', place, figure: 'p50_us' },
      { picture: 'latency-p99', place, figure: 'p99_us' },
    ],
  };
}

/** A server that has one core for all its threads, and a load client that has another. */
function oneCore(inFlight, target) {
  return {
    key: 'one-core',
    label: `64 × ${inFlight}`,
    short: false,
    contestants: ECHO,
    cores: { server: '0', load: '1' },
    run: closedLoop('echo', { connections: 64, 'in-flight': inFlight, size: 20 }),
    rows: rates(`echo 20 B, 64 connections, ${inFlight} in flight each, server on one core: messages/s`, 'message', {
      rate: { peer: target },
    }),
  };
}

/** Handlers that work before they answer. */
function working(inFlight) {
  const [work, beyond] = [20, 2];
  const limit = noMoreThan(work + beyond, 'µs');
  return {
    key: 'work',
    label: `64 × ${inFlight}`,
    short: false,
    contestants: withVariables(ECHO, { HANDLER_US: String(work) }),
    run: closedLoop('echo', { connections: 64, 'in-flight': inFlight, size: 20 }),
    rows: rates(`echo 20 B, 64 connections, ${inFlight} in flight each, handlers of ${work} µs: messages/s`, 'message', {
      rate: { peer: atLeast(1.05) },
      main: { ws: limit, peer: limit },
    }),
  };
}

/** Echo of texts that the application gets as strings, or decodes. */
function texts(size, bytes) {
  return {
    key: 'text',
    label: size,
    short: false,
    contestants: TEXTS,
    run: closedLoop('echo', { connections: 64, 'in-flight': 20, size: bytes }),
    rows: rates(`echo ${size} as a string, compared with an ArrayBuffer that is decoded: messages/s`, 'message'),
  };
}

/** Echo of messages that are compressed both ways, each on its own. */
function deflated(size, bytes, ofPeer) {
  return {
    key: 'deflate',
    label: size,
    short: false,
    contestants: withVariables(ECHO, { DEFLATE: '1' }),
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: bytes, deflate: true }),
    rows: rates(`compressed echo ${size}, 64 connections, one at a time: messages/s`, 'message', {
      rate: { ws: atLeast(3), peer: ofPeer },
      main: { ws: atMost(0.1) },
    }),
  };
}

/** The smallest of all responses. */
function hello(key, connections, rate) {
  return {
    key,
    short: true,
    contestants: HELLO,
    run: closedLoop('http', { connections }),
    rows: rates(`GET hello world, ${connections} connections: requests/s`, 'request', {
      rate: { ...rate, peer: atLeast(1) },
    }),
  };
}

/** Requests in a closed loop: the least ratio of their rates, and the largest of the CPU time on Node's thread. */
function requests(title, key, load, rate, cpu) {
  const node = (target) => target && { 'node:http': target, 'node:https': target };
  return {
    key,
    short: false,
    contestants: BODIES,
    run: closedLoop('http', load),
    rows: rates(title, 'request', {
      rate: { ...node(atLeast(rate)), peer: atLeast(1) },
      main: cpu && node(atMost(cpu)),
    }),
  };
}

/** A measure of requests, compared with `node:https`. */
function overTls(measure) {
  return { ...measure, contestants: SECURE_BODIES };
}

/** Echo over TLS. */
function secureEcho(size, bytes, rate) {
  return {
    key: 'tls-echo',
    label: size,
    short: false,
    contestants: secured(ECHO),
    run: closedLoop('echo', { connections: 64, 'in-flight': 1, size: bytes }),
    rows: rates(`echo ${size} over TLS, 64 connections, one at a time: messages/s`, 'message', { rate }),
  };
}

/** New connections, each with one small request, four at a time. */
function visits(key, label, title, contestants, load, rate) {
  return {
    key,
    label,
    short: false,
    contestants,
    run: closedLoop('handshake', { connections: 4, ...load }),
    rows: rates(title, 'connection', { rate }, 1),
  };
}

function handshakes(kind, load) {
  return visits('tls-handshake', kind, `${kind} TLS handshakes, each with a GET: connections/s`, SECURE_BODIES, load, {
    'node:https': atLeast(1),
    peer: atLeast(0.95),
  });
}

/** Memory of connections that do nothing. */
function silent(key, title, contestants, count, place, targets) {
  return {
    key,
    short: false,
    contestants,
    run: idle(count),
    rows: [{ title, figure: 'bytes', digits: 0, targets }],
    points: [{ picture: 'memory', place, figure: 'bytes' }],
  };
}

/** Runs one contestant of a measure once, in a process of its own. */
async function runOnce(measure, contestant, settings) {
  const env = { ...settings.env, ...environment(contestant) };
  const server = await Server.start(contestant.server, { env, executable: settings.executable, cores: measure.cores });
  try {
    return await measure.run(server, settings, contestant);
  } finally {
    await server.end();
  }
}

module.exports = { measures, runOnce };
