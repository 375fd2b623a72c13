'use strict';

/**
 * The classical echo server: every message goes back as it came, text as text and binary as binary.
 * The limits are those of a server for conformance suites, whose largest messages are 16 MiB. Clients that offer
 * compression get it, with context takeover in both directions.
 */

const uWS = require('../index.js');

const MEBIBYTE = 1024 * 1024;
const port = Number(process.env.PORT ?? 9001);

uWS
  .App()
  .ws('/*', {
    maxPayloadLength: 16 * MEBIBYTE,
    maxBackpressure: 64 * MEBIBYTE,
    idleTimeout: 60,
    compression: uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR,

    message(ws, message, isBinary) {
      const compress = true; // where the client agreed to it
      ws.send(message, isBinary, compress);
    },
  })
  .any('/*', (res) => {
    res.end('This address speaks WebSocket only.\n');
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`ws://localhost:${uWS.us_socket_local_port(token)}`);
  });
