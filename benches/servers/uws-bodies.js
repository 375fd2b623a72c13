'use strict';

// Request bodies that are counted, and a response of 100 MB in pieces.

const { serveHello } = require('./hello.js');
const uWS = require('./module.js');
const { createApp } = require('./secure.js');

const app = createApp(uWS);
app.post('/*', (response) => {
  let length = 0;
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    length += chunk.byteLength;
    if (isLast) response.end(String(length));
  });
});
serveHello(app);
