'use strict';

require('../over-streams/run.js').preload(require('./http2-apps.js'));
