'use strict';

// `ferrows/ws`: the API of the package `ws`.

require('./index.js');

const createWebSocketStream = require('./lib/ws/stream.js');
const { CloseEvent, ErrorEvent, Event, MessageEvent } = require('./lib/ws/events.js');
const { WebSocketServer } = require('./lib/ws/server.js');
const { WebSocket } = require('./lib/ws/websocket.js');

module.exports = Object.assign(WebSocket, {
  createWebSocketStream,
  CloseEvent,
  ErrorEvent,
  Event,
  MessageEvent,
  Server: WebSocketServer,
  WebSocket,
  WebSocketServer,
});
