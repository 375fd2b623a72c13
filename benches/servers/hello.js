'use strict';

// What servers with responses of two sizes have in common.

const { stream } = require('./content.js');
const { obey } = require('./control.js');
const uWS = require('./module.js');

/** Serves hello world and, at `/stream`, 100 MB. */
function serveHello(app) {
  app
    .get('/stream', stream)
    .get('/*', (response) => {
      response.end('Hello World!');
    })
    .listen('127.0.0.1', 0, (token, error) => {
      if (!token) throw error;
      obey(uWS.us_socket_local_port(token));
    });
}

module.exports = { serveHello };
