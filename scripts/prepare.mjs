// Before a package is made of this folder (`npm pack`), or of a clone of it (`npm install git+https://…`): such a package is
// of no use without an addon, which has to be built, as Git has none. Package managers run `prepack` then, all but npm, which
// for a clone runs `prepare` alone; and that it runs after an installation in this folder, too, where there is nothing to do.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { INIT_CWD, npm_config_local_prefix: prefix, npm_lifecycle_event: event } = process.env;

/** The folder of the project that is being installed; if that is another one, this is a dependency of it. */
const project = relative(ROOT, prefix ?? INIT_CWD ?? ROOT);
const isDependency = project.startsWith('..') || isAbsolute(project);
const isBuilt = readdirSync(ROOT).some((name) => name.startsWith('ferrows.') && name.endsWith('.node'));

if ((isDependency || event === 'prepack') && !isBuilt) {
  console.error('Ferrows comes without a native addon from Git, so it is built now, which takes minutes.');
  const { status } = spawnSync('npm run build', { cwd: ROOT, stdio: 'inherit', shell: true });
  process.exitCode = status ?? 1;
}
