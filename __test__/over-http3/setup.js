'use strict';

require('./http3-apps.js')(require('../..'));
// Loaded later, because the client is ended by `afterAll`, of which there is none yet.
globalThis.fetch = (...args) => require('./fetch.js')(...args);
