'use strict';

const { connectBy } = require('../over-streams/clients.js');
const { Http2Socket } = require('./http2-socket.js');

module.exports = connectBy(Http2Socket);
