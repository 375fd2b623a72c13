'use strict';

const uWS = require('../..');
const { afterTest } = require('./cleanup.js');
const { RawClient } = require('./raw-http.js');

/**
 * An app that is closed after the current test. One thread is enough for most promises, and makes the order of events
 * of several connections that of their bytes.
 */
function createApp(options = { threads: 1 }) {
  const app = uWS.App(options);
  afterTest(() => app.close());
  return app;
}

/**
 * Listens on a free port of 127.0.0.1, or as `args` (those of `listen` without the callback) say, and returns the
 * port. Listening is synchronous, and so is this.
 */
function listen(app, ...args) {
  return uWS.us_socket_local_port(listenToken(app, ...args));
}

/** The same, but returns the token. */
function listenToken(app, ...args) {
  let outcome;
  app.listen(...(args.length > 0 ? args : ['127.0.0.1', 0]), (token, error) => {
    outcome = { token, error };
  });
  if (outcome.token === false) throw outcome.error;
  return outcome.token;
}

/** An app with this one handler of all requests, and a client that is connected to it. */
async function serve(handler) {
  return RawClient.connect(listen(createApp().any('/*', guarded(handler))));
}

/** The same handler, but what it throws fails the test, and drops the connection so that no test waits for it. */
function guarded(handler) {
  return async (res, req, context) => {
    try {
      await handler(res, req, context);
    } catch (error) {
      afterTest(() => {
        throw error;
      });
      try {
        res.close();
      } catch {
        // It was over already.
      }
    }
  };
}

module.exports = { createApp, guarded, listen, listenToken, serve };
