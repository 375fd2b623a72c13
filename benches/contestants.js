'use strict';

// The servers that are measured. The first contestant of a measure is compared with each of the others. Where that is
// Ferrows, every module that has the same API can take part, too: a peer runs the same server.

const { existsSync } = require('node:fs');
const path = require('node:path');
const { certificate } = require('../__test__/helpers/certificates.js');

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} server A file of `benches/servers`, or `bare`, the server that is a mode of the load client.
 * @property {object} [env] What makes the server do what is measured.
 * @property {boolean} [isSecure] Whether it speaks TLS.
 * @property {string} [command] A program that it needs, and is left out without.
 * @property {string} [module] What the server runs on instead of this project.
 * @property {boolean} [isCeiling] Shown beside the others, not compared with.
 * @property {string} [role] What targets call it, if not by its name.
 * @property {boolean} [hasNoPeers] Whether it needs what a module with the same API need not have.
 *
 * @typedef {{ name: string, module: string }} Peer
 */

const OWN = 'ferrows';

/** Ferrows, and what it is compared with. */
function versus(own, ...others) {
  return [{ name: OWN, server: own }, ...others];
}

const ECHO = versus('uws-echo.js', { name: 'ws', server: 'ws-echo.js' });
const PUBLISH = versus('uws-publish.js', { name: 'ws', server: 'ws-publish.js' });
/** The same programs on the two packages with the API of ws. */
const WS_API = { echo: sameProgram('ws-echo.js'), publish: sameProgram('ws-publish.js') };
/** Two threads with the same topics; the other one does what programs do without a broker. */
const SHARING = [
  { name: OWN, server: 'broker.js', env: { SHARING: 'broker' } },
  { name: 'BroadcastChannel', server: 'broker.js', env: { SHARING: 'channel' } },
];
/** Two processes with the same topics, by a Redis server; the glue is what programs do without a broker. */
const BROKERS = [
  { name: OWN, server: 'brokers.js', env: { SHARING: 'broker' } },
  { name: 'node-redis', server: 'brokers.js', env: { SHARING: 'glue' } },
];
/** A process with a broker, and nobody else; and one without. */
const ALONE = [
  { name: OWN, server: 'brokers.js', env: { SHARING: 'broker' } },
  { name: 'no broker', server: 'brokers.js', env: { SHARING: 'none' } },
];
const FLOOD = versus('uws-flood.js', { name: 'ws', server: 'ws-flood.js' });
const HELLO = versus(
  'uws-hello.js',
  { name: 'node:http', server: 'node-http.js' },
  { name: 'bare', server: 'bare', isCeiling: true },
);
const BODIES = versus('uws-bodies.js', { name: 'node:http', server: 'node-bodies.js' });
const SECURE_BODIES = secured(versus('uws-bodies.js', { name: 'node:https', server: 'node-bodies.js' }));

/** One program of ws, on `ferrows/ws` and on ws. */
function sameProgram(server) {
  return [{ name: 'ferrows/ws', server, env: { WS_MODULE: 'ferrows/ws' } }, { name: 'ws', server }];
}

/** The same contestants with more in their environment. */
function withVariables(contestants, env) {
  return contestants.map((contestant) => ({ ...contestant, env: { ...contestant.env, ...env } }));
}

/** The same contestants with TLS. */
function secured(contestants) {
  return contestants.map((contestant) => ({ ...contestant, isSecure: true }));
}

/** All variables that its server needs. The certificate is made when it is first needed. */
function environment({ env, isSecure, module }) {
  const variables = { ...env, ...(module !== undefined && { UWS_MODULE: module }) };
  if (!isSecure) return variables;
  const { key_file_name, cert_file_name } = certificate();
  return { ...variables, TLS_KEY: key_file_name, TLS_CERT: cert_file_name };
}

/**
 * A peer as the command line names it: `PATH` or `NAME=PATH`, where the path is that of a file or of a package's folder,
 * or the name of a package that is installed.
 * @returns {Peer}
 */
function peerFrom(text) {
  const [, name = 'peer', place] = /^(?:([^=/\\]+)=)?(.+)$/.exec(text) ?? [];
  if (place === undefined) throw new Error('--peer needs the path of a module');
  const file = path.resolve(place);
  try {
    return { name, module: require.resolve(existsSync(file) ? file : place, { paths: [process.cwd()] }) };
  } catch (error) {
    throw new Error(`--peer ${text}: no module there`, { cause: error });
  }
}

/** The contestants of a measure with the peers behind them, if these can run it. Targets are about the first peer. */
function withPeers(contestants, peers) {
  const [own] = contestants;
  if (own.name !== OWN || own.hasNoPeers) return contestants;
  const more = peers.map(({ name, module }, index) => ({ ...own, name, module, role: index === 0 ? 'peer' : '' }));
  const taken = [...contestants, ...more].map(({ name }) => name);
  const twice = taken.find((name, index) => taken.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`--peer: ${twice} would name two contestants, use NAME=PATH`);
  return [...contestants, ...more];
}

/** The first contestant, and those that it is compared with. */
function opponents([own, ...others]) {
  return others.filter(({ isCeiling }) => !isCeiling).map((other) => [own, other]);
}

module.exports = {
  ALONE, BODIES, BROKERS, ECHO, FLOOD, HELLO, PUBLISH, SECURE_BODIES, SHARING, WS_API,
  environment, opponents, peerFrom, secured, withPeers, withVariables,
};
