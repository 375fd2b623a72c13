'use strict';

const { obey } = require('./control.js');
const uWS = require('./module.js');

uWS
  .App()
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
