'use strict';

// Request bodies that are counted, and a response of 100 MB in pieces.

const { stream } = require('./content.js');
const { obey } = require('./control.js');
const uWS = require('./module.js');
const { createApp } = require('./secure.js');

createApp(uWS)
  .post('/*', (response) => {
    let length = 0;
    response.onAborted(() => {});
    response.onData((chunk, isLast) => {
      length += chunk.byteLength;
      if (isLast) response.end(String(length));
    });
  })
  .get('/stream', stream)
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
