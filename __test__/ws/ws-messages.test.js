'use strict';

// What WebSockets of `ferrows/ws` send and receive.

const { once } = require('node:events');
const NodeWebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { WebSocket, messageOf, pair, serve } = require('../helpers/ws.js');

/** A server that sends everything back. */
async function serveEcho(options) {
  const server = await serve(options);
  server.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
  return server;
}

describe('messages', () => {
  const kinds = [
    ['text', 'zwölf Boxkämpfer', 'zwölf Boxkämpfer'], ['no text', '', ''], ['a number', 12, '12'],
    ['a Buffer', Buffer.from('abc'), Buffer.from('abc')], ['nothing', undefined, Buffer.alloc(0)],
    ['an ArrayBuffer', new Uint8Array([1, 2]).buffer, Buffer.of(1, 2)], ['a view of a part', new Uint8Array([1, 2, 3]).subarray(1, 2), Buffer.of(2)],
    ['a Float64Array', new Float64Array([1]), Buffer.from(new Float64Array([1]).buffer)], ['a DataView', new DataView(new ArrayBuffer(3), 1), Buffer.alloc(2)],
    ['shared memory', new Uint8Array(new SharedArrayBuffer(2)), Buffer.alloc(2)], ['an array', [1, 2, 3], Buffer.of(1, 2, 3)],
    ['JSON of a Buffer', Buffer.from('x').toJSON(), Buffer.from('x')], ['a Blob', new Blob(['blob']), Buffer.from('blob')],
  ];

  test.each(kinds)('%s arrives as it was sent', async (_, data, expected) => {
    const [, client] = await pair(await serveEcho());
    client.send(data);
    expect(await messageOf(client)).toEqual(typeof expected === 'string' ? [expected] : [expected, true]);
  });

  test('what cannot be sent is a TypeError, and costs nothing', async () => {
    const [, client] = await pair(await serveEcho());
    for (const data of [{}, () => {}, Symbol('no'), true]) expect(() => client.send(data)).toThrow(expect.objectContaining({ name: 'TypeError' }));
    client.send('after');
    expect(await messageOf(client)).toEqual(['after']);
  });

  test('text can be sent as binary and the other way round', async () => {
    const [server, client] = await pair(await serve());
    client.send('text', { binary: true });
    expect(await messageOf(server)).toEqual([Buffer.from('text'), true]);
    client.send(Buffer.from('bytes'), { binary: false });
    expect(await messageOf(server)).toEqual(['bytes']);
  });

  test('they may be kept, and changed, by whoever receives them', async () => {
    const [server, client] = await pair(await serve());
    const kept = [];
    server.on('message', (data) => kept.push(data));
    const all = Array.from({ length: 300 }, (_, index) => `message ${index}`);
    for (const text of all) client.send(text);
    while (kept.length < all.length) await once(server, 'message');
    globalThis.gc?.();
    expect(kept.map(String)).toEqual(all);
    kept[0].fill(0x78);
    expect(String(kept[1])).toBe('message 1');
  });

  test('what is sent before the hand-over is sent as it was then', async () => {
    const server = await serve();
    const bytes = Buffer.from('before');
    server.on('connection', (ws) => {
      ws.send(bytes);
      bytes.fill(0);
      ws.ping('p');
      ws.send(new Blob(['blob']));
      ws.send('last');
      expect(ws.bufferedAmount).toBe(6 + 1 + 4 + 4);
    });
    const client = new WebSocket(`ws://127.0.0.1:${server.port}`);
    const received = [];
    client.on('message', (data) => received.push(String(data))).on('ping', (data) => received.push(`ping ${data}`));
    while (received.length < 4) await new Promise(setImmediate);
    expect(received).toEqual(['before', 'ping p', 'blob', 'last']);
  });

  test('what a timer sends to many arrives, in its order, beside what else was asked for', async () => {
    const server = await serve({ topics: true });
    const clients = [];
    for (let count = 0; count < 20; count++) clients.push((await pair(server))[1]);
    const heard = clients.map((client) => {
      const texts = [];
      return new Promise((resolve) => {
        client.on('message', (data) => texts.push(String(data)) && String(data) === 'end' && resolve(texts)).on('ping', (data) => texts.push(`ping ${data}`));
      });
    });
    const bytes = Buffer.from('changed');
    await new Promise((resolve) => { setTimeout(resolve, 1); });
    for (const client of server.clients) {
      client.subscribe('all');
      client.send('first');
      client.send(bytes);
      client.ping('p');
    }
    bytes.fill(0);
    server.publish('all', 'published');
    for (const client of server.clients) client.send('end');
    for (const texts of heard) expect(await texts).toEqual(['first', 'changed', 'ping p', 'published', 'end']);
  });

  test('what is sent last before the process exits is written', async () => {
    const program = new Program(`
      const { WebSocketServer } = require('ferrows/ws');
      const server = new WebSocketServer({ port: 0 }, () => say(server.address().port));
      server.on('connection', (ws) => setTimeout(() => {
        for (let count = 0; count < 1000; count++) ws.send('x'.repeat(100));
        process.exit();
      }, 50));
    `);
    const client = new NodeWebSocket(`ws://127.0.0.1:${await program.hear()}`);
    let received = 0;
    client.on('message', () => { received += 1; });
    await once(client, 'close');
    expect(received).toBe(1000);
  });

  test.each([
    ['nodebuffer', (data) => expect(data).toEqual(Buffer.from('abc'))],
    ['arraybuffer', (data) => expect(Buffer.from(data)).toEqual(Buffer.from('abc')) ?? expect(data).toBeInstanceOf(ArrayBuffer)],
    ['fragments', (data) => expect(data).toEqual([Buffer.from('abc')])],
    ['blob', async (data) => expect(await data.text()).toBe('abc')],
  ])('binaryType %s', async (binaryType, check) => {
    const [server, client] = await pair(await serve());
    client.binaryType = 'unknown';
    expect(client.binaryType).toBe('nodebuffer');
    client.binaryType = binaryType;
    server.send(Buffer.from('abc'));
    const [data, isBinary] = await once(client, 'message');
    expect(isBinary).toBe(true);
    await check(data);
    server.send('text');
    expect(await messageOf(client)).toEqual(['text']);
  });

  test('fragments are one message, whatever comes in between', async () => {
    const [server, client] = await pair(await serve());
    client.send('one ', { fin: false });
    client.ping('between');
    client.send('two ', { fin: false });
    client.send('three');
    expect(await messageOf(server)).toEqual(['one two three']);
  });

  test.each([
    ['both', { perMessageDeflate: true }, { perMessageDeflate: true }, 'permessage-deflate'],
    ['no context, small windows', {
      perMessageDeflate: {
        serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0,
      },
    }, {}, 'permessage-deflate'],
    ['the client only', {}, {}, ''],
    ['the server only', { perMessageDeflate: true }, { perMessageDeflate: false }, ''],
  ])('compression: %s', async (_, ofServer, ofClient, extensions) => {
    const [, client] = await pair(await serveEcho(ofServer), ofClient);
    expect(client.extensions).toBe(extensions);
    for (const text of ['', 'short', 'long '.repeat(10_000), 'long '.repeat(10_000)]) {
      client.send(text);
      expect(await messageOf(client)).toEqual([text]);
      client.send(text, { compress: false });
      expect(await messageOf(client)).toEqual([text]);
    }
  });

  test('the threshold counts only without context takeover', async () => {
    const take = async (perMessageDeflate) => {
      const server = await serve({ perMessageDeflate });
      const client = await RawWebSocket.open(server.port, {
        fields: ['Sec-WebSocket-Extensions: permessage-deflate'],
      }).catch((error) => error);
      return { server, client };
    };
    // A raw client refuses frames with RSV1: those below the threshold have none.
    const { server, client } = await take({ serverNoContextTakeover: true, threshold: 100 });
    for (const ws of server.clients) ws.send('x'.repeat(99));
    expect(await client.frame()).toEqual(['text', 'x'.repeat(99)]);
    const other = await take({ threshold: 100 });
    for (const ws of other.server.clients) ws.send('x'.repeat(99));
    await expect(other.client.frame()).rejects.toThrow();
  });

  test('clients of the package ws understand it', async () => {
    const server = await serveEcho({ perMessageDeflate: true });
    const client = new NodeWebSocket(`ws://127.0.0.1:${server.port}`, ['chat'], { perMessageDeflate: { threshold: 0 } });
    afterTest(() => client.terminate());
    await once(client, 'open');
    expect([client.protocol, client.extensions]).toEqual(['chat', 'permessage-deflate']);
    client.send('x'.repeat(5000));
    expect(await messageOf(client)).toEqual(['x'.repeat(5000)]);
  });
});

