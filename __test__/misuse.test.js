'use strict';

// Nothing that JavaScript does crashes the process: every function is called at every moment with everything, while
// clients keep the server busy. FERROWS_MISUSE_SECONDS makes it last longer (ten seconds per seed),
// FERROWS_MISUSE_SEED runs one seed again.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const fc = require('fast-check');

const uWS = require('..');
const { afterTest } = require('./helpers/cleanup.js');
const { failureOf } = require('./helpers/failure.js');
const { RawClient } = require('./helpers/raw-http.js');
const { createApp, listen } = require('./helpers/server.js');

const MAIN = join(__dirname, 'fixtures', 'misuse', 'main.js');
const LONG = Number(process.env.FERROWS_MISUSE_SECONDS ?? 0);
const SEED = process.env.FERROWS_MISUSE_SEED;

/** How many seeds, and how many seconds each. */
const RUNS = LONG > 0 ? { numRuns: Math.ceil(LONG / 10), seconds: 10 } : { numRuns: 3, seconds: 3 };
/** Time for a process to start, to try the fresh app and to end, in seconds. Far beyond what it needs. */
const PATIENCE = 60;

/** Runs one seed in a process of its own. */
async function misuse(seed) {
  const params = JSON.stringify({ seed, seconds: RUNS.seconds });
  // In a folder where files may be left: paths of Unix sockets are among the arguments.
  const child = spawn(process.execPath, [MAIN, params], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
  afterTest(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => { output[name] += text; });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`seed ${seed} ended with ${signal ?? code}: ${output.stderr.slice(-4000)}`);
  return JSON.parse(output.stdout);
}

/** Adds the tally of one run to that of all. */
function add(total, tally) {
  for (const [name, { called, returned }] of Object.entries(tally)) {
    total[name] ??= { called: 0, returned: 0 };
    total[name].called += called;
    total[name].returned += returned;
  }
}

/** The functions of which `count` says nothing. */
function without(tally, count) {
  return Object.keys(tally).filter((name) => tally[name][count] === 0).sort();
}

test('misuse: every throw is an Error with a code, the process survives, serves on, and ends by itself', async () => {
  const total = {};
  const property = fc.asyncProperty(fc.noBias(fc.nat()), async (seed) => {
    console.info(`misuse: FERROWS_MISUSE_SEED=${seed}`);
    const { violations, fresh, opened, tally } = await misuse(seed);
    expect(violations).toEqual([]);
    expect(fresh).toEqual({ answer: 'fresh', echo: 'fresh' });
    expect(opened).toBeGreaterThan(0);
    add(total, tally);
  });
  const examples = SEED === undefined ? [] : [[Number(SEED)]];
  const numRuns = SEED === undefined ? RUNS.numRuns : 1;
  // Shrinking would only try other seeds.
  await fc.assert(property, { numRuns, examples, endOnFailure: true });

  // Everything was called, and got beyond the check of its arguments.
  const exported = Object.keys(uWS).filter((name) => typeof uWS[name] === 'function');
  expect(exported).toContain('App');
  expect(Object.keys(total)).toEqual(expect.arrayContaining(exported));
  expect(without(total, 'called')).toEqual([]);
  // Only constructors never do.
  const kinds = ['app', 'connection', 'req', 'res', 'ws'];
  expect(without(total, 'returned')).toEqual(kinds.map((kind) => `${kind}.constructor`));
}, (RUNS.numRuns * RUNS.seconds + PATIENCE) * 1000);

test('misuse: data of 2^31 bytes is refused before it is copied, and the call has no effect', async () => {
  const huge = new Uint8Array(2 ** 31);
  const failures = [];
  const app = createApp().get('/', (res) => {
    for (const call of [() => res.end(huge), () => res.write(huge.buffer), () => res.writeHeader('X', huge)]) {
      failures.push(failureOf(call).code);
    }
    res.end('still here');
  });
  const client = await RawClient.connect(listen(app));
  expect((await client.get('/')).text).toBe('still here');
  expect(failures).toEqual(Array(3).fill('ERR_OUT_OF_RANGE'));
});
