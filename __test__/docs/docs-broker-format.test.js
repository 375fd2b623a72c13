'use strict';

// docs/broker-format.md: its reader and writer in Python understand what Ferrows publishes, and are understood.

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { Member } = require('../helpers/members.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

const [, program] = readFileSync(join(__dirname, '../../docs/broker-format.md'), 'utf8').match(/```python\n([\s\S]+?)```/);

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

describeWithRedis('with a server', () => {
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
