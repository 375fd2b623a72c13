// Packages from npm that scripts use, and that are not installed with `npm ci` because few need them.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../.cache', import.meta.url));
/** Timeout of a download, in milliseconds; far longer than the slowest one takes. */
const LIMIT = 300_000;

/** Installs `specs` in the folder `name` of .cache, on first use. Returns that folder. No install script is run. */
export function packages(name, specs) {
  const folder = join(CACHE, name);
  const stamp = join(folder, 'installed', encodeURIComponent(specs.join(' ')));
  if (existsSync(stamp)) return folder;

  const npm = process.env.npm_execpath;
  if (!npm) throw new Error('run this with `npm run`');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // Otherwise npm would install into the folder of the nearest package.json above, which is ours.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const args = [npm, 'install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...specs];
  const { status } = spawnSync(process.execPath, args, { cwd: folder, stdio: 'inherit', timeout: LIMIT });
  if (status !== 0) throw new Error(`${specs.join(' ')} could not be installed`);
  mkdirSync(join(folder, 'installed'));
  writeFileSync(stamp, '');
  return folder;
}
