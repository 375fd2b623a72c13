'use strict';

// Options of servers and clients that go to the addon, converted as `ws` does.

const { abi } = require('../runtime/border.js');

/** Those of a WebSocket, and those of `perMessageDeflate`, in the order in which the addon reads them. */
const { ws: SETTINGS, perMessageDeflate: DEFLATE } = abi.options;

/** Coerced to 32-bit integers; a negative number is no limit, like 0. */
const LIMITS = ['maxPayload', 'maxFragments'];

/** In milliseconds: the longest time that a timer of Node can be set to. */
const LONGEST = 0x7fff_ffff;

/** The settings of a WebSocket, for `wsHandOver`. */
function settingsOf(options) {
  const values = { ...options, threshold: options.perMessageDeflate?.threshold };
  for (const name of LIMITS) {
    if (values[name] !== undefined && values[name] !== null) values[name] = Math.max(0, values[name] | 0);
  }
  values.closeTimeout = clamped(values.closeTimeout);
  values.threshold = clamped(values.threshold);
  // `false`, `null` and 0 turn it off, as in `ws`.
  values.autoPong = values.autoPong === undefined || Boolean(values.autoPong);
  return SETTINGS.map((name) => values[name]);
}

/** A whole number that the addon takes; what is no number stands for the default. */
function clamped(value) {
  if (typeof value !== 'number' || Number.isNaN(value)) return undefined;
  return Math.min(Math.max(0, Math.ceil(value)), LONGEST);
}

/** What of `perMessageDeflate` is negotiated. */
function policyOf(perMessageDeflate) {
  return DEFLATE.map((name) => perMessageDeflate[name]);
}

module.exports = { policyOf, settingsOf };
