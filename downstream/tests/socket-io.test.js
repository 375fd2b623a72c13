'use strict';

// The newest Socket.IO.

const { Server } = require('socket.io');

const { testSocketIo } = require('../suites/socket-io.js');

testSocketIo('Socket.IO', Server, require.resolve('socket.io'));
