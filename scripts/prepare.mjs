// npm runs this after an installation in this folder, where there is nothing to do, and when it makes a package of this
// folder: of a checkout (`npm pack`), or of what it has cloned for `npm install git+https://…`. Such a package is of no use
// without an addon, which has to be built: there is no place for it in Git.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { INIT_CWD, npm_command: command, npm_config_local_prefix: prefix, npm_execpath: npm } = process.env;

/** The folder of the project that is being installed; if that is another one, this is a dependency of it. */
const project = relative(ROOT, prefix ?? INIT_CWD ?? ROOT);
const isDependency = project.startsWith('..') || isAbsolute(project);
const isBuilt = readdirSync(ROOT).some((name) => name.startsWith('ferrows.') && name.endsWith('.node'));

if ((isDependency || command === 'pack') && !isBuilt) {
  console.error('Ferrows comes without a native addon from Git, so it is built now, which takes minutes.');
  const { status } = spawnSync(process.execPath, [npm, 'run', 'build'], { cwd: ROOT, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
