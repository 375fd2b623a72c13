'use strict';

/**
 * Runs the suites of Jest once more over HTTP/3: `npm run test:h3 [arguments of Jest]`. The client is aioquic, in a process
 * for each processor.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { availableParallelism, tmpdir } = require('node:os');
const { join } = require('node:path');

const { certificate } = require('../helpers/certificates.js');
const { PYTHON, SCRIPT, hasAioquic } = require('../helpers/http3-program.js');
const { run } = require('../over-streams/run.js');

/** Starts a client that listens at this path. */
async function start(path) {
  const child = spawn(PYTHON, ['-B', SCRIPT, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function main() {
  if (!hasAioquic) throw new Error('there is no aioquic');
  const directory = mkdtempSync(join(tmpdir(), 'ferrows-http3-'));
  const paths = Array.from({ length: availableParallelism() }, (_, index) => join(directory, `${index}`));
  const children = await Promise.all(paths.map(start));
  const { key_file_name, cert_file_name } = certificate();
  try {
    run(__dirname, {
      FERROWS_HTTP3_CLIENTS: paths.join(),
      FERROWS_TLS_KEY: key_file_name,
      FERROWS_TLS_CERT: cert_file_name,
    });
  } finally {
    children.forEach((child) => child.kill());
    rmSync(directory, { recursive: true, force: true });
  }
}

main();
