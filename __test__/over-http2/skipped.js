'use strict';

// What of the suites in `FOLDERS` does not run over HTTP/2, and why not. Whatever is not listed here runs, and passes, with a
// stream for every request.

/** Folders of `__test__` whose suites run. */
const FOLDERS = ['http', 'pubsub', 'static', 'websocket'];

/** Suites, by their file in `__test__`. */
const files = {
  'http/clients.test.js': 'fetch and curl speak for themselves: http2/http2-clients.test.js',
  'http/conformance.test.js': 'about the bytes of requests of HTTP/1.1',
  'http/half-close.test.js': 'a FIN ends all streams of a connection: http2/http2-streams.test.js',
  'http/head-requests.test.js': 'compares the bytes of heads of HTTP/1.1: http2/http2.test.js has HEAD',
  'http/http-request-faults.test.js': 'as conformance.test.js: http2/http2-limits.test.js has the rules of HTTP/2',
  'http/http-response-end.test.js': 'compares the bytes of responses of HTTP/1.1',
  'http/http-response-head.test.js': 'as http-response-end.test.js',
  'http/http-response-order.test.js': 'as http-response-end.test.js',
  'http/http-response-write.test.js': 'as http-response-end.test.js',
  'http/http-response.test.js': 'as http-response-end.test.js',
  'websocket/websocket-handshake-faults.test.js': 'about handshakes that an extended CONNECT cannot be',
};

/** To an extended CONNECT, a response with status 200 is an open WebSocket (RFC 8441 §5), whatever its handler had in mind. */
const OPEN = [
  'a key of 24 characters that is not 16 bytes in base64: 400',
  'a response of another handler, and one that an upgrade handler has yielded to it',
  'a response that has begun can no longer be upgraded, but be completed',
  'a ws route and a GET route on the same pattern are two routes',
  'a ws route is replaced by another one',
  'a ws route takes only GETs with a key of 24 characters',
  'after the first write',
  'among ws routes: literal before parameter before wildcard',
  'an upgrade handler may yield to the other routes',
  'setYield(true) passes the request on',
  'the candidates and their order are those of a naive twin that knows no trees',
  'the same holds for any, for WebSocket routes, and for removing a route',
  'ws routes come first: their wildcard beats a literal of GET, for handshakes',
];

/** What is no handshake in HTTP/1.1 cannot be told from one, or from a request, once it is a request of HTTP/2. */
const HANDSHAKES = [
  'a request of HTTP/1.0 cannot be upgraded, but be answered',
  'header names and values in other cases, and lists of them, are a handshake',
  'of another method: the other routes take it',
  ...['8', '12', '14', 'abc'].map((version) => `version ${version}: 426, and the version that is spoken`),
  ...['Upgrade', 'Connection', 'Sec-WebSocket-Version'].map((name) => `without ${name}: 400, and the upgrade handler does not run`),
  ...['with a key of 23 characters', 'with a key of 25 characters', 'with an empty key'].map((it) => `${it}: the other routes take it`),
];

