'use strict';

/**
 * Runs the suites of Jest once more with HTTP/2 on every connection: `npm run test:h2 [arguments of Jest]`. Their clients speak
 * HTTP/1.1 to http1-socket.js, which gives each request a stream of HTTP/2, and each WebSocket an extended CONNECT; servers get
 * `http2: true`. What cannot be so stands in skipped.js. Exits like Jest.
 */

const { spawnSync } = require('node:child_process');
const { join } = require('node:path');

const { tests } = require('./skipped.js');

const titles = tests.map(({ title }) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));

const { status } = spawnSync(process.execPath, [
  require.resolve('jest/bin/jest'), '--config', join(__dirname, 'jest.config.js'),
  '--testNamePattern', `^(?!.*(?:${titles.join('|') || '(?!)'})$)`,
  ...process.argv.slice(2),
], {
  stdio: 'inherit',
  // For the servers that tests start in processes of their own.
  env: { ...process.env, NODE_OPTIONS: `--require ${join(__dirname, 'preload.js')}` },
});
process.exitCode = status ?? 1;
