'use strict';

const { testHyperExpress } = require('../suites/hyper-express.js');

testHyperExpress('hyper-express 6', require('hyper-express-6'), 6);