/** Single tests: titles, or the ends of them. */
const tests = [
  ...OPEN.map((title) => ({ title, reason: 'status 200 opens the WebSocket' })),
  ...HANDSHAKES.map((title) => ({ title, reason: 'about what is a handshake of HTTP/1.1' })),
  ...[
    'are answered with 404 by default, and the connection lives on',
    'writeStatus: only the first call counts, and none after a header',
    'does not call the handler, and has status, headers and body of the answer that is kept',
  ].map((title) => ({ title, reason: 'looks at the reason phrase' })),
  ...[
    'if all yield, the connection is closed without a response',
    'without the default answer the connection is closed without a response',
    'end completes what tryEnd has begun; a body that stays short ends the connection',
  ].map((title) => ({ title, reason: 'the stream is reset, and not the connection closed: http2/http2-streams.test.js' })),
  ...[
    'a chunk has no length: the peer is answered 400',
    'a chunk is longer than it says: the peer is answered 400',
    'a line ends with a bare LF: the peer is answered 400',
    'in one piece with the head',
    'after the response has begun: it is cut off',
    'after the response is over: nothing is aborted',
  ].map((title) => ({ title: `a body that is not framed as HTTP says ${title}`, reason: 'bodies have no chunks that could be broken (RFC 9113 §8.1)' })),
  ...['is answered with it, and the response is aborted', 'once the response has begun ends the connection without another answer'].map((title) => {
    return { title: `onData a body that breaks a rule ${title}`, reason: 'bodies have no chunks that could be broken (RFC 9113 §8.1)' };
  }),
  ...[
    'the rest of the body is read past, and the next request is served',
    'to a body of which too much is missing the connection closes',
  ].map((title) => ({ title: `onData after an early answer ${title}`, reason: 'the client is asked to stop (RFC 9113 §8.1): http2/http2-streams.test.js' })),
  ...[
    'chunked, 1 bytes: they are dropped, and the connection goes on',
    'chunked, 261144 bytes: they are dropped, and the connection goes on',
    'chunked, more than that: the connection closes',
    'declared, 262144 bytes: they are dropped, and the connection goes on',
    'declared, more than that: the answer says that the connection closes, and it does',
  ].map((title) => ({ title: `after the response ${title}`, reason: 'the client is asked to stop (RFC 9113 §8.1): http2/http2-streams.test.js' })),
  ...[
    'a chunk extension without a name: the response is aborted, the client is answered 400',
    'a chunk size of 2^60: the response is aborted, the client is answered 413',
    'a chunk size that is none: the response is aborted, the client is answered 400',
    'a chunk that is longer than its size: the response is aborted, the client is answered 400',
    'a folded trailer: the response is aborted, the client is answered 400',
    'a trailer that is no field: the response is aborted, the client is answered 400',
    'a trailer with a NUL: the response is aborted, the client is answered 400',
    'an extension that is too long: the response is aborted, the client is answered 400',
    'too many trailers: the response is aborted, the client is answered 431',
    'trailer fields are dropped, whatever their names',
  ].map((title) => ({ title: `chunked bodies ${title}`, reason: 'about the chunks of HTTP/1.1, which bodies do not have here (RFC 9113 §8.1)' })),
  ...['a body with chunks arrives whole, wherever the bytes are cut', 'chunks over the limit: null once, as soon as the limit is passed', 'chunked: not known until the end']
    .map((title) => ({ title, reason: 'about the chunks of HTTP/1.1: the client that translates sends whole ones' })),
  { title: 'is not called again once the response is over', reason: 'the client is asked to stop (RFC 9113 §8.1): http2/http2-streams.test.js' },
  { title: 'a client of HTTP/1.0 is not told to continue', reason: 'about another version' },
  { title: 'RST behind more pipelined requests than are read', reason: 'pipelines: the client that translates waits for the response' },
  { title: 'res.close: the handler runs inside the call', reason: 'the stream is reset, and not the connection closed: http2/http2-streams.test.js' },
  { title: 'of responses are sent as they are at the call, by every method', reason: 'looks for Connection: close' },
  { title: 'does not close the connection because the answer that is kept did', reason: 'looks for Connection: close' },
  { title: 'keeps a bounded number of answers, however many are asked for', reason: 'pipelines, which takes a round trip for each request here' },
  { title: 'gives every header in the order of arrival, repeated ones repeatedly, names in lower case', reason: "Node's client sends repeated fields together" },
  { title: 'connect takes CONNECT and no other method', reason: 'CONNECT without a protocol has neither scheme nor path (RFC 9113 §8.5)' },
  ...['an absolute target is matched by its path', 'of http://example.org is /', 'of http://example.org:80/a?b is /a'].map((title) => {
    return { title, reason: 'there are no absolute targets (RFC 9113 §8.3.1)' };
  }),
  { title: 'the end of the connection behind a response with trailers is announced in its head', reason: 'looks for Connection: close' },
  { title: 'clients of HTTP/1.0 get a length, and no trailers', reason: 'about another version' },
  { title: 'several ranges, and a Range field that came twice: the whole file', reason: "Node's client sends no field twice" },
];

module.exports = { FOLDERS, files, tests };
