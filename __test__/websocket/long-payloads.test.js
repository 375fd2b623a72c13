'use strict';

// Payloads that are long enough to be left where they are: messages and bodies in the buffer that they were read into, and
// what a program sends in its own memory. Nobody may be able to tell.

const { MessageChannel } = require('node:worker_threads');

const { open } = require('../helpers/client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawServer, granted } = require('../helpers/raw-server.js');
const { request } = require('../helpers/raw-http.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen, serve } = require('../helpers/server.js');

/** Around the lengths from which on payloads stay where they are, and the sizes of reads. */
const LENGTHS = [4095, 4096, 16_383, 16_384, 65_535, 65_536, 131_072, 400_000];

/** `length` letters that differ from those of any other seed, and in which a piece that is moved is seen. */
function letters(length, seed = 0) {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = 97 + ((index * 7 + (index >> 8) + seed * 11) % 26);
  return bytes;
}

/** The same, whose memory belongs to nothing else. */
const memory = (length, seed) => new Uint8Array(letters(length, seed)).buffer;

const text = (buffer) => Buffer.from(buffer).toString('latin1');

function serveWebSockets(behavior) {
  const app = createApp();
  app.ws('/*', { maxPayloadLength: 1024 * 1024, maxBackpressure: 0, ...behavior });
  return listen(app);
}

describe('long messages', () => {
  test('of several clients at a time arrive and are sent as they are', async () => {
    const port = serveWebSockets({ message: (ws, message, isBinary) => ws.send(message, isBinary) });
    await Promise.all(Array.from({ length: 6 }, async (_, number) => {
      const client = await RawWebSocket.open(port);
      const sent = LENGTHS.map((length, index) => letters(length, number * 8 + index));
      client.send(...sent.map((bytes) => frame('text', bytes)));
      for (const bytes of sent) expect((await client.frame())[1] === bytes.toString()).toBe(true);
      // Together in one read, the long one in the middle.
      client.send(frame('text', 'a'), frame('text', sent[2]), frame('text', sent[1]), frame('text', 'b'));
      const answers = [];
      while (answers.length < 4) answers.push((await client.frame())[1]);
      expect(answers.map((it) => it.length)).toEqual([1, sent[2].length, sent[1].length, 1]);
      expect(answers.join('') === `a${sent[2]}${sent[1]}b`).toBe(true);
    }));
  });

  test('belong to their handlers: they can be changed, transferred and kept', async () => {
    const kept = new Mailbox();
    const port = serveWebSockets({
      message(ws, message) {
        new Uint8Array(message)[0] = 65;
        if (message.byteLength % 2 === 0) return Promise.resolve(kept.put(message));
        const { port1, port2 } = new MessageChannel();
        port2.once('message', (moved) => {
          kept.put(moved);
          port2.close();
        });
        port1.postMessage(structuredClone(message, { transfer: [message] }));
        expect(message.byteLength).toBe(0);
        return undefined;
      },
    });
    const client = await RawWebSocket.open(port);
    const sent = [4096, 5001, 65_536, 65_537, 120_000].map((length, index) => letters(length, index));
    for (const bytes of sent) client.send(frame('binary', bytes));
    const all = [];
    while (all.length < sent.length) all.push(await kept.take());
    // Further messages, which may lie where the earlier ones have lain.
    for (const bytes of sent.toReversed()) client.send(frame('binary', bytes));
    for (let count = 0; count < sent.length; count++) await kept.take();
    const expected = sent.map((bytes) => `A${bytes.subarray(1)}`).sort();
    expect(all.map(text).sort().every((it, index) => it === expected[index])).toBe(true);
  });

  test('are sent as they are at the call, from memory of every kind', async () => {
    const port = serveWebSockets({
      message(ws, message) {
        const length = Number(text(message));
        const shared = new Uint8Array(new SharedArrayBuffer(length));
        shared.set(letters(length, 1));
        const wide = new Uint16Array(memory(2 * Math.floor(length / 2) + 8, 2), 8);
        const all = [memory(length, 0), shared.buffer, wide, new DataView(memory(length + 3, 3), 3), letters(length, 4)];
        for (const data of all) {
          ws.send(data);
          // What the system did not take was copied.
          new Uint8Array(data.buffer ?? data).fill(33);
        }
      },
    });
    const client = await RawWebSocket.open(port);
    client.pause();
    for (const length of LENGTHS) client.sendText(`${length}`);
    client.resume();
    for (const length of LENGTHS) {
      const expected = [letters(length, 0), letters(length, 1), letters(2 * Math.floor(length / 2) + 8, 2).subarray(8),
        letters(length + 3, 3).subarray(3), letters(length, 4)];
      for (const bytes of expected) expect((await client.frame())[1] === bytes.toString()).toBe(true);
    }
  });

  test('keep their place among short ones, pings and what is published, in handlers, cork and timers', async () => {
    const long = memory(50_000);
    const send = (ws) => {
      ws.send('1');
      ws.send(long);
      ws.ping('2');
      ws.send(long);
      ws.publish('topic', 'to nobody');
      ws.cork(() => {
        ws.send('3');
        ws.send(long);
        ws.send('4');
      });
    };
    const port = serveWebSockets({
      open: (ws) => ws.subscribe('topic'),
      message(ws) {
        send(ws);
        setTimeout(send, 1, ws);
      },
    });
    const client = await RawWebSocket.open(port);
    client.sendText('go');
    const seen = [];
    while (seen.length < 14) seen.push((await client.frame())[1]);
    const order = seen.map((it) => (it === text(long) ? 'long' : it));
    const once = ['1', 'long', '2', 'long', '3', 'long', '4'];
    expect(order).toEqual([...once, ...once]);
  });

  test('of a client are masked', async () => {
    const server = await RawServer.start(granted);
    const { ws, received } = await open(server.url, {});
    expect((await received.take())[0]).toBe('open');
    const peer = await server.peer();
    ws.send(memory(70_000));
    ws.send('end');
    expect(text((await peer.frame())[1]) === text(memory(70_000))).toBe(true);
    expect(text((await peer.frame())[1])).toBe('end');
  });
});

describe('long bodies', () => {
  test('of responses are sent as they are at the call, by every method', async () => {
    const client = await serve((res, req) => {
      const length = Number(req.getQuery('length'));
      const data = memory(length);
      const send = {
        '/end': () => res.end(data),
        '/write': () => { res.write('<'); res.write(data); res.write('>'); new Uint8Array(data).fill(33); res.end(memory(length, 1)); },
        '/tryEnd': () => res.tryEnd(data, length),
        '/close': () => res.end(data, true),
      };
      res.onAborted(() => {}).cork(() => {
        res.writeHeader('X-Length', `${length}`);
        send[req.getUrl()]();
      });
      new Uint8Array(data).fill(33);
    });
    for (const length of [16_383, 16_384, 200_000]) {
      const whole = text(memory(length));
      for (const path of ['/end', '/tryEnd', '/write']) {
        const response = await client.get(`${path}?length=${length}`);
        expect(response.values('x-length')).toEqual([`${length}`]);
        const expected = path === '/write' ? `<${whole}>${text(memory(length, 1))}` : whole;
        expect(response.text === expected).toBe(true);
      }
    }
    await client.send(request('HEAD', '/end?length=20000'));
    expect((await client.response('HEAD')).values('content-length')).toEqual(['20000']);
    // Pipelined behind each other: the next response follows the last byte.
    await client.send(request('GET', '/end?length=30000') + request('GET', '/close?length=40000'));
    expect((await client.response()).text === text(memory(30_000))).toBe(true);
    const last = await client.response();
    expect([last.values('connection'), last.text === text(memory(40_000))]).toEqual([['close'], true]);
    expect(await client.rest()).toBe('');
  });

  test('of requests arrive as they are, in buffers that can be transferred and kept', async () => {
    const client = await serve((res) => {
      const pieces = [];
      res.onAborted(() => {}).onData((chunk, isLast) => {
        pieces.push(chunk.byteLength % 2 === 0 ? structuredClone(chunk, { transfer: [chunk] }) : chunk.slice(0));
        if (isLast) res.end(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
      });
    });
    for (const [index, length] of [5000, 65_536, 300_001, 900_000].entries()) {
      const body = letters(length, index).toString();
      await client.send(request('POST', '/', [], body));
      expect((await client.response()).text === body).toBe(true);
    }
    const [first, second] = [letters(70_000, 8), letters(90_000, 9)];
    const chunks = [first, second].map((it) => `${it.length.toString(16)}\r\n${it}\r\n`).join('');
    await client.send(`${request('POST', '/', ['Transfer-Encoding: chunked'])}${chunks}0\r\n\r\n`);
    expect((await client.response()).text === `${first}${second}`).toBe(true);
  });
});
