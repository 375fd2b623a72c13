// npm run test:runtimes: Bun and Deno, with the addon file that is built for Node.js: what test-nodes.mjs proves of each
// Node.js, and that no misuse ends the process.

import { PROOFS, prove, Runtime } from './runtime.mjs';

const { arch, platform } = process;

const bun = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}@latest`;
const deno = `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}@latest`;
const runDeno = (...permissions) => {
  return Runtime.install(deno, 'deno', ['run', '--no-prompt', ...permissions.map((name) => `--allow-${name}`)]);
};

const misuse = [1, 2].map((seed) => {
  return [`misuse, seed ${seed}`, 'fixtures/misuse/main.js', [JSON.stringify({ seed, calls: 10_000 })]];
});

prove([
  ['Bun', () => Runtime.install(bun, 'bin/bun'), [...PROOFS, ...misuse]],
  // Ferrows needs the first two, the tests need the others.
  ['Deno', () => runDeno('read', 'ffi', 'env', 'net', 'run', 'write', 'sys'), [...PROOFS, ...misuse]],
  ['Deno --allow-read --allow-ffi', () => runDeno('read', 'ffi'), [['loads', 'runtimes/permitted.js', []]]],
  ['Deno --allow-read', () => runDeno('read'), [['says what is missing', 'runtimes/permitted.js', ['refused']]]],
]);
