'use strict';

/**
 * A port that is free: the preferred one, or else one of the next nine, or else any. `listen` reports success or
 * failure before it returns.
 */

const uWS = require('../index.js');

const wanted = Number(process.env.PORT ?? 9001);

const app = uWS.App().get('/', (res) => res.end('Found me.\n'));

/** Listens on the first of these ports that is free; throws if none is. */
function listenOnOneOf([port, ...others]) {
  // Exclusive: otherwise two programs that are both willing to share a port would get half of the connections each.
  app.listen(port, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (token, error) => {
    if (token) console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
    else if (error.code === 'EADDRINUSE' && others.length > 0) listenOnOneOf(others);
    else throw error;
  });
}

const nearby = Array.from({ length: 9 }, (_, index) => wanted + 1 + index).filter((port) => port < 65536);
// The system chooses for 0.
listenOnOneOf(wanted === 0 ? [0] : [wanted, ...nearby, 0]);
