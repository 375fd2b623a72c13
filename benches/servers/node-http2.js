'use strict';

// Hello world on node:http2, over TLS if the runner has put a certificate and its key into the environment.

const { readFileSync } = require('node:fs');
const { createSecureServer, createServer } = require('node:http2');
const { obey } = require('./control.js');

const { TLS_KEY, TLS_CERT } = process.env;
const answer = (request, response) => response.end('Hello World!');
const server = TLS_KEY === undefined
  ? createServer(answer)
  : createSecureServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) }, answer);
server.listen(0, '127.0.0.1', () => obey(server.address().port));
