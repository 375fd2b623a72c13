'use strict';

// Reads the object given to `app.ws`, once: handlers stay here, settings and the bits of the handlers go to the addon. Types
// are checked here, ranges in the addon.

const { MAX_STRING_LENGTH } = require('../loading/builtins.js').buffer.constants;

const { abi } = require('../runtime/border.js');
const { typeError } = require('../runtime/errors.js');

const { TEXT_AS_STRING } = abi.behavior;

/** The bit of each handler, by its name. */
const { handler: HANDLER_BITS } = abi;

/** Options that the addon reads, in its order. */
const { webSocket: SETTINGS } = abi.options;

/** The known names of a behavior. */
const BEHAVIOR_NAMES = [...Object.keys(HANDLER_BITS), ...SETTINGS, 'text'];

function readBehavior(behavior) {
  if (typeof behavior !== 'object' || behavior === null) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'behavior must be an object');
  }
  const handlers = {};
  let bits = 0;
  for (const [name, bit] of Object.entries(HANDLER_BITS)) {
    const handler = behavior[name] ?? undefined;
    if (handler !== undefined && typeof handler !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', `${name} must be a function`);
    }
    handlers[name] = handler;
    if (handler !== undefined) bits |= bit;
  }
  const settings = SETTINGS.map((name) => behavior[name]);
  if (readTextOption(behavior.text, settings[SETTINGS.indexOf('maxPayloadLength')])) bits |= TEXT_AS_STRING;
  return { handlers, bits, settings };
}

/** Reads the option `text`. */
function readTextOption(text, maxPayloadLength) {
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
