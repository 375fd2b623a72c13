'use strict';

// HTTP/3, by the load client; what it is compared with over TCP by h2load of nghttp2 (Debian: nghttp2-client), without which
// these measures are left out. Datagrams to the load client have at most 1,472 bytes of payload, as browsers take, but where
// it says so.

const { closedLoop } = require('./closed-loop.js');
const { secured } = require('./contestants.js');
const { closedLoop: closedLoopOverTcp } = require('./http2.js');
const { Load } = require('./processes.js');
const { atLeast, noMoreThan } = require('./targets.js');

const OWN = { name: 'ferrows', server: 'uws-http3.js', hasNoPeers: true };
const HELLO = secured([OWN, { name: 'node:http2', server: 'node-http2.js', env: { LOAD: 'h2' } }]);
const VERSIONS = secured([OWN, { name: 'HTTP/1.1', server: 'uws-http3.js', env: { LOAD: 'h1', H2LOAD: '--h1' } }]);

/** The load client, or h2load for those that speak something else. */
function either(ofHttp3, overTcp) {
  return (server, settings, contestant) => (contestant.env?.LOAD === undefined ? ofHttp3 : overTcp)(server, settings, contestant);
}

/** Growth of RSS by that many connections, each of which has made one request. */
function idle(count) {
  return async (server, { executable }) => {
    const first = new Load(executable, 'idle-http3', server, { connections: 100 });
    let crowd;
    try {
      await first.event('ready');
      const before = await server.order('stats', { settle: true });
      crowd = new Load(executable, 'idle-http3', server, { connections: count });
      await crowd.event('ready');
      const after = await server.order('stats', { settle: true });
      return { bytes: after.rss === null ? null : (after.rss - before.rss) / count };
    } finally {
      await Promise.all([first.end(), crowd?.end()]);
    }
  };
}

/** @type {import('./measures.js').Measure[]} */
const http3Measures = [
  {
    key: 'http3',
    label: 'hello',
    short: false,
    command: 'h2load',
    contestants: HELLO,
    run: either(closedLoop('http3', { connections: 8, 'in-flight': 32 }), closedLoopOverTcp({ clients: 8, 'max-concurrent-streams': 32 })),
    rows: [
      {
        title: 'HTTP/3 GET hello world, 8 connections × 32 streams: requests/s',
        figure: 'per_second',
        digits: 0,
        targets: { 'node:http2': atLeast(2) },
      },
      { title: 'the same, Node-thread CPU per request, µs', figure: 'main_us', digits: 2 },
      { title: 'the same, CPU of all threads per request, µs', figure: 'all_us', digits: 2 },
    ],
  },
  {
    key: 'http3',
    label: 'download',
    short: false,
    command: 'h2load',
    contestants: VERSIONS,
    run: either(closedLoop('http3', { connections: 1, path: '/stream' }), closedLoopOverTcp({ clients: 1, requests: 10, path: '/stream' })),
    rows: [
      {
        title: '100 MB by HTTP/3, compared with HTTP/1.1 over TLS: responses/s',
        figure: 'per_second',
        digits: 2,
        targets: { 'HTTP/1.1': atLeast(0.5) },
      },
    ],
  },
  {
    key: 'http3',
    label: 'download, 8,952',
    short: false,
    command: 'h2load',
    contestants: VERSIONS,
    run: either(
      closedLoop('http3', { connections: 1, path: '/stream', 'longest-datagram': 65_527 }),
      closedLoopOverTcp({ clients: 1, requests: 10, path: '/stream' }),
    ),
    rows: [
      {
        title: 'the same to a client that takes datagrams of any length',
        figure: 'per_second',
        digits: 2,
        targets: { 'HTTP/1.1': atLeast(0.5) },
      },
    ],
  },
  {
    key: 'http3',
    label: 'idle',
    short: false,
    contestants: HELLO.slice(0, 1),
    run: idle(1_000),
    rows: [{ title: 'RSS per idle HTTP/3 connection, 1,000 open, bytes', figure: 'bytes', digits: 0, targets: { ferrows: noMoreThan(24_576, 'bytes') } }],
  },
];

module.exports = { http3Measures };
