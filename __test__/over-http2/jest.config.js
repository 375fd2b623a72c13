'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const { jest } = require('../../package.json');
const { files, folders } = require('./skipped.js');

const names = [...Object.keys(files), ...Object.keys(folders)];
const missing = names.filter((name) => !existsSync(join(__dirname, '..', name)));
if (missing.length > 0) throw new Error(`skipped.js names what does not exist: ${missing.join(', ')}`);

module.exports = {
  ...jest,
  rootDir: join(__dirname, '..', '..'),
  setupFiles: ['<rootDir>/__test__/over-http2/setup.js'],
  moduleNameMapper: {
    '^node:http$': '<rootDir>/__test__/over-http2/http.js',
    '^ws$': '<rootDir>/__test__/over-http2/ws.js',
    '^(\\.|\\.\\./helpers)/connect\\.js$': '<rootDir>/__test__/over-http2/connect.js',
  },
  testPathIgnorePatterns: names.map((name) => `/__test__/${name.replaceAll('.', '\\.')}`),
};
