// npm run test:nodes: the smoke test on every Node.js line that Ferrows supports, with one and the same addon file; and the
// line's own WebSocket client against it, if it has one.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LINES = [18, 20, 22, 24];
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The npm package `node` fetches its binary from this one in an install script; taken directly it needs no script. */
const PACKAGE = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
const EXECUTABLE = process.platform === 'win32' ? 'node.exe' : 'node';
/** In milliseconds: a download, and a test that takes some seconds. */
const LIMITS = { install: 300_000, test: 200_000 };
/** Files below __test__, and the first line that can run them. */
const TESTS = [
  { name: 'smoke test', file: 'smoke.js', since: 18 },
  { name: 'built-in WebSocket', file: 'interop/builtin-client.mjs', since: 22 },
];

let passed = 0;
let failed = 0;
for (const line of LINES) {
  const node = binary(line);
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? line;
  for (const { name, file } of TESTS.filter(({ since }) => since <= line)) {
    const failure = run(node, file);
    if (failure === undefined) passed += 1;
    else failed += 1;
    console.log(`Node.js ${version}: ${name} ${failure === undefined ? 'passed' : `failed (${failure})`}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** The path of a Node.js of this line, installed below .cache on first use. */
function binary(line) {
  const folder = join(ROOT, '.cache', 'nodes', String(line));
  const path = join(folder, 'node_modules', PACKAGE, 'bin', EXECUTABLE);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    // Otherwise npm takes the nearest package.json above, ours, for the one to install into.
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const npm = process.env.npm_execpath;
    if (!npm) throw new Error('run this as `npm run test:nodes`');
    const args = [npm, 'install', '--no-save', '--no-audit', '--no-fund', `${PACKAGE}@${line}`];
    const { status } = spawnSync(process.execPath, args, { cwd: folder, stdio: 'inherit', timeout: LIMITS.install });
    if (status !== 0) throw new Error(`${PACKAGE}@${line} could not be installed`);
  }
  return path;
}

/** Runs a test; returns how it went wrong, if it did. */
function run(node, file) {
  const { status, signal, error } = spawnSync(node, [join(ROOT, '__test__', file)], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: LIMITS.test,
  });
  return status === 0 ? undefined : (error?.code ?? signal ?? `exit code ${status}`);
}
