'use strict';

// How the runner talks to a server under test: one JSON object per line, the port first, then one answer per order.
//
//   server ─► {"port":40123}
//   runner ─► {"order":"stats","settle":true}     server ─► {"main":…,"workers":…,"rss":…}
//
// The server ends when its stdin does, so it never outlives its runner.

const { createInterface } = require('node:readline');
const { cpuMicroseconds, residentBytes } = require('./counters.js');

/**
 * Announces the port and obeys orders from stdin.
 * @param {number} port
 * @param {Record<string, (order: object) => Promise<object>>} [orders] What this server can do besides `stats`.
 */
function obey(port, orders = {}) {
  const known = { stats, ...orders };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const order = JSON.parse(line);
    say(await known[order.order](order));
  });
  lines.on('close', () => process.exit());
  say({ port });
}

async function stats({ settle = false }) {
  const rss = await residentBytes(settle);
  return { ...(await cpuMicroseconds()), rss };
}

function say(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

module.exports = { obey };
