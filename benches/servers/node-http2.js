'use strict';

// Hello world on node:http2.

const { createServer } = require('node:http2');
const { obey } = require('./control.js');

const server = createServer((request, response) => response.end('Hello World!'));
server.listen(0, '127.0.0.1', () => obey(server.address().port));
