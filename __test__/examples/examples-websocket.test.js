'use strict';

// The examples about WebSockets, each run as a user would run it.

const { once } = require('node:events');
const http = require('node:http');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, handshake } = require('../helpers/raw-websocket.js');

const MIB = 1024 * 1024;

/** A WebSocket of npm `ws` to an example, and what it receives, in order. Closed after the test. */
async function connect(port, path = '/', protocols = [], options = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  afterTest(() => socket.terminate());
  const messages = new Mailbox();
  socket.on('message', (data, isBinary) => messages.put(isBinary ? data : String(data)));
  const closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)]);
  await once(socket, 'open');
  return {
    socket,
    closed,
    say: (value) => socket.send(JSON.stringify(value)),
    take: () => messages.take(),
    takeJson: async () => JSON.parse(await messages.take()),
  };
}

/** The answer to a handshake that is refused: status and text. */
async function refused(port, path, ...fields) {
  const client = await RawClient.connect(port);
  await client.send(handshake(path, fields));
  const { status, text } = await client.response();
  return [status, text];
}

describe('echo', () => {
  test('sends every message back: text, binary, empty, large, and compressed where that was agreed', async () => {
    const { port } = await Example.start('echo.js');
    const { socket, take, closed } = await connect(port);
    expect(socket.extensions).toContain('permessage-deflate');
    for (const message of ['héllo', '', Buffer.of(0, 255)]) {
      socket.send(message);
      expect(await take()).toEqual(message);
    }
    const large = Buffer.alloc(5 * MIB, 'echo');
    socket.send(large);
    expect((await take()).equals(large)).toBe(true);
    socket.close(4000, 'done');
    expect(await closed).toEqual([4000, 'done']);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('This address speaks WebSocket only.\n');
  });
});

describe('upgrade', () => {
  test('takes the best protocol that is offered, and greets by name and address', async () => {
    const { port } = await Example.start('upgrade.js');
    const both = await connect(port, '/greetings/ada', ['greeting.v1', 'greeting.v2']);
    expect(both.socket.protocol).toBe('greeting.v2');
    expect(await both.takeJson()).toEqual({ hello: 'ada', from: expect.stringContaining('7f00:0001') });
    const old = await connect(port, '/greetings/ada', ['greeting.v1'], { origin: `http://127.0.0.1:${port}` });
    expect([old.socket.protocol, await old.take()]).toEqual(['greeting.v1', 'Hello, ada']);
  });

  test('the 101 carries a cookie', async () => {
    const { port } = await Example.start('upgrade.js');
    const { head } = await RawWebSocket.open(port, { path: '/greetings/x', fields: ['Sec-WebSocket-Protocol: greeting.v1'] });
    expect(head).toContain('\r\nSet-Cookie: greeted=yes; HttpOnly; SameSite=Strict');
  });

  test('refuses foreign pages, unknown protocols, and what is no handshake', async () => {
    const { port } = await Example.start('upgrade.js');
    const speaks = 'Sec-WebSocket-Protocol: greeting.v2';
    expect(await refused(port, '/greetings/x', 'Origin: https://evil.example', speaks)).toEqual([403, 'Only from our own pages.\n']);
    expect(await refused(port, '/greetings/x', 'Origin: null', speaks)).toEqual([403, 'Only from our own pages.\n']);
    expect(await refused(port, '/greetings/x', 'Sec-WebSocket-Protocol: chat'))
      .toEqual([400, 'Speak one of greeting.v2, greeting.v1.\n']);
    expect((await fetch(`http://127.0.0.1:${port}/greetings/x`)).status).toBe(426);
  });
});

describe('upgrade-async', () => {
  test('lets in who has a ticket, and knows the name', async () => {
    const example = await Example.start('upgrade-async.js');
    const { take, socket } = await connect(example.port, '/?ticket=open-sesame');
    expect(await take()).toBe('welcome, ali');
    socket.close(1000, 'bye');
    expect(await example.nextLine()).toBe('ali left: 1000 bye (CLOSED_BY_PEER)');
    expect(await refused(example.port, '/?ticket=other')).toEqual([401, 'No such ticket.\n']);
  });

  test('a client that goes away before the answer is noticed, and the next one is served', async () => {
    const example = await Example.start('upgrade-async.js');
    const client = await RawClient.connect(example.port);
    await client.send(handshake('/?ticket=open-sesame'));
    client.finish();
    expect(await example.nextLine()).toMatch(/^gone before the answer: .*ERR_FIN_BEFORE_RESPONSE/);
    expect(await (await connect(example.port, '/?ticket=open-sesame')).take()).toBe('welcome, ali');
  });
});

