'use strict';

// Targets of figures: in words, and as a predicate of the first contestant's median and its median ratio to the other
// one.

/**
 * @typedef {object} Target
 * @property {(other: string) => string} words Said of a comparison with the contestant of that name.
 * @property {(value: number, ratio: number) => boolean} reached
 */

/** At least so many times what the other one has. */
function atLeast(times) {
  return { words: (other) => `≥ ${times}× ${other}`, reached: (value, ratio) => ratio >= times };
}

/** At most this share of what the other one needs. */
function atMost(share) {
  return { words: (other) => `≤ ${share} of ${other}`, reached: (value, ratio) => ratio <= share };
}

/** At most so much, whatever the other one needs. */
function noMoreThan(limit, unit) {
  return { words: () => `≤ ${limit.toLocaleString('en')} ${unit}`, reached: (value) => value <= limit };
}

/** Either of two targets. */
function either(one, another) {
  return {
    words: (other) => `${one.words(other)}, or ${another.words(other)}`,
    reached: (value, ratio) => one.reached(value, ratio) || another.reached(value, ratio),
  };
}

module.exports = { atLeast, atMost, either, noMoreThan };
