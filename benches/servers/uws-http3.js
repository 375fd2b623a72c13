'use strict';

// Hello world, and 100 MB, for clients of HTTP/3 and, over TLS, HTTP/1.1.

const { stream } = require('./content.js');
const { obey } = require('./control.js');
const uWS = require('./module.js');
const { createApp } = require('./secure.js');

// Those that are counted while they are idle stay.
createApp(uWS, { http2: true, http3: { idleTimeout: 0 }, keepAliveTimeout: 0 })
  .get('/stream', stream)
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
