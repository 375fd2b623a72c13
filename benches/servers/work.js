'use strict';

// What else an application does: with BUSY_MS=5, five milliseconds of work ten times a second.

const busy = Number(process.env.BUSY_MS ?? 0);

function work() {
  const end = performance.now() + busy;
  while (performance.now() < end);
}

/** Begins to work, if there is something to do. */
function startWork() {
  if (busy > 0) setInterval(work, 100);
}

module.exports = { startWork };
