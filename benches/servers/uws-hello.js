'use strict';

const uWS = require('../../index.js');
const { obey } = require('./control.js');

uWS
  .App()
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
