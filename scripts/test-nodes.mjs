// npm run test:nodes: the smoke test on every Node.js line that Ferrows supports, with one and the same addon file.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LINES = [18, 20, 22, 24];
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The npm package `node` fetches its binary from this one in an install script; taken directly it needs no script. */
const PACKAGE = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
const EXECUTABLE = process.platform === 'win32' ? 'node.exe' : 'node';
/** In milliseconds: a download, and a test that takes a second. */
const LIMITS = { install: 300_000, smoke: 60_000 };

let failed = 0;
for (const line of LINES) {
  const verdict = smoke(binary(line));
  if (verdict.failed) failed += 1;
  console.log(`Node.js ${verdict.version ?? line}: ${verdict.failed ?? 'smoke test passed'}`);
}
console.log(`${LINES.length - failed} passed, ${failed} failed`);
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

/** Runs the smoke test; `failed` says how it went wrong. */
function smoke(node) {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim();
  const { status, signal, error } = spawnSync(node, [join(ROOT, '__test__', 'smoke.js')], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: LIMITS.smoke,
  });
  if (status === 0) return { version };
  return { version, failed: `smoke test failed (${error?.code ?? signal ?? `exit code ${status}`})` };
}
