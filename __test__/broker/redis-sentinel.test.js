'use strict';

// Processes that share their topics by the master of Redis that sentinels name. Those with servers take half a minute, so
// `npm test` leaves them to `npm run test:broker`.

const { account, company, progress } = require('../helpers/account.js');
const { issue, selfSigned } = require('../helpers/authority.js');
const { connected, freePort, until } = require('../helpers/broker.js');
const { Member } = require('../helpers/members.js');
const { SentinelSite } = require('../helpers/redis-sentinel.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

const describeSites = process.env.FERROWS_BROKERS === 'required' ? describeWithRedis : describe.skip;

let latest = 0;
beforeEach(() => { latest += 1; });

const broker = (url) => ({ threads: 1, broker: { name: `sentinel-${latest}`, url } });

describeSites('with sentinels', () => {
  test('a failover by order, and then one because the master was killed: each message has arrived everywhere, or counts as lost', async () => {
    const site = await SentinelSite.start();
    // A sentinel that is not there is no reason to wait.
    const members = await company(broker(site.url(`127.0.0.1:${await freePort()}`)), 3);
    for (const member of members) await member.order('startStream', 'news');
    await progress(members);
    for (const fail of [() => site.command('SENTINEL', 'FAILOVER', 'mymaster'), (master) => master.kill()]) {
      const master = await site.master();
      await fail(master);
      await Promise.all(members.map((member) => member.state('disconnected')));
      await site.failover(master);
      for (const { gap } of await Promise.all(members.map((member) => member.state('connected')))) {
        expect(gap.from).toBeLessThanOrEqual(gap.to);
      }
      await progress(members);
    }
    for (const member of members) member.published += await member.order('endStream');
    for (const { reconnects } of await account(members)) expect(reconnects).toBeGreaterThanOrEqual(2);
  });

  test('a master that is frozen is left as soon as the sentinels have another one', async () => {
    const site = await SentinelSite.start();
    const members = await company(broker(site.url()), 2);
    // Those that are watched may go; those that are left say it.
    await site.end(0);
    const master = await site.master();
    master.freeze();
    const causes = await Promise.all(members.map((member) => member.state('disconnected')));
    for (const { cause } of causes) expect(['ERR_BROKER_MASTER', 'ERR_BROKER_TIMEOUT']).toContain(cause.code);
    await Promise.all(members.map((member) => member.state('connected')));
    expect(await site.master()).not.toBe(master);
    master.thaw();
    await account(members);
  });

  test('passwords of the servers and of the sentinels; a wrong one is told, and of whom', async () => {
    const args = ['--requirepass', 'p@ss', '--masterauth', 'p@ss'];
    const directives = ['sentinel auth-pass mymaster p@ss', 'requirepass s3cret', 'sentinel sentinel-pass s3cret'];
    const site = await SentinelSite.start({ args, directives, password: 's3cret' });
    const url = (password, own) => site.url().replace('//', `//:${password}@`) + (own === undefined ? '' : `?sentinelPassword=${own}`);
    await (await connected(broker(url('p%40ss', 's3cret')))).end();
    for (const [wrong, who] of [[url('wrong', 's3cret'), 'mymaster'], [url('p%40ss', 'wrong'), 'sentinel'], [url('p%40ss'), 'sentinel']]) {
      const member = await Member.process(broker(wrong));
      const { cause } = await member.state('disconnected');
      expect(cause).toEqual({ code: 'ERR_BROKER_AUTH', message: expect.stringContaining(who) });
      await member.end();
    }
  });
});

describeSites('with sentinels that speak TLS', () => {
  test('their master is trusted by the name of the sentinel, also behind a failover; without the authority nobody is', async () => {
    const authority = selfSigned('Ferrows test authority');
    const site = await SentinelSite.start({ tls: { ...issue(authority, 'localhost'), ca_file_name: authority.cert_file_name } });
    const env = { SSL_CERT_FILE: authority.cert_file_name };
    const members = [];
    for (const topics of [[], ['news']]) members.push(await connected(broker(site.url()), topics, env));
    const [publisher, subscriber] = members;
    const client = await subscriber.enter();
    await until(subscriber, ({ subscribed }) => subscribed === 1);
    await publisher.order('publish', 'news', 'before');
    expect(await client.frame()).toEqual(['text', 'before']);
    const master = await site.master();
    await site.command('SENTINEL', 'FAILOVER', 'mymaster');
    await Promise.all(members.map((member) => member.state('disconnected')));
    await site.failover(master);
    await Promise.all(members.map((member) => member.state('connected')));
    await publisher.order('publish', 'news', 'after');
    expect(await client.frame()).toEqual(['text', 'after']);
    const stranger = await Member.process(broker(site.url()));
    expect((await stranger.state('disconnected')).cause.code).toBe('ERR_BROKER_TLS');
  });
});

describeWithRedis('with a server', () => {
  test('that is no sentinel', async () => {
    const { port } = await RedisServer.start();
    const member = await Member.process(broker(`redis-sentinel://127.0.0.1:${port}/mymaster`));
    const { cause } = await member.state('disconnected');
    expect(cause).toEqual({ code: 'ERR_BROKER_REFUSED', message: expect.stringContaining(`sentinel: 127.0.0.1:${port}: `) });
    expect((await until(member, () => true)).state).toBe('disconnected');
  });
});

test('sentinels that are not there are told', async () => {
  const member = await Member.process(broker(`redis-sentinel://127.0.0.1:${await freePort()},127.0.0.1:${await freePort()}/mymaster`));
  expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_CONNECT');
});
