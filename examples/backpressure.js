'use strict';

/**
 * Sending a lot to a client at the pace at which it reads: `MESSAGES` messages of 16 KiB, by default a gigabyte, with a
 * mebibyte in memory for each client. `send` is called until enough is waiting, and again when that is sent.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

const MESSAGES = Number(process.env.MESSAGES ?? 65536);
const SIZE = 16 * 1024;
/** Bytes that may wait for a client before we wait for it. */
const ENOUGH = 1024 * 1024;

/** Every message is its number, over and over. */
function messageOf(number) {
  const message = Buffer.alloc(SIZE);
  for (let at = 0; at < SIZE; at += 4) message.writeUInt32BE(number, at);
  return message;
}

/** Continues with the next message, until enough is waiting. Then `drain` follows. */
function sendMore(ws) {
  while (ws.sent < MESSAGES && ws.getBufferedAmount() < ENOUGH) {
    ws.send(messageOf(ws.sent), true);
    ws.sent += 1;
  }
  // Behind everything that waits.
  if (ws.sent === MESSAGES) ws.end(1000, 'that was all');
}

uWS
  .App()
  .ws('/*', {
    // Larger than what we let wait: nothing is ever dropped.
    maxBackpressure: 2 * ENOUGH,
    open(ws) {
      ws.sent = 0;
      sendMore(ws);
    },
    drain: sendMore,
    close(ws, code, reason, info) {
      console.log(`${ws.sent} of ${MESSAGES} messages sent: ${Buffer.from(reason)} (${info.cause})`);
    },
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`ws://localhost:${uWS.us_socket_local_port(token)}`);
  });
