'use strict';

// When to connect again: the options, the pauses and the rule by which a client gives up, of `uWS.connect` and of
// `ferrows/browser`, which has this text in it (scripts/browser.mjs). So it uses nothing of Node.js.

/** The longest delay that timers have, in milliseconds. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

/** Names of the numbers among the options: range, whether it is an integer, default. Delays and times are in milliseconds. */
const NUMBERS = {
  minDelay: { min: 1, max: MAX_MILLISECONDS, isInteger: true, usual: 500 },
  maxDelay: { min: 1, max: MAX_MILLISECONDS, isInteger: true, usual: 30_000 },
  factor: { min: 1, max: 100, isInteger: false, usual: 2 },
  maxAttempts: { min: 0, max: Infinity, isInteger: true, usual: Infinity },
  minUptime: { min: 0, max: MAX_MILLISECONDS, isInteger: true, usual: 5000 },
};

/**
 * Reads the options of an object: numbers, and functions with these names. In messages their names follow `prefix`.
 * Throws a TypeError or RangeError with a `code`.
 */
function readReconnectOptions(options, prefix, functions) {
  const read = {};
  for (const [name, rule] of Object.entries(NUMBERS)) {
    const value = options[name] ?? undefined;
    read[name] = value === undefined ? rule.usual : checkNumber(value, prefix + name, rule);
  }
  const { maxDelay } = options;
  if (maxDelay !== undefined && maxDelay !== null && maxDelay < read.minDelay) {
    throw rangeError(`${prefix}maxDelay must not be less than ${prefix}minDelay (${read.minDelay}), got ${maxDelay}`);
  }
  read.maxDelay = Math.max(read.minDelay, read.maxDelay);
  for (const name of functions) {
    const value = options[name] ?? undefined;
    if (value !== undefined && typeof value !== 'function') throw wrongType(`${prefix}${name} must be a function`);
    read[name] = value;
  }
  return read;
}

function checkNumber(value, name, { min, max, isInteger }) {
  if (typeof value !== 'number') throw wrongType(`${name} must be a number`);
  const isKind = isInteger ? Number.isInteger(value) || value === max : value === value;
  if (isKind && value >= min && value <= max) return value;
  const kind = isInteger ? 'an integer' : 'a number';
  const range = max === Infinity ? `${kind} from ${min} on, or Infinity` : `${kind} between ${min} and ${max}`;
  throw rangeError(`${name} must be ${range}, got ${value}`);
}

function wrongType(message) {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
}

function rangeError(message) {
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}

/** How long to wait before which attempt. */
class Backoff {
  #options;
  #attempts = 0;

  constructor(options) {
    this.#options = options;
  }

  /** Attempts since a connection was open for `minUptime`. */
  get attempts() {
    return this.#attempts;
  }

  /** Begins anew. */
  reset() {
    this.#attempts = 0;
  }

  /**
   * Counts another attempt, and returns how many milliseconds to wait before it; `undefined` if there is to be none.
   * `openFor` is how long the connection that has ended was open, in milliseconds; `undefined` after an attempt that failed.
   */
  next(openFor) {
    const { minDelay, maxDelay, factor, maxAttempts, minUptime } = this.#options;
    if (openFor >= minUptime) this.#attempts = 0;
    if (this.#attempts >= maxAttempts) return undefined;
    this.#attempts += 1;
    const ceiling = Math.min(maxDelay, minDelay * factor ** this.#attempts);
    // All of what may be added is random: clients that a server has lost in one moment do not come back in one.
    return Math.round(minDelay + Math.random() * (ceiling - minDelay));
  }
}

/**
 * Codes below 4000 after which the next attempt would end in the same way: the server calls wrong what we sent (1002, 1003,
 * 1007, 1008, 1009), misses an extension (1010), or does not let us in (3000, 3003).
 */
const FINAL_CODES = [1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003];

/** The reason with which a server that ends connections on purpose asks its clients to come back. */
const INVITATION = 'please reconnect';

/**
 * Whether to come back after a close with this code: not after 1000, unless the reason asks for it, nor after one of
 * `FINAL_CODES`, nor after a code of an application's own, with which it says what only it knows.
 */
function isTemporaryClose(code, reason) {
  if (code === 1000) return reason.startsWith(INVITATION);
  return code < 4000 && !FINAL_CODES.includes(code);
}

module.exports = { Backoff, checkNumber, isTemporaryClose, MAX_MILLISECONDS, rangeError, readReconnectOptions, wrongType };
