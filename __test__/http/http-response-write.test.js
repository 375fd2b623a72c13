'use strict';

// Responses in pieces, and large ones: `write`. Back-pressure: streaming.test.js.

const { createHash, randomBytes } = require('node:crypto');
const { setImmediate: turn } = require('node:timers/promises');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { BUFFERS, NEITHER, NOT_TEXT, answer, undated, wire } = require('../helpers/response.js');
const { createApp, listen, serve } = require('../helpers/server.js');

describe('write', () => {
  test('sends each piece as one chunk, and end the last', async () => {
    const handler = (res) => {
      res.write('ab');
      res.write('c'.repeat(16));
      res.end();
    };
    expect(await wire(handler)).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n'
      + `2\r\nab\r\n10\r\n${'c'.repeat(16)}\r\n0\r\n\r\n`);
  });

  test('end with a body sends one more chunk', async () => {
    const response = await answer((res) => {
      res.write('ab');
      res.end('cd');
    });
    expect(response.chunks.map(String)).toEqual(['ab', 'cd']);
  });

  test('an empty piece sends nothing, not even the head', async () => {
    const returned = [];
    const response = await answer((res) => {
      returned.push(res.write(''), res.write(new ArrayBuffer(0)), res.write(undefined));
      res.writeStatus('201 Created').writeHeader('A', '1');
      res.end('body');
    });
    expect(returned).toEqual([true, true, true]);
    expect(response.statusLine).toBe('201 Created');
    expect(response.values('content-length')).toEqual(['4']);
  });

  test('an empty piece among others does not end the body', async () => {
    const response = await answer((res) => {
      res.write('a');
      res.write('');
      res.write('b');
      res.end('');
    });
    expect(response.chunks.map(String)).toEqual(['a', 'b']);
  });

  test.each(BUFFERS.filter(([, , expected]) => expected.length > 0))('sends %s', async (_, piece, expected) => {
    const response = await answer((res) => {
      res.write(piece);
      res.end();
    });
    expect(response.chunks.map((chunk) => [...chunk])).toEqual([[...expected]]);
  });

  test('the buffer may be reused after the call', async () => {
    const response = await answer((res) => {
      const piece = Buffer.alloc(1000);
      for (let number = 0; number < 100; number++) res.write(piece.fill(number));
      res.end();
    });
    expect(response.chunks).toHaveLength(100);
    expect(response.chunks.every((chunk, number) => chunk.equals(Buffer.alloc(1000, number)))).toBe(true);
  });

  test('pieces leave when they are written, not when the response ends', async () => {
    const written = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).writeHeader('A', '1');
      res.write('first');
      written.put(res);
    });
    await client.send(request('GET', '/'));
    const head = 'HTTP/1.1 200 OK\r\nA: 1\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n';
    const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
    expect(undated(await client.bytes(head.length - 1 + date.length))).toBe(head);
    const res = await written.take();
    res.write('second');
    expect(await client.bytes(11)).toBe('6\r\nsecond\r\n');
    res.end();
    expect(await client.bytes(5)).toBe('0\r\n\r\n');
    await client.send(request('GET', '/'));
    expect(undated(await client.bytes(head.length - 1 + date.length))).toBe(head);
  });

  test('what is neither text nor data is refused, and the body goes on', async () => {
    const failures = [];
    const response = await answer((res) => {
      res.write('a');
      failures.push(...NEITHER.map((piece) => failureOf(() => res.write(piece))));
      res.end('b');
    });
    expect(failures).toEqual(NEITHER.map(() => NOT_TEXT));
    expect(response.text).toBe('ab');
  });

  test('a body that is broken off does not look complete', async () => {
    const client = await serve(async (res) => {
      res.onAborted(() => {}).write('begun');
      await turn();
      res.close();
    });
    await client.send(request('GET', '/'));
    await client.over();
    expect((await client.rest()).endsWith('5\r\nbegun\r\n')).toBe(true);
  });
});

describe('large bodies', () => {
  const SIZE = 8 * 1024 * 1024;
  const large = randomBytes(SIZE);
  const digest = (data) => createHash('sha256').update(data).digest('hex');

  test.each([
    ['end', (res) => res.end(large)],
    ['write', (res) => {
      for (let start = 0; start < SIZE; start += 100_000) res.write(large.subarray(start, start + 100_000));
      res.end();
    }],
    ['write over many turns', async (res) => {
      res.onAborted(() => {});
      for (let start = 0; start < SIZE; start += 500_000) {
        res.write(large.subarray(start, start + 500_000));
        await turn();
      }
      res.end();
    }],
  ])('%s: 8 MB reach a client that begins to read after everything was written', async (_, send) => {
    const done = new Mailbox();
    const client = await serve(async (res) => {
      await send(res);
      done.put('sent');
    });
    client.pause();
    await client.send(request('GET', '/'));
    await done.take();
    client.resume();
    expect(digest((await client.response()).body)).toBe(digest(large));
  });

  test('a client that does not read keeps nobody else waiting', async () => {
    const app = createApp().any('/*', (res, req) => res.end(req.getUrl() === '/large' ? large : 'small'));
    const port = listen(app);
    const slow = await RawClient.connect(port);
    slow.pause();
    await slow.send(request('GET', '/large'));
    const fast = await RawClient.connect(port);
    for (let round = 0; round < 20; round++) expect((await fast.get('/')).text).toBe('small');
    slow.resume();
    expect(digest((await slow.response()).body)).toBe(digest(large));
    expect((await slow.get('/')).text).toBe('small');
  });
});
