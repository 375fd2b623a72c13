'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');

/** Has a server of Node's listen until the test is over. Resolves to its port. */
async function open(server, ...where) {
  server.listen(...(where.length > 0 ? where : [0, '127.0.0.1']));
  await once(server, 'listening');
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  return server.address().port;
}

/** An HTTP server of Node's with this listener of 'upgrade'. Requests are answered with `node`. Resolves to its port. */
async function serveUpgrades(onUpgrade, ...where) {
  const server = http.createServer((request, response) => response.end('node'));
  server.on('upgrade', onUpgrade);
  return open(server, ...where);
}

/** The same with TLS. `options` are those of `https.createServer`. */
async function serveSecureUpgrades(onUpgrade, options = {}) {
  const { key_file_name, cert_file_name } = certificate();
  const pair = { key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) };
  const server = https.createServer({ ...pair, ...options }, (request, response) => response.end('node'));
  server.on('upgrade', onUpgrade);
  return open(server);
}

module.exports = { open, serveSecureUpgrades, serveUpgrades };