describe('callbacks of send', () => {
  test('come in order, once what was sent is written', async () => {
    const [server, client] = await pair(await serve());
    const seen = [];
    const sizes = [1, 100_000, 5, 3_000_000];
    const done = Promise.all(sizes.map((size) => new Promise((resolve) => {
      client.send('x'.repeat(size), (error) => resolve(seen.push([size, error])));
    })));
    let received = 0;
    server.on('message', ({ length }) => { received += length; });
    await done;
    expect(seen).toEqual(sizes.map((size) => [size, undefined]));
    while (received < 3_100_006) await once(server, 'message');
  });

  test('wait for a peer that does not read', async () => {
    const [server, client] = await pair(await serve());
    server.pause();
    let isWritten = false;
    const written = new Promise((resolve) => { client.send(Buffer.alloc(30_000_000), () => resolve(isWritten = true)); });
    // A Pong of the server comes back only when it reads.
    await new Promise((resolve) => { client.ping(resolve); setImmediate(resolve); });
    expect(isWritten).toBe(false);
    expect(client.bufferedAmount).toBeGreaterThan(0);
    server.resume();
    await written;
    expect(client.bufferedAmount).toBe(0);
  });

  test('of a Blob that cannot be read, and of what waits behind it, get its error', async () => {
    const [, client] = await pair(await serveEcho());
    const unreadable = new Blob(['x']);
    unreadable.arrayBuffer = async () => { throw new Error('no such file'); };
    const errors = [];
    client.on('error', (error) => errors.push(['event', error.message]));
    client.send(unreadable, (error) => errors.push(['blob', error.message]));
    client.send('behind', (error) => errors.push(['behind', error.message]));
    const closed = new Promise((resolve) => { client.on('close', (code, reason) => resolve([code, String(reason)])); });
    expect(await closed).toEqual([1006, 'no such file']);
    expect(errors).toEqual([['blob', 'no such file'], ['behind', 'no such file'], ['event', 'no such file']]);
    expect(client.bufferedAmount).toBe(0);
  });

  test('of a Blob that is being read when it closes wait for its end', async () => {
    const [server, client] = await pair(await serveEcho());
    let fail;
    const slow = new Blob(['x']);
    slow.arrayBuffer = () => new Promise((resolve, reject) => { fail = reject; });
    const failed = new Promise((resolve) => { client.send(slow, resolve); });
    const behind = new Promise((resolve) => { client.send('behind', resolve); });
    client.on('error', () => { throw new Error('it is closed'); });
    server.terminate();
    await once(client, 'close');
    fail(new Error('no such file'));
    expect([(await failed).message, (await behind).message]).toEqual(['no such file', 'no such file']);
  });

  test('get an error if it closes first, and none throws into another', async () => {
    const [, client] = await pair(await serve());
    const errors = [];
    client.send(Buffer.alloc(50_000_000), (error) => errors.push(error));
    client.send('x', (error) => errors.push(error));
    client.terminate();
    await once(client, 'close');
    expect(errors.map((error) => error?.message ?? 'written')).toHaveLength(2);
    expect(errors[1]).toBeInstanceOf(Error);
    client.send('late', (error) => errors.push(error));
    await new Promise(setImmediate);
    expect(errors[2].message).toBe('WebSocket is not open: readyState 3 (CLOSED)');
    expect(client.bufferedAmount).toBe(4);
  });
});

