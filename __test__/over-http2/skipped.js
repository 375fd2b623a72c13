'use strict';

// What does not run over HTTP/2, and why not. Whatever is not listed here runs, and passes, with a stream for every request.

/** Folders of `__test__`. */
const folders = {
  'broker/': 'about what is between servers; their clients are processes of their own',
  'cli/': 'probes and explains connections of HTTP/1.1',
  'client/': 'uWS.connect speaks HTTP/1.1',
  'docs/': 'about what pages say',
  'http2/': 'speaks HTTP/2 by itself',
  'inspect/': 'about a page, and who may see it',
  'kv/': 'has no connections',
  'node-servers/': 'connections that servers of Node have accepted',
  'project/': 'has no connections',
  'tls/': 'about TLS, with clients of HTTP/1.1',
  'ws/': 'the API of ws, whose HTTP is that of Node',
};

/** Suites, by their file in `__test__`. */
const files = {
};

/** Single tests: titles, or the ends of them. */
const tests = [];

module.exports = { files, folders, tests };
