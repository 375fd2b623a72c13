/**
 * Runs h2spec, the conformance suite of HTTP/2 (https://github.com/summerwind/h2spec, 146 cases of generic, http2 and hpack),
 * against an app over TLS: `npm run h2spec [-- arguments of h2spec]`, for instance `-- http2/6.9`. Exits like h2spec.
 *
 * Which h2spec that is, in this order: the program that FERROWS_H2SPEC names; one on the PATH; what is built from the source
 * that FERROWS_H2SPEC_SOURCE names, with Debian's packages golang-go, golang-github-spf13-cobra-dev,
 * golang-github-fatih-color-dev and golang-golang-x-net-dev; what `go install` gets from Go's module proxy.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const uWS = require('..');
const { certificate } = require('../__test__/helpers/certificates.js');

const MODULE = 'github.com/summerwind/h2spec';
const VERSION = 'v2.6.0';
const TARGET = fileURLToPath(new URL('../target/h2spec', import.meta.url));

const runs = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** The program; `undefined` if there is none and none can be built. */
function find() {
  const { FERROWS_H2SPEC, FERROWS_H2SPEC_SOURCE } = process.env;
  if (FERROWS_H2SPEC) return FERROWS_H2SPEC;
  if (runs('h2spec', '--version')) return 'h2spec';
  const built = join(TARGET, 'h2spec');
  if (existsSync(built)) return built;
  mkdirSync(TARGET, { recursive: true });
  return (FERROWS_H2SPEC_SOURCE ? buildOf(resolve(FERROWS_H2SPEC_SOURCE)) : install()) && existsSync(built) ? built : undefined;
}

/** With the libraries that Debian keeps in /usr/share/gocode. */
function buildOf(source) {
  const path = join(TARGET, 'path');
  const place = join(path, 'src', MODULE);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(join(place, '..'), { recursive: true });
  symlinkSync(source, place);
  return go({ GO111MODULE: 'off', GOPATH: `${path}:/usr/share/gocode` }, ['build', '-o', join(TARGET, 'h2spec'), `${MODULE}/cmd/h2spec`]);
}

function install() {
  return go({ GOPATH: join(TARGET, 'path'), GOBIN: TARGET, GOFLAGS: '-modcacherw' }, ['install', `${MODULE}/cmd/h2spec@${VERSION}`]);
}

function go(env, args) {
  return spawnSync('go', args, { stdio: 'inherit', env: { ...process.env, GOCACHE: join(TARGET, 'cache'), ...env } }).status === 0;
}

const program = find();
if (program === undefined) {
  console.error('There is no h2spec, and none could be built: see the top of scripts/h2spec.mjs for what it takes.');
  process.exit(1);
}

const { key_file_name, cert_file_name } = certificate();
const app = uWS.SSLApp({ key_file_name, cert_file_name, http2: true });
app.any('/*', (res) => {
  res.onAborted(() => {});
  res.collectBody(1 << 20, () => res.end('Hello from an app.'));
});
app.listen('127.0.0.1', 0, (token) => {
  const port = uWS.us_socket_local_port(token);
  const child = spawn(program, ['--host', '127.0.0.1', '--port', port, '--tls', '--insecure', '--timeout', '5', ...process.argv.slice(2)], { stdio: 'inherit' });
  once(child, 'close').then(([code]) => {
    app.close();
    process.exitCode = code ?? 1;
  });
});
