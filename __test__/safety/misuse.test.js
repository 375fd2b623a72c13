'use strict';

// Nothing that JavaScript does crashes the process: every function is called at every moment with everything, while
// clients keep the server busy. FERROWS_MISUSE_SEEDS says how many seeds to run (3), FERROWS_MISUSE_SEED runs one again.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const fc = require('fast-check');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const MAIN = join(__dirname, '../fixtures', 'misuse', 'main.js');
const SEED = process.env.FERROWS_MISUSE_SEED;
const SEEDS = SEED === undefined ? Number(process.env.FERROWS_MISUSE_SEEDS ?? 3) : 1;
/** How many more are run while there is something that no call has got to the end of. */
const MORE_SEEDS = 10;
/** How many calls a seed makes: a few seconds of them. */
const CALLS = 20_000;
/** Time for a seed, in milliseconds. Far beyond what it needs. */
const PATIENCE = 60_000;

/** Runs one seed in a process of its own. */
async function misuse(seed) {
  const params = JSON.stringify({ seed, calls: CALLS });
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
  let opening = 0;
  const property = fc.asyncProperty(fc.noBias(fc.nat()), async (seed) => {
    console.info(`misuse: FERROWS_MISUSE_SEED=${seed}`);
    const { violations, fresh, opened, clients, tally } = await misuse(seed);
    expect(violations).toEqual([]);
    expect(fresh).toEqual({ answer: 'fresh', echo: 'fresh' });
    expect(opened).toBeGreaterThan(0);
    opening += clients;
    add(total, tally);
  });
  const examples = SEED === undefined ? [] : [[Number(SEED)]];
  // Shrinking would only try other seeds.
  const run = (numRuns, given) => fc.assert(property, { numRuns, examples: given, endOnFailure: true });
  await run(SEEDS, examples);

  // One run alone may have had a server that grants none.
  expect(opening).toBeGreaterThan(0);
  // Everything was called, and got beyond the check of its arguments. Only constructors never do.
  const constructors = ['app', 'connection', 'req', 'res', 'ws'].map((kind) => `${kind}.constructor`);
  for (let more = 0; more < MORE_SEEDS && without(total, 'returned').length > constructors.length; more++) await run(1, []);
  const exported = Object.keys(uWS).filter((name) => typeof uWS[name] === 'function');
  expect(exported).toContain('App');
  expect(Object.keys(total)).toEqual(expect.arrayContaining(exported));
  expect(without(total, 'called')).toEqual([]);
  expect(without(total, 'returned')).toEqual(constructors);
}, (SEEDS + MORE_SEEDS) * PATIENCE);

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
