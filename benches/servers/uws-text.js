'use strict';

// Echo of texts that the application looks at: given to it as strings, or as the ArrayBuffers that it decodes.

const { obey } = require('./control.js');
const uWS = require('./module.js');

const text = process.env.TEXT;
const decoder = new TextDecoder();

const message =
  text === 'string'
    ? (ws, words) => void ws.send(words)
    : (ws, bytes) => void ws.send(decoder.decode(bytes));

uWS
  .App()
  .ws('/*', { text, maxPayloadLength: 1024 * 1024, message })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
