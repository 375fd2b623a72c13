// npm run fuzz -- [--seconds 60] [target …]: fuzzes each target for so long, starting from its seeds and from what
// earlier runs came upon. Needs a C++ compiler; see fuzz/README.md. Findings are left in fuzz/artifacts.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FUZZ = join(ROOT, 'fuzz');
/** The folder in which cargo-fuzz is installed if the machine has none. */
const TOOLS = join(ROOT, '.cache', 'cargo-fuzz');
/** Timeout for one input, in seconds; the slowest seed takes a few milliseconds. */
const INPUT_LIMIT = 10;

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
});
if (!/^[1-9][0-9]*$/.test(values.seconds)) throw new Error(`--seconds must be a positive number: ${values.seconds}`);

const targets = readdirSync(join(FUZZ, 'fuzz_targets')).map((file) => basename(file, '.rs')).sort();
for (const target of positionals) {
  if (!targets.includes(target)) throw new Error(`no target ${target}; there are ${targets.join(', ')}`);
}

const { toolchain, env } = findTools();
const verdicts = [];
for (const target of positionals.length > 0 ? positionals : targets) verdicts.push(await fuzz(target));

const failed = verdicts.filter((verdict) => !verdict.passed).length;
for (const { text } of verdicts) console.log(text);
console.log(`${verdicts.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs one target. Resolves to whether nothing was found, and the line that says so. */
async function fuzz(target) {
  cpSync(join(FUZZ, 'seeds', target), join(FUZZ, 'corpus', target), { recursive: true });
  const options = [`-max_total_time=${values.seconds}`, `-timeout=${INPUT_LIMIT}`, '-print_final_stats=1'];
  const dictionary = join(FUZZ, 'dictionaries', `${target}.dict`);
  if (existsSync(dictionary)) options.push(`-dict=${dictionary}`);

  const args = [...toolchain, 'fuzz', 'run', target, '--', ...options];
  const child = spawn('cargo', args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'pipe'] });
  const exit = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  let edges = '?';
  let inputs = '?';
  let speed = '?';
  for await (const line of createInterface({ input: child.stderr })) {
    console.error(line);
    edges = /^#\d+\s.*\bcov: (\d+)/.exec(line)?.[1] ?? edges;
    inputs = /^stat::number_of_executed_units: +(\d+)/.exec(line)?.[1] ?? inputs;
    speed = /^stat::average_exec_per_sec: +(\d+)/.exec(line)?.[1] ?? speed;
  }
  const passed = (await exit) === 0;
  const figures = `${inputs} inputs, ${speed} per second, ${edges} edges`;
  return { passed, text: `${target}: ${passed ? 'nothing found' : 'failed'} (${figures})` };
}

/** The toolchain argument of cargo, and the environment in which it has a fuzz command. */
function findTools() {
  const env = { ...process.env };
  const toolchain = [];
  if (hasNightly()) {
    toolchain.push('+nightly');
  } else {
    // The sanitizer and coverage flags are unstable, but stable compilers have them.
    console.log('no nightly toolchain: RUSTC_BOOTSTRAP=1 with the default one');
    env.RUSTC_BOOTSTRAP = '1';
  }
  if (run(['fuzz', '--version']).status === 0) return { toolchain, env };

  env.PATH = [join(TOOLS, 'bin'), env.PATH].join(delimiter);
  if (run(['fuzz', '--version'], { env }).status !== 0) {
    console.log(`no cargo-fuzz: installing it into ${TOOLS}`);
    const { status } = run(['install', 'cargo-fuzz', '--locked', '--root', TOOLS], { stdio: 'inherit' });
    if (status !== 0) throw new Error('cargo-fuzz could not be installed');
  }
  return { toolchain, env };
}

/** Asks rustup, because `cargo +nightly` might start a download. */
function hasNightly() {
  const { status, stdout } = spawnSync('rustup', ['toolchain', 'list'], { encoding: 'utf8' });
  return status === 0 && /^nightly-/m.test(stdout);
}

/** Runs cargo with the toolchain that everything else is built with. */
function run(args, options) {
  return spawnSync('cargo', args, { cwd: ROOT, ...options });
}
