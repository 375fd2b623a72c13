'use strict';

const { wsBy } = require('../over-streams/clients.js');
const { Http3Socket } = require('./http3-socket.js');

module.exports = wsBy(Http3Socket);
