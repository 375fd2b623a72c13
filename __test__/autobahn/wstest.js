'use strict';

// One run of `wstest`, in either direction: its folder of reports, its process and log, and what it found.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { findWstest } = require('./environment.js');

const REPORTS = path.join(__dirname, '..', '..', 'reports', 'autobahn');
// The set without compression takes 20 seconds, some compression one minute, all of it a quarter of an hour and more.
const RUN_LIMIT_MS = { none: 15 * 60_000, some: 30 * 60_000, all: 90 * 60_000 };

/** What the command lines of both directions have in common, for `parseArgs`. */
const OPTIONS = {
  short: { type: 'boolean', default: false },
  compression: { type: 'string' },
  cases: { type: 'string' },
};

/** How much compression: what was asked for, else some of it in a short run and all of it in a long one. */
function compressionOf({ compression, short }) {
  return compression ?? (short ? 'some' : 'all');
}

/** The folder `reports/autobahn/<name>`, empty. */
function emptyFolder(name) {
  const folder = path.join(REPORTS, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * Starts wstest with this specification, to which the folder and the cases are added. `limit` is one of RUN_LIMIT_MS,
 * behind which it is killed. Returns its process, whose output is in `wstest.log` of the folder, and the path of that.
 */
function startWstest({ mode, folder, chosen, limit, spec, args = [], env = {} }) {
  const file = path.join(folder, 'spec.json');
  writeFileSync(file, JSON.stringify({ outdir: folder, cases: chosen, 'exclude-cases': [], ...spec }));
  const wstest = spawn(findWstest(), ['-m', mode, '-s', file, ...args], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MS[limit],
  });
  const log = createWriteStream(path.join(folder, 'wstest.log'));
  wstest.stdout.pipe(log, { end: false });
  wstest.stderr.pipe(log, { end: false });
  once(wstest, 'close').then(() => log.end());
  return { wstest, log: log.path };
}

/** By case what the report's index says, without times and file names. */
function readResults(folder, agent) {
  const index = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
  const cases = Object.entries(index[agent] ?? {});
  return Object.fromEntries(cases.map(([id, { behavior, behaviorClose }]) => [id, { behavior, behaviorClose }]));
}

/** `301 cases: 297 OK, 4 INFORMATIONAL` */
function summaryOf(results) {
  const counts = {};
  for (const { behavior } of Object.values(results)) counts[behavior] = (counts[behavior] ?? 0) + 1;
  const verdicts = Object.entries(counts).map(([behavior, count]) => `${count} ${behavior}`);
  return `${Object.keys(results).length} cases: ${verdicts.join(', ')}`;
}

function describe(result) {
  return result ? `${result.behavior}, closing ${result.behaviorClose}` : 'nothing';
}

module.exports = { OPTIONS, RUN_LIMIT_MS, compressionOf, describe, emptyFolder, readResults, startWstest, summaryOf };
