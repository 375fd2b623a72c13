'use strict';

// What happens to the messages of several processes when something goes wrong at the NATS servers between them: each message
// has arrived, or counts as lost. They take a minute, so `npm test` leaves them to `npm run test:broker`.

const { acquaint, expectBoundedOutage, pairOf, until, upTo } = require('../helpers/broker.js');
const { NatsServer, describeWithNats } = require('../helpers/nats-server.js');

const describeFaults = process.env.FERROWS_BROKERS === 'required' ? describeWithNats : describe.skip;

let latest = 0;
beforeEach(() => { latest += 1; });

/** Options of an app with a broker; each test has a name of its own. */
const broker = (url, more) => ({ threads: 1, broker: { name: `nats-faults-${latest}`, url, ...more } });

/** Two processes with such brokers, as {@link pairOf} makes them. */
const pair = (first, second = first, more = undefined) => pairOf(broker(first, more), broker(second, more));

describeFaults('with a server', () => {
  test('a server that is killed mid-stream and comes back: each message has arrived or counts as lost, and the gap is told', async () => {
    const server = await NatsServer.start();
    const { members, members: [first, second], clients } = await pair(server.url, server.url, { maxPending: 1 << 24 });
    await acquaint(members, clients);
    const count = 20_000;
    first.send('publishMany', 'news', 0, count);
    await upTo(clients[1], '100');
    await server.kill();
    await first.result();
    const [lost] = await Promise.all(members.map((member) => member.state('disconnected')));
    expect(lost.cause.code).toMatch(/^ERR_BROKER_/);
    await first.order('publishMany', 'news', count, count + 200);
    await server.run();
    const [, back] = await Promise.all(members.map((member) => member.state('connected')));
    expect(back.gap.from).toBeLessThanOrEqual(back.gap.to);
    await until(first, ({ pending, messages }) => pending === 0 && messages.sent === 1 + count + 200);
    await first.order('publish', 'news', 'end');
    expect((await upTo(clients[0], 'end')).length).toBe(count + 201);
    const arrived = await upTo(clients[1], 'end');
    const { lost: missed, messages, reconnects } = await second.order('stats');
    expect(reconnects).toBe(1);
    expect((await first.order('stats')).lost).toEqual({ sent: 0, received: 0 });
    expect(messages.received + missed.received).toBe(1 + count + 200 + 1);
    expect(messages.received).toBe(1 + 101 + arrived.length);
  });

  test('a server that stands still counts as away', async () => {
    const server = await NatsServer.start();
    const { members, members: [first, second], clients } = await pair(server.url);
    await acquaint(members, clients);
    server.freeze();
    await first.order('publishMany', 'news', 0, 100);
    const states = await Promise.all(members.map((member) => member.state('disconnected')));
    for (const { cause } of states) expect(cause.code).toBe('ERR_BROKER_TIMEOUT');
    server.thaw();
    await Promise.all(members.map((member) => member.state('connected')));
    await until(first, ({ messages }) => messages.sent === 101);
    await first.order('publish', 'news', 'end');
    await upTo(clients[1], 'end');
    const { lost, messages } = await second.order('stats');
    expect(messages.received + lost.received).toBe(102);
  });

  test('a server that is drained (lame duck mode): its clients move to another one without a gap, and all is accounted for', async () => {
    const [old, next] = await NatsServer.cluster(2);
    // The other one is named by the server itself.
    const { members, members: [first, second], clients } = await pair(old.url, next.url);
    await acquaint(members, clients);
    old.drain();
    let sent = 0;
    while ((await first.order('stats')).reconnects === 0) {
      await second.order('publishMany', 'news', sent, sent + 50);
      await first.order('publishMany', 'news', sent, sent + 50);
      sent += 50;
    }
    await old.kill();
    for (const member of members) await member.order('publish', 'news', `end ${members.indexOf(member)}`);
    for (const [index, member] of members.entries()) {
      await upTo(clients[index], `end ${1 - index}`);
      const stats = await member.order('stats');
      expect(stats).toMatchObject({ state: 'connected', lost: { sent: 0 }, reconnects: 1 - index });
      // Those of the other one, and the first and the last message.
      expect(stats.messages.received + stats.lost.received).toBe(sent + (index === 0 ? 1 : 2));
    }
    expect(await first.order('count', 'news', { timeout: 30_000 })).toEqual([1, 2]);
  });

  test('a server of a cluster that dies: its clients find another one, and all is accounted for', async () => {
    const [one, other] = await NatsServer.cluster(2);
    const { members, members: [first, second], clients } = await pair(one.url, other.url, { maxPending: 1 << 24 });
    await acquaint(members, clients);
    const count = 20_000;
    first.send('publishMany', 'news', 0, count);
    await upTo(clients[1], '100');
    await other.kill();
    await first.result();
    const { gap } = await second.state('connected');
    expect(gap.from).toBeLessThanOrEqual(gap.to);
    await until(first, ({ messages }) => messages.sent === 1 + count);
    await first.order('publish', 'news', 'end');
    await upTo(clients[1], 'end');
    const { lost, messages } = await second.order('stats');
    expect(messages.received + lost.received).toBe(1 + count + 1);
    expect(await second.order('count', 'news', { timeout: 30_000 })).toEqual([1, 2]);
  });

  test('without the server, the own process is served; what waits is bounded by maxPending, the oldest are lost', async () => {
    const server = await NatsServer.start();
    await expectBoundedOutage(server, broker(server.url, { maxPending: 20_000 }));
  });

  test('a process that is too slow for the server is cut off; it comes back, and what it missed is counted', async () => {
    const { url } = await NatsServer.start('max_payload: 50000', 'max_pending: 100000', 'write_deadline: "1s"');
    const { members, members: [first, second], clients } = await pair(url);
    await acquaint(members, clients);
    process.kill(second.pid, 'SIGSTOP');
    // More than the buffers of the kernel and of the server hold.
    for (let round = 0; round < 400; round++) await first.order('publish', 'news', 'x'.repeat(40_000));
    await until(first, ({ messages, pending }) => messages.sent === 401 && pending === 0);
    process.kill(second.pid, 'SIGCONT');
    expect((await second.state('disconnected')).cause.code).toBe('ERR_BROKER_CLOSED');
    expect((await second.state('connected')).gap).toBeDefined();
    await first.order('publish', 'news', 'end');
    await upTo(clients[1], 'end');
    const { lost, messages } = await second.order('stats');
    expect(lost.received).toBeGreaterThan(0);
    expect(messages.received + lost.received).toBe(402);
  });
});
