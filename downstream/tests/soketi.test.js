'use strict';

// soketi, the Pusher server: clients of pusher-js, events over its HTTP API, client events, presence, and the end.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');

const { Log, Server } = require('@soketi/soketi');
const Pusher = require('pusher');
const PusherClient = require('pusher-js');
const uWS = require('uWebSockets.js');

const { afterTest, Mailbox, test } = require('../helpers/project.js');

// What it does is no news here.
Log.log = () => {};
Log.br = () => {};

const APP = { id: 'app-id', key: 'app-key', secret: 'app-secret' };

/** A port of UDP that nobody uses, for looking for others of its kind on this machine alone. */
async function freePort() {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** A server, and what speaks with it. */
class Service {
  static async start() {
    const server = await new Promise((resolve, reject) => {
      freePort().then((port) => Server.start({
        host: '127.0.0.1',
        port: 0,
        shutdownGracePeriod: 0,
        'metrics.host': '127.0.0.1',
        'metrics.port': 0,
        'metrics.enabled': true,
        'cluster.hostname': '127.0.0.1',
        'cluster.port': port,
        'cluster.broadcast': null,
        'cluster.unicast': '127.0.0.1',
        'appManager.array.apps.0.enableClientMessages': true,
      }, resolve)).catch(reject);
    });
    const service = new Service(server);
    afterTest(() => service.stop());
    return service;
  }

  #isStopped = false;

  constructor(server) {
    this.server = server;
    this.port = uWS.us_socket_local_port(server.serverProcess);
    this.api = this.apiWith(APP.secret);
  }

  /** What speaks with its HTTP API. */
  apiWith(secret) {
    return new Pusher({ appId: APP.id, key: APP.key, secret, host: '127.0.0.1', port: String(this.port), useTLS: false });
  }

  /** Ends it, once. */
  async stop() {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.server.stop();
    this.server.discover.stop();
  }

  /** A client that is connected. */
  async connect(member) {
    const client = new PusherClient(APP.key, {
      cluster: '',
      wsHost: '127.0.0.1',
      wsPort: this.port,
      forceTLS: false,
      enabledTransports: ['ws'],
      disableStats: true,
      authorizer: (channel) => ({
        authorize: (socket, callback) => {
          const data = channel.name.startsWith('presence-') ? member : undefined;
          callback(null, this.api.authorizeChannel(socket, channel.name, data));
        },
      }),
    });
    afterTest(() => client.disconnect());
    await new Promise((resolve) => {
      client.connection.bind('connected', resolve);
    });
    return client;
  }
}

/** A channel of a client, once it is subscribed, and everything that it hears: `[event, data]`. */
async function subscribe(client, name) {
  const heard = new Mailbox();
  const channel = client.subscribe(name);
  await new Promise((resolve, reject) => {
    channel.bind('pusher:subscription_succeeded', resolve);
    channel.bind('pusher:subscription_error', reject);
  });
  channel.bind_global((event, data) => heard.put([event, data]));
  return { channel, heard };
}

test('soketi: events over HTTP reach all subscribers of a channel and nobody else', async () => {
  const service = await Service.start();
  const [one, two, three] = [await service.connect(), await service.connect(), await service.connect()];
  const subscribers = [await subscribe(one, 'news'), await subscribe(two, 'news')];
  const other = await subscribe(three, 'else');
  const response = await service.api.trigger('news', 'said', { text: 'é✓😀' });
  assert.equal(response.status, 200);
  for (const { heard } of subscribers) assert.deepEqual(await heard.take(), ['said', { text: 'é✓😀' }]);
  await service.api.trigger('else', 'said', { text: 'to you' });
  assert.deepEqual(await other.heard.take(), ['said', { text: 'to you' }]);

  // Not to the one who caused it.
  await service.api.trigger('news', 'moved', { x: 1 }, { socket_id: one.connection.socket_id });
  await service.api.trigger('news', 'last', {});
  assert.deepEqual(await subscribers[0].heard.take(), ['last', {}]);
  assert.deepEqual(await subscribers[1].heard.take(), ['moved', { x: 1 }]);
});

test('soketi: batches, a large event, and what the API says of channels', async () => {
  const service = await Service.start();
  const { heard } = await subscribe(await service.connect(), 'news');
  await service.api.triggerBatch([
    { channel: 'news', name: 'first', data: 'a' },
    { channel: 'news', name: 'second', data: 'b' },
  ]);
  assert.deepEqual([await heard.take(), await heard.take()], [['first', 'a'], ['second', 'b']]);
  const large = 'x'.repeat(95_000);
  await service.api.trigger('news', 'large', large);
  assert.deepEqual(await heard.take(), ['large', large]);
  const channels = await (await service.api.get({ path: '/channels' })).json();
  assert.deepEqual(channels.channels.news, { subscription_count: 1, occupied: true });
  // Its statuses come behind its headers, and so too late: all of these have status 200.
  const codeOf = async (response) => (await response.json()).code;
  assert.equal(await codeOf(await service.api.trigger('news', 'too large', 'x'.repeat(110_000))), 413);
  assert.equal(await codeOf(await service.apiWith('wrong').trigger('news', 'x', 'y')), 401);
});

test('soketi: private channels carry events between clients, presence channels tell who is there', async () => {
  const service = await Service.start();
  const [ann, bob] = [await service.connect({ user_id: 'ann', user_info: {} }), await service.connect({ user_id: 'bob', user_info: {} })];
  const [hers, his] = [await subscribe(ann, 'private-room'), await subscribe(bob, 'private-room')];
  assert.ok(hers.channel.trigger('client-typing', { by: 'ann' }));
  assert.deepEqual(await his.heard.take(), ['client-typing', { by: 'ann' }]);

  const lobby = await subscribe(ann, 'presence-lobby');
  const second = await subscribe(bob, 'presence-lobby');
  const [event, { id }] = await lobby.heard.take();
  assert.deepEqual([event, id], ['pusher:member_added', 'bob']);
  assert.deepEqual(Object.keys(second.channel.members.members).sort(), ['ann', 'bob']);
  bob.disconnect();
  const [left, member] = await lobby.heard.take();
  assert.deepEqual([left, member.id], ['pusher:member_removed', 'bob']);
});

test('soketi: health, usage and metrics are answered; an unknown key is refused; the end closes its clients', async () => {
  const service = await Service.start();
  const { port } = service;
  const metrics = uWS.us_socket_local_port(service.server.metricsServerProcess);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'OK');
  assert.equal((await fetch(`http://127.0.0.1:${port}/nothing`)).status, 404);
  assert.ok((await (await fetch(`http://127.0.0.1:${metrics}/usage`)).json()).memory.total > 0);
  const client = await service.connect();
  assert.match(await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text(), /soketi_\d*_?connected\{[^}]*\} 1/);

  const stranger = new PusherClient('no-such-key', { cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'] });
  afterTest(() => stranger.disconnect());
  const { error } = await new Promise((resolve) => {
    stranger.connection.bind('error', resolve);
  });
  assert.equal(error.data.code, 4001);

  const states = new Mailbox();
  client.connection.bind('state_change', ({ current }) => states.put(current));
  await service.stop();
  assert.equal(await states.take(), 'connecting');
});
