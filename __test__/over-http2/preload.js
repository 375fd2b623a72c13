'use strict';

// In processes that tests start, `App` makes apps that speak HTTP/2, too: see run.js.

const Module = require('node:module');
const { join } = require('node:path');

const http2Apps = require('./http2-apps.js');

const MAIN = join(__dirname, '../../index.js');
const load = Module._extensions['.js'];

Module._extensions['.js'] = (module, filename) => {
  load(module, filename);
  if (filename === MAIN) http2Apps(module.exports);
};
