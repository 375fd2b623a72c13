'use strict';

// Uploads as a whole: large ones, by clients that people use, late handlers, memory; and what becomes of a body that
// nobody wants.

const { createHash, randomBytes } = require('node:crypto');
const http = require('node:http');

const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');

const MEBIBYTE = 1024 * 1024;

const digest = (data) => createHash('sha256').update(data).digest('hex');
const turn = () => new Promise(setImmediate);

describe('late handlers', () => {
  const SIZE = 50 * MEBIBYTE;
  const BODY = randomBytes(SIZE);

  test.each(['onData', 'onDataV2', 'onDataOrAborted', 'collectBody'])(
    '%s: 50 MB that wait 300 ms for their handler arrive whole; what waits is bounded',
    async (kind) => {
      const program = new Program("require('./__test__/fixtures/upload.js').upload(uWS, say)");
      const client = await RawClient.connect(await program.hear());
      const before = Number((await client.get('/memory')).text);
      await client.send(request('POST', `/${kind}`, [`Content-Length: ${SIZE}`]));
      await client.send(BODY);
      const { hash, waited, peak } = JSON.parse((await client.response()).text);
      expect(hash).toBe(digest(BODY));
      // The queue between the threads, twice, and what is kept of a body that nobody takes; the rest is for V8.
      expect(waited - before).toBeLessThan(24 * MEBIBYTE);
      // A whole body is held twice for a moment: collected, and in its ArrayBuffer.
      expect(peak - before).toBeLessThan(kind === 'collectBody' ? 2 * SIZE + 40 * MEBIBYTE : 40 * MEBIBYTE);
    },
  );
});

describe('clients', () => {
  const BODY = randomBytes(10 * MEBIBYTE);

  /** A server that answers with the hash of each body. */
  function serveHashes() {
    const app = createApp();
    app.any('/pieces', guarded((res) => {
      const hash = createHash('sha256');
      res.onAborted(() => {}).onData((chunk, isLast) => {
        hash.update(new Uint8Array(chunk));
        if (isLast) res.end(hash.digest('hex'));
      });
    }));
    app.any('/whole', guarded((res) => {
      res.onAborted(() => {}).collectBody(BODY.length, (body) => res.end(digest(new Uint8Array(body))));
    }));
    return listen(app);
  }

  /** Uploads by `node:http`; `write` hands over the body. */
  function upload(options, write) {
    return new Promise((resolve, reject) => {
      const client = http.request({ host: '127.0.0.1', method: 'POST', agent: false, ...options }, (response) => {
        let text = '';
        response.setEncoding('latin1').on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
      });
      client.on('error', reject);
      write(client);
    });
  }

  describe.each(['/pieces', '/whole'])('%s', (path) => {
    test('node:http with a declared length', async () => {
      const options = { port: serveHashes(), path, headers: { 'Content-Length': BODY.length } };
      expect(await upload(options, (client) => client.end(BODY))).toBe(digest(BODY));
    });

    test('node:http with chunks of many sizes', async () => {
      const writeChunks = (client) => {
        for (let at = 0, size = 1; at < BODY.length; at += size, size = 1 + ((size * 7) % 100_003)) {
          client.write(BODY.subarray(at, at + size));
        }
        client.end();
      };
      const port = serveHashes();
      expect(await upload({ port, path }, writeChunks)).toBe(digest(BODY));
    });

    test('node:http with Expect: 100-continue', async () => {
      const headers = { 'Content-Length': BODY.length, Expect: '100-continue' };
      const waitAndWrite = (client) => client.on('continue', () => client.end(BODY)).flushHeaders();
      expect(await upload({ port: serveHashes(), path, headers }, waitAndWrite)).toBe(digest(BODY));
    });

    test('node:http with trailers', async () => {
      const writeWithTrailers = (client) => {
        client.setHeader('Trailer', 'X-Checksum');
        client.write(BODY);
        client.addTrailers({ 'X-Checksum': 'abc' });
        client.end();
      };
      expect(await upload({ port: serveHashes(), path }, writeWithTrailers)).toBe(digest(BODY));
    });

    test('fetch with a buffer, and with a stream', async () => {
      const url = `http://127.0.0.1:${serveHashes()}${path}`;
      expect(await (await fetch(url, { method: 'POST', body: BODY })).text()).toBe(digest(BODY));
      const body = new ReadableStream({
        start(controller) {
          for (let at = 0; at < BODY.length; at += 99_991) controller.enqueue(BODY.subarray(at, at + 99_991));
          controller.close();
        },
      });
      expect(await (await fetch(url, { method: 'POST', body, duplex: 'half' })).text()).toBe(digest(BODY));
    });
  });

  test('an upload that is refused before it is read: node:http and fetch get the answer', async () => {
    const app = createApp();
    app.post('/', guarded((res) => {
      res.onAborted(() => {}).collectBody(1000, (body) => {
        res.writeStatus(body === null ? '413 Content Too Large' : '200 OK').end(`${body}`);
      });
    }));
    const port = listen(app);
    const options = { port, path: '/', headers: { 'Content-Length': BODY.length } };
    expect(await upload(options, (client) => client.end(BODY))).toBe('null');
    expect((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: BODY })).status).toBe(413);
  });

  test('four uploads at once are not mixed up', async () => {
    const port = serveHashes();
    const bodies = Array.from({ length: 4 }, () => randomBytes(2 * MEBIBYTE));
    const paths = ['/pieces', '/whole', '/pieces', '/whole'];
    const answers = await Promise.all(bodies.map((body, index) => {
      return fetch(`http://127.0.0.1:${port}${paths[index]}`, { method: 'PUT', body }).then((answer) => answer.text());
    }));
    expect(answers).toEqual(bodies.map(digest));
  });
});

