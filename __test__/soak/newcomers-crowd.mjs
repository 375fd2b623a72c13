// Clients of the measurement in newcomers.mjs that connect, send a few bytes and no more: first `hold` of them, and then `rate`
// new ones per second, for which the oldest leave if as many are still held. With `refill`, those that the server ends are
// replaced at once.

import net from 'node:net';

const { port, hold, rate, bytes, refill } = JSON.parse(process.env.CROWD);
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
/** Connections per period until all are held. */
const AT_FIRST = 40;
setInterval(() => {
  const isFull = refill ? held.size >= hold : begun >= hold;
  for (let count = 0; count < (isFull ? (rate * PERIOD) / 1000 : AT_FIRST); count++) {
    connect();
    if (held.size > hold) held.values().next().value.destroy();
  }
}, PERIOD);
process.on('message', () => process.send({ held: held.size, begun }));
