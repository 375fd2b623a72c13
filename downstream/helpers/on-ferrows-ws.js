'use strict';

// Packages that require `ws` by themselves get `ferrows/ws`, as with the `overrides` of docs/ws.md.

const Module = require('node:module');

const OWN = require.resolve('uWebSockets.js/ws');
const resolve = Module._resolveFilename;

/** Requires a package, with `ferrows/ws` in the place of `ws`. */
function requireOnFerrows(name) {
  Module._resolveFilename = (request, ...rest) => (request === 'ws' ? OWN : resolve.call(Module, request, ...rest));
  try {
    return require(name);
  } finally {
    Module._resolveFilename = resolve;
  }
}

module.exports = { requireOnFerrows };
