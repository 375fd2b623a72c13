'use strict';

/** The first argument of the next event. Unlike `events.once` it takes no interest in errors. */
function next(emitter, event) {
  return new Promise((resolve) => {
    emitter.once(event, resolve);
  });
}

/** Resolves once `condition` holds. For what no event tells of; the time limit of the test bounds it. */
async function until(condition) {
  while (!condition()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

module.exports = { next, until };
