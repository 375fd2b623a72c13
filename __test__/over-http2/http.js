'use strict';

const { httpBy } = require('../over-streams/clients.js');
const { Http2Socket } = require('./http2-socket.js');

module.exports = httpBy(Http2Socket);
