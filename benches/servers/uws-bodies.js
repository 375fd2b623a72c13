'use strict';

// Request bodies that are counted, and a response of 100 MB in pieces.

const { CONTENT, PIECE } = require('./content.js');
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
  .get('/stream', (response) => {
    const send = () => {
      for (;;) {
        const offset = response.getWriteOffset();
        const [ok, done] = response.tryEnd(CONTENT.subarray(offset, offset + PIECE), CONTENT.length);
        if (done || !ok) return ok;
      }
    };
    response.onAborted(() => {});
    response.onWritable(send);
    send();
  })
  .get('/*', (response) => {
    response.end('Hello World!');
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token));
  });
