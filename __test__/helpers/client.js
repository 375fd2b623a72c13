'use strict';

const uWS = require('../..');
const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');

/** Text of what a handler is given. */
function textOf(data) {
  return Buffer.from(data).toString();
}

/**
 * Opens a WebSocket by `uWS.connect`. `received` gets what it hears, in order: `['open', response]`, `['text', string]`,
 * `['binary', Buffer]`, `['ping', string]`, `['pong', string]`, `['drain']`, `['close', code, reason, cause]`. Closed after
 * the test.
 */
async function open(url, behavior = {}, options = undefined) {
  const received = new Mailbox();
  const ws = await uWS.connect(url, {
    open: (_, response) => received.put(['open', response]),
    message: (_, message, isBinary) => {
      received.put(isBinary ? ['binary', Buffer.from(message.slice(0))] : ['text', textOf(message)]);
    },
    ping: (_, payload) => received.put(['ping', textOf(payload)]),
    pong: (_, payload) => received.put(['pong', textOf(payload)]),
    drain: () => received.put(['drain']),
    close: (_, code, reason, { cause }) => received.put(['close', code, textOf(reason), cause]),
    ...behavior,
  }, options);
  afterTest(() => {
    try {
      ws.close();
    } catch (error) {
      if (error.code !== 'ERR_WEBSOCKET_CLOSED') throw error;
    }
  });
  return { ws, received };
}

/** The error of a connect that must fail. */
async function failure(url, behavior = {}, options = undefined) {
  const ws = await uWS.connect(url, behavior, options).catch((error) => error);
  if (ws instanceof Error) return ws;
  ws.close();
  throw new Error('the connect did not fail');
}

module.exports = { failure, open, textOf };
