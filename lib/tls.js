'use strict';

// The options of `SSLApp`: see index.d.ts.

const { native, readable } = require('./border.js');

/** TLS options, in this order in src/node/tls_options.rs. */
const OPTIONS = [
  'key_file_name', 'key', 'cert_file_name', 'cert', 'ca_file_name', 'ca', 'passphrase', 'requireClientCertificate',
  'ssl_ciphers', 'dh_params_file_name', 'ssl_prefer_low_memory_usage',
];

/** Has an app speak TLS. */
function secure(app, options) {
  native.appSecure(app, readTlsOptions(options), options?.handshakeTimeout, options?.maxHandshakes);
}

function readTlsOptions(options) {
  return OPTIONS.map((name) => readable(options?.[name]));
}

module.exports = { secure };
