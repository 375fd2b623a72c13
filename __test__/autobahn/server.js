'use strict';

// node server.js ferrows|ferrows-ws|ws [--compression]: the echo server under test. Prints its port as a line of JSON and ends
// when its stdin does.

const [which, flag] = process.argv.slice(2);
const compression = flag === '--compression';
// The largest messages of the suite (cases 9.1.6 and 9.2.6) are exactly this long.
const MAX_PAYLOAD = 16 * 1024 * 1024;

const servers = {
  ferrows: startFerrows,
  'ferrows-ws': () => startWs(require('../../ws.js')),
  // Its results are known: a check of this harness.
  ws: () => startWs(require('ws')),
};
servers[which]();
process.stdin.on('end', () => process.exit()).resume();

function startFerrows() {
  const uWS = require('../../index.js');
  uWS
    .App()
    .ws('/*', {
      compression: compression ? uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR : uWS.DISABLED,
      maxPayloadLength: MAX_PAYLOAD,
      // Nothing may be dropped or cut off while the suite takes its time.
      maxBackpressure: 0,
      idleTimeout: 0,
      message(ws, message, isBinary) {
        ws.send(message, isBinary, compression);
      },
    })
    .listen('127.0.0.1', 0, (token, error) => {
      if (!token) throw error;
      announce(uWS.us_socket_local_port(token));
    });
}

/** A package with the API of `ws`. */
function startWs({ WebSocketServer }) {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: MAX_PAYLOAD,
    // Cases 9.3.1 and 9.4.1 send one message in 65,536 frames.
    maxFragments: 0,
    maxBufferedChunks: 0,
    perMessageDeflate: compression,
  });
  server.on('listening', () => announce(server.address().port));
  server.on('connection', (socket) => {
    socket.on('error', () => {}); // the suite breaks the protocol on purpose
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  });
}

function announce(port) {
  console.log(JSON.stringify({ port }));
}
