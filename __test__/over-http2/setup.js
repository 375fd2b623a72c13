'use strict';

// `App` makes apps that speak HTTP/2, too: see run.js.

require('./http2-apps.js')(require('../..'));
