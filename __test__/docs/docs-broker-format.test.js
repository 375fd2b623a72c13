'use strict';

// docs/broker-format.md: its reader and writer in Python understand what Ferrows publishes, and are understood.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { Member } = require('../helpers/members.js');
const { NatsServer, describeWithNats } = require('../helpers/nats-server.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

const page = readFileSync(join(__dirname, '../../docs/broker-format.md'), 'utf8');
const program = [...page.matchAll(/```python\n([\s\S]+?)```/g)].map(([, text]) => text).join('\n');

/** Runs a line of Python behind the program of the page. */
function python(line) {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', `${program}\nimport sys\n${line}`]);
  if (status !== 0) throw new Error(stderr.toString());
  return stdout.toString().trim();
}

const hasPython = spawnSync('python3', ['--version']).status === 0;

(hasPython ? test : test.skip)('the reader reads what the writer writes', () => {
  const hex = python("print(write('grüß', 7, 9, first=True).hex())");
  expect(hex).toBe(`ff460104${'00'.repeat(7)}07${'00'.repeat(7)}09${Buffer.from('grüß').toString('hex')}`);
  expect(python(`print(read(bytes.fromhex('${hex}')))`)).toBe("('grüß', 7, 9)");
  expect(python("print(read(b'hello'))")).toBe("(b'hello', None, None)");
});

describeWithRedis('with a Redis server', () => {
  (hasPython ? test : test.skip)('Ferrows understands the writer, and the reader Ferrows', async () => {
    const server = await RedisServer.start();
    const member = await Member.process({ threads: 1, broker: { name: 'format', url: server.url } }, ['news']);
    await member.state('connected');
    const client = await member.enter();
    while ((await member.order('stats')).subscribed !== 1) await new Promise(setImmediate);
    for (const [line, frame] of [
      ["write('grüß', 7, 1, first=True)", ['text', 'grüß']],
      ["write(b'text?', 7, 2)", ['binary', Buffer.from('text?')]],
    ]) {
      await server.command('PUBLISH', 'format:news', Buffer.from(python(`print((${line}).hex())`), 'hex'));
      expect(await client.frame()).toEqual(frame);
    }
    // The same number again, and one that is missing.
    await server.command('PUBLISH', 'format:news', Buffer.from(python("print(write('again', 7, 2).hex())"), 'hex'));
    await server.command('PUBLISH', 'format:news', Buffer.from(python("print(write('later', 7, 5).hex())"), 'hex'));
    expect(await client.frame()).toEqual(['text', 'later']);
    expect((await member.order('stats')).lost.received).toBe(2);

    const listener = net.connect(server.port, '127.0.0.1');
    afterTest(() => listener.destroy());
    listener.write('SUBSCRIBE format:news\r\n');
    await once(listener, 'data');
    const published = once(listener, 'data');
    await member.order('publish', 'news', 'from Ferrows');
    const [data] = await published;
    const message = data.subarray(data.indexOf(Buffer.of(0xff, 0x46)), -2).toString('hex');
    expect(python(`print(read(bytes.fromhex('${message}'))[0])`)).toBe('from Ferrows');
  });
});

describeWithNats('with a NATS server', () => {
  const topics = ['sensors.kitchen', '', '..a. b..', '*.>', '100%', 'grüß', 'x'.repeat(512), 'x'.repeat(513)];

  (hasPython ? test : test.skip)('Ferrows understands the writer, and the reader Ferrows', async () => {
    const { port, url } = await NatsServer.start();
    const member = await Member.process({ threads: 1, broker: { name: 'format', url } }, topics);
    await member.state('connected');
    const client = await member.enter();
    while ((await member.order('stats')).subscribed !== topics.length) await new Promise(setImmediate);
    python(`
stream = connect('127.0.0.1', ${port})
for number, topic in enumerate(${JSON.stringify(topics)}):
  publish(stream, subject('format', topic), write('grüß %d' % number, 7, 1, first=True))
  publish(stream, subject('format', topic), write(b'text?', 7, 2))
stream.write(b'PING\\r\\n')
stream.flush()
while stream.readline() != b'PONG\\r\\n': pass`);
    for (const number of topics.keys()) {
      expect(await client.frame()).toEqual(['text', `grüß ${number}`]);
      expect(await client.frame()).toEqual(['binary', Buffer.from('text?')]);
    }

    const listener = spawn('python3', ['-c', `${program}
topics = ${JSON.stringify(topics)}
stream = connect('127.0.0.1', ${port})
for number, topic in enumerate(topics): stream.write(b'SUB %s %d\\r\\n' % (subject('format', topic), number))
stream.write(b'PING\\r\\n')
stream.flush()
while stream.readline() != b'PONG\\r\\n': pass
print('subscribed', flush=True)
for topic in topics: print(read(receive(stream))[0])`], { stdio: ['ignore', 'pipe', 'inherit'] });
    afterTest(() => listener.kill());
    let said = '';
    listener.stdout.setEncoding('utf8').on('data', (text) => { said += text; });
    await once(listener.stdout, 'data');
    for (const [number, topic] of topics.entries()) await member.order('publish', topic, `from Ferrows ${number}`);
    await once(listener, 'close');
    expect(said.trim().split('\n').slice(1)).toEqual(topics.map((_, number) => `from Ferrows ${number}`));
  });
});
