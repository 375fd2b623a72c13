'use strict';

require('../over-streams/run.js').preload(require('./http3-apps.js'));