describe('pub-sub', () => {
  test('a message reaches everybody else who is subscribed, and nobody who is not', async () => {
    const { port } = await Example.start('pub-sub.js');
    const [writer, reader, stranger] = await Promise.all([connect(port), connect(port), connect(port)]);
    writer.say({ subscribe: 'news' });
    expect(await writer.takeJson()).toEqual({ topic: 'news', subscribers: 1 });
    reader.say({ subscribe: 'news' });
    for (const { takeJson } of [writer, reader]) expect(await takeJson()).toEqual({ topic: 'news', subscribers: 2 });
    stranger.say({ subscribe: 'other' });
    expect(await stranger.takeJson()).toEqual({ topic: 'other', subscribers: 1 });

    writer.say({ publish: 'news', text: 'one' });
    writer.say({ publish: 'news', text: 'two' });
    writer.say({ publish: 'other', text: 'three' });
    expect([await reader.takeJson(), await reader.takeJson()]).toEqual(['one', 'two'].map((text) => ({ topic: 'news', text })));
    expect(await stranger.takeJson()).toEqual({ topic: 'other', text: 'three' });

    reader.say({ unsubscribe: 'news' });
    expect(await writer.takeJson()).toEqual({ topic: 'news', subscribers: 1 });
    reader.say({ subscribe: 'news' });
    expect(await writer.takeJson()).toEqual({ topic: 'news', subscribers: 2 });
    reader.socket.terminate();
    expect(await writer.takeJson()).toEqual({ topic: 'news', subscribers: 1 });
  });

  test.each([
    ['no JSON', 'not understood'],
    ['null', 'not understood'],
    ['{"publish":"news"}', 'not understood'],
    ['{"subscribe":"a","publish":"b","text":"c"}', 'not understood'],
    ['{"subscribe":7}', 'not understood'],
    [Buffer.from('{"subscribe":"a"}'), 'not understood'],
  ])('%s is answered with 1008', async (message, reason) => {
    const { socket, closed } = await connect((await Example.start('pub-sub.js')).port);
    socket.send(message);
    expect(await closed).toEqual([1008, reason]);
  });

  test('nobody subscribes to more than 20 topics', async () => {
    const { say, closed } = await connect((await Example.start('pub-sub.js')).port);
    for (let count = 0; count <= 20; count += 1) say({ subscribe: `topic/${count}` });
    expect(await closed).toEqual([1008, 'too many topics']);
  });
});

describe('broadcast', () => {
  const announce = async (port, body) => (await fetch(`http://127.0.0.1:${port}/announcements`, { method: 'POST', body })).text();

  test('an announcement reaches all, once, in order; the time comes by itself', async () => {
    const { port } = await Example.start('broadcast.js');
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(port)));
    const texts = ['dinner', 'is', 'served – héllo'];
    for (const text of texts) expect(await announce(port, text)).toBe('told 20\n');
    await Promise.all(clients.map(async ({ takeJson }) => {
      const heard = [];
      let isTimeKnown = false;
      while (heard.length < texts.length || !isTimeKnown) {
        const { kind, text } = await takeJson();
        if (kind === 'announcement') heard.push(text);
        else isTimeKnown = text === new Date(text).toISOString();
      }
      expect(heard).toEqual(texts);
    }));
  });

  test('who talks is closed with 1009, and the others go on', async () => {
    const { port } = await Example.start('broadcast.js');
    const [talker, listener] = await Promise.all([connect(port), connect(port)]);
    talker.socket.send('me too');
    expect((await talker.closed)[0]).toBe(1009);
    expect(await announce(port, 'x')).toBe('told 1\n');
    while ((await listener.takeJson()).kind !== 'announcement');
  });
});

describe('backpressure', () => {
  /** Receives all messages; after every `pauseEach` of them it reads nothing for a moment. */
  async function receive(port, count, pauseEach = Infinity) {
    const { socket, closed, take } = await connect(port);
    const wrong = [];
    for (let number = 0; number < count; number += 1) {
      const data = await take();
      const isRight = data.length === 16384 && data.readUInt32BE(0) === number && data.readUInt32BE(16380) === number;
      if (!isRight) wrong.push(number);
      if (number % pauseEach === pauseEach - 1) {
        socket.pause();
        await new Promise((resolve) => setTimeout(resolve, 5));
        socket.resume();
      }
    }
    return { wrong, close: await closed };
  }

  test('fast and slow readers get every message in order, with little in memory', async () => {
    const example = await Example.start('backpressure.js', { MESSAGES: '12800' });
    const { peak } = example;
    const stuck = await connect(example.port);
    stuck.socket.pause();
    const outcomes = await Promise.all([receive(example.port, 12800), receive(example.port, 12800, 1000)]);
    expect(outcomes).toEqual(Array(2).fill({ wrong: [], close: [1000, 'that was all'] }));
    for (let count = 0; count < 2; count += 1) {
      expect(await example.nextLine()).toBe('12800 of 12800 messages sent: that was all (CLOSED_BY_END)');
    }
    // 200 MiB went to each; a garbage collector takes its time.
    expect(example.peak - peak).toBeLessThan(120 * MIB);
    stuck.socket.terminate();
    expect(await example.nextLine()).toMatch(/^\d+ of 12800 messages sent: /);
  });
});

describe('rate-limit', () => {
  test('messages count, too, for all connections of a client together: then 1008', async () => {
    const { port } = await Example.start('rate-limit.js', { RATE: '0.0001', BURST: '10' });
    const [one, other] = [await connect(port), await connect(port)];
    for (const { socket, take } of [one, other]) {
      for (let count = 0; count < 4; count += 1) {
        socket.send('hello');
        expect(await take()).toBe('hello');
      }
    }
    one.socket.send('too much');
    expect(await one.closed).toEqual([1008, 'too many messages']);
    expect((await refused(port, '/'))[0]).toBe(429);
    const [answer] = await once(http.get({ host: '127.0.0.1', port, localAddress: '127.0.0.3' }), 'response');
    answer.resume();
    expect(answer.statusCode).toBe(200);
  });
});
