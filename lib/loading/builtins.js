'use strict';

// The modules of Node.js that this package uses, by their bare names: resolvers older than the prefix `node:` (such as
// Jest 26) take it for the name of a file. All of them are loaded here, because in an ES module a bundler may leave a
// `require` that throws; Node.js has other ways to load them then.

const here = require('./here.js');

// Literal calls outside of a `try`, which bundlers turn into imports; Rollup does not touch those inside of a `try`.
const required = () => ({
  async_hooks: require('async_hooks'),
  buffer: require('buffer'),
  crypto: require('crypto'),
  diagnostics_channel: require('diagnostics_channel'),
  fs: require('fs'),
  module: require('module'),
  net: require('net'),
  path: require('path'),
  perf_hooks: require('perf_hooks'),
  timers: require('timers'),
  url: require('url'),
  util: require('util'),
});

const NAMES = [
  'async_hooks', 'buffer', 'crypto', 'diagnostics_channel', 'fs', 'module', 'net', 'path', 'perf_hooks', 'timers', 'url', 'util',
];

function find() {
  try {
    return required();
  } catch (cause) {
    const load = here.load ?? process.getBuiltinModule;
    if (load !== undefined) return Object.fromEntries(NAMES.map((name) => [name, load(name)]));
    const message = `Ferrows was bundled in a way that leaves it no modules of Node.js: ${cause.message}\n`
      + 'Mark `ferrows` as external, see docs/bundlers.md.';
    throw Object.assign(new Error(message, { cause }), { code: 'ERR_ADDON_UNAVAILABLE' });
  }
}

module.exports = find();
