'use strict';

const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

/** Where this process keeps what it made. */
let directory;

/** By the name of the file. */
const made = new Map();

/**
 * A self-signed certificate, made by openssl the first time it is asked for, as `{ key_file_name, cert_file_name, ca }`: two
 * options of `SSLApp`, and one of `tls.connect`. It is good for localhost, 127.0.0.1 and `names`. When the suites run over
 * TLS (`npm run test:tls`) all have one, which Node's clients trust.
 */
function certificate(...names) {
  const { FERROWS_TLS_KEY: key_file_name, FERROWS_TLS_CERT: cert_file_name } = process.env;
  if (names.length === 0 && cert_file_name !== undefined) {
    return { key_file_name, cert_file_name, ca: readFileSync(cert_file_name) };
  }
  const id = ['localhost', ...names].join('+').replaceAll('*', '_');
  if (!made.has(id)) made.set(id, make(id, ['localhost', ...names]));
  return made.get(id);
}

function make(id, names) {
  if (directory === undefined) {
    directory = mkdtempSync(join(tmpdir(), 'ferrows-certificates-'));
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  }
  const [key_file_name, cert_file_name] = [join(directory, `${id}.key`), join(directory, `${id}.crt`)];
  const alternatives = [...names.map((name) => `DNS:${name}`), 'IP:127.0.0.1', 'IP:::1'].join();
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', `subjectAltName=${alternatives}`, '-keyout', key_file_name, '-out', cert_file_name,
  ], { stdio: 'pipe' });
  return { key_file_name, cert_file_name, ca: readFileSync(cert_file_name) };
}

module.exports = { certificate };
