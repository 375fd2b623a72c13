'use strict';

// The memory of an idle connection.

const { Load } = require('./processes.js');

/** Growth of RSS by that many WebSockets; a thousand are there before, so that code and pools exist already. */
function idle(count) {
  return async (server, { executable }) => {
    const first = new Load(executable, 'idle', server, { connections: 1_000 });
    let crowd;
    try {
      await first.event('ready');
      const before = await server.order('stats', { settle: true });
      crowd = new Load(executable, 'idle', server, { connections: count });
      await crowd.event('ready');
      const after = await server.order('stats', { settle: true });
      return { bytes: after.rss === null ? null : (after.rss - before.rss) / count };
    } finally {
      await Promise.all([first.end(), crowd?.end()]);
    }
  };
}

module.exports = { idle };
