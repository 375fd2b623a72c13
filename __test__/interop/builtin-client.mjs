/**
 * Node's own WebSocket client against this server, with every way to compress. Plain Node, so that `npm run test:nodes`
 * can run it on each version that has such a client.
 */

import assert from 'node:assert/strict';

import { serveEcho } from './echo-server.mjs';
import { exchange } from './exchange.mjs';

/** How long all of it may take, in milliseconds: it only keeps a hang from lasting. */
const PATIENCE = 180_000;

setTimeout(() => {
  console.error(`still running after ${PATIENCE} ms`);
  process.exit(1);
}, PATIENCE).unref();

const { urls, close } = serveEcho();
for (const [path, url] of urls) {
  const extensions = await exchange(url).catch((error) => {
    throw new Error(path, { cause: error });
  });
  assert.match(extensions, /^permessage-deflate/, path);
}
close();
