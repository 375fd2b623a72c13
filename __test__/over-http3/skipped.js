'use strict';

// What of the suites in `FOLDERS` does not run over HTTP/3, and why not: what does not run over HTTP/2, for the same reasons,
// and what is listed here. Whatever is not, runs, and passes, with a stream for every request.

const http2 = require('../over-http2/skipped.js');

/** What takes the place of rules and suites of HTTP/2 in its reasons. */
const PLACES = [
  ['http2/http2-clients.test.js', 'test:browser has a client that speaks HTTP/3 for itself'],
  ['http2/http2-limits.test.js', 'http3/http3-frames.test.js'],
  [/http2\/http2(-streams)?\.test\.js/, 'http3/http3.test.js'],
  ['RFC 9113 §8.1', 'RFC 9114 §4.1'],
  ['RFC 9113 §8.5', 'RFC 9114 §4.4'],
  ['RFC 9113 §8.3.1', 'RFC 9114 §4.3.1'],
  ['a FIN ends all streams of a connection', 'QUIC has no FIN of a connection, which is closed whole'],
  ['HTTP/2', 'HTTP/3'],
];

function placed(reason) {
  return PLACES.reduce((text, [from, to]) => text.replace(from, to), reason);
}

/** Suites, by their file in `__test__`. */
const files = {
  ...Object.fromEntries(Object.entries(http2.files).map(([file, reason]) => [file, placed(reason)])),
  'pubsub/pubsub-scale.test.js': 'opens hundreds of sockets of TCP',
  'websocket/taken-at-once.test.js': 'about what the buffers of the kernel take at once, of TCP and of TLS over it: QUIC sends what its congestion control allows (RFC 9002 §7)',
};

const because = (reason, ...titles) => titles.map((title) => ({ title, reason }));

/** What runs here, unlike over HTTP/2: this client sends a field twice. */
const RUNS = ['several ranges, and a Range field that came twice: the whole file'];

/** Single tests: titles, or the ends of them. */
const tests = [
  ...http2.tests.filter(({ title }) => !RUNS.includes(title)).map(({ title, reason }) => ({ title, reason: placed(reason) })),
  ...because(
    'expects the cause of a FIN or RST of TCP: http3/http3-transport.test.js has the ends of QUIC',
    'FIN before the response',
    'FIN inside a chunked response',
    'FIN inside the body of the request',
    'RST before the response',
    'RST inside a chunked response',
    'RST while the request is paused',
    'registered on an aborted response: called, asynchronously',
    'RST, between messages',
    'RST, inside a header',
    'RST, inside a message',
    'RST, inside a fragmented message',
    'RST, inside a Close frame',
    'one connection breaks a rule: it alone is closed',
    'that resets: close runs once, with its reason, and no drain',
    'an abort in the middle is told once, and the rest is refused',
    'after the peer has gone: res.upgrade throws, and nothing opens',
    'FIN, heard: onAborted once, upgrade throws, nothing opens',
    'RST, heard: onAborted once, upgrade throws, nothing opens',
    'a body that breaks off is not complete: onAborted runs instead of the last call',
    'an abort: null, nothing, an unknown length, and what onAborted is told; behind onAborted',
  ),
  ...because(
    'cuts its line by a proxy of TCP: http3/http3-transport.test.js has the idle timeout',
    'a line that was cut for its silence has been silent for that long',
  ),
  ...because(
    'its client is a socket of TCP in a thread of its own',
    'after a RST that this thread cannot have heard of: open, then close once',
    'after a FIN that this thread cannot have heard of: open, then close once',
  ),
  ...because(
    'looks at the name of the class, which is another one with TLS',
    'its constructor is called uWS.WebSocket, and nobody else makes one',
    'the calls below are all of its methods',
    'a property __proto__, as JSON may have it, leaves the prototype alone; accessors are not called either',
  ),
  ...because(
    'an empty body that ends with its head cannot be told from none: a stream has no chunks (RFC 9114 §4.1)',
    'answers to requests with a chunked body; nor are these answered by what is kept',
  ),
  ...because(
    'how much of it leaves at once is for the congestion control of QUIC to say (RFC 9002 §7), and not for a buffer of the kernel',
    'ws.cork send returns 1 and getBufferedAmount 0 in it, as long as no more waits than the system would take',
    '1048576 bytes arrive whole at every subscriber, between small ones',
  ),
  ...because('there is no QUIC over a Unix socket', 'Unix socket: empty, port 0; messages work'),
  ...because('the stream is reset, and not the connection closed: http3/http3.test.js', 'an answer with less than tryEnd announced'),
];

module.exports = { FOLDERS: http2.FOLDERS, files, tests };
