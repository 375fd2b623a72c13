'use strict';

// Processes that share their topics by a Redis server.

const uWS = require('../..');
const { connected, expectBoundedOutage, expectServedAlone, freePort, scripted, until, upTo } = require('../helpers/broker.js');
const { failureOf } = require('../helpers/failure.js');
const { Member } = require('../helpers/members.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

let latest = 0;
beforeEach(() => { latest += 1; });

/** Options of an app with a broker; each test has a name of its own. */
const broker = (url, more) => ({ threads: 1, broker: { name: `redis-${latest}`, url, ...more } });

/** The url of a TCP server that does `act` with each connection. */
const urlOf = async (act) => `redis://127.0.0.1:${await scripted(act)}`;

/** Answers each command with an error. */
function refuse(socket, data) {
  const answer = (commands) => socket.write('-LOADING the dataset\r\n'.repeat(commands.toString().match(/\*\d+\r\n/g).length));
  answer(data);
  socket.on('data', answer);
}

describeWithRedis('with a server', () => {
  test('publish reaches the subscribers of all processes once, and ws.publish all but the sender', async () => {
    const { url } = await RedisServer.start();
    const [first, second] = [await connected(broker(url), ['news']), await connected(broker(url), ['news'])];
    const clients = [await first.enter(), await first.enter(), await second.enter()];
    for (const member of [first, second]) await until(member, ({ subscribed }) => subscribed === 1);
    expect(await first.order('publish', 'news', 'by the app')).toBe(true);
    for (const client of clients) expect(await client.frame()).toEqual(['text', 'by the app']);
    clients[0].sendText('news by-a-socket');
    for (const client of clients.slice(1)) expect(await client.frame()).toEqual(['text', 'by-a-socket']);
    await second.order('publish', 'news', 'end');
    for (const client of clients) expect(await client.frame()).toEqual(['text', 'end']);
    expect(await first.order('publish', 'weather', 'the broker has taken it')).toBe(true);
    expect(await first.order('stats')).toMatchObject({
      state: 'connected', apps: 1, topics: 1, subscribed: 1, lost: { sent: 0, received: 0 }, messages: { received: 1 }, reconnects: 0,
    });
  });

  test('messages of one publisher on one topic arrive in their order everywhere', async () => {
    const { url } = await RedisServer.start();
    const [first, second] = [await connected(broker(url), ['news']), await connected(broker(url), ['news'])];
    const clients = [await first.enter(), await second.enter()];
    for (const member of [first, second]) await until(member, ({ subscribed }) => subscribed === 1);
    const count = 5000;
    await first.order('publishMany', 'news', 0, count);
    const expected = Array.from({ length: count }, (_, number) => String(number));
    for (const client of clients) expect(await upTo(client, String(count - 1))).toEqual(expected);
    expect(await second.order('stats')).toMatchObject({ messages: { received: count }, lost: { sent: 0, received: 0 } });
  });

  test('countSubscribers adds up all processes; one that was killed does not count', async () => {
    const { url } = await RedisServer.start();
    const members = [];
    for (const count of [1, 2, 3]) {
      const member = await connected(broker(url), ['news']);
      for (let index = 0; index < count; index++) await member.enter();
      members.push(member);
    }
    expect(await members[0].order('count', 'news', { timeout: 30_000 })).toEqual([1, 6]);
    expect(await members[0].order('count', 'weather', { timeout: 30_000 })).toEqual([0, 0]);
    await members[2].end();
    expect(await members[1].order('count', 'news', { timeout: 30_000 })).toEqual([2, 3]);
  });

  test('other programs publish text and binary by its channel', async () => {
    const server = await RedisServer.start();
    const member = await connected(broker(server.url), ['news']);
    const client = await member.enter();
    await until(member, ({ subscribed }) => subscribed === 1);
    await server.command('PUBLISH', `redis-${latest}:news`, 'hello');
    await server.command('PUBLISH', `redis-${latest}:news`, Buffer.of(0xff, 1));
    expect(await client.frame()).toEqual(['text', 'hello']);
    expect(await client.frame()).toEqual(['binary', Buffer.of(0xff, 1)]);
  });

  test('a message arrives although the thread of its subscribers is blocked', async () => {
    const { url } = await RedisServer.start();
    const [first, second] = [await connected(broker(url)), await connected(broker(url), ['news'])];
    const client = await second.enter();
    await until(second, ({ subscribed }) => subscribed === 1);
    let isBlocked = true;
    const blocked = second.order('block', 3000).then(() => { isBlocked = false; });
    await first.order('publish', 'news', 'hello');
    expect(await client.frame()).toEqual(['text', 'hello']);
    expect(isBlocked).toBe(true);
    await blocked;
  });

  test('a server that is killed and comes back: each message has arrived or counts as lost, and the gap is told', async () => {
    const server = await RedisServer.start();
    const [first, second] = [await connected(broker(server.url)), await connected(broker(server.url), ['news'])];
    const client = await second.enter();
    await until(second, ({ subscribed }) => subscribed === 1);
    await first.order('publishMany', 'news', 0, 100);
    await upTo(client, '99');
    await server.kill();
    const [lost] = await Promise.all([first.state('disconnected'), second.state('disconnected')]);
    expect(lost.cause.code).toMatch(/^ERR_BROKER_/);
    await first.order('publishMany', 'news', 100, 200);
    await server.run();
    const [, back] = await Promise.all([first.state('connected'), second.state('connected')]);
    expect(back.gap.from).toBeLessThanOrEqual(back.gap.to);
    await until(first, ({ pending, messages }) => pending === 0 && messages.sent === 200);
    await first.order('publish', 'news', 'end');
    const after = await upTo(client, 'end');
    const { lost: missed, messages, reconnects } = await second.order('stats');
    expect(reconnects).toBe(1);
    expect((await first.order('stats')).lost).toEqual({ sent: 0, received: 0 });
    expect(messages.received + missed.received).toBe(201);
    expect(100 + after.length).toBe(messages.received);
  });

  test('a connection that the server cuts is made again, with all topics', async () => {
    const server = await RedisServer.start();
    const [first, second] = [await connected(broker(server.url)), await connected(broker(server.url), ['news'])];
    const client = await second.enter();
    await until(second, ({ subscribed }) => subscribed === 1);
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await Promise.all([first.state('connected'), second.state('connected')]);
    await first.order('publish', 'news', 'again');
    expect(await client.frame()).toEqual(['text', 'again']);
  });

  test('without the server, the own process is served; what waits is bounded by maxPending, the oldest are lost', async () => {
    const server = await RedisServer.start();
    await expectBoundedOutage(server, broker(server.url, { maxPending: 20_000 }));
  });

  test('process.exit sends what was published before it', async () => {
    const { url } = await RedisServer.start();
    const [first, second] = [await connected(broker(url)), await connected(broker(url), ['news'])];
    const client = await second.enter();
    await until(second, ({ subscribed }) => subscribed === 1);
    first.send('publishAndExit', 'news', 'the last word');
    expect(await client.frame()).toEqual(['text', 'the last word']);
    await first.ended;
  });

  test('a password, a user and a Unix socket; a wrong password is told once', async () => {
    const server = await RedisServer.start('--requirepass', 'p@ss', '--user', 'ann', 'on', '>s3cret', '&*', '+@all');
    const right = [
      `redis://:p%40ss@127.0.0.1:${server.port}`,
      `redis://ann:s3cret@127.0.0.1:${server.port}`,
      `redis+unix://${server.socket}?pass=p%40ss`,
    ];
    for (const url of right) await (await connected(broker(url))).end();
    for (const url of [`redis://:wrong@127.0.0.1:${server.port}`, server.url]) {
      const member = await Member.process(broker(url), ['news']);
      expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_AUTH');
      const client = await member.enter();
      await member.order('publish', 'news', 'here');
      expect(await client.frame()).toEqual(['text', 'here']);
      await member.end();
    }
  });
});

test.each([
  ['another protocol', 'ERR_BROKER_PROTOCOL', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['garbage', 'ERR_BROKER_PROTOCOL', (socket) => socket.write(Buffer.alloc(1000, 0x15))],
  ['a string of 512 MB', 'ERR_BROKER_TOO_LARGE', (socket) => socket.write('$536870912\r\n')],
  ['errors', 'ERR_BROKER_REFUSED', refuse],
  ['nothing, and closes at once', 'ERR_BROKER_CLOSED', (socket) => socket.end()],
])('a server that sends %s is told, and the own process is served', async (_, code, act) => {
  const url = await urlOf((socket) => socket.once('data', (data) => act(socket, data)));
  await expectServedAlone(broker(url), code);
});

test('a port at which nobody listens is told', async () => {
  const member = await Member.process(broker(`redis://127.0.0.1:${await freePort()}`), ['news']);
  expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_CONNECT');
  await expect(member.order('count', 'news', { timeout: 50 })).rejects.toMatchObject({ code: 'ERR_BROKER_TIMEOUT' });
});

test('a url that cannot be meant throws, and its password is not in the message', () => {
  const wrong = [
    '', 'localhost', 'redis://', 'http://secret@host', 'redis://a,b', 'redis://host:0', 'redis://u:secret@host?x=1',
    'redis-cluster://a:0', 'redis-sentinel://a:1',
  ];
  for (const url of wrong) {
    const failure = failureOf(() => uWS.App({ broker: { name: 'wrong', url } }));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
    expect(failure.message).not.toContain('secret');
  }
  expect(failureOf(() => uWS.App({ broker: { name: 'wrong', url: 1 } }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  for (const maxPending of [-1, 2 ** 31, 1.5]) {
    expect(failureOf(() => uWS.App({ broker: { name: 'wrong', maxPending } }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  }
});

test('apps of one name in a process have the same options', async () => {
  const url = await urlOf(() => {});
  const app = uWS.App({ broker: { name: 'same', url } });
  expect(() => uWS.App({ broker: { name: 'same', url } })).not.toThrow();
  for (const other of [{}, { url: 'redis://other' }, { url, maxPending: 1 }]) {
    expect(failureOf(() => uWS.App({ broker: { name: 'same', ...other } }))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  }
  expect(app.getStats().broker.name).toBe('same');
});
