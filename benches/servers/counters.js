'use strict';

// CPU time of this process by thread, and its resident memory, from /proc. Null where there is no /proc.

const { readdir, readFile } = require('node:fs/promises');
const { setTimeout: sleep } = require('node:timers/promises');

// The kernel adds a running thread's time to its counter when the thread stops running or at a timer tick. So the
// thread rests first, and the reads run on libuv's pool while it waits for them.
const REST_MS = 20;

/**
 * CPU microseconds since the process began: `main` is the thread that runs JavaScript, `workers` is the sum over all
 * others (I/O threads, libuv's pool, V8's compiler and collector).
 * @returns {Promise<{ main: number | null, workers: number | null }>}
 */
async function cpuMicroseconds() {
  if (process.platform !== 'linux') return { main: null, workers: null };
  await sleep(REST_MS);
  // Linux names the thread that called main() after the process.
  const own = String(process.pid);
  const others = (await readdir('/proc/self/task')).filter((id) => id !== own);
  const workers = await Promise.all(others.map(threadMicroseconds));
  return { main: await threadMicroseconds(own), workers: workers.reduce((sum, each) => sum + each, 0) };
}

/** The first field of schedstat is the time on a CPU in nanoseconds. */
async function threadMicroseconds(id) {
  try {
    const text = await readFile(`/proc/self/task/${id}/schedstat`, 'latin1');
    return Number(text.split(' ', 1)[0]) / 1000;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return 0; // ended since the directory was read
    throw error;
  }
}

/**
 * Resident memory in bytes.
 * @param {boolean} settle Collect garbage first, until two collections in a row free nothing worth mentioning.
 * @returns {Promise<number | null>}
 */
async function residentBytes(settle) {
  if (settle) await settleHeap();
  if (process.platform !== 'linux') return null;
  const status = await readFile('/proc/self/status', 'latin1');
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)[1]) * 1024;
}

/**
 * Makes a good deal of garbage, of which a part lives for a while: the collector's code is several megabytes of Node's
 * binary, and V8's space for young objects grows to twice 16 MB by what survives in it, and shrinks at times. Both would
 * otherwise come into memory between two readings and be charged to whatever is measured.
 */
function fillYoungSpace() {
  const kept = new Array(20_000);
  for (let index = 0; index < 2_000_000; index += 1) kept[index % kept.length] = { index, items: [index] };
  return kept.length;
}

async function settleHeap() {
  fillYoungSpace();
  let before = Infinity;
  for (let round = 0; round < 10; round += 1) {
    global.gc();
    await sleep(50);
    const { heapUsed, external } = process.memoryUsage();
    if (before - (heapUsed + external) < 16 * 1024) return;
    before = heapUsed + external;
  }
}

module.exports = { cpuMicroseconds, residentBytes };
