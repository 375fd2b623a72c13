'use strict';

module.exports = require('../over-streams/run.js').configure('over-http3');
