'use strict';

// One message to every client of npm `ws`: it has no topics, so the application loops. WS_MODULE names another package with
// its API: `ferrows/ws`.

const { createServer } = require('node:http');
const { WebSocket, WebSocketServer } = require(process.env.WS_MODULE ?? 'ws');
const { obey } = require('./control.js');
const { fanOutOrder, publishOrder } = require('./publishing.js');

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });

function publish(message) {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(message);
  }
}

http.listen(0, '127.0.0.1', () => {
  obey(http.address().port, { publish: publishOrder(publish), fanout: fanOutOrder(publish) });
});
