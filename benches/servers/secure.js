'use strict';

// Whether a server under test speaks TLS: if the runner has put a certificate and its key into the environment.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const { TLS_KEY: key_file_name, TLS_CERT: cert_file_name } = process.env;
const isSecure = key_file_name !== undefined;

/** An app of the module under test. */
function createApp(uWS, options = {}) {
  return isSecure ? uWS.SSLApp({ ...options, key_file_name, cert_file_name }) : uWS.App(options);
}

/** A server of Node. */
function createServer(...handlers) {
  if (!isSecure) return http.createServer(...handlers);
  return https.createServer({ key: readFileSync(key_file_name), cert: readFileSync(cert_file_name) }, ...handlers);
}

module.exports = { createApp, createServer };
