'use strict';

// Warns of unknown options. They have no effect, so a misspelt name would go unnoticed.

const { warnOnce } = require('./warnings.js');

/** Options of hyper-express, which passes them on to the app. */
const HANDED_ON = new Set([
  'is_ssl', 'auto_close', 'exclusive_port', 'fast_abort', 'strict_middleware', 'trust_proxy', 'fast_buffers',
  'max_body_buffer', 'max_body_length', 'streaming',
]);

/** A longer name is cut in the warning, and gets no suggestion. */
const MAX_LENGTH = 64;

/** Warns of the options that are not among `known`, once per process for each `owner` and name. */
function checkNames(owner, options, known) {
  for (const name of namesOf(options)) {
    if (known.includes(name) || HANDED_ON.has(name)) continue;
    const [shown, near] = [JSON.stringify(name.slice(0, MAX_LENGTH)).slice(1, -1), nearest(name, known)];
    const rest = near === undefined ? ' and has no effect' : `; did you mean \`${near}\`?`;
    warnOnce('FERROWS_OPTION', `${owner} ${shown}`, `\`${shown}\` is no option of ${owner}${rest}`);
  }
}

/**
 * The own names of a plain object; none of an instance of a class, which may have fields of its own, and none of a Proxy
 * that throws.
 */
function namesOf(options) {
  if (typeof options !== 'object' || options === null) return [];
  try {
    const prototype = Object.getPrototypeOf(options);
    // Also an object of another realm (`vm`, Jest).
    const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
    return isPlain ? Object.keys(options) : [];
  } catch {
    return [];
  }
}

/** The known name that is most similar, if one is similar enough. */
function nearest(name, known) {
  if (name.length > MAX_LENGTH) return undefined;
  const wanted = plain(name);
  let best;
  let min = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const distance = distanceOf(wanted, plain(candidate));
    if (distance < min) [best, min] = [candidate, distance];
  }
  return best;
}

/** Ignores case, underscores and hyphens, so that `max_payload_length` equals `maxPayloadLength`. */
function plain(name) {
  return name.replace(/[_-]/g, '').toLowerCase();
}

/**
 * The Levenshtein distance; 1 if the shorter text is a prefix of the other and has 4 characters or more (`maxPayload`).
 */
function distanceOf(one, other) {
  const shorter = Math.min(one.length, other.length);
  if (shorter >= 4 && one.slice(0, shorter) === other.slice(0, shorter)) return one === other ? 0 : 1;
  // The distances between a prefix of `one` and every prefix of `other`.
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let line = 1; line <= one.length; line++) {
    const next = [line];
    for (let index = 1; index <= other.length; index++) {
      const isSame = one[line - 1] === other[index - 1];
      next.push(Math.min(row[index] + 1, next[index - 1] + 1, row[index - 1] + (isSame ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}

module.exports = { checkNames };
