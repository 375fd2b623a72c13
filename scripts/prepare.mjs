// Runs before this folder (`npm pack`) or a clone of it (`npm install git+https://…`) is packed, and builds the addon,
// which is not in Git. Package managers run `prepack` then; npm, for a clone, runs only `prepare`. npm runs `prepare`
// after an installation in this folder, too, where there is nothing to do.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { INIT_CWD, npm_config_local_prefix: prefix, npm_lifecycle_event: event } = process.env;

/** The folder of the project that is being installed; if it is another folder, this project is its dependency. */
const project = relative(ROOT, prefix ?? INIT_CWD ?? ROOT);
const isDependency = project.startsWith('..') || isAbsolute(project);
const isBuilt = readdirSync(ROOT).some((name) => name.startsWith('ferrows.') && name.endsWith('.node'));

if ((isDependency || event === 'prepack') && !isBuilt) {
  console.error('Ferrows comes without a native addon from Git, so it is built now, which takes minutes.');
  const { status } = spawnSync('npm run build', { cwd: ROOT, stdio: 'inherit', shell: true });
  process.exitCode = status ?? 1;
}
