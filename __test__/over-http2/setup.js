'use strict';

require('./http2-apps.js')(require('../..'));
