// A JavaScript runtime from npm, and what Ferrows has to do there: for test-nodes.mjs and test-runtimes.mjs.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TESTS = join(ROOT, '__test__');
/** In milliseconds: a download, and a test, far beyond what the slowest takes. */
const LIMITS = { install: 300_000, test: 200_000 };

/** Every promise in a process of its own, because one that is broken may end it: title, file of __test__, arguments. */
const CHECK = 'runtimes/check.js';
const checks = JSON.parse(execFileSync(process.execPath, [join(TESTS, CHECK)], { encoding: 'utf8' }));
export const PROOFS = [['smoke test', 'smoke.js', []], ...checks.map((name) => [name, CHECK, [name]])];

/** Runs proofs with each of `runtimes`, and tells how it went; the exit code says whether all is well. */
export function prove(runtimes) {
  let failed = 0;
  for (const [name, install, proofs = PROOFS] of runtimes) {
    const runtime = install();
    const failures = proofs.flatMap(([title, program, args]) => {
      const failure = runtime.run(program, args);
      return failure === undefined ? [] : [`  ${title}: ${failure}`];
    });
    console.log(`${name} ${runtime.version}: ${proofs.length - failures.length} passed, ${failures.length} failed`);
    failures.forEach((line) => console.log(line));
    failed += failures.length;
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

/** One runtime, installed below .cache on first use. */
export class Runtime {
  #command;

  /**
   * `spec` is the npm package that has the binary for this platform, with a version; the packages that users install
   * fetch these in an install script. `file` is the binary in it, `args` go in front of a program.
   */
  static install(spec, file, args = []) {
    const folder = join(ROOT, '.cache', 'runtimes', spec.replaceAll('/', '+'));
    const path = join(folder, 'node_modules', spec.slice(0, spec.lastIndexOf('@')), file);
    if (!existsSync(path)) {
      mkdirSync(folder, { recursive: true });
      // Otherwise npm takes the nearest package.json above, ours, for the one to install into.
      writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
      const npm = process.env.npm_execpath;
      if (!npm) throw new Error('run this with `npm run`');
      const install = [npm, 'install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', spec];
      const { status } = spawnSync(process.execPath, install, { cwd: folder, stdio: 'inherit', timeout: LIMITS.install });
      if (status !== 0) throw new Error(`${spec} could not be installed`);
    }
    return new Runtime([path, ...args]);
  }

  constructor(command) {
    this.#command = command;
    const [path] = command;
    const printed = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim();
    /** What it calls its version; `undefined` if it does not even run. */
    this.version = /\d+\.\d+\.\d+/.exec(printed)?.[0];
  }

  /** Runs a file of __test__. Returns how it went wrong, or `undefined`. */
  run(program, args) {
    const [path, ...rest] = this.#command;
    const { status, signal, error, stderr } = spawnSync(path, [...rest, join(TESTS, program), ...args], {
      // A folder where files may be left.
      cwd: tmpdir(),
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: LIMITS.test,
      killSignal: 'SIGKILL',
    });
    if (status === 0) return undefined;
    process.stderr.write(stderr ?? '');
    return error?.code ?? signal ?? `exit code ${status}`;
  }
}
