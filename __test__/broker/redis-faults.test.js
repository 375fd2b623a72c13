'use strict';

// What happens to the messages of several processes when something goes wrong between them. They take half a minute, so
// `npm test` leaves them to `npm run test:broker`.

const { account, company: companyOf, progress, publishMany, say } = require('../helpers/account.js');
const { until, upTo } = require('../helpers/broker.js');
const { Member } = require('../helpers/members.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

const describeFaults = process.env.FERROWS_BROKERS === 'required' ? describeWithRedis : describe.skip;

let latest = 0;
beforeEach(() => { latest += 1; });

const broker = (url, more) => ({ threads: 1, broker: { name: `faults-${latest}`, url, ...more } });

/** So many processes that know of each other, each with a client that is subscribed to `news`. */
const company = (url, count, more) => companyOf(broker(url, more), count);

describeFaults('with a server', () => {
  test('killed and started again while three processes publish: each message has arrived everywhere, or counts as lost', async () => {
    const server = await RedisServer.start();
    const members = await company(server.url, 3);
    for (const member of members) await member.order('startStream', 'news');
    for (let round = 0; round < 2; round++) {
      await server.kill();
      await Promise.all(members.map((member) => member.state('disconnected')));
      await server.run();
      await Promise.all(members.map((member) => member.state('connected')));
      await progress(members);
    }
    for (const member of members) member.published += await member.order('endStream');
    for (const { reconnects } of await account(members)) expect(reconnects).toBeGreaterThanOrEqual(2);
  });

  test('frozen for longer than it may take to answer: the connection is given up, and all is accounted for', async () => {
    const server = await RedisServer.start();
    const members = await company(server.url, 2);
    server.freeze();
    await Promise.all(members.map((member) => publishMany(member, 500)));
    for (const { cause } of await Promise.all(members.map((member) => member.state('disconnected')))) {
      expect(cause.code).toBe('ERR_BROKER_TIMEOUT');
    }
    server.thaw();
    await Promise.all(members.map((member) => member.state('connected')));
    for (const { lost } of await account(members)) expect(lost.sent).toBe(0);
  });

  test('that drops a slow subscriber: what the process has missed counts as lost there', async () => {
    const server = await RedisServer.start('--client-output-buffer-limit', 'pubsub 262144 0 0');
    const [first, slow] = await company(server.url, 2);
    process.kill(slow.pid, 'SIGSTOP');
    // More than the kernel keeps for a connection, and less than may wait.
    for (let round = 0; round < 20; round++) {
      await publishMany(first, 1000, 1000);
      await until(first, ({ pending }) => pending === 0);
    }
    process.kill(slow.pid, 'SIGCONT');
    expect((await slow.state('disconnected')).cause.code).toBe('ERR_BROKER_CLOSED');
    const { gap } = await slow.state('connected');
    expect(gap.from).toBeLessThanOrEqual(gap.to);
    const [, { lost }] = await account([first, slow]);
    expect(lost.received).toBeGreaterThan(0);
  });

  test('whose connections are cut one after the other: all is accounted for', async () => {
    const server = await RedisServer.start();
    const members = await company(server.url, 2);
    for (const type of ['pubsub', 'normal', 'pubsub']) {
      await Promise.all(members.map((member) => publishMany(member, 200)));
      await server.command('CLIENT', 'KILL', 'TYPE', type);
      await Promise.all(members.map((member) => member.state('connected')));
    }
    await account(members);
  });

  test('thousands of topics that come and go: none is left behind, and those that stay are served', async () => {
    const { url } = await RedisServer.start();
    const members = await company(url, 2);
    expect(await members[0].order('flutter', 0, 4000)).toBe(4000);
    await members[0].order('subscribe', 0, 'brief/7');
    await until(members[0], ({ subscribed }) => subscribed === 2);
    await members[1].order('publish', 'brief/7', 'still here');
    await upTo(members[0].client, 'still here');
    expect(await members[0].order('stats')).toMatchObject({ topics: 2, reconnects: 0, lost: { sent: 0, received: 0 } });
  });

  test('a thread that is blocked for 5 s: what is published meanwhile arrives meanwhile', async () => {
    const { url } = await RedisServer.start();
    const [first, second] = await company(url, 2);
    let isBlocked = true;
    const blocked = second.order('block', 5000).then(() => { isBlocked = false; });
    await publishMany(first, 100);
    await upTo(second.client, '99');
    expect(isBlocked).toBe(true);
    await blocked;
  });

  test('a process that is killed while it publishes: the others go on, and do not count its subscribers', async () => {
    const { url } = await RedisServer.start();
    const [first, second, third] = await company(url, 3);
    first.send('publishMany', 'news', 0, 100_000);
    await second.client.frame();
    process.kill(first.pid, 'SIGKILL');
    await first.ended;
    expect(await second.order('count', 'news', { timeout: 30_000 })).toEqual([1, 2]);
    await say(third, 'we are still here');
    await upTo(second.client, 'we are still here');
  });
});

test('a process whose broker was never there counts what it could not keep', async () => {
  const member = await Member.process(broker('redis://127.0.0.1:1', { maxPending: 1000 }), ['news']);
  await member.state('disconnected');
  await member.order('publishMany', 'news', 0, 100);
  const { pending, lost, messages } = await member.order('stats');
  expect(pending).toBeLessThanOrEqual(1000);
  expect(lost.sent).toBeGreaterThan(80);
  expect(messages.sent).toBe(0);
});
