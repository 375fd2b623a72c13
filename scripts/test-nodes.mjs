// npm run test:nodes: the smoke test, and what a runtime has to provide (__test__/runtimes/check.js), on every Node.js line
// that Ferrows supports, with one and the same addon file; and the line's own WebSocket client against it, if it has one.
// With `-- --here`, only on the Node.js that runs this.

import { PROOFS, prove, Runtime } from './runtime.mjs';

/** `latest` is the newest release of all, which may be of a line that is not named here. */
const LINES = ['18', '20', '22', '24', 'latest'];
/** Lines of Node.js without a WebSocket client. */
const OLD = ['18', '20'];
/** The npm package `node` fetches its binary from this one. */
const PACKAGE = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
const EXECUTABLE = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';

const client = ['built-in WebSocket', 'interop/builtin-client.mjs', []];

const here = ['Node.js', () => new Runtime([process.execPath])];
const lines = LINES.map((line) => [
  'Node.js',
  () => Runtime.install(`${PACKAGE}@${line}`, EXECUTABLE),
  OLD.includes(line) ? PROOFS : [...PROOFS, client],
]);
prove(process.argv.includes('--here') ? [here] : lines);