describe('long pieces', () => {
  const BODY = randomBytes(4 * MEBIBYTE);
  const POST = request('POST', '/', [`Content-Length: ${BODY.length}`]);

  /** Uploads the body twice over one connection, each followed at once by a GET. Returns what the two were answered. */
  async function upload(port) {
    const client = await RawClient.connect(port);
    const texts = [];
    for (const path of ['/first', '/second']) {
      await Promise.all([client.send(POST), client.send(BODY), client.send(request('GET', path))]);
      texts.push((await client.response()).text);
      expect((await client.response()).text).toBe(path);
    }
    return texts;
  }

  /** A server that answers a POST as `take` does, and a GET with its path. */
  function serveUploads(take) {
    return listen(createApp().post('/', guarded(take)).get('/*', (res, req) => res.end(req.getUrl())));
  }

  test('are detached when the handler returns', async () => {
    const port = serveUploads((res) => {
      const hash = createHash('sha256');
      let last = new ArrayBuffer(0);
      let wasDetached = true;
      res.onAborted(() => {}).onData((chunk, isLast) => {
        wasDetached &&= last.byteLength === 0;
        last = chunk;
        hash.update(new Uint8Array(chunk));
        if (isLast) res.end(`${hash.digest('hex')} ${wasDetached}`);
      });
    });
    expect(await upload(port)).toEqual(Array(2).fill(`${digest(BODY)} true`));
  });

  test('stay for a promise: what arrives later changes none of them', async () => {
    const kept = [];
    const port = serveUploads((res) => {
      res.onAborted(() => {}).onData(async (chunk, isLast) => {
        kept.push(chunk);
        if (isLast) res.end();
      });
    });
    await upload(port);
    expect(digest(Buffer.concat(kept.map((chunk) => new Uint8Array(chunk))))).toBe(digest(Buffer.concat([BODY, BODY])));
  });

  test('can be transferred', async () => {
    const port = serveUploads((res) => {
      const pieces = [];
      res.onAborted(() => {}).onData((chunk, isLast) => {
        pieces.push(new Uint8Array(structuredClone(chunk, { transfer: [chunk] })));
        if (isLast) res.end(digest(Buffer.concat(pieces)));
      });
    });
    expect(await upload(port)).toEqual(Array(2).fill(digest(BODY)));
  });

  test('wait while the response is paused, and follow each other in order', async () => {
    const port = serveUploads((res) => {
      const hash = createHash('sha256');
      let isOver = false;
      res.onAborted(() => {}).onData((chunk, isLast) => {
        hash.update(new Uint8Array(chunk));
        isOver = isLast;
        if (isLast) return res.end(hash.digest('hex'));
        res.pause();
        // What was read before may still arrive, and be the rest.
        setImmediate(() => isOver || res.resume());
      });
    });
    expect(await upload(port)).toEqual(Array(2).fill(digest(BODY)));
  });

  test('go to a handler that replaces the first one after a piece', async () => {
    const port = serveUploads((res) => {
      res.onAborted(() => {}).onData((first) => {
        const start = Buffer.from(first.slice(0));
        res.collectBody(BODY.length, (rest) => res.end(digest(Buffer.concat([start, new Uint8Array(rest)]))));
      });
    });
    expect(await upload(port)).toEqual(Array(2).fill(digest(BODY)));
  });

  test('a client that breaks off among them: the pieces that arrived, then the abort', async () => {
    const ends = new Mailbox();
    const port = serveUploads((res) => {
      let length = 0;
      res.onAborted(() => ends.put(length)).onData((chunk, isLast) => {
        length += chunk.byteLength;
        if (isLast) ends.put('complete');
      });
    });
    const client = await RawClient.connect(port);
    await client.send(POST);
    await client.send(BODY.subarray(1));
    client.finish();
    expect(await ends.take()).toBe(BODY.length - 1);
  });
});

