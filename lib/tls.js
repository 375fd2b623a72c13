'use strict';

// The options of `SSLApp`: see index.d.ts.

const { native, readable } = require('./border.js');

/** Has an app speak TLS. */
function secure(app, options) {
  const { key_file_name, cert_file_name, handshakeTimeout, maxHandshakes } = options ?? {};
  native.appSecure(app, readable(key_file_name), readable(cert_file_name), handshakeTimeout, maxHandshakes);
}

module.exports = { secure };
