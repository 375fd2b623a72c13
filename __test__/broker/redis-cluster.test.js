'use strict';

// Processes that share their topics by a cluster of Redis servers, with sharded channels. Those with servers take half a
// minute, so `npm test` leaves them to `npm run test:broker`.

const { account, company, progress } = require('../helpers/account.js');
const { issue, selfSigned } = require('../helpers/authority.js');
const { connected, freePort, until, upTo } = require('../helpers/broker.js');
const { Member } = require('../helpers/members.js');
const { RedisCluster, clusterArgs, slotOf } = require('../helpers/redis-cluster.js');
const { RedisServer, describeWithRedis, exchange } = require('../helpers/redis-server.js');

const describeClusters = process.env.FERROWS_BROKERS === 'required' ? describeWithRedis : describe.skip;

let latest = 0;
beforeEach(() => { latest += 1; });

const name = () => `cluster-${latest}`;
const broker = (url, more) => ({ threads: 1, broker: { name: name(), url, ...more } });

describeClusters('with a cluster', () => {
  test('publish reaches all processes once and in order, by sharded channels; counts add up', async () => {
    const cluster = await RedisCluster.start();
    const topics = cluster.topics(name());
    const members = await company(broker(cluster.url), 3, topics);
    for (const topic of topics) expect(await members[1].order('count', topic, { timeout: 30_000 })).toEqual([1, 3]);
    for (const topic of topics) {
      await members[0].order('publishMany', topic, 0, 2000);
      const expected = Array.from({ length: 2000 }, (_, number) => String(number));
      for (const { client } of members) expect(await upTo(client, '1999')).toEqual(expected);
    }
    // Nothing goes to all nodes, and each node has what is its own.
    for (const [index, master] of cluster.masters.entries()) {
      expect(await master.command('PUBSUB', 'CHANNELS')).toBe('*0\r\n');
      expect(await master.command('PUBSUB', 'SHARDCHANNELS', `${name()}:*`)).toContain(`${name()}:${topics[index]}\r\n`);
    }
    await cluster.masters[1].command('SPUBLISH', `${name()}:${topics[1]}`, 'from another program');
    for (const { client } of members) expect(await client.frame()).toEqual(['text', 'from another program']);
    expect(await members[0].order('stats')).toMatchObject({ state: 'connected', reconnects: 0, lost: { sent: 0, received: 0 } });
  });

  test('a slot that moves to another master: its topic moves along, and the gap is told', async () => {
    const cluster = await RedisCluster.start();
    const topics = cluster.topics(name());
    const members = await company(broker(cluster.url), 3, topics);
    for (const member of members) await member.order('startStream', topics[0]);
    await progress(members);
    const [from, to] = cluster.masters;
    await cluster.move(slotOf(`${name()}:${topics[0]}`), from, to);
    for (const { gap } of await Promise.all(members.map((member) => member.state('connected')))) {
      expect(gap.from).toBeLessThanOrEqual(gap.to);
    }
    await progress(members);
    for (const member of members) member.published += await member.order('endStream');
    for (const { reconnects, subscribed } of await account(members, topics)) {
      expect([reconnects, subscribed]).toEqual([0, topics.length]);
    }
    expect(await to.command('PUBSUB', 'SHARDCHANNELS', `*${topics[0]}`)).toContain(topics[0]);
  });

  test('a master that is killed: its replica takes over, the topics of others are served meanwhile', async () => {
    const cluster = await RedisCluster.start({ replicas: true });
    const topics = cluster.topics(name());
    const members = await company(broker(cluster.url), 2, topics);
    for (const member of members) await member.order('startStream', topics[0]);
    await progress(members);
    await cluster.masters[0].kill();
    for (const { cause } of await Promise.all(members.map((member) => member.state('disconnected')))) {
      expect(cause.message).toContain(`127.0.0.1:${cluster.masters[0].port}`);
    }
    members[0].published += 1;
    await members[0].order('publish', topics[1], 'others are served');
    await upTo(members[1].client, 'others are served');
    await Promise.all(members.map((member) => member.state('connected')));
    await cluster.promoted(cluster.replicas[0]);
    await progress(members);
    for (const member of members) member.published += await member.order('endStream');
    for (const { reconnects } of await account(members, topics)) expect(reconnects).toBe(1);
  });

  test('a failover by order, and then all nodes gone and back', async () => {
    const cluster = await RedisCluster.start({ replicas: true });
    const topics = cluster.topics(name());
    const members = await company(broker(cluster.url), 2, topics);
    for (const member of members) await member.order('startStream', topics[1]);
    await progress(members);
    await cluster.replicas[1].command('CLUSTER', 'FAILOVER');
    await cluster.promoted(cluster.replicas[1]);
    await progress(members);
    const servers = [...cluster.masters, ...cluster.replicas];
    await Promise.all(servers.map((server) => server.kill()));
    await Promise.all(members.map((member) => member.state('disconnected')));
    await Promise.all(servers.map((server) => server.run()));
    await Promise.all(members.map((member) => until(member, ({ state }) => state === 'connected')));
    await progress(members);
    for (const member of members) member.published += await member.order('endStream');
    await account(members, topics);
  });

  test('a cluster of one master, with a password; wrong ones and missing rights are told', async () => {
    const rights = ['&*', '-@all', '+ping', '+spublish', '+ssubscribe', '+sunsubscribe', '+cluster|slots'];
    const args = ['--requirepass', 'p@ss', '--user', 'ann', 'on', '>s3cret', ...rights, '--user', 'bob', 'on', '>s3cret', '&none', '+@all'];
    const server = await RedisServer.start(...await clusterArgs(), ...args);
    await exchange(server.port, ['AUTH', 'p@ss'], ['CLUSTER', 'ADDSLOTSRANGE', 0, 16383]);
    const url = (user) => `redis-cluster://${user}@127.0.0.1:${server.port}`;
    for (const user of [':p%40ss', 'ann:s3cret']) {
      const [member] = await company(broker(url(user)), 1);
      await member.end();
    }
    for (const user of [':wrong', 'bob:s3cret']) {
      const member = await Member.process(broker(url(user)), ['news']);
      expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_AUTH');
      await member.end();
    }
  });
});

