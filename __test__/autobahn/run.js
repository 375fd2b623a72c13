'use strict';

// npm run autobahn -- [--short] [--compression none|some|all] [--cases 5.*,7.1.6] [--server ferrows|ws] [--pin]
//
// Runs the Autobahn fuzzing client against an echo server and compares every case with expected.json. Exit code 1 on
// any difference. Reports and the log of wstest go to reports/autobahn/<server>. Without --compression it is all of it, or
// some with --short.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { parseArgs } = require('node:util');
const { byNumbers, expectedResults, matches, patterns, pin } = require('./cases.js');
const { findWstest } = require('./environment.js');

const REPORTS = path.join(__dirname, '..', '..', 'reports', 'autobahn');
const START_LIMIT_MS = 10_000;
// The set without compression takes 20 seconds, some compression one minute, all of it a quarter of an hour and more.
const RUN_LIMIT_MS = { none: 15 * 60_000, some: 30 * 60_000, all: 90 * 60_000 };

const OPTIONS = {
  short: { type: 'boolean', default: false },
  compression: { type: 'string' },
  cases: { type: 'string' },
  server: { type: 'string', default: 'ferrows' },
  pin: { type: 'boolean', default: false },
};

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  const options = { ...values, compression: values.compression ?? (values.short ? 'some' : 'all') };
  const chosen = patterns(options);
  const wstest = findWstest();
  const folder = path.join(REPORTS, options.server);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { server, port } = await startServer(options);
  try {
    await fuzz({ wstest, server, port, folder, chosen, options });
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
async function fuzz({ wstest, server, port, folder, chosen, options }) {
  const spec = path.join(folder, 'spec.json');
  const servers = [{ agent: options.server, url: `ws://127.0.0.1:${port}` }];
  writeFileSync(spec, JSON.stringify({ outdir: folder, servers, cases: chosen, 'exclude-cases': [] }));
  const client = spawn(wstest, ['-m', 'fuzzingclient', '-s', spec], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MS[options.compression],
  });
  const log = createWriteStream(path.join(folder, 'wstest.log'));
  client.stdout.pipe(log, { end: false });
  client.stderr.pipe(log, { end: false });
  let crashed = null;
  const stop = (code, signal) => {
    crashed = `the ${options.server} server ended with ${signal ?? `code ${code}`} during the run`;
    client.kill();
  };
  server.once('exit', stop);
  const [code, signal] = await once(client, 'exit');
  server.off('exit', stop);
  log.end();
  if (crashed) throw new Error(`${crashed}; see ${folder}`);
  if (code !== 0) throw new Error(`wstest ended with ${signal ?? `code ${code}`}; see ${log.path}`);
}

/** By case what the report's index says, without times and file names. */
function readResults(folder, agent) {
  const index = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
  const cases = Object.entries(index[agent]);
  return Object.fromEntries(cases.map(([id, { behavior, behaviorClose }]) => [id, { behavior, behaviorClose }]));
}

/** Prints the differences and the counts; true if there are no differences. */
function compare(server, results, chosen) {
  const expected = expectedResults(server);
  const ids = new Set([...Object.keys(results), ...Object.keys(expected).filter((id) => matches(id, chosen))]);
  const different = [...ids].sort(byNumbers).filter((id) => describe(results[id]) !== describe(expected[id]));
  for (const id of different) {
    console.log(`${id}: expected ${describe(expected[id])}, got ${describe(results[id])}`);
  }
  const counts = {};
  for (const { behavior } of Object.values(results)) counts[behavior] = (counts[behavior] ?? 0) + 1;
  const summary = Object.entries(counts).map(([behavior, count]) => `${count} ${behavior}`);
  const total = Object.keys(results).length;
  console.log(`${server}: ${total} cases: ${summary.join(', ')}; ${different.length} differ from expected.json`);
  return different.length === 0 && total > 0;
}

function describe(result) {
  return result ? `${result.behavior}, closing ${result.behaviorClose}` : 'nothing';
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
