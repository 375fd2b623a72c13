'use strict';

// Takes the object given to `app.ws` apart, once: handlers for this side, settings and bits for the addon. Its ranges are
// checked there, its types here.

const { MAX_STRING_LENGTH } = require('../loading/builtins.js').buffer.constants;

const { typeError } = require('../runtime/errors.js');

/** Which handlers a behavior has, as bits. The same numbers stand in src/node/state/routes/behavior.rs. */
const HANDLER_BITS = { upgrade: 1, message: 2, ping: 4, pong: 8, drain: 16, subscription: 32, dropped: 64 };

/** One more: text messages are handed to `message` as strings. */
const MESSAGE_STRINGS = 128;

const HANDLERS = ['upgrade', 'open', 'message', 'dropped', 'drain', 'close', 'ping', 'pong', 'subscription'];

/** Settings, in this order in src/node/state/routes/behavior.rs. */
const SETTINGS = [
  'maxPayloadLength', 'idleTimeout', 'maxLifetime', 'maxBackpressure', 'sendPingsAutomatically', 'closeOnBackpressureLimit',
  'compression',
];

/** Everything that a behavior may have. */
const BEHAVIOR_NAMES = [...HANDLERS, ...SETTINGS, 'text'];

function readBehavior(behavior) {
  if (typeof behavior !== 'object' || behavior === null) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'behavior must be an object');
  }
  const handlers = {};
  let bits = 0;
  for (const name of HANDLERS) {
    const handler = behavior[name] ?? undefined;
    if (handler !== undefined && typeof handler !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', `${name} must be a function`);
    }
    handlers[name] = handler;
    if (handler !== undefined) bits |= HANDLER_BITS[name] ?? 0;
  }
  const settings = SETTINGS.map((name) => behavior[name]);
  const [maxPayloadLength] = settings;
  if (wantsStrings(behavior.text, maxPayloadLength)) bits |= MESSAGE_STRINGS;
  return { handlers, bits, settings };
}

/** What the option `text` says. */
function wantsStrings(text, maxPayloadLength) {
  if (text === undefined || text === 'arraybuffer') return false;
  if (typeof text !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'text must be a string');
  if (text !== 'string') throw typeError('ERR_INVALID_ARG_VALUE', "text must be 'arraybuffer' or 'string'");
  if (maxPayloadLength > MAX_STRING_LENGTH) {
    const message = `maxPayloadLength must not exceed ${MAX_STRING_LENGTH}, the longest string, with text: 'string'`;
    throw Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
  }
  return true;
}

module.exports = { readBehavior, BEHAVIOR_NAMES };
