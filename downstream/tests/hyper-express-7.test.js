'use strict';

const { testHyperExpress } = require('../suites/hyper-express.js');

testHyperExpress('hyper-express 7', require('hyper-express'), 7);
