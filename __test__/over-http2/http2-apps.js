'use strict';

/** Has `App` of this module make apps that speak HTTP/2, too. */
module.exports = function http2Apps(uWS) {
  const { App } = uWS;
  uWS.App = Object.assign(function (options = {}) {
    return typeof options === 'object' ? App({ http2: true, ...options }) : App(options);
  }, App);
};
