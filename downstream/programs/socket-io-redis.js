'use strict';

// A process of its own with Socket.IO on an app, and the adapter by which it reaches the other ones over Redis. Clients tell
// it what to do. Sends its port to its parent.
//
// node socket-io-redis.js URL ADAPTER

const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');
const { createClient } = require('redis');
const { Server } = require('socket.io');
const uWS = require('uWebSockets.js');

const [url, adapter] = process.argv.slice(2);

// Static: what is subscribed does not change with the rooms, so nothing is missed by a room that has just come to be.
const ADAPTERS = {
  'pub/sub': (publisher, subscriber) => createAdapter(publisher, subscriber),
  'sharded pub/sub': (publisher, subscriber) => createShardedAdapter(publisher, subscriber, { subscriptionMode: 'static' }),
};

async function main() {
  const publisher = createClient({ url });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const io = new Server({ adapter: ADAPTERS[adapter](publisher, subscriber) });
  const app = uWS.App();
  io.attachApp(app);
  io.on('connection', (socket) => serve(io, socket));
  io.on('who', (answer) => answer(process.pid));
  app.listen('127.0.0.1', 0, (token) => process.send(uWS.us_socket_local_port(token)));
}

function serve(io, socket) {
  const orders = {
    join: (room) => socket.join(room),
    leave: (room) => socket.leave(room),
    // What binary data lies in is detached after the handler, and a broadcast lasts longer: ../README.md.
    'to all': (...words) => io.emit(...words.map((word) => (Buffer.isBuffer(word) ? Buffer.from(word) : word))),
    'to room': (room, ...words) => io.to(room).emit(...words),
    'to others': (room, ...words) => socket.to(room).emit(...words),
    'to all but': (room, ...words) => io.except(room).emit(...words),
    ask: (room, ...words) => io.to(room).timeout(20_000).emitWithAck(...words),
    'move in': (room, into) => io.in(room).socketsJoin(into),
    'send away': (room) => io.in(room).disconnectSockets(true),
    members: async (room) => (await io.in(room).fetchSockets()).map(({ id }) => id),
    servers: () => io.of('/').adapter.serverCount(),
    'ask servers': () => io.serverSideEmitWithAck('who'),
  };
  for (const [order, act] of Object.entries(orders)) {
    socket.on(order, async (...words) => {
      const answer = words.pop();
      answer(await act(...words));
    });
  }
}

main();
