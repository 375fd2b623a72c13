'use strict';

// The modules of Node.js that only `ferrows/ws` uses; see builtins.js.

const here = require('./here.js');

const required = () => ({
  crypto: require('crypto'),
  events: require('events'),
  http: require('http'),
  https: require('https'),
  net: require('net'),
  stream: require('stream'),
  tls: require('tls'),
});

const NAMES = ['crypto', 'events', 'http', 'https', 'net', 'stream', 'tls'];

function find() {
  try {
    return required();
  } catch (cause) {
    const load = here.load ?? process.getBuiltinModule;
    if (load !== undefined) return Object.fromEntries(NAMES.map((name) => [name, load(name)]));
    throw cause;
  }
}

module.exports = find();
