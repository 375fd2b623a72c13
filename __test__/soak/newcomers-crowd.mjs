// Clients of the measurement in newcomers.mjs that connect, send a few bytes and no more: `hold` of them at a time, and `rate`
// new ones per second, for which the oldest leave. Those that the server ends are replaced.

import net from 'node:net';

const { port, hold, rate, bytes } = JSON.parse(process.env.CROWD);
const first = Buffer.from(bytes, 'hex');
/** Each source address has ports of its own, most of which wait (TIME_WAIT) when the server has ended their connection. */
const ADDRESSES = 16;
const held = new Set();
let begun = 0;

function connect() {
  begun += 1;
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (begun % ADDRESSES)}` });
  held.add(socket);
  socket.on('connect', () => {
    if (first.length > 0) socket.write(first);
  });
  socket.on('error', () => {}).on('close', () => held.delete(socket)).resume();
}

const PERIOD = 20;
setInterval(() => {
  for (let count = 0; count < (rate * PERIOD) / 1000; count++) {
    connect();
    if (held.size > hold) held.values().next().value.destroy();
  }
  // Up to what is to be held, as fast as the server accepts.
  for (let count = 0; count < 40 && held.size < hold; count++) connect();
}, PERIOD);
process.on('message', () => process.send({ held: held.size, begun }));