describe('after the response', () => {
  const DISCARDED = 256 * 1024;

  /** A client whose first request is answered at once, before its body; later ones are answered with their path. */
  function serveEarly() {
    return serve((res, req) => res.writeHeader('Path', req.getUrl()).end());
  }

  test.each([
    ['declared', 1],
    ['declared', DISCARDED],
    ['chunked', 1],
    ['chunked', DISCARDED - 1000],
  ])('%s, %d bytes: they are dropped, and the connection goes on', async (framing, size) => {
    const client = await serveEarly();
    const field = framing === 'declared' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked';
    await client.send(request('POST', '/first', [field]));
    const early = await client.response();
    expect(early.values('path')).toEqual(['/first']);
    expect(early.values('connection')).toEqual([]);
    const body = 'x'.repeat(size);
    await client.send(framing === 'declared' ? body : `${size.toString(16)}\r\n${body}\r\n0\r\nX: y\r\n\r\n`);
    expect((await client.get('/second')).values('path')).toEqual(['/second']);
  });

  test('declared, more than that: the answer says that the connection closes, and it does', async () => {
    const client = await serveEarly();
    await client.send(request('POST', '/first', [`Content-Length: ${DISCARDED + 1}`]));
    expect((await client.response()).values('connection')).toEqual(['close']);
    expect(await client.rest()).toBe('');
  });

  test('chunked, more than that: the connection closes', async () => {
    const client = await serveEarly();
    await client.send(request('POST', '/first', ['Transfer-Encoding: chunked']));
    expect((await client.response()).values('path')).toEqual(['/first']);
    await client.send(`${(2 * DISCARDED).toString(16)}\r\n${'x'.repeat(2 * DISCARDED)}`);
    expect(await client.rest()).toBe('');
  });

  test('a body that waits for a handler in vain is dropped with the response', async () => {
    const waiting = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {});
      waiting.put(res);
    });
    const body = 'x'.repeat(600_000);
    await client.send(request('POST', '/', [], body));
    const res = await waiting.take();
    for (let round = 0; round < 50; round++) await turn();
    res.end('never mind');
    expect((await client.response()).text).toBe('never mind');
  });
});

describe('chunked bodies', () => {
  const HEAD = request('POST', '/', ['Transfer-Encoding: chunked']);

  /** A server that tells what it gets, headers included, and how it ends. */
  async function serveTold() {
    const told = new Mailbox();
    const client = await serve((res, req) => {
      res.onAborted((reason, { cause }) => told.put(cause));
      const names = () => {
        const list = [];
        req.forEach((name) => list.push(name));
        return list;
      };
      res.onData((chunk, isLast) => {
        if (chunk.byteLength > 0) told.put(Buffer.from(chunk).toString('latin1'));
        if (!isLast) return;
        told.put(names());
        res.end('done');
      });
    });
    return { client, told };
  }

  test('trailer fields are dropped, whatever their names', async () => {
    const { client, told } = await serveTold();
    const trailers = 'X-Checksum: abc\r\nContent-Length: 5\r\nHost: other\r\nAuthorization: secret\r\n';
    await client.send(`${HEAD}4\r\nbody\r\n0\r\n${trailers}\r\n`);
    expect(await told.take()).toBe('body');
    expect(await told.take()).toEqual(['host', 'transfer-encoding']);
    expect((await client.response()).text).toBe('done');
    // The Content-Length among them took no byte of the next request.
    await client.send(`${HEAD}0\r\n\r\n`);
    expect((await client.response()).text).toBe('done');
  });

  test.each([
    ['a trailer that is no field', 400, '0\r\nno field\r\n\r\n'],
    ['a folded trailer', 400, '0\r\nX: y\r\n z\r\n\r\n'],
    ['a trailer with a NUL', 400, '0\r\nX: \0\r\n\r\n'],
    ['too many trailers', 431, `0\r\n${'X: y\r\n'.repeat(2000)}\r\n`],
    ['a chunk size that is none', 400, '0x4\r\nbody\r\n'],
    ['a chunk that is longer than its size', 400, '3\r\nbody\r\n'],
    ['a chunk size of 2^60', 413, '1000000000000000\r\n'],
    ['a chunk extension without a name', 400, '4;=x\r\nbody\r\n'],
    ['an extension that is too long', 400, `4;${'a'.repeat(300)}\r\nbody\r\n`],
  ])('%s: the response is aborted, the client is answered %d', async (title, status, body) => {
    const { client, told } = await serveTold();
    await client.send(HEAD + body.slice(0, 2));
    await client.send(body.slice(2));
    const cause = await told.take();
    expect(cause === 'bod' ? await told.take() : cause).toBe('ERR_HTTP_INVALID_BODY');
    expect((await client.response()).status).toBe(status);
    expect(await client.rest()).toBe('');
    expect(told.size).toBe(0);
  });
});
