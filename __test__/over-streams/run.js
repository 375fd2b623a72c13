'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const Module = require('node:module');
const { join } = require('node:path');

const { jest } = require('../../package.json');

const MAIN = join(__dirname, '../../index.js');

/**
 * Runs the suites of Jest once more with the streams of another version: their clients speak HTTP/1.1 to a subclass of
 * http1-socket.js, which gives each request a stream, and each WebSocket an extended CONNECT; servers get an option. What
 * cannot be so stands in the skipped.js of the folder. Exits like Jest, with whose arguments it is called.
 */
function run(folder, env = {}) {
  const { tests } = require(join(folder, 'skipped.js'));
  const titles = tests.map(({ title }) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const { status } = spawnSync(process.execPath, [
    require.resolve('jest/bin/jest'), '--config', join(folder, 'jest.config.js'),
    '--testNamePattern', `^(?!.*(?:${titles.join('|') || '(?!)'})$)`,
    ...process.argv.slice(2),
  ], {
    stdio: 'inherit',
    // For the servers that tests start in processes of their own.
    env: { ...process.env, ...env, NODE_OPTIONS: `--require ${join(folder, 'preload.js')}` },
  });
  process.exitCode = status ?? 1;
}

/** The configuration of Jest for such a folder of `__test__`. */
function configure(name) {
  const { FOLDERS, files } = require(`../${name}/skipped.js`);
  const missing = Object.keys(files).filter((file) => !existsSync(join(__dirname, '..', file)));
  if (missing.length > 0) throw new Error(`skipped.js names suites that do not exist: ${missing.join(', ')}`);
  const own = (file) => `<rootDir>/__test__/${name}/${file}`;
  return {
    ...jest,
    rootDir: join(__dirname, '..', '..'),
    testMatch: FOLDERS.map((folder) => `<rootDir>/__test__/${folder}/**/*.test.js`),
    setupFiles: [own('setup.js')],
    moduleNameMapper: {
      '^node:http$': own('http.js'),
      '^ws$': own('ws.js'),
      '^(\\.|\\.\\./helpers)/connect\\.js$': own('connect.js'),
    },
    testPathIgnorePatterns: Object.keys(files).map((file) => `/__test__/${file.replaceAll('.', '\\.')}$`),
  };
}

/** Has `change` done to what `require` makes of the addon, in processes that tests start. */
function preload(change) {
  const load = Module._extensions['.js'];
  Module._extensions['.js'] = (module, filename) => {
    load(module, filename);
    if (filename === MAIN) change(module.exports);
  };
}

module.exports = { configure, preload, run };
