'use strict';

// Processes that share their topics by NATS servers.

const tls = require('node:tls');
const { once } = require('node:events');

const uWS = require('../..');
const { issue, selfSigned } = require('../helpers/authority.js');
const { connected, expectServedAlone, freePort, pairOf, scripted, until, upTo } = require('../helpers/broker.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Member } = require('../helpers/members.js');
const { NatsServer, describeWithNats } = require('../helpers/nats-server.js');

let latest = 0;
beforeEach(() => { latest += 1; });

/** Options of an app with a broker; each test has a name of its own. */
const broker = (url, more) => ({ threads: 1, broker: { name: `nats-${latest}`, url, ...more } });

/** Two processes with such brokers, as {@link pairOf} makes them. */
const pair = (first, second = first, more = undefined) => pairOf(broker(first, more), broker(second, more));

/** The numbers from `from` up to `to`, as texts. */
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => String(from + index));

describeWithNats('with a server', () => {
  test('publish reaches the subscribers of all processes once, and ws.publish all but the sender', async () => {
    const { url } = await NatsServer.start();
    const { members: [first, second], clients: [one, other] } = await pair(url);
    const clients = [one, await first.enter(), other];
    expect(await first.order('publish', 'news', 'by the app')).toBe(true);
    for (const client of clients) expect(await client.frame()).toEqual(['text', 'by the app']);
    clients[0].sendText('news by-a-socket');
    for (const client of clients.slice(1)) expect(await client.frame()).toEqual(['text', 'by-a-socket']);
    await second.order('publish', 'news', 'end');
    for (const client of clients) expect(await client.frame()).toEqual(['text', 'end']);
    expect(await first.order('publish', 'weather', 'the broker has taken it')).toBe(true);
    await until(first, ({ messages }) => messages.sent === 3);
    expect(await first.order('stats')).toMatchObject({
      state: 'connected', apps: 1, topics: 1, subscribed: 1, lost: { sent: 0, received: 0 }, messages: { received: 1 }, reconnects: 0,
    });
  });

  test('messages of one publisher on one topic arrive in their order everywhere', async () => {
    const { url } = await NatsServer.start();
    const { members: [first, second], clients } = await pair(url);
    const count = 5000;
    await first.order('publishMany', 'news', 0, count);
    for (const client of clients) expect(await upTo(client, String(count - 1))).toEqual(numbers(0, count));
    expect(await second.order('stats')).toMatchObject({ messages: { received: count }, lost: { sent: 0, received: 0 } });
  });

  test('topics may hold what subjects may not', async () => {
    const { url } = await NatsServer.start();
    const topics = ['', '.', '.a', 'a.', 'a..b', 'a.b', 'a b', '*', 'a.*', '>', 'a.>', '%', '%20', 'grüß', 'a\r\nPING', '$SYS', 'x'.repeat(5000)];
    const first = await connected(broker(url));
    const second = await connected(broker(url), topics);
    const client = await second.enter();
    await until(second, ({ subscribed }) => subscribed === topics.length);
    for (const [number, topic] of topics.entries()) {
      await first.order('publish', topic, `${number} ${topic.slice(0, 100)}`);
      expect(await client.frame()).toEqual(['text', `${number} ${topic.slice(0, 100)}`]);
    }
    expect(await second.order('stats')).toMatchObject({ messages: { received: topics.length }, lost: { received: 0 } });
  });

  test('countSubscribers adds up all processes; one that was killed does not count', async () => {
    const { url } = await NatsServer.start();
    const members = [];
    for (const count of [1, 2, 3]) {
      const member = await connected(broker(url), ['news']);
      for (let index = 0; index < count; index++) await member.enter();
      members.push(member);
      expect(await member.order('count', 'news', { timeout: 30_000 })).toEqual([count, [0, 1, 3, 6][count]]);
    }
    expect(await members[0].order('count', 'news', { timeout: 30_000 })).toEqual([1, 6]);
    expect(await members[0].order('count', 'weather', { timeout: 30_000 })).toEqual([0, 0]);
    await members[2].end();
    expect(await members[1].order('count', 'news', { timeout: 30_000 })).toEqual([2, 3]);
  });

  test('other programs publish text and binary by its subject, with headers or without, and get what is published', async () => {
    const server = await NatsServer.start();
    const member = await connected(broker(server.url), ['sensors.kitchen']);
    const client = await member.enter();
    await until(member, ({ subscribed }) => subscribed === 1);
    const other = await server.client();
    other.publish(`nats-${latest}.sensors.kitchen`, 'hello');
    other.publish(`nats-${latest}.sensors.kitchen`, Buffer.of(0xff, 1));
    other.send(`HPUB nats-${latest}.sensors.kitchen 18 20\r\nNATS/1.0\r\na: b\r\n\r\nhi\r\n`);
    expect(await client.frame()).toEqual(['text', 'hello']);
    expect(await client.frame()).toEqual(['binary', Buffer.of(0xff, 1)]);
    expect(await client.frame()).toEqual(['text', 'hi']);
    other.send(`SUB nats-${latest}.> 1\r\n`);
    await other.settled();
    await member.order('publish', 'sensors.kitchen', 'from Ferrows');
    await other.received('from Ferrows');
  });

  test('a message arrives although the thread of its subscribers is blocked', async () => {
    const { url } = await NatsServer.start();
    const { members: [first, second], clients: [, client] } = await pair(url);
    let isBlocked = true;
    const blocked = second.order('block', 3000).then(() => { isBlocked = false; });
    await first.order('publish', 'news', 'hello');
    expect(await client.frame()).toEqual(['text', 'hello']);
    expect(isBlocked).toBe(true);
    await blocked;
  });

  test('of several servers, those that are there will do', async () => {
    const { port } = await NatsServer.start();
    const url = `nats://127.0.0.1:${await freePort()},127.0.0.1:${port},nats://127.0.0.1:${await freePort()}`;
    const { members: [first], clients } = await pair(url);
    await first.order('publish', 'news', 'hello');
    for (const client of clients) expect(await client.frame()).toEqual(['text', 'hello']);
  });

  test('a message that is too large for the server is lost and counted, and the connection goes on', async () => {
    const { url } = await NatsServer.start('max_payload: 1000');
    const { members: [first, second], clients } = await pair(url);
    // What a process loses of another one that it has never heard of, it cannot know.
    await first.order('publish', 'news', 'start');
    for (const client of clients) await upTo(client, 'start');
    await first.order('publish', 'news', 'x'.repeat(981));
    await first.order('publish', 'news', 'x'.repeat(980));
    for (const length of [981, 980]) expect((await clients[0].frame())[1].length).toBe(length);
    expect((await clients[1].frame())[1].length).toBe(980);
    await until(first, ({ messages }) => messages.sent === 2);
    expect(await first.order('stats')).toMatchObject({ state: 'connected', lost: { sent: 1 }, reconnects: 0 });
    expect(await second.order('stats')).toMatchObject({ messages: { received: 2 }, lost: { received: 1 } });
  });

  test('process.exit sends what was published before it', async () => {
    const { url } = await NatsServer.start();
    const { members: [first], clients: [, client] } = await pair(url);
    first.send('publishAndExit', 'news', 'the last word');
    expect(await client.frame()).toEqual(['text', 'the last word']);
    await first.ended;
  });

  test('a user with a password; a wrong one is told once', async () => {
    const server = await NatsServer.start('authorization { user: ann, password: "p@ss" }');
    const at = `127.0.0.1:${server.port}`;
    await (await connected(broker(`nats://ann:p%40ss@${at}`))).end();
    for (const url of [`nats://ann:wrong@${at}`, `nats://token@${at}`, `nats://${at}`]) {
      const member = await Member.process(broker(url), ['news']);
      expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_AUTH');
      const client = await member.enter();
      await member.order('publish', 'news', 'here');
      expect(await client.frame()).toEqual(['text', 'here']);
      await member.end();
    }
  });

  test('a token', async () => {
    const server = await NatsServer.start('authorization { token: "t0ken" }');
    await connected(broker(`nats://t0ken@127.0.0.1:${server.port}`));
    const member = await Member.process(broker(`nats://wrong@127.0.0.1:${server.port}`));
    expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_AUTH');
  });

  test('a topic that may not be published is lost and counted; one that may not be subscribed is told', async () => {
    const server = await NatsServer.start(`authorization { users: [
      { user: a, password: a, permissions: { publish: { deny: "nats-${latest}.secret" }, subscribe: { deny: "nats-${latest}.secret" } } }
    ] }`);
    const url = `nats://a:a@127.0.0.1:${server.port}`;
    const member = await connected(broker(url));
    await member.order('publish', 'secret', 'hello');
    await until(member, ({ lost }) => lost.sent === 1);
    await member.order('publish', 'news', 'hello');
    expect(await until(member, ({ messages }) => messages.sent === 1)).toMatchObject({ state: 'connected', reconnects: 0 });
    await member.end();
    const subscriber = await connected(broker(url), ['secret']);
    await subscriber.enter();
    expect((await subscriber.state('disconnected')).cause.code).toBe('ERR_BROKER_AUTH');
  });

  test('TLS: with a certificate that is trusted, whichever of the two wants it', async () => {
    const authority = selfSigned('Ferrows test authority');
    const { cert_file_name, key_file_name } = issue(authority, 'localhost');
    const server = await NatsServer.start(`tls { cert_file: "${cert_file_name}", key_file: "${key_file_name}" }`, 'authorization { token: t }');
    const env = { SSL_CERT_FILE: authority.cert_file_name };
    for (const scheme of ['tls', 'nats']) {
      const url = `${scheme}://t@localhost:${server.port}`;
      await connected(broker(url), [], env);
      const member = await Member.process(broker(url));
      expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_TLS');
      await member.end();
    }
  });

  test('tls: with a server that has none: no password goes there', async () => {
    const server = await NatsServer.start();
    const member = await Member.process(broker(`tls://ann:secret@127.0.0.1:${server.port}`));
    expect((await member.state('disconnected')).cause).toEqual({
      code: 'ERR_BROKER_TLS', message: expect.stringContaining('does not offer TLS'),
    });
  });
});

