'use strict';

// Two processes that share the topics of one app over a Redis server of their own: by a broker (`SHARING=broker`), or by what
// programs write without one (`SHARING=glue`): a client of the package `redis`, whose listener publishes what it receives.
// With `SHARING=none` the first process is alone. The first one publishes.

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { obey } = require('./control.js');
const { cpuMicroseconds, residentBytes } = require('./counters.js');
const uWS = require('./module.js');
const { fanOutOrder, publishOrder } = require('./publishing.js');

const { SHARING } = process.env;
const isFollower = process.send !== undefined;
const folder = process.env.BROKER_FOLDER ?? mkdtempSync(join(tmpdir(), 'ferrows-bench-'));
const socket = join(folder, 'redis.sock');

let app;
let publish;
const sockets = [];

async function share() {
  app = uWS.App(SHARING === 'broker' ? { broker: { name: 'bench', url: `redis+unix://${socket}` } } : {});
  publish = (message) => app.publish('news', message);
  if (SHARING === 'glue') await glue();
  else if (SHARING === 'broker') while (app.getStats().broker.state !== 'connected') await sleep(10);
}

/** Each message has the number of the process in front, because Redis sends it back to the process that has published it. */
async function glue() {
  const { createClient } = require(process.env.REDIS_MODULE ?? 'redis');
  const [publisher, subscriber] = [0, 1].map(() => createClient({ socket: { path: socket } }));
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const own = String(process.pid).padStart(8, '0');
  await subscriber.subscribe('bench:news', (message) => {
    if (!message.startsWith(own)) app.publish('news', message.slice(own.length));
  });
  publish = (message) => {
    app.publish('news', message);
    publisher.publish('bench:news', own + message);
  };
}

function listen() {
  return new Promise((resolve, reject) => {
    app
      .ws('/*', {
        maxBackpressure: 0,
        open(ws) {
          sockets.push(ws);
          ws.subscribe('news');
        },
        close(ws) {
          sockets.splice(sockets.indexOf(ws), 1);
        },
      })
      .listen('127.0.0.1', 0, (token, error) => {
        if (token) resolve(uWS.us_socket_local_port(token));
        else reject(error);
      });
  });
}

/** Publishes the time, so many times a second. */
async function clock({ count, rate }) {
  const start = performance.now();
  for (let published = 0; published < count; ) {
    const due = Math.min(count, Math.ceil(((performance.now() - start) * rate) / 1000));
    for (; published < due; published += 1) publish(String(process.hrtime.bigint()).padEnd(20));
    await sleep(1);
  }
  return { count };
}

/** The growth of RSS by so many topics with one subscriber each. */
async function topics({ count }) {
  const before = await residentBytes(true);
  for (let number = 0; number < count; number += 1) sockets[0].subscribe(`topic/${number}`);
  // The broker has to hear of them.
  await sleep(1000);
  while (SHARING === 'broker' && app.getStats().broker.subscribed < count) await sleep(50);
  return { bytes: ((await residentBytes(true)) - before) / count };
}

async function lead() {
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  for await (const text of server.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    if (text.includes('eady to accept connections')) break;
  }
  server.stdout.resume();
  await share();
  const follower = fork(__filename, { env: { ...process.env, BROKER_FOLDER: folder }, execArgv: process.execArgv });
  const [{ port: other }] = await once(follower, 'message');
  const ask = async () => {
    follower.send('cpu');
    return (await once(follower, 'message'))[0];
  };
  obey(await listen(), {
    clock,
    topics,
    other: async () => ({ port: other }),
    fanout: fanOutOrder((message) => publish(message)),
    publish: publishOrder((message) => publish(message)),
    stats: async () => {
      const [own, its] = [await cpuMicroseconds(), await ask()];
      return { main: own.main + its.main, workers: own.workers + its.workers, receiver: its.main };
    },
  });
}

async function follow() {
  await share();
  process.send({ port: await listen() });
  process.on('message', async () => process.send(await cpuMicroseconds()));
  process.on('disconnect', () => process.exit());
}

(isFollower ? follow() : lead()).catch((error) => {
  throw error;
});
