'use strict';

/** The echo line: sends every message back. When it ends, its visitor learns over the chat what the server saw. */

const { admit } = require('./admission.js');
const { visitorTopic } = require('./chat-route.js');
const { closingOf, closingText } = require('./closing.js');

/**
 * The behaviour of `/echo?visitor=<id>`; the id is the one the chat gave, and may be missing. `settings` are further ones of the
 * route.
 */
function echoRoute({ app, open, log }, settings = {}) {
  return {
    // Small on purpose: the page has a button that exceeds it, to show what both sides see then.
    maxPayloadLength: 16 * 1024,
    idleTimeout: 32,
    ...settings,

    upgrade: (res, req, context) => admit(res, req, context, { visitor: req.getQuery('visitor') ?? '' }),

    open: (ws) => open.add(ws),

    message: (ws, message, isBinary) => ws.send(message, isBinary),

    close(ws, code, message, info) {
      open.delete(ws);
      const closing = closingOf(code, message, info);
      const { visitor, address } = ws.getUserData();
      log(`echo line of ${address} ended: ${closingText(closing)}`);
      if (visitor !== '') app.publish(visitorTopic(visitor), JSON.stringify({ type: 'echo-ended', closing }));
    },
  };
}

module.exports = { echoRoute };
