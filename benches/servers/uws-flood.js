'use strict';

// A handler that is slow, and requests of others beside it.

const { obey } = require('./control.js');
const uWS = require('./module.js');
const { handle } = require('./work.js');

uWS
  .App()
  .ws('/flood', { message: handle })
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
