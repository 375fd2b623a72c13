'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const { jest } = require('../../package.json');
const { files } = require('./skipped.js');

const missing = Object.keys(files).filter((file) => !existsSync(join(__dirname, '..', file)));
if (missing.length > 0) throw new Error(`skipped.js names suites that do not exist: ${missing.join(', ')}`);

module.exports = {
  ...jest,
  rootDir: join(__dirname, '..', '..'),
  setupFiles: ['<rootDir>/__test__/over-tls/setup.js'],
  moduleNameMapper: { '^node:http$': '<rootDir>/__test__/over-tls/http.js', '^ws$': '<rootDir>/__test__/over-tls/ws.js' },
  testPathIgnorePatterns: Object.keys(files).map((file) => `/__test__/${file.replaceAll('.', '\\.')}$`),
};
