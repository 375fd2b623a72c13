'use strict';

/**
 * The example chat. One port serves the page, the chat (`/chat`) and an echo line (`/echo`).
 * `npm start`, or `PORT=8080 node examples/chat/server.js`; `PORT=0` takes a free port and prints it.
 * With `BROKER=redis://localhost:6379` several of them share their rooms, and the page shows which one serves whom.
 */

const { hostname } = require('node:os');
const uWS = require('../../index.js');
const { chatRoute, roomTopic } = require('./chat-route.js');
const { echoRoute } = require('./echo-route.js');
const { servePages } = require('./pages.js');
const { Rooms } = require('./rooms.js');

/** How long a peer may take to answer our Close frame before its connection is dropped, in milliseconds. */
const GRACE = 2000;
/** How often a process tells the rooms whom it serves, in milliseconds. */
const ROLL_CALL = 2000;

const { BROKER } = process.env;

/** What the routes share. */
const house = {
  app: uWS.App({ broker: BROKER === undefined ? undefined : { name: 'chat', url: BROKER } }),
  /** Which process this is, where there may be several. */
  served: BROKER === undefined ? undefined : `${process.pid}@${hostname()}`,
  rooms: new Rooms(),
  /** Every open WebSocket of both routes. */
  open: new Set(),
  closing: false,
  /** Where it listens. */
  port: 0,
  log: (line) => console.log(`${new Date().toISOString()} ${line}`),
};
const { app } = house;

servePages(app);
// A page that shows all connections and how they end, for this machine only.
app.inspect('/_ferrows');
app.ws('/chat', chatRoute(house));
app.ws('/echo', echoRoute(house));
// Nobody is asked whether they are still there: who says nothing for 8 seconds is taken for gone.
app.ws('/silence', echoRoute(house, { idleTimeout: 8, pingInterval: 0 }));
app.get('/rooms', (res) => {
  const rooms = house.rooms.names().map((room) => ({ room, people: app.numSubscribers(roomTopic(room)) }));
  res.writeHeader('Content-Type', 'application/json').writeHeader('Cache-Control', 'no-store');
  res.end(JSON.stringify(rooms.filter(({ people }) => people > 0)));
});
app.any('/*', (res) => {
  res.writeStatus('404 Not Found').writeHeader('Content-Type', 'text/plain; charset=utf-8');
  res.end('There is nothing at this address.\n');
});

app.listen(Number(process.env.PORT ?? 9001), (token, error) => {
  if (!token) throw error;
  house.port = uWS.us_socket_local_port(token);
  house.log(`listening on http://localhost:${house.port}`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => shutDown(signal));
});

// The app of another process cannot be asked for its people, and may vanish without a word: each says again whom it serves.
if (house.served !== undefined) {
  setInterval(() => {
    for (const room of house.rooms.names()) {
      const { people } = house.rooms.sight(room);
      if (people.length > 0) app.publish(roomTopic(room), JSON.stringify({ type: 'people', served: house.served, people }));
    }
  }, ROLL_CALL).unref();
}

/**
 * Accepts no new members, closes every connection with a reason, and lets the process end by itself after the last one.
 * A second signal has no handler any more and ends the process at once.
 */
function shutDown(signal) {
  house.closing = true;
  house.log(`${signal}: closing ${house.open.size} connections`);
  app.shutdown({ timeout: GRACE, reason: 'server is restarting' });
}
