// npm run soak -- [--seconds 60]: clients of all manners, many at a time, and then a look at what the server still holds:
// no response, no descriptor and no memory that it did not hold after a warm-up.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { play } from './clients.mjs';

const MIB = 1024 * 1024;
/** glibc is told to give freed memory back: what it keeps otherwise goes up and down by thirty megabytes. */
const ALLOCATOR = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '65536' };
/** What the resident set may grow by. It goes up and down by half of that. */
const GROWTH = 24 * MIB;
const WIDTH = 60;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds must be a positive number: ${values.seconds}`);

const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), {
  execArgv: ['--expose-gc'],
  env: { ...process.env, ...ALLOCATOR },
});
const exit = once(server, 'exit');
const [{ port }] = await once(server, 'message');

async function measure() {
  // Lingering connections are given up after two seconds.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  server.send('measure');
  return (await once(server, 'message'))[0];
}

await play(port, Date.now() + Math.max(5, seconds / 4) * 1000, WIDTH);
const before = await measure();
const counts = await play(port, Date.now() + seconds * 1000, WIDTH);
const after = await measure();
server.send('end');
const [code, signal] = await exit;

console.log('connections:', JSON.stringify(counts));
console.log('before:', JSON.stringify(before), 'after:', JSON.stringify(after));
const checks = {
  'no connection hung': counts.stuck === 0,
  'every response was completed or aborted': after.open === 0,
  'no descriptor is left': after.descriptors <= before.descriptors,
  [`the resident set grew by less than ${GROWTH / MIB} MiB`]: after.rss - before.rss < GROWTH,
  'the heap grew by less than 4 MiB': after.heap - before.heap < 4 * MIB,
  'the server ended by itself': code === 0 && signal === null,
};
const failed = Object.entries(checks).filter(([, holds]) => !holds);
for (const [check, holds] of Object.entries(checks)) console.log(holds ? 'passed' : 'FAILED', check);
console.log(`${Object.keys(checks).length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
