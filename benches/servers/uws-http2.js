'use strict';

// Hello world, and 100 MB, for clients of HTTP/2 and HTTP/1.1.

const { serveHello } = require('./hello.js');
const uWS = require('./module.js');
const { createApp } = require('./secure.js');

// Those that are counted while they are idle stay.
serveHello(createApp(uWS, { http2: true, keepAliveTimeout: 0 }));
