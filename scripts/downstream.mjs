// npm run test:downstream: packages that are written for uWebSockets.js, unmodified, on the build that is here.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../downstream', import.meta.url));
/** The file that names the lock file from which the packages were installed. */
const STAMP = join(FOLDER, 'node_modules', '.ferrows-lock');
/** In milliseconds. */
const LIMITS = { install: 300_000, tests: 300_000 };

install();
// Engine.IO keeps timers of half a minute behind connections that are over: hence the forced exit.
const options = ['--test', '--test-force-exit', '--test-concurrency=2', '--test-reporter=spec'];
const files = readdirSync(join(FOLDER, 'tests')).filter((name) => name.endsWith('.test.js'));
const wanted = process.argv.slice(2);
const chosen = files.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const { status } = spawnSync(process.execPath, [...options, ...chosen.map((name) => join('tests', name))], {
  cwd: FOLDER,
  stdio: 'inherit',
  timeout: LIMITS.tests,
});
process.exitCode = status ?? 1;

/** Installs what the lock file says, unless that is there already. */
function install() {
  const hash = createHash('sha256').update(readFileSync(join(FOLDER, 'package-lock.json'))).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === hash) return;
  const npm = process.env.npm_execpath;
  if (!npm) throw new Error('run this as `npm run test:downstream`');
  const args = [npm, 'ci', '--no-audit', '--no-fund', '--ignore-scripts'];
  const { status } = spawnSync(process.execPath, args, { cwd: FOLDER, stdio: 'inherit', timeout: LIMITS.install });
  if (status !== 0) throw new Error('the packages could not be installed');
  writeFileSync(STAMP, hash);
}
