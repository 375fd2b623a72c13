'use strict';

// HTTP/2, by h2load of nghttp2 (Debian: nghttp2-client); measures are left out where it is not installed.

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const http2 = require('node:http2');
const { promisify } = require('node:util');

const { cpuOfEach } = require('./closed-loop.js');
const { secured } = require('./contestants.js');
const { atLeast, atMost, noMoreThan } = require('./targets.js');

const COMMAND = 'h2load';
const OWN = { name: 'ferrows', server: 'uws-http2.js', hasNoPeers: true };
const HELLO = [OWN, { name: 'node:http2', server: 'node-http2.js' }, { name: 'nginx', server: 'nginx.js', command: 'nginx' }];
/** The same app, asked by HTTP/1.1. */
const VERSIONS = [OWN, { name: 'HTTP/1.1', server: 'uws-http2.js', env: { H2LOAD: '--h1' } }];

const run = promisify(execFile);

/** Runs h2load, and returns how many requests a second it made, and how many in all. */
async function h2load(server, args) {
  const scheme = server.isSecure ? 'https' : 'http';
  const { path = '/', ...options } = args;
  const words = Object.entries(options).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}=${value}`]));
  const { stdout } = await run(COMMAND, [...words, `${scheme}://127.0.0.1:${server.port}${path}`]);
  const [, rate] = /, ([\d.]+) req\/s,/.exec(stdout) ?? [];
  const [, succeeded, failed] = /(\d+) succeeded, (\d+) failed/.exec(stdout) ?? [];
  if (rate === undefined || Number(succeeded) === 0 || failed !== '0') throw new Error(`${COMMAND}: ${stdout}`);
  return { per_second: Number(rate), answered: Number(succeeded) };
}

/** Requests in a closed loop for some seconds, or so many of them (`requests`). */
function closedLoop(options, ofHttp1 = options) {
  return async (server, { seconds, warmUp }, { env } = {}) => {
    const load = env?.H2LOAD === '--h1' ? { ...ofHttp1, h1: true } : options;
    const timed = load.requests === undefined;
    await h2load(server, timed ? { ...load, duration: Math.max(1, Math.round(warmUp)) } : { ...load, requests: 1, clients: 1 });
    const before = await server.order('stats');
    const { per_second, answered } = await h2load(server, timed ? { ...load, duration: Math.max(1, Math.round(seconds)) } : load);
    const after = await server.order('stats');
    return { per_second, ...cpuOfEach(before, after, answered) };
  };
}

/** Growth of RSS by that many connections, each of which has made one request. */
function idle(count) {
  return async (server) => {
    const sessions = [];
    const open = async (number) => {
      for (let opened = 0; opened < number; opened += 1) {
        const session = http2.connect(`http://127.0.0.1:${server.port}`);
        sessions.push(session);
        const stream = session.request({ ':path': '/' });
        stream.resume();
        await once(stream, 'close');
      }
    };
    try {
      await open(200);
      const before = await server.order('stats', { settle: true });
      await open(count);
      const after = await server.order('stats', { settle: true });
      return { bytes: after.rss === null ? null : (after.rss - before.rss) / count };
    } finally {
      for (const session of sessions) session.destroy();
    }
  };
}

/** @type {import('./measures.js').Measure[]} */
const http2Measures = [
  {
    key: 'http2',
    label: 'hello',
    short: false,
    command: COMMAND,
    contestants: HELLO,
    run: closedLoop({ clients: 8, 'max-concurrent-streams': 32 }),
    rows: [
      {
        title: 'HTTP/2 GET hello world, 8 connections × 32 streams: requests/s',
        figure: 'per_second',
        digits: 0,
        targets: { 'node:http2': atLeast(5), nginx: atLeast(0.8) },
      },
      { title: 'the same, Node-thread CPU per request, µs', figure: 'main_us', digits: 2 },
    ],
  },
  {
    key: 'http2',
    label: 'versions',
    short: false,
    command: COMMAND,
    contestants: VERSIONS,
    run: closedLoop({ clients: 8, 'max-concurrent-streams': 32 }, { clients: 256 }),
    rows: [
      { title: 'the same, compared with 256 connections of HTTP/1.1: requests/s', figure: 'per_second', digits: 0 },
      { title: 'the same, Node-thread CPU per request, µs', figure: 'main_us', digits: 2, targets: { 'HTTP/1.1': atMost(1.15) } },
      { title: 'the same, CPU of all threads per request, µs', figure: 'all_us', digits: 2 },
    ],
  },
  {
    key: 'http2',
    label: 'download',
    short: false,
    command: COMMAND,
    contestants: secured(VERSIONS),
    run: closedLoop({ clients: 1, requests: 10, path: '/stream' }),
    rows: [
      {
        title: '100 MB over TLS by HTTP/2, compared with HTTP/1.1: responses/s',
        figure: 'per_second',
        digits: 2,
        targets: { 'HTTP/1.1': atLeast(0.8) },
      },
    ],
  },
  {
    key: 'http2',
    label: 'idle',
    short: false,
    contestants: HELLO.slice(0, 2),
    run: idle(1_000),
    rows: [{ title: 'RSS per idle HTTP/2 connection, 1,000 open, bytes', figure: 'bytes', digits: 0, targets: { 'node:http2': noMoreThan(16_384, 'bytes') } }],
  },
];

module.exports = { closedLoop, http2Measures };