describe('pings and pongs', () => {
  test('are answered, and told', async () => {
    const [server, client] = await pair(await serve());
    const events = [once(server, 'ping'), once(client, 'pong')];
    client.ping('hello');
    expect((await Promise.all(events)).map(([data]) => String(data))).toEqual(['hello', 'hello']);
    server.pong(Buffer.from('unasked'));
    expect(String((await once(client, 'pong'))[0])).toBe('unasked');
  });

  test('autoPong: false leaves the answer to the program', async () => {
    const server = await serve({ autoPong: false });
    const [end, client] = await pair(server);
    client.ping('a');
    expect(String((await once(end, 'ping'))[0])).toBe('a');
    end.pong('b');
    expect(String((await once(client, 'pong'))[0])).toBe('b');
  });

  test('are at most 125 bytes', async () => {
    const [, client] = await pair(await serve());
    for (const call of ['ping', 'pong']) {
      expect(() => client[call]('x'.repeat(126))).toThrow(new RangeError('The data size must not be greater than 125 bytes'));
      client[call]('x'.repeat(125));
    }
  });
});

describe('pause', () => {
  test('stops what the peer sends, and resume lets it come', async () => {
    const [server, client] = await pair(await serve());
    let received = 0;
    server.on('message', ({ length }) => { received += length; });
    server.pause();
    expect(server.isPaused).toBe(true);
    client.send('x');
    // More than system and queues can hold.
    client.send(Buffer.alloc(40_000_000));
    const written = new Promise((resolve) => { client.send('end', resolve); });
    expect(await Promise.race([written, new Promise((resolve) => { setImmediate(resolve, 'waits'); })])).toBe('waits');
    server.resume();
    expect(server.isPaused).toBe(false);
    await written;
    while (received < 40_000_004) await once(server, 'message');
  });

  test('works before the hand-over', async () => {
    const server = await serve();
    const heard = [];
    server.on('connection', (ws) => {
      ws.pause();
      ws.on('message', (data) => heard.push(String(data)));
      setImmediate(() => ws.resume());
    });
    const raw = await RawWebSocket.open(server.port, { behind: frame('text', 'early') });
    raw.sendText('late');
    while (heard.length < 2) await new Promise(setImmediate);
    expect(heard).toEqual(['early', 'late']);
  });
});
