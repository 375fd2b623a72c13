'use strict';

// npm run autobahn:client -- [--short] [--compression none|some|all] [--cases 5.*,7.1.6]
//
// Runs `uWS.connect` against the Autobahn fuzzing server. Exit code 1 if any case did not run, or came to anything but
// OK, NON-STRICT and INFORMATIONAL. Reports and the log of wstest go to reports/autobahn/client. Without --compression it
// is all of it, or some with --short.

const { spawn } = require('node:child_process');
const { on, once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { text } = require('node:stream/consumers');
const { parseArgs } = require('node:util');
const { byNumbers, patterns } = require('./cases.js');
const {
  OPTIONS, RUN_LIMIT_MS, compressionOf, describe, emptyFolder, readResults, startWstest, summaryOf,
} = require('./wstest.js');

const AGENT = 'ferrows';
// Python and all the cases to load; more on a machine that does other things besides.
const START_LIMIT_MS = 30_000;
const PASSED = {
  behavior: ['OK', 'NON-STRICT', 'INFORMATIONAL'],
  behaviorClose: ['OK', 'INFORMATIONAL'],
};

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  const compression = compressionOf(values);
  const chosen = patterns({ ...values, compression });
  const folder = emptyFolder('client');
  const { wstest, log } = startWstest({
    mode: 'fuzzingserver', folder, chosen, limit: compression,
    spec: { url: 'ws://127.0.0.1:0' },
    args: ['--webport', '0'],
    env: { PYTHONPATH: path.join(__dirname, 'python'), PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' },
  });
  let count;
  try {
    count = await runClient(await portOf(wstest, log), { wstest, log, compression });
  } finally {
    wstest.kill();
  }
  process.exitCode = judge(readResults(folder, AGENT), count) ? 0 : 1;
}

/** The port of the fuzzing server, once it listens. */
async function portOf(wstest, log) {
  const signal = AbortSignal.timeout(START_LIMIT_MS);
  const failed = () => {
    throw new Error(`wstest does not listen; see ${log}`);
  };
  return Promise.race([announcedPort(wstest.stdout, signal), once(wstest, 'exit', { signal }).then(failed)]).catch(failed);
}

async function announcedPort(output, signal) {
  for await (const [line] of on(createInterface({ input: output }), 'line', { signal })) {
    const port = /^listening on port (\d+)$/.exec(line)?.[1];
    if (port !== undefined) return port;
  }
}

/** Has the client go through all cases, in a process of its own. Returns how many there were. */
async function runClient(port, { wstest, log, compression }) {
  const args = [`ws://127.0.0.1:${port}`, AGENT, ...(compression === 'none' ? [] : ['--compression'])];
  const client = spawn(process.execPath, [path.join(__dirname, 'client.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: RUN_LIMIT_MS[compression],
  });
  let crashed = null;
  const stop = (code, signal) => {
    crashed = `wstest ended with ${signal ?? `code ${code}`} during the run`;
    client.kill();
  };
  wstest.once('exit', stop);
  const [[code, signal], said] = await Promise.all([once(client, 'close'), text(client.stdout)]);
  wstest.off('exit', stop);
  if (crashed) throw new Error(`${crashed}; see ${log}`);
  if (code !== 0) throw new Error(`the client ended with ${signal ?? `code ${code}`}; see ${log}`);
  return Number(said);
}

/** Prints what failed, and the counts; true if nothing did and each of `count` cases has a result. */
function judge(results, count) {
  const failed = Object.keys(results).filter((id) => !passed(results[id])).sort(byNumbers);
  for (const id of failed) console.log(`${id}: ${describe(results[id])}`);
  const missing = count - Object.keys(results).length;
  console.log(`client: ${summaryOf(results)}; ${failed.length} failed, ${missing} without a result`);
  return failed.length === 0 && missing === 0 && count > 0;
}

function passed(result) {
  return Object.entries(PASSED).every(([aspect, verdicts]) => verdicts.includes(result[aspect]));
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
