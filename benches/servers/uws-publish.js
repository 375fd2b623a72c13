'use strict';

const { obey } = require('./control.js');
const uWS = require('./module.js');
const { fanOutOrder, publishOrder } = require('./publishing.js');

const app = uWS.App();
const publish = (message) => app.publish('news', message);
app
  .ws('/*', {
    // As with `ws`, nothing is dropped.
    maxBackpressure: 0,
    open(ws) {
      ws.subscribe('news');
    },
  })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    obey(uWS.us_socket_local_port(token), { publish: publishOrder(publish), fanout: fanOutOrder(publish) });
  });
