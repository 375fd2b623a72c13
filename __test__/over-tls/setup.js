'use strict';

// `App` makes apps that speak TLS, and `fetch` asks them: see run.js.

const secureApps = require('./secure-apps.js');

const { fetch } = globalThis;

secureApps(require('../..'));
globalThis.fetch = (url, options) => fetch(String(url).replace(/^http:/, 'https:'), options);
