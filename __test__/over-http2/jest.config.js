'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const { jest } = require('../../package.json');
const { FOLDERS, files } = require('./skipped.js');

const missing = Object.keys(files).filter((file) => !existsSync(join(__dirname, '..', file)));
if (missing.length > 0) throw new Error(`skipped.js names suites that do not exist: ${missing.join(', ')}`);

module.exports = {
  ...jest,
  rootDir: join(__dirname, '..', '..'),
  testMatch: FOLDERS.map((folder) => `<rootDir>/__test__/${folder}/**/*.test.js`),
  setupFiles: ['<rootDir>/__test__/over-http2/setup.js'],
  moduleNameMapper: {
    '^node:http$': '<rootDir>/__test__/over-http2/http.js',
    '^ws$': '<rootDir>/__test__/over-http2/ws.js',
    '^(\\.|\\.\\./helpers)/connect\\.js$': '<rootDir>/__test__/over-http2/connect.js',
  },
  testPathIgnorePatterns: Object.keys(files).map((file) => `/__test__/${file.replaceAll('.', '\\.')}$`),
};
