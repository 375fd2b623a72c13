'use strict';

// Socket.IO 4.7 with Engine.IO 6.5. In a process of its own, as Socket.IO patches an adapter that all versions share.

const { Server } = require('socket.io-4.7');

const { testSocketIo } = require('../suites/socket-io.js');

testSocketIo('Socket.IO 4.7', Server, require.resolve('socket.io-4.7'));
