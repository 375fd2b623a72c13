'use strict';

const uWS = require('../../index.js');
const { obey } = require('./control.js');
const { publishOrder } = require('./publishing.js');

const app = uWS.App();
app
  .ws('/*', {
    open(ws) {
      ws.subscribe('news');
    },
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token), {
      publish: publishOrder((message) => app.publish('news', message)),
    });
  });
