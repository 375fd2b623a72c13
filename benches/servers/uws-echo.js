'use strict';

const { obey } = require('./control.js');
const uWS = require('./module.js');
const { createApp } = require('./secure.js');
const { handle, startWork } = require('./work.js');

const compress = process.env.DEFLATE === '1';
startWork();

createApp(uWS)
  .ws('/*', {
    compression: compress ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
    maxPayloadLength: 1024 * 1024,
    message(ws, message, isBinary) {
      handle();
      ws.send(message, isBinary, compress);
    },
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
