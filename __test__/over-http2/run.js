'use strict';

// Runs the suites of Jest once more over HTTP/2 without TLS: `npm run test:h2 [arguments of Jest]`.

require('../over-streams/run.js').run(__dirname);
