'use strict';

const { testBasics } = require('./socket-io-basics.js');
const { testEndings } = require('./socket-io-endings.js');
const { testHttp } = require('./socket-io-http.js');

/** Registers all tests of one version of Socket.IO; `module` is its entry file. */
function testSocketIo(name, Server, module) {
  testBasics(name, Server);
  testEndings(name, Server);
  testHttp(name, Server, module);
}

module.exports = { testSocketIo };
