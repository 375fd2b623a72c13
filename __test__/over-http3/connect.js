'use strict';

const { connectBy } = require('../over-streams/clients.js');
const { Http3Socket } = require('./http3-socket.js');

module.exports = connectBy(Http3Socket);
