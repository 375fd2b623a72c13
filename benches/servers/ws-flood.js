'use strict';

// The same with npm `ws` on node:http.

const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');
const { obey } = require('./control.js');
const { handle } = require('./work.js');

const http = createServer((request, response) => response.end('Hello World!'));
const server = new WebSocketServer({ server: http, path: '/flood', perMessageDeflate: false });
server.on('connection', (socket) => socket.on('message', handle));
http.listen(0, '127.0.0.1', () => obey(http.address().port));
