'use strict';

// Echo on npm `ws` over node:http or node:https: what Ferrows is compared with. WS_MODULE names another package with its
// API: `ferrows/ws`.

const { WebSocketServer } = require(process.env.WS_MODULE ?? 'ws');
const { obey } = require('./control.js');
const { createServer } = require('./secure.js');
const { handle, startWork } = require('./work.js');

const compress = process.env.DEFLATE === '1';
startWork();

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: compress && { threshold: 0 } });
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => {
    handle();
    socket.send(message, { binary: isBinary });
  });
});
http.listen(0, '127.0.0.1', () => obey(http.address().port));
