'use strict';

/**
 * The files of a folder: `FOLDER=public node examples/static-files.js`. Without `FOLDER`, the page of the example chat.
 */

const path = require('node:path');

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const folder = process.env.FOLDER ?? path.join(__dirname, 'chat/public');

uWS
  .App()
  .serveFiles('/*', folder, {
    // What has a hash in its name never changes; everything else is asked for every time, and mostly answered with 304.
    cacheControl: (file) => (/[.-][0-9a-f]{8,}\./.test(file) ? 'public, max-age=31536000, immutable' : 'no-cache'),
    headers: { 'X-Content-Type-Options': 'nosniff' },
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
