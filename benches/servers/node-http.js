'use strict';

// Hello world on node:http: what Ferrows is compared with.

const { createServer } = require('node:http');
const { obey } = require('./control.js');

const server = createServer((request, response) => response.end('Hello World!'));
server.listen(0, '127.0.0.1', () => obey(server.address().port));
