'use strict';

// The example chat as two processes that share their rooms by a Redis server.

const { hostname } = require('node:os');

const { Example } = require('../helpers/example.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { RedisServer, describeWithRedis } = require('../helpers/redis-server.js');

/** Somebody at a process: what the page does. */
async function enter({ line }, nickname) {
  const socket = await RawWebSocket.open(Number(/localhost:(\d+)/.exec(line)[1]), { path: '/chat' });
  const say = (message) => socket.sendText(JSON.stringify(message));
  /** The next message of a type; others, which may come at any time, are passed over. */
  const take = async (type, holds = () => true) => {
    for (;;) {
      const [, text] = await socket.frame();
      const message = JSON.parse(text);
      if (message.type === type && holds(message)) return message;
    }
  };
  say({ type: 'join', room: 'lobby', nickname, session: Buffer.from(nickname.padEnd(16)).toString('hex') });
  return { socket, say, take, sight: await take('joined') };
}

const nameOf = ({ child }) => `${child.pid}@${hostname()}`;

describeWithRedis('two processes', () => {
  test('share who is there, who comes and goes and what is said, and tell which of them serves whom', async () => {
    const BROKER = (await RedisServer.start()).url;
    const [here, there] = [await Example.start('chat/server.js', { BROKER }), await Example.start('chat/server.js', { BROKER })];
    const ann = await enter(here, 'Ann');
    expect(ann.sight).toMatchObject({ served: nameOf(here), people: ['Ann'] });
    const bob = await enter(there, 'Bob');
    expect(bob.sight).toMatchObject({ served: nameOf(there), people: ['Bob'] });
    const isFrom = (process) => ({ served }) => served === nameOf(process);
    expect((await bob.take('people', isFrom(here))).people).toEqual(['Ann']);
    expect((await ann.take('people', isFrom(there))).people).toEqual(['Bob']);

    bob.say({ type: 'say', text: 'hello' });
    for (const member of [ann, bob]) expect(await member.take('said')).toMatchObject({ served: nameOf(there), nickname: 'Bob', text: 'hello' });

    const eve = await enter(there, 'Eve');
    expect(await ann.take('arrived')).toMatchObject({ served: nameOf(there), nickname: 'Eve' });
    eve.socket.finish();
    expect(await ann.take('left')).toMatchObject({ served: nameOf(there), departure: { nickname: 'Eve', cause: 'ERR_FIN_WITHOUT_CLOSE' } });
    there.child.kill('SIGTERM');
    expect(await ann.take('left')).toMatchObject({ served: nameOf(there), departure: { nickname: 'Bob' } });
  });
});

test('a process that is alone names none, and takes no broker for an empty one', async () => {
  const { sight } = await enter(await Example.start('chat/server.js', { BROKER: undefined }), 'Ann');
  expect([sight.people, 'served' in sight]).toEqual([['Ann'], false]);
  await expect(Example.start('chat/server.js', { BROKER: 'localhost' })).rejects.toThrow('ERR_INVALID_ARG_VALUE');
});
