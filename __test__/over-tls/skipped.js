'use strict';

// What does not run over TLS, and why not. Whatever is not listed here runs, and passes, with TLS on every connection.

/** Suites, by their file in `__test__`. */
const files = {
  'client/client-tls.test.js': 'speaks TLS by itself',
  'cli/probe.test.js': 'as client.test.js, and speaks TLS by itself',
  'docs/docs-tls.test.js': 'speaks TLS by itself',
  'tls/tls-certificates.test.js': 'speaks TLS by itself',
  'tls/tls-faults.test.js': 'speaks TLS by itself',
  'tls/tls-names.test.js': 'speaks TLS by itself',
  'tls/tls-options.test.js': 'speaks TLS by itself',
  'tls/tls-records.test.js': 'speaks TLS by itself',
  'tls/tls.test.js': 'speaks TLS by itself',
  'app/adopt-socket.test.js': 'clients are connected before anybody serves them, so they cannot have shaken hands; tls.test.js has its own',
  'app/proxy-protocol.test.js': 'the header comes in front of TLS: tls.test.js',
  'observability/logging-events.test.js': 'the log has more to tell of a connection with TLS; tls-faults.test.js looks at it',
  'http/half-close.test.js': 'a bare FIN is no end of TLS: tls-faults.test.js has close_notify and its absence',
  'broker/threads.test.js': 'most of its servers are threads of their own',
  'pubsub/pubsub-scale.test.js': 'about memory and time per subscriber, not about bytes on a wire',
  'safety/overload.test.js': 'floods and blocked threads are measured in bytes of a bare socket',
  'client/client.test.js': 'uWS.connect to ws://; with wss:// it has tests of its own',
  'client/client-frames.test.js': 'as client.test.js',
  'client/client-handshake.test.js': 'as client.test.js',
  'client/client-signals.test.js': 'as client.test.js',
  'client/client-ws.test.js': 'as client.test.js',
  'docs/docs-migrating-from-uwebsockets.test.js': 'runs the examples of a page as they stand there',
  'docs/docs-migrating-from-ws.test.js': 'as docs-migrating-from-uwebsockets.test.js',
  'client/client-names.test.js': 'as client.test.js',
  'app/nested-events.test.js': 'the program is client and server at once, with bare sockets',
  'safety/newcomers.test.js': 'counts the descriptors of bare sockets; TLS has tests of its own there',
  'websocket/taken-at-once.test.js': 'has servers and clients with and without TLS by itself',
  'app/tcp-options.test.js': 'about the socket under TLS, with clients that are bare sockets',
  'safety/misuse.test.js': 'its clients speak to whichever port there is, without TLS',
  'project/bench-peers.test.js': 'about which files the bench runs; here, `ws` is redirected',
  'node-servers/attach.test.js': 'servers of Node, with and without TLS by themselves',
  'node-servers/handle-upgrade.test.js': 'as attach.test.js',
  'node-servers/handle-upgrade-streams.test.js': 'as attach.test.js',
  'app/listen-promise.test.js': 'about how apps listen, with clients that are bare sockets',
  'project/surface.test.js': 'about names, not about connections',
};

