// node __test__/soak/newcomers.mjs [--seconds 20] [--hold 20000] [--rate 500]: how many honest TLS handshakes succeed while
// others hold so many connections on which nothing goes on, and so many new ones per second come. Fails below 95 %.

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { pause } from './chance.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    hold: { type: 'string', default: '20000' },
    rate: { type: 'string', default: '500' },
  },
});
const [seconds, hold, rate] = [values.seconds, values.hold, values.rate].map(Number);
/** An honest client that has waited for so long, in milliseconds, has failed. */
const PATIENCE = 5_000;
/** What the others send before they fall silent, in hexadecimal digits, and whether they come again when they are ended. */
const CROWDS = { 'say nothing': { bytes: '', refill: true }, 'begin a handshake': { bytes: '160301', refill: false } };
/** Each process holds a part: it has no more descriptors than the server. */
const PROCESSES = 2;

const directory = mkdtempSync(join(tmpdir(), 'ferrows-newcomers-'));
const [key_file_name, cert_file_name] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
execFileSync('openssl', [
  'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost',
  '-addext', 'subjectAltName=DNS:localhost', '-keyout', key_file_name, '-out', cert_file_name,
], { stdio: 'pipe' });
try {
  for (const [manner, crowd] of Object.entries(CROWDS)) await measure(manner, crowd);
} finally {
  rmSync(directory, { recursive: true });
}

function start(name, variables) {
  return fork(fileURLToPath(new URL(name, import.meta.url)), { env: { ...process.env, ...variables } });
}

async function ask(child) {
  child.send('report');
  return (await once(child, 'message'))[0];
}

async function measure(manner, { bytes, refill }) {
  const server = start('newcomers-server.mjs', { SERVER: JSON.stringify({ key_file_name, cert_file_name }) });
  const [{ port }] = await once(server, 'message');
  const empty = await ask(server);
  const crowd = Array.from({ length: PROCESSES }, () =>
    start('newcomers-crowd.mjs', { CROWD: JSON.stringify({ port, bytes, refill, hold: hold / PROCESSES, rate: rate / PROCESSES }) }));
  try {
    for (;;) {
      await pause(1_000);
      const reports = await Promise.all(crowd.map(ask));
      if (reports.every(({ begun }) => begun >= hold / PROCESSES)) break;
    }
    const honest = [];
    const until = Date.now() + seconds * 1_000;
    while (Date.now() < until) {
      honest.push(shakeHands(port));
      await pause(50);
    }
    const outcomes = await Promise.all(honest);
    const succeeded = outcomes.filter((it) => it !== undefined).sort((one, other) => one - other);
    const [full, ...others] = [await ask(server), ...(await Promise.all(crowd.map(ask)))];
    const share = succeeded.length / outcomes.length;
    const sum = (name) => others.reduce((total, it) => total + it[name], 0);
    console.log(`${share >= 0.95 ? 'passed' : 'FAILED'} clients that ${manner}: ${succeeded.length} of ${outcomes.length} honest`
      + ` handshakes (${(share * 100).toFixed(1)} %), half of them within ${succeeded[succeeded.length >> 1]} ms; the server had`
      + ` ${full.connections.http.open} open and ${((full.resident - empty.resident) / 1024 / 1024).toFixed(0)} MiB more than when empty,`
      + ` the others held ${sum('held')} and have made ${sum('begun')} connections`);
    if (share < 0.95) process.exitCode = 1;
  } finally {
    for (const child of [server, ...crowd]) child.kill('SIGKILL');
  }
}

/** How long it took, in milliseconds; `undefined` if it failed. */
async function shakeHands(port) {
  const begin = performance.now();
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(cert_file_name) });
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error('too late')));
  try {
    await once(socket, 'secureConnect');
    return Math.round(performance.now() - begin);
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}
