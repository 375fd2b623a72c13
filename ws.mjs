import './lib/loading/here.mjs';

import WebSocket from './ws.js';

export default WebSocket;

export const { createWebSocketStream, WebSocketServer } = WebSocket;

export { WebSocket };
