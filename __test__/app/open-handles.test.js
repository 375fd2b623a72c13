'use strict';

// What `jest --detectOpenHandles` says of a project whose tests use this package.

const { spawn } = require('child_process');
const { join } = require('path');

const { afterTest } = require('../helpers/cleanup.js');

const PROJECT = join(__dirname, '../fixtures/open-handles');

/** What Jest writes when it runs the project's tests, from their results on until it has ended or found open handles. */
function detectOpenHandles(pattern) {
  const args = [join(__dirname, '../../node_modules/jest/bin/jest.js'), '--detectOpenHandles', '--config', join(PROJECT, 'jest.config.json'),
    '--rootDir', PROJECT, '--cacheDirectory', join(__dirname, '../../.cache/jest-open-handles'), pattern];
  const jest = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  afterTest(() => jest.kill('SIGKILL'));
  return new Promise((resolve) => {
    let text = '';
    jest.stderr.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      // Then it waits for what it has found.
      if (/open handles? potentially[^]*left-open/.test(text)) resolve(text);
    });
    jest.on('close', () => resolve(text));
  });
}

test('an app that was closed leaves nothing behind', async () => {
  const text = await detectOpenHandles('closed');
  expect(text).toContain('Tests:       2 passed');
  expect(text).not.toContain('open handle');
});

test('a socket that still listens is found, and nothing else', async () => {
  expect(await detectOpenHandles('left-open')).toContain('1 open handle potentially');
});
