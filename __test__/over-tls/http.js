'use strict';

// Stands for `node:http` when the suites run over TLS: see run.js.

const https = require('node:https');

const http = jest.requireActual('http');

const secure = (target) => (typeof target === 'string' ? target.replace(/^http:/, 'https:') : target);

module.exports = {
  ...http,
  Agent: https.Agent,
  globalAgent: https.globalAgent,
  request: (target, ...rest) => https.request(secure(target), ...rest),
  get: (target, ...rest) => https.get(secure(target), ...rest),
};
