/**
 * What Ferrows promises about silence, with what cuts it in the world: `npm run test:proxies`, three minutes. Needs nginx and
 * HAProxy (Debian's packages).
 *
 * - One quiet WebSocket behind each, with the timeouts that it has by default: without pings, and as Ferrows is by default.
 * - `ferrows probe` against a server behind proxies that cut by FIN, by RST and silently after 6, 11 and 30 s.
 */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import WebSocket from 'ws';

import uWS from '../../index.mjs';
import { CuttingProxy } from '../helpers/cutting-proxy.js';

const PROGRAM = fileURLToPath(new URL('../../lib/cli/ferrows.js', import.meta.url));

/** Longer than what the proxies wait twice, in seconds. */
const WATCHED = 125;
/** Seconds after which the proxies of the second part cut. */
const LIMITS = [6, 11, 30];
const ENDS = { fin: 'by a TCP FIN', rst: 'by a TCP RST', silent: 'silently: neither side is told' };

const folder = mkdtempSync(join(tmpdir(), 'ferrows-proxies-'));
const steps = [() => rmSync(folder, { recursive: true, force: true })];

/** How the WebSockets of the first part have ended, by path. */
const closes = new Map();
const app = uWS.App({ threads: 1 })
  .ws('/before/*', { pingInterval: 0, upgrade, close })
  .ws('/after/*', { upgrade, close })
  // What the probe is to find is the proxy.
  .ws('/quiet', { pingInterval: 0, idleTimeout: 0 });
steps.push(() => app.close());

function upgrade(res, req) {
  res.upgrade({ path: req.getUrl() });
}

function close(ws, code, message, info) {
  closes.set(ws.path, info);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a program of the system in the foreground, and waits until it listens on the port. */
async function start(port, command, ...args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  const failed = once(child, 'exit').then(([code]) => { throw new Error(`${command} has ended with ${code}`); });
  failed.catch(() => {});
  steps.push(() => child.kill());
  for (;;) {
    const answer = fetch(`http://127.0.0.1:${port}/`).then(() => true, () => setTimeout(50));
    if (await Promise.race([answer, failed])) return;
  }
}

/** nginx as its documentation says for WebSockets, with its default timeouts. */
async function startNginx(server) {
  const port = await freePort();
  const path = join(folder, 'nginx.conf');
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
  writeFileSync(path, `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://127.0.0.1:${server};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection "upgrade";
        }
      }
    }
  `);
  await start(port, 'nginx', '-e', join(folder, 'error.log'), '-c', path);
  return port;
}

/** HAProxy with the timeouts of the file that comes with Debian. */
async function startHaproxy(server) {
  const port = await freePort();
  const path = join(folder, 'haproxy.cfg');
  const timeouts = readFileSync('/etc/haproxy/haproxy.cfg', 'utf8').match(/^\s*timeout (?:connect|client|server)\s.*$/gm);
  assert.equal(timeouts.length, 3);
  writeFileSync(path, `
defaults
  mode http
${timeouts.join('\n')}
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server one 127.0.0.1:${server}
`);
  await start(port, 'haproxy', '-db', '-f', path);
  return port;
}

async function openQuiet(url) {
  const client = new WebSocket(url);
  client.on('error', () => {});
  await once(client, 'open');
  steps.push(() => client.terminate());
  return client;
}

/** The first part. */
async function watchQuietLines(server) {
  const proxies = { nginx: await startNginx(server), haproxy: await startHaproxy(server) };
  const clients = new Map();
  for (const [name, port] of Object.entries(proxies)) {
    for (const when of ['before', 'after']) {
      const path = `/${when}/${name}`;
      clients.set(path, await openQuiet(`ws://127.0.0.1:${port}${path}`));
    }
  }
  await setTimeout(WATCHED * 1000);
  // HAProxy ends the side of the client by FIN, and resets that of the server.
  for (const [name, limit, expected] of [['nginx', 60, 'ERR_FIN_WITHOUT_CLOSE'], ['haproxy', 50, 'ERR_CONNECTION_RESET']]) {
    const { cause, silentFor } = closes.get(`/before/${name}`);
    console.log(`${name}, without pings: ${cause} after ${(silentFor / 1000).toFixed(1)} s of silence`);
    assert.equal(cause, expected);
    assert.ok(Math.abs(silentFor / 1000 - limit) < 1.5, `${silentFor} ms`);
    const after = clients.get(`/after/${name}`);
    assert.deepEqual([after.readyState, closes.get(`/after/${name}`)], [WebSocket.OPEN, undefined]);
    console.log(`${name}, by default: open after ${WATCHED} s`);
  }
}

/** One run of the second part. */
async function probe(server, how, limit) {
  const proxy = await CuttingProxy.start(server, how, limit * 1000);
  steps.push(() => proxy.close());
  const args = [PROGRAM, 'probe', '--json', '--max', '60', `ws://127.0.0.1:${proxy.port}/quiet`];
  const { code, stdout } = await promisify(execFile)(process.execPath, args).catch((error) => error);
  const { verdict } = JSON.parse(stdout);
  const { text } = verdict.find(({ kind }) => kind === 'problem') ?? { text: 'nothing' };
  console.log(`probe, ${how} after ${limit} s: ${text}`);
  assert.equal(code, 1);
  assert.ok(text.includes(ENDS[how]), text);
  // A silent cut is known to lie between a silence that was survived and one that was not.
  const [, shortest, longest = shortest] = text.match(/ after ([\d.]+)(?: to ([\d.]+))? s of silence/);
  assert.ok(shortest <= limit * 1.02 && longest >= limit - 0.1 && longest <= limit * 1.2, text);
}

try {
  const server = uWS.us_socket_local_port(await app.listen('127.0.0.1', 0));
  const probes = Object.keys(ENDS).flatMap((how) => LIMITS.map((limit) => probe(server, how, limit)));
  const results = await Promise.allSettled([watchQuietLines(server), ...probes]);
  const failures = results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
  for (const failure of failures) console.log(`FAILED ${failure.stack}`);
  console.log(`${results.length - failures.length} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  while (steps.length > 0) steps.pop()();
}
