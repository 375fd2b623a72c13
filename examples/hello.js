'use strict';

/** The smallest server: one route, one answer. `node examples/hello.js`, then open the printed address. */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

uWS
  .App()
  .get('/', (res) => {
    res.writeHeader('Content-Type', 'text/plain; charset=utf-8').end('Hello from Ferrows\n');
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
