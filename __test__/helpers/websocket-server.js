'use strict';

const { Mailbox } = require('./mailbox.js');
const { RawWebSocket } = require('./raw-websocket.js');
const { createApp, listen } = require('./server.js');

/** Serves one WebSocket route and returns the port; `where` is as for `listen`. Closed after the test. */
function serveWebSocket(behavior, ...where) {
  const app = createApp();
  app.ws('/*', behavior);
  return listen(app, ...where);
}

/** Opens a connection to a route and returns it together with the server's WebSocket. */
async function openWebSocket(behavior) {
  const opened = new Mailbox();
  const port = serveWebSocket({ ...behavior, open: (ws) => opened.put(ws) });
  const client = await RawWebSocket.open(port);
  return { client, ws: await opened.take() };
}

module.exports = { openWebSocket, serveWebSocket };
