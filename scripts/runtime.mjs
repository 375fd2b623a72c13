// A JavaScript runtime from npm, and what Ferrows has to do there: for test-nodes.mjs and test-runtimes.mjs.

import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { packages } from './packages.mjs';

const TESTS = fileURLToPath(new URL('../__test__', import.meta.url));
/** In milliseconds: for a test, far beyond what the slowest takes. */
const LIMIT = 200_000;

/** Every promise in a process of its own, because one that is broken may end it: title, file of __test__, arguments. */
const CHECK = 'runtimes/check.js';
const checks = JSON.parse(execFileSync(process.execPath, [join(TESTS, CHECK)], { encoding: 'utf8' }));
export const PROOFS = [['smoke test', 'smoke.js', []], ...checks.map((name) => [name, CHECK, [name]])];

/** Runs the proofs with each of `runtimes` and prints the results; the exit code is 0 if all succeed. */
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
    const folder = packages(join('runtimes', spec.replaceAll('/', '+')), [spec]);
    const path = join(folder, 'node_modules', spec.slice(0, spec.lastIndexOf('@')), file);
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
      timeout: LIMIT,
      killSignal: 'SIGKILL',
    });
    if (status === 0) return undefined;
    process.stderr.write(stderr ?? '');
    return error?.code ?? signal ?? `exit code ${status}`;
  }
}
