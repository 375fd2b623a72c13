'use strict';

// For runtimes with permissions: with those that the README names, an app listens; with fewer, loading it says which is
// missing. `permitted.js` expects the former, `permitted.js refused` the latter.

const assert = require('node:assert/strict');
const process = require('node:process');

if (process.argv[2] === 'refused') {
  assert.throws(() => require('../..'), (error) => {
    assert.equal(error.code, 'ERR_ADDON_UNAVAILABLE');
    assert.match(error.message, /--allow-ffi/);
    return true;
  });
} else {
  const uWS = require('../..');
  uWS.App().get('/', (res) => res.end()).listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    uWS.us_listen_socket_close(token);
  });
}
