'use strict';

/**
 * A WebSocket client: sends the lines of stdin, prints the messages that it receives, and comes back when its connection
 * ends. The url is the first argument; examples/echo.js is a server to try it with.
 */

const { createInterface } = require('node:readline');

const uWS = require('../index.js');

const url = process.argv[2] ?? `ws://localhost:${process.env.PORT ?? 9001}`;

const handlers = {
  compression: uWS.SHARED_COMPRESSOR,
  idleTimeout: 60,
  text: 'string',
  open: () => console.log(`connected to ${url}`),
  message: (_, message) => console.log(typeof message === 'string' ? message : `${message.byteLength} bytes`),
  close: (_, code, message, info) => console.log(`closed: ${code} ${Buffer.from(message)} (${info.cause})`),
};

const shown = (error) => (error === undefined ? '' : `${error.code}: ${error.message} ${error.body ?? ''}`);

const reconnect = {
  reconnecting: (_, { attempt, delay, error }) => console.log(`${shown(error)} attempt ${attempt} in ${delay} ms`.trim()),
  gaveUp: (_, { code, error }) => {
    console.log(`not connecting again: ${error === undefined ? `the server has closed with ${code}` : shown(error)}`);
    process.exit(1);
  },
};

async function main() {
  const controller = new AbortController();
  const input = createInterface({ input: process.stdin });
  // Ends what is not open yet.
  input.once('close', () => controller.abort(new Error('end of input')));
  const lines = [];
  input.on('line', (line) => lines.push(line));

  const ws = await uWS.connect(url, handlers, { reconnect, signal: controller.signal });

  const send = (line) => {
    // 2: there is no connection at the moment, or it takes no more.
    if (ws.send(line, false, true) === 2) console.log('not sent');
  };
  lines.forEach(send);
  input.removeAllListeners('line').on('line', send).once('close', () => ws.end(1000, 'end of input'));
}

main().catch((error) => {
  console.log(error.message === 'end of input' ? error.message : shown(error));
  process.exitCode = 1;
});
