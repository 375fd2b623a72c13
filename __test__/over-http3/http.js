'use strict';

const { httpBy } = require('../over-streams/clients.js');
const { Http3Socket } = require('./http3-socket.js');

module.exports = httpBy(Http3Socket);
