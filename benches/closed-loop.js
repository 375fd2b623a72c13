'use strict';

// Echo or requests in a closed loop; CPU per answered message, exact because nothing is on its way at either reading.

const { Load } = require('./processes.js');

/**
 * @param {string} mode Of the load client.
 * @param {object} options For the load client.
 */
function closedLoop(mode, options) {
  return async (server, { executable, seconds, warmUp }) => {
    const load = new Load(executable, mode, server, { ...options, seconds, 'warm-up': warmUp, gate: true });
    try {
      await load.event('warm');
      const before = await server.order('stats');
      load.write('go');
      const done = await load.event('done');
      const after = await server.order('stats');
      return {
        per_second: done.messages_per_second ?? done.requests_per_second,
        ...cpuOfEach(before, after, done.answered),
        client_us: (done.client_cpu_seconds * 1e6) / done.answered,
        p50_us: done.p50_us,
        p99_us: done.p99_us,
        p999_us: done.p999_us,
      };
    } finally {
      await load.end();
    }
  };
}

/** CPU microseconds between two readings for each of so many messages: of Node's thread, of all others, and of all. */
function cpuOfEach(before, after, count) {
  if (after.main === null) return { main_us: null, workers_us: null, all_us: null };
  const [main_us, workers_us] = ['main', 'workers'].map((thread) => (after[thread] - before[thread]) / count);
  return { main_us, workers_us, all_us: main_us + workers_us };
}

module.exports = { closedLoop, cpuOfEach };
