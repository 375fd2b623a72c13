'use strict';

// The modules of Node.js that this package uses, by their bare names: resolvers older than the prefix `node:` (Jest 26 and
// its like) take it for the name of a file. All of them are here because a bundler to ES modules may leave a `require`
// that throws, where Node.js has other ways.

const here = require('./here.js');

// Written out, and outside of a `try`, for those bundlers that make imports of it; within one, Rollup leaves it alone.
const required = () => ({
  async_hooks: require('async_hooks'),
  buffer: require('buffer'),
  diagnostics_channel: require('diagnostics_channel'),
  fs: require('fs'),
  module: require('module'),
  net: require('net'),
  path: require('path'),
  timers: require('timers'),
  url: require('url'),
  util: require('util'),
});

const NAMES = ['async_hooks', 'buffer', 'diagnostics_channel', 'fs', 'module', 'net', 'path', 'timers', 'url', 'util'];

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