/** Single tests: titles, or the ends of them. */
const tests = [
  ...[
    'App makes an app, with and without new',
    'App takes the options undefined',
    'App takes the options null',
    'App takes the options {}',
    'App takes the options {"threads":1}',
    'App takes the options {"threads":64}',
    'App ignores the TLS options of uWebSockets.js',
    'takes host names and a handler of unknown ones without TLS, and uses neither',
    'WebSockets that connect has opened are not those of an app',
    'the methods tried here are all that there are',
    'methods taken from a response refuse any other object',
    'is for the app, and made by nobody else',
    'its constructor is called uWS.WebSocket, and nobody else makes one',
    'the calls below are all of its methods',
    'a property __proto__, as JSON may have it, leaves the prototype alone; accessors are not called either',
  ].map((title) => ({ title, reason: 'the classes of SSLApp have names and prototypes of their own' })),
  ...[
    'threads, who has connected before the call is served, whether or not accepted',
    'the process the last event of the last connection is delivered before it ends by itself',
    'a child that goes under load: every answer is whole, nothing is lost once it is gone, and the process lives',
    'worker.terminate() under traffic, twenty at a time: nothing crashes or hangs, and every port is free at once',
  ].map((title) => ({ title, reason: 'its clients are bare sockets' })),
  ...[
    'upgrade later after a RST that this thread cannot have heard of: open, then close once',
    'upgrade later after a FIN that this thread cannot have heard of: open, then close once',
  ].map((title) => ({ title, reason: 'the client lives in the thread that is blocked, and its TLS with it' })),
  ...[
    'threads and their descriptors go after the last connection, and come back with the next thing to do',
    'objects of connections from before do not reach those that come after',
    '500 apps, each used, closed and dropped, are collected with their handlers, beside one that serves',
    '500 apps, each used, shut down and dropped, are collected with their handlers, beside one that serves',
    '500 apps, each used, no longer listening and dropped, are collected with their handlers, beside one that serves',
    '500 apps, each used, never asked to listen and dropped, are collected with their handlers, beside one that serves',
    'an app whose object was collected serves, until nobody listens for it and its last connection is gone',
    'an app that was closed keeps its handlers, and its numbers, for the next time it listens',
    'userData: names of methods and __proto__, each once, of upgrades and of connect',
    'patterns a process.emitWarning that throws hurts no route',
  ].map((title) => ({ title, reason: 'the program is client and server at once, and speaks no TLS to itself' })),
  ...[
    'listen({ fd }) serves the sockets that systemd passes',
    'curl -I, twice on one connection',
  ].map((title) => ({ title, reason: 'its client speaks HTTP without TLS' })),
  ...[
    'client says what it is told, prints what it hears, and tells how it ended',
    'client connects again when the server is back',
  ].map((title) => ({ title, reason: 'the example connects to ws://' })),
  ...[
    'fin: a proxy that closes both sides (ALB, nginx, HAProxy, Cloudflare)',
    'without pings the same proxy cuts it',
  ].map((title) => ({ title, reason: 'a bare FIN is no end of TLS: tls-faults.test.js has close_notify and its absence' })),
  {
    title: 'a subscriber that throws is reported as uncaught, and handlers and other subscribers go on',
    reason: 'the program is client and server at once, and trusts no certificate',
  },
  { title: 'holds those that are open, each once, and nothing of other apps or of clients', reason: 'one of its clients connects to ws://' },
  { title: 'sends a file of a gigabyte to slow and fast readers in little memory', reason: 'takes longer than a test may' },
  ...[
    'several loads in one process jest.isolateModules: each serves its own apps, and refuses objects of the other',
    'what is left when nothing is to be done each load is collected, with all that it has, once nobody uses it',
    'several loads in one process vm contexts: handlers of another context run, and ticks and microtasks run between them',
  ].map((title) => ({ title, reason: 'loads the package in a way of its own' })),
  ...[
    'FERROWS_LOG debug: writes that level and the more important ones to stderr, a line for each',
    'FERROWS_LOG trace: writes that level and the more important ones to stderr, a line for each',
    'FERROWS_LOG TRACE: writes that level and the more important ones to stderr, a line for each',
    'FERROWS_LOG a line ends with the fields of its connection',
  ].map((title) => ({ title, reason: 'the log has more to tell of a connection with TLS' })),
  ...[
    'closes: requests that break a rule count by its name, those of the PROXY protocol too',
    'of a trusted proxy is told once its header is there, with the client',
    'close() in the filter drops it: no request reaches a handler',
  ].map((title) => ({ title, reason: 'about what comes before the first byte, which is TLS here' })),
];

module.exports = { files, tests };
