'use strict';

const { wsBy } = require('../over-streams/clients.js');
const { Http2Socket } = require('./http2-socket.js');

module.exports = wsBy(Http2Socket);
