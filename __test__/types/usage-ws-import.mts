// ES modules that are written for `ws` compile against `ferrows/ws`.

import WebSocket, { createWebSocketStream, WebSocket as Named, WebSocketServer, type RawData, type ServerOptions } from 'ferrows/ws';

const options: ServerOptions = { port: 0 };
const wss = new WebSocketServer(options);
wss.on('connection', (client: WebSocket) => {
  client.on('message', (data: RawData) => client.send(data.toString()));
});
const named: WebSocket = new Named('ws://localhost');
const server: WebSocketServer = wss;

export { createWebSocketStream, named, server };
