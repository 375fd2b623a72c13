'use strict';

// How long one client waits while another sends messages faster than their handler takes them.

const { FLOOD, withVariables } = require('./contestants.js');
const { Load } = require('./processes.js');
const { noMoreThan } = require('./targets.js');

/** The longest wait for an answer. */
const PATIENCE_SECONDS = 15;

/** The measure with a handler that works so many microseconds. */
function flood(microseconds) {
  const title = `a client that floods a handler of ${microseconds} µs: another's request, longest of all`;
  return {
    key: 'flood',
    short: false,
    contestants: withVariables(FLOOD, { HANDLER_US: String(microseconds) }),
    run,
    rows: [
      {
        title: `${title} (of at most ${PATIENCE_SECONDS} s), ms`,
        figure: 'worst_ms',
        digits: 1,
        targets: { ws: noMoreThan(100, 'ms'), peer: noMoreThan(100, 'ms') },
      },
    ],
  };
}

async function run(server, { executable, seconds, warmUp }) {
  const options = { path: '/flood', size: 1, seconds, 'warm-up': warmUp, patience: PATIENCE_SECONDS };
  const load = new Load(executable, 'flood', server, options);
  try {
    const done = await load.event('done');
    return { worst_ms: done.worst_us / 1000, p50_us: done.p50_us };
  } finally {
    await load.end();
  }
}

module.exports = { flood };
