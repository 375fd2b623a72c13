'use strict';

/**
 * Runs the suites of Jest with TLS on every connection: `npm run test:tls [arguments of Jest]`. Servers get a certificate,
 * clients trust it; what cannot be so stands in skipped.js. Exits like Jest.
 */

const { spawnSync } = require('node:child_process');
const { join } = require('node:path');

const { certificate } = require('../helpers/certificates.js');
const { tests } = require('./skipped.js');

const { key_file_name, cert_file_name } = certificate();
const titles = tests.map(({ title }) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));

const { status } = spawnSync(process.execPath, [
  require.resolve('jest/bin/jest'), '--config', join(__dirname, 'jest.config.js'),
  '--testNamePattern', `^(?!.*(?:${titles.join('|') || '(?!)'})$)`,
  ...process.argv.slice(2),
], {
  stdio: 'inherit',
  env: {
    ...process.env,
    FERROWS_TLS_KEY: key_file_name,
    FERROWS_TLS_CERT: cert_file_name,
    // Read by Node when it starts, so it has to be there before.
    NODE_EXTRA_CA_CERTS: cert_file_name,
    CURL_CA_BUNDLE: cert_file_name,
    // For the servers that tests start in processes of their own.
    NODE_OPTIONS: `--require ${join(__dirname, 'preload.js')}`,
  },
});
process.exitCode = status ?? 1;
