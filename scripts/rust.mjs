// Before what needs Rust: says so where there is none.

import { spawnSync } from 'node:child_process';

const { status } = spawnSync('cargo', ['--version'], { stdio: 'ignore' });
if (status !== 0) {
  console.error(
    'Rust is needed to build Ferrows, and `cargo` does not run here. See "Development" in README.md: it takes a Rust\n'
    + 'toolchain and a C compiler. Who only wants to use Ferrows needs neither: `npm install ferrows`.',
  );
  process.exitCode = 1;
}
