'use strict';

// Two threads that share the topics of one app: by a broker (`SHARING=broker`), or by what programs write without one
// (`SHARING=channel`): a BroadcastChannel, whose listener publishes what it receives. The first thread publishes.

const { readFileSync } = require('node:fs');
const { once } = require('node:events');
const { BroadcastChannel, isMainThread, parentPort, Worker } = require('node:worker_threads');
const { obey } = require('./control.js');
const { cpuMicroseconds } = require('./counters.js');
const uWS = require('./module.js');
const { fanOutOrder } = require('./publishing.js');

const hasBroker = process.env.SHARING === 'broker';
const app = uWS.App(hasBroker ? { broker: { name: 'bench' } } : {});
const channel = hasBroker ? undefined : new BroadcastChannel('bench');

if (channel) channel.onmessage = ({ data }) => app.publish('news', data);

/** To the subscribers of both threads. */
function publish(message) {
  app.publish('news', message);
  channel?.postMessage(message);
}

/** CPU microseconds of the thread that calls this. */
function ownMicroseconds() {
  if (process.platform !== 'linux') return null;
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1000;
}

function listen() {
  return new Promise((resolve, reject) => {
    app
      .ws('/*', {
        // As with `ws`, nothing is dropped.
        maxBackpressure: 0,
        open(ws) {
          ws.subscribe('news');
        },
      })
      .listen('127.0.0.1', 0, (token, error) => {
        if (token) resolve(uWS.us_socket_local_port(token));
        else reject(error);
      });
  });
}

async function lead() {
  const worker = new Worker(__filename);
  const [{ port: other }] = await once(worker, 'message');
  const ask = async () => {
    worker.postMessage('cpu');
    return (await once(worker, 'message'))[0];
  };
  obey(await listen(), {
    other: async () => ({ port: other }),
    fanout: fanOutOrder(publish),
    stats: async () => ({ ...(await cpuMicroseconds()), receiver: await ask() }),
  });
}

async function follow() {
  parentPort.postMessage({ port: await listen() });
  parentPort.on('message', () => parentPort.postMessage(ownMicroseconds()));
}

(isMainThread ? lead() : follow()).catch((error) => {
  throw error;
});
