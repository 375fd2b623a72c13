'use strict';

// CPU time of one publish on Node's thread, without that of waking up.

const { PUBLISH } = require('./contestants.js');
const { Load } = require('./processes.js');
const { noMoreThan } = require('./targets.js');

/** Publishes to so many subscribers, so many of them in each turn of the event loop. */
function publishing(subscribers, together = 1) {
  const limit = noMoreThan(10, 'µs');
  const crowd = subscribers.toLocaleString('en');
  return {
    key: 'publish',
    label: `${crowd} × ${together}`,
    short: false,
    contestants: PUBLISH,
    run: (server, settings) => publish(server, settings, subscribers, together),
    rows: [
      {
        title: `publish to ${crowd} subscribers, ${together === 1 ? 'one' : together} at a time: Node-thread CPU per publish, µs`,
        figure: 'main_us',
        digits: 1,
        targets: subscribers === 1000 ? { ws: limit } : {},
      },
      { title: 'the same, CPU of all threads per publish, µs', figure: 'all_us', digits: 1 },
    ],
  };
}

/** Every delivery is counted. */
async function publish(server, { executable, publishBlocks }, subscribers, together) {
  const order = { blocks: publishBlocks, turns: 10, together, every: 5 * together, size: 20 };
  const load = new Load(executable, 'subscribe', server, {
    connections: subscribers,
    count: (order.blocks + 1) * order.turns * together * subscribers,
    seconds: 60,
  });
  try {
    await load.event('ready');
    const { published, main, workers } = await server.order('publish', order);
    const { messages } = await load.event('done');
    if (messages !== published * subscribers) {
      throw new Error(`${published} publishes to ${subscribers} subscribers, but ${messages} messages arrived`);
    }
    return { main_us: main, workers_us: workers, all_us: main === null ? null : main + workers };
  } finally {
    await load.end();
  }
}

module.exports = { publishing };
