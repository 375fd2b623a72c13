'use strict';

// What one publish costs Node's thread, told apart from what waking up for it costs anyway: short blocks of turns of
// the event loop with and without a publish in each turn alternate, and the median of the differences counts. (Over
// longer blocks the machine's own ups and downs are larger than a publish that takes a few microseconds.)

const { setImmediate: nextTurn, setTimeout: sleep } = require('node:timers/promises');
const { cpuMicroseconds } = require('./counters.js');

/**
 * The `publish` order: `{ blocks, turns, together, every, size }`, that is `blocks` times `turns` times `together`
 * publishes of `size` bytes, and one block more to warm up. A turn begins `every` milliseconds after the end of the one
 * before.
 * @param {(message: string) => void} publish Sends to all subscribers.
 */
function publishOrder(publish) {
  return async ({ blocks, turns, together, every, size }) => {
    const message = 'm'.repeat(size);
    const busy = () => {
      for (let count = 0; count < together; count += 1) publish(message);
    };
    const idle = () => {};
    await run(turns, every, busy);
    const differences = [];
    for (let block = 0; block < blocks; block += 1) {
      const without = await cpuOf(() => run(turns, every, idle));
      const including = await cpuOf(() => run(turns, every, busy));
      differences.push(less(including, without));
    }
    const each = (thread) => median(differences.map((difference) => difference[thread])) / (turns * together);
    const known = differences[0].main !== null;
    return {
      published: (blocks + 1) * turns * together,
      main: known ? each('main') : null,
      workers: known ? each('workers') : null,
    };
  };
}

/**
 * The `fanout` order: `{ publishes, size }`, as fast as it goes, some in each turn of the event loop.
 * @param {(message: string) => void} publish Sends to all subscribers.
 */
function fanOutOrder(publish) {
  return async ({ publishes, size }) => {
    const message = 'm'.repeat(size);
    for (let count = 1; count <= publishes; count += 1) {
      publish(message);
      if (count % TOGETHER === 0) await nextTurn();
    }
    return { published: publishes };
  };
}

/** Publishes in one turn of the event loop: what comes in between must not wait long. */
const TOGETHER = 10;

async function run(turns, every, work) {
  for (let turn = 0; turn < turns; turn += 1) {
    await sleep(every);
    work();
  }
}

async function cpuOf(work) {
  const before = await cpuMicroseconds();
  await work();
  return less(await cpuMicroseconds(), before);
}

function less(after, before) {
  if (after.main === null) return after;
  return { main: after.main - before.main, workers: after.workers - before.workers };
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

module.exports = { fanOutOrder, publishOrder };
