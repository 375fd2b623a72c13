'use strict';

// What else an application does: with BUSY_MS=5, five milliseconds of work ten times a second; with HANDLER_US=20, twenty
// microseconds of it for each message.

const busy = Number(process.env.BUSY_MS ?? 0);
const handler = Number(process.env.HANDLER_US ?? 0);

function work(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Begins to work, if there is something to do. */
function startWork() {
  if (busy > 0) setInterval(() => work(busy), 100);
}

/** What a handler does before it answers, if anything. */
function handle() {
  if (handler > 0) work(handler / 1000);
}

module.exports = { handle, startWork };
