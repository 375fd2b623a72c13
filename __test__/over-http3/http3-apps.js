'use strict';

const { certificate } = require('../helpers/certificates.js');

/** Has `App` of this module make apps that speak HTTP/3, too. */
module.exports = function http3Apps(uWS) {
  const { App, SSLApp } = uWS;
  uWS.App = Object.assign(function (options = {}) {
    if (typeof options !== 'object') return App(options);
    const { key_file_name, cert_file_name } = certificate();
    return SSLApp({ http3: true, ...options, key_file_name, cert_file_name });
  }, App);
};
