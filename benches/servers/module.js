'use strict';

// What is under test: this project, or another module with the same API.

module.exports = require(process.env.UWS_MODULE ?? '../../index.js');
