'use strict';

/**
 * A WebSocket client: sends the lines of stdin, prints the messages that it receives, and reconnects after a close. The
 * url is the first argument; examples/echo.js is a server to try it with.
 */

const { createInterface } = require('node:readline');

const uWS = require('../index.js');

const url = process.argv[2] ?? `ws://localhost:${process.env.PORT ?? 9001}`;
const LONGEST_PAUSE_MS = 30_000;

/** The open WebSocket, if there is one. */
let ws;
/** Attempts since the last success. */
let attempts = 0;
let isLeaving = false;

async function connect() {
  try {
    ws = await uWS.connect(url, {
      compression: uWS.SHARED_COMPRESSOR,
      idleTimeout: 60,
      text: 'string',
      message: (_, message) => console.log(typeof message === 'string' ? message : `${message.byteLength} bytes`),
      close: (_, code, message, info) => {
        ws = undefined;
        console.log(`closed: ${code} ${Buffer.from(message)} (${info.cause})`);
        reconnect();
      },
    });
    attempts = 0;
    console.log(`connected to ${url}`);
    if (isLeaving) leave();
  } catch (error) {
    console.log(`${error.code}: ${error.message} ${error.body ?? ''}`);
    reconnect();
  }
}

/** After a pause that grows and is partly random, so that the clients of a restarted server do not all come at once. */
function reconnect() {
  if (isLeaving) return;
  attempts += 1;
  setTimeout(connect, Math.random() * Math.min(LONGEST_PAUSE_MS, 500 * 2 ** attempts));
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (ws === undefined) console.log('not connected');
  else ws.send(line, false, true);
});
input.on('close', () => {
  isLeaving = true;
  leave();
});

function leave() {
  ws?.end(1000, 'end of input');
}

connect();
