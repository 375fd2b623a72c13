'use strict';

const { certificate } = require('../helpers/certificates.js');

/** Has `App` of this module make apps that speak TLS. */
module.exports = function secureApps(uWS) {
  const { SSLApp } = uWS;
  uWS.App = (options = {}) => {
    if (typeof options !== 'object') return SSLApp(options);
    const { key_file_name, cert_file_name } = certificate();
    return SSLApp({ ...options, key_file_name, cert_file_name });
  };
};