test('handshake_first: TLS is first, and then the server introduces itself', async () => {
  const authority = selfSigned('Ferrows test authority');
  const { key, cert } = issue(authority, 'localhost');
  const server = tls.createServer({ key, cert }, (socket) => {
    socket.on('error', () => {}).write('INFO {"max_payload":1000}\r\n');
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n'.repeat(data.toString().match(/PING\r\n/g).length));
    });
  }).listen(0);
  afterTest(() => server.close());
  await once(server, 'listening');
  const url = `tls://localhost:${server.address().port}?handshake_first=true`;
  const member = await connected(broker(url), [], { SSL_CERT_FILE: authority.cert_file_name });
  await member.end();
});

const INFO = 'INFO {"max_payload":1000}\r\n';

test.each([
  ['another protocol', 'ERR_BROKER_PROTOCOL', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['the protocol of Redis', 'ERR_BROKER_PROTOCOL', (socket) => socket.write('-NOAUTH Authentication required.\r\n')],
  ['garbage', 'ERR_BROKER_PROTOCOL', (socket) => socket.write(Buffer.alloc(1000, 0x15))],
  ['a line without an end', 'ERR_BROKER_PROTOCOL', (socket) => socket.write(`INFO ${'x'.repeat(100_000)}`)],
  ['a message of 512 MB', 'ERR_BROKER_TOO_LARGE', (socket) => socket.write(`${INFO}MSG a 1 536870912\r\n`)],
  ['an error', 'ERR_BROKER_REFUSED', (socket) => socket.write("-ERR 'maximum connections exceeded'\r\n")],
  ['nothing, and closes at once', 'ERR_BROKER_CLOSED', (socket) => socket.end()],
  ['an INFO, and closes', 'ERR_BROKER_CLOSED', (socket) => socket.end(INFO)],
  ['an INFO, and nothing else', 'ERR_BROKER_TIMEOUT', (socket) => socket.write(INFO)],
])('a server that sends %s is told, and the own process is served', async (_, code, act) => {
  const port = await scripted(act);
  await expectServedAlone(broker(`nats://127.0.0.1:${port}`), code);
});

test('a port at which nobody listens is told', async () => {
  const member = await Member.process(broker(`nats://127.0.0.1:${await freePort()}`), ['news']);
  expect((await member.state('disconnected')).cause.code).toBe('ERR_BROKER_CONNECT');
  await expect(member.order('count', 'news', { timeout: 50 })).rejects.toMatchObject({ code: 'ERR_BROKER_TIMEOUT' });
});

test('a url that cannot be meant throws, and its password is not in the message', () => {
  const wrong = [
    'nats:', 'nats://', 'nats://a,,b', 'nats://u:secret@a:0', 'nats://u:secret@a:70000', 'nats://a/secret', 'nats://a?secret=1',
    'nats://secret@a?handshake_first=true', 'nats://u:secret@a,tls://b', 'nats://:secret@a', 'nats://a b', 'nats+tls://secret@a',
  ];
  for (const url of wrong) {
    const failure = failureOf(() => uWS.App({ broker: { name: 'wrong', url } }));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
    expect(failure.message).not.toContain('secret');
  }
});
