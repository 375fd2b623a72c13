'use strict';

// What a test opened is closed when it is over, however it ended: otherwise Jest would not exit by itself.

/** Undoes what the current test did, last first. */
const steps = [];

/** Has `step` run after the current test; it may return a promise. */
function afterTest(step) {
  steps.push(step);
}

afterEach(async () => {
  while (steps.length > 0) await steps.pop()();
});

module.exports = { afterTest };
