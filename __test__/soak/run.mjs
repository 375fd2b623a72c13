// npm run soak -- [--seconds 60] [http] [websocket] [ws]: clients of all manners, many at a time, and then a look at what the
// server still holds: nothing that it did not hold after a warm-up, neither descriptors nor memory.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { pause } from './chance.mjs';
import { HABITS as HTTP_HABITS } from './http-clients.mjs';
import { play } from './lanes.mjs';
import { HABITS as WEBSOCKET_HABITS } from './websocket-clients.mjs';

const MIB = 1024 * 1024;
/** glibc is told to give freed memory back: what it keeps otherwise goes up and down by thirty megabytes. */
const ALLOCATOR = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '65536' };

/** Each with the connections that it has at a time, what its resident set may grow by, and what must be so afterwards. */
const PARTS = {
  http: {
    habits: HTTP_HABITS,
    width: 60,
    // It goes up and down by half of that.
    growth: 24 * MIB,
    settled: { 'every response was completed or aborted': (after) => after.open === 0 },
  },
  websocket: {
    habits: WEBSOCKET_HABITS,
    width: 2_000,
    growth: 24 * MIB,
    settled: {
      'every WebSocket was closed': (after) => after.open === 0,
      'no topic has a subscriber': (after) => after.subscriptions === 0,
      'nothing was heard of a WebSocket after its close': (after) => after.strays === 0,
    },
  },
  /** The WebSockets of `ferrows/ws`. */
  ws: {
    habits: WEBSOCKET_HABITS,
    width: 2_000,
    // Of what Node's HTTP takes for 2,000 connections at a time it gives back more or less.
    growth: 48 * MIB,
    settled: {
      'every WebSocket was closed': (after) => after.open === 0 && after.clients === 0,
      'every callback was called, once, and nothing was heard after a close': (after) => after.waits === 0 && after.strays === 0,
    },
  },
};

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds must be a positive number: ${values.seconds}`);
for (const name of positionals) {
  if (!Object.hasOwn(PARTS, name)) throw new Error(`no part ${name}; there are ${Object.keys(PARTS).join(', ')}`);
}

const verdicts = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  for (const [check, holds] of Object.entries(await soak(name, PARTS[name]))) {
    verdicts.push(holds);
    console.log(holds ? 'passed' : 'FAILED', `${name}: ${check}`);
  }
}
const failed = verdicts.filter((holds) => !holds).length;
console.log(`${verdicts.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Runs one part. Resolves to what was to be so, and whether it is. */
async function soak(name, { habits, width, growth, settled }) {
  const server = fork(fileURLToPath(new URL(`${name}-server.mjs`, import.meta.url)), {
    // V8's young generation grows with the garbage per turn of the event loop, by up to 48 MiB, and stays so.
    execArgv: ['--expose-gc', '--max-semi-space-size=2'],
    env: { ...process.env, ...ALLOCATOR },
  });
  const exit = once(server, 'exit');
  const [{ port }] = await once(server, 'message');
  const measure = async () => {
    // Lingering connections are given up after two seconds.
    await pause(3_000);
    server.send('measure');
    return (await once(server, 'message'))[0];
  };

  await play(habits, port, Date.now() + Math.max(5, seconds / 4) * 1000, width);
  const before = await measure();
  const { counts, wrongs } = await play(habits, port, Date.now() + seconds * 1000, width);
  const after = await measure();
  server.send('end');
  const [code, signal] = await exit;

  console.log(`${name}:`, JSON.stringify(counts));
  console.log('before:', JSON.stringify(before), 'after:', JSON.stringify(after));
  for (const wrong of wrongs.slice(0, 5)) console.log(wrong);
  return {
    'no connection hung': counts.stuck === 0,
    'what was answered was right': wrongs.length === 0,
    ...Object.fromEntries(Object.entries(settled).map(([check, holds]) => [check, holds(after)])),
    'no descriptor is left': after.descriptors <= before.descriptors,
    [`the resident set grew by less than ${growth / MIB} MiB`]: after.rss - before.rss < growth,
    'the heap grew by less than 4 MiB': after.heap - before.heap < 4 * MIB,
    'the server ended by itself': code === 0 && signal === null,
  };
}
