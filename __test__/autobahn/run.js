'use strict';

// npm run autobahn -- [--short] [--compression none|some|all] [--cases 5.*,7.1.6] [--server ferrows|ferrows-ws|ws] [--pin]
//
// Runs the Autobahn fuzzing client against an echo server (of `app.ws`, of `ferrows/ws`, or of the package `ws`) and compares
// every case with expected.json. Exit code 1 on any difference. Reports and the log of wstest go to
// reports/autobahn/<server>. Without --compression it is all of it, or some with --short.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { parseArgs } = require('node:util');
const { byNumbers, expectedResults, matches, patterns, pin } = require('./cases.js');
const { OPTIONS, compressionOf, describe, emptyFolder, readResults, startWstest, summaryOf } = require('./wstest.js');

const START_LIMIT_MS = 10_000;

async function main() {
  const { values } = parseArgs({
    options: { ...OPTIONS, server: { type: 'string', default: 'ferrows' }, pin: { type: 'boolean', default: false } },
  });
  const options = { ...values, compression: compressionOf(values) };
  const chosen = patterns(options);
  const folder = emptyFolder(options.server);
  const { server, port } = await startServer(options);
  try {
    await fuzz({ server, port, folder, chosen, options });
  } finally {
    server.stdin.end();
  }
  const results = readResults(folder, options.server);
  if (options.pin) pin(options.server, results);
  process.exitCode = compare(options.server, results, chosen) ? 0 : 1;
}

async function startServer({ server: which, compression }) {
  const args = [path.join(__dirname, 'server.js'), which, ...(compression === 'none' ? [] : ['--compression'])];
  const server = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(server, 'exit').then(() => {
    throw new Error(`the ${which} server ended before it listened`);
  });
  const line = once(createInterface({ input: server.stdout }), 'line', { signal: AbortSignal.timeout(START_LIMIT_MS) });
  const [text] = await Promise.race([line, ended]);
  return { server, port: JSON.parse(text).port };
}

/** Runs wstest until it has been through all cases. */
async function fuzz({ server, port, folder, chosen, options }) {
  const servers = [{ agent: options.server, url: `ws://127.0.0.1:${port}` }];
  const { wstest, log } = startWstest({
    mode: 'fuzzingclient', folder, chosen, limit: options.compression, spec: { servers },
  });
  let crashed = null;
  const stop = (code, signal) => {
    crashed = `the ${options.server} server ended with ${signal ?? `code ${code}`} during the run`;
    wstest.kill();
  };
  server.once('exit', stop);
  const [code, signal] = await once(wstest, 'exit');
  server.off('exit', stop);
  if (crashed) throw new Error(`${crashed}; see ${folder}`);
  if (code !== 0) throw new Error(`wstest ended with ${signal ?? `code ${code}`}; see ${log}`);
}

/** Prints the differences and the counts; true if there are no differences. */
function compare(server, results, chosen) {
  const expected = expectedResults(server);
  const ids = new Set([...Object.keys(results), ...Object.keys(expected).filter((id) => matches(id, chosen))]);
  const different = [...ids].sort(byNumbers).filter((id) => describe(results[id]) !== describe(expected[id]));
  for (const id of different) {
    console.log(`${id}: expected ${describe(expected[id])}, got ${describe(results[id])}`);
  }
  console.log(`${server}: ${summaryOf(results)}; ${different.length} differ from expected.json`);
  return different.length === 0 && Object.keys(results).length > 0;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
