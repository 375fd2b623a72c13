'use strict';

/**
 * One message to everybody. What is posted to `/announcements` goes to all WebSockets, and so does the time, every
 * second: open the printed address, or `curl -d 'Dinner is served' http://localhost:9001/announcements`.
 */

const uWS = require('../index.js');
const { servePage } = require('./pages/serve.js');

const port = Number(process.env.PORT ?? 9001);

const EVERYBODY = 'everybody';
/** Bytes of an announcement. */
const MOST = 16 * 1024;

const app = uWS.App();
servePage(app, 'broadcast');

/** Encoded once, however many there are. */
function broadcast(kind, text) {
  app.publish(EVERYBODY, JSON.stringify({ kind, text }));
}

app
  .ws('/*', {
    // Messages of clients are refused.
    maxPayloadLength: 0,
    open: (ws) => ws.subscribe(EVERYBODY),
  })
  .post('/announcements', (res) => {
    res.onAborted(() => {});
    res.collectBody(MOST, (body) => {
      if (body === null) return res.writeStatus('413 Content Too Large').end();
      const text = Buffer.from(body).toString();
      broadcast('announcement', text);
      return res.end(`told ${app.numSubscribers(EVERYBODY)}\n`);
    });
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    setInterval(() => broadcast('time', new Date().toISOString()), 1000);
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
