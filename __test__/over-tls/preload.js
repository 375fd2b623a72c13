'use strict';

// In processes that tests start, `App` makes apps that speak TLS, too: see run.js.

const Module = require('node:module');
const { join } = require('node:path');

const secureApps = require('./secure-apps.js');

const MAIN = join(__dirname, '../../index.js');
const load = Module._extensions['.js'];

Module._extensions['.js'] = (module, filename) => {
  load(module, filename);
  if (filename === MAIN) secureApps(module.exports);
};
