'use strict';

/**
 * `uWS.connect` by name while a name server does not answer: one on loopback, which a file system of its own makes the
 * machine's. That takes Linux and its superuser; the rules are tested in src/io/connector/resolver.rs.
 */

const { spawn, spawnSync } = require('child_process');
const { once } = require('events');
const { mkdtempSync, rmSync, writeFileSync } = require('fs');
const { tmpdir } = require('os');
const { join } = require('path');

const { afterTest } = require('../helpers/cleanup.js');

const NAME_SERVER = '127.9.9.9';
/** Names that are asked for at the same time: more than there once were threads. */
const SLOW = 40;

const PROGRAM = `
  const dgram = require('dgram');
  const uWS = require('ferrows');
  const asked = new Set();
  const app = uWS.App({ threads: 1 }).ws('/*', {});
  const server = dgram.createSocket('udp4');
  // A question begins behind twelve bytes, with its first label.
  server.on('message', async (question) => {
    asked.add(question.subarray(13, 13 + question[12]).toString());
    if (asked.size !== ${SLOW}) return;
    const ws = await uWS.connect('ws://localhost:' + server.port, {}, { connectTimeout: 0 });
    process.stdout.write('connected', () => process.exit());
  });
  server.bind(53, '${NAME_SERVER}', () => app.listen('127.0.0.1', 0, (token) => {
    server.port = uWS.us_socket_local_port(token);
    // The second of each waits for the same answer.
    for (let name = 0; name < 2 * ${SLOW}; name++) {
      uWS.connect('ws://slow' + (name % ${SLOW}) + '.example:1', {}, { connectTimeout: 0 }).catch(() => {});
    }
  }));`;

/** A command that runs another with files of its own bound over those of the system. */
const unshare = (...bound) => ['unshare', '-m', 'sh', '-c',
  `${bound.map(([file, over]) => `mount --bind ${file} ${over} && `).join('')}exec "$0" "$@"`];

function prepare() {
  const at = mkdtempSync(join(tmpdir(), 'ferrows-names-'));
  afterTest(() => rmSync(at, { recursive: true, force: true }));
  const [resolver, order] = [join(at, 'resolv.conf'), join(at, 'nsswitch.conf')];
  writeFileSync(resolver, `nameserver ${NAME_SERVER}\n`);
  writeFileSync(order, 'hosts: files dns\n');
  return unshare([resolver, '/etc/resolv.conf'], [order, '/etc/nsswitch.conf']);
}

function isPossible() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return false;
  const [command, ...args] = unshare(['/etc/resolv.conf', '/etc/resolv.conf'], ['/etc/nsswitch.conf', '/etc/nsswitch.conf']);
  return spawnSync(command, [...args, 'true']).status === 0;
}

(isPossible() ? test : test.skip)('names that do not resolve delay no other', async () => {
  const [command, ...args] = prepare();
  const child = spawn(command, [...args, process.execPath, '--eval', PROGRAM], { cwd: join(__dirname, '..', '..') });
  afterTest(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  let errors = '';
  child.stderr.on('data', (data) => { errors += data; });
  const [code] = await once(child, 'close');
  expect([said, code, errors]).toEqual(['connected', 0, '']);
});
