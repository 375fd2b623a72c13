// npm run test:runtimes: Bun and Deno, with the addon file that is built for Node.js: what test-nodes.mjs proves of each
// Node.js. The random misuse of misuse.test.js is not among it: these runtimes end where something is thrown inside of an
// 'uncaughtException' handler, which happens there sooner or later.

import { fileURLToPath } from 'node:url';

import { prove, Runtime } from './runtime.mjs';

const { arch, platform } = process;

const bun = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}@latest`;
const deno = `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}@latest`;
const runDeno = (...permissions) => {
  return Runtime.install(deno, 'deno', ['run', '--no-prompt', ...permissions.map((name) => `--allow-${name}`)]);
};
/** Enough to read the package, and nothing that would reveal the C library. */
const readPackage = `read=${fileURLToPath(new URL('..', import.meta.url))}`;
const loads = [['loads', 'runtimes/permitted.js', []]];
const refused = [['says what is missing', 'runtimes/permitted.js', ['refused']]];

prove([
  ['Bun', () => Runtime.install(bun, 'bin/bun')],
  // Ferrows needs the first two, the tests need the others.
  ['Deno', () => runDeno('read', 'ffi', 'env', 'net', 'run', 'write', 'sys')],
  ['Deno --allow-read --allow-ffi', () => runDeno('read', 'ffi'), loads],
  ['Deno --allow-read', () => runDeno('read'), refused],
  ['Deno --allow-read=. --allow-ffi', () => runDeno(readPackage, 'ffi'), loads],
  ['Deno --allow-read=.', () => runDeno(readPackage), refused],
]);
