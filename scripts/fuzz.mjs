// npm run fuzz -- [--seconds 60] [target …]: fuzzes each target for so long. Needs a nightly toolchain and cargo-fuzz
// (`cargo install cargo-fuzz`). Findings are left in fuzz/artifacts.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FUZZ = ['+nightly', 'fuzz'];

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
});

let failed = 0;
const targets = positionals.length > 0 ? positionals : listTargets();
for (const target of targets) {
  const args = [...FUZZ, 'run', target, '--', `-max_total_time=${values.seconds}`];
  const { status } = spawnSync('cargo', args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) failed += 1;
  console.log(`${target}: ${status === 0 ? 'nothing found' : 'failed'}`);
}
console.log(`${targets.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function listTargets() {
  const { status, stdout, stderr } = spawnSync('cargo', [...FUZZ, 'list'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`cargo fuzz list failed; \`cargo install cargo-fuzz\` may help\n${stderr}`);
  return stdout.trim().split('\n');
}