describeWithRedis('with a server', () => {
  test('TLS: a certificate for the host of the url will do for a node that is named by its address', async () => {
    const authority = selfSigned('Ferrows test authority');
    const { cert_file_name, key_file_name } = issue(authority, 'localhost');
    const port = await freePort();
    const secure = ['--tls-port', port, '--tls-cert-file', cert_file_name, '--tls-key-file', key_file_name, '--tls-auth-clients', 'no', '--tls-cluster', 'yes'];
    const args = [...await clusterArgs(), '--tls-ca-cert-file', authority.cert_file_name, '--cluster-announce-ip', '127.0.0.1', ...secure];
    const server = await RedisServer.start(...args);
    await server.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
    const env = { SSL_CERT_FILE: authority.cert_file_name };
    const member = await connected(broker(`rediss-cluster://localhost:${port}`), ['news'], env);
    const client = await member.enter();
    await until(member, ({ subscribed }) => subscribed === 1);
    expect(await server.command('CLUSTER', 'SLOTS')).toContain('127.0.0.1');
    await server.command('SPUBLISH', `${name()}:news`, 'hello');
    expect(await client.frame()).toEqual(['text', 'hello']);
    const stranger = await Member.process(broker(`rediss-cluster://localhost:${port}`));
    expect((await stranger.state('disconnected')).cause.code).toBe('ERR_BROKER_TLS');
  });

  test('that is no node of a cluster', async () => {
    const { port } = await RedisServer.start();
    const member = await Member.process(broker(`redis-cluster://127.0.0.1:${await freePort()},127.0.0.1:${port}`));
    const { cause } = await member.state('disconnected');
    expect(cause).toEqual({ code: 'ERR_BROKER_REFUSED', message: expect.stringContaining(`127.0.0.1:${port}: `) });
  });

  test('that has no slots yet, and then gets them', async () => {
    const server = await RedisServer.start(...await clusterArgs());
    const member = await Member.process(broker(`redis-cluster://127.0.0.1:${server.port}`));
    expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_MASTER');
    await server.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
    await member.state('connected');
  });
});

test('nodes that are not there are told', async () => {
  const member = await Member.process(broker(`redis-cluster://127.0.0.1:${await freePort()}`));
  expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_CONNECT');
});
