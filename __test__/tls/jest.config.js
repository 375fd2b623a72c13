'use strict';

const { join } = require('node:path');

const { jest } = require('../../package.json');
const { files } = require('./skipped.js');

module.exports = {
  ...jest,
  rootDir: join(__dirname, '..', '..'),
  setupFiles: ['<rootDir>/__test__/tls/setup.js'],
  moduleNameMapper: { '^node:http$': '<rootDir>/__test__/tls/http.js', '^ws$': '<rootDir>/__test__/tls/ws.js' },
  testPathIgnorePatterns: Object.keys(files).map((file) => `/__test__/${file.replaceAll('.', '\\.')}$`),
};
