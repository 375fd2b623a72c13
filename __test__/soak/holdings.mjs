// What a server of the soak still holds. Told `measure` over IPC, it says so, once garbage is collected; told anything else,
// it ends.

import { readdirSync } from 'node:fs';

import { pause } from './chance.mjs';

/** Obeys for this app. `own` tells what only the server itself knows. */
export function obey(app, own) {
  process.on('message', async (order) => {
    if (order === 'measure') return process.send(await measure(own));
    app.close();
    process.disconnect();
  });
}

async function measure(own) {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc();
    await pause(50);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { ...own(), descriptors: readdirSync('/proc/self/fd').length, rss, heap: heapUsed + external };
}
