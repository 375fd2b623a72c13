// npm run test:leaders [-- arguments of Jest]: the suites of HTTP and WebSocket, or those that are named, once with Node's event
// loop driving the sockets, once with the I/O threads, and once with a leader that changes every few milliseconds.

import { spawnSync } from 'child_process';
import { createRequire } from 'module';

const LEADERS = ['node', 'thread', 'alternate'];
const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
const named = process.argv.slice(2);
const args = named.length > 0 ? named : ['__test__/http/', '__test__/websocket/', '__test__/app/leader'];

for (const leader of LEADERS) {
  console.error(`\n=== FERROWS_LEADER=${leader}`);
  const env = { ...process.env, FERROWS_LEADER: leader };
  const { status } = spawnSync(process.execPath, [jest, ...args], { stdio: 'inherit', env });
  if (status !== 0) process.exitCode = status ?? 1;
}
