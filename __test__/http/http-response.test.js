'use strict';

// HttpResponse: what its methods put on the wire, byte for byte, and what they take from it.

const { createHash, randomBytes } = require('node:crypto');
const { setImmediate: turn } = require('node:timers/promises');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');

const NOT_TEXT = {
  name: 'TypeError',
  code: 'ERR_INVALID_ARG_TYPE',
  message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
};

/** A value that is neither text nor data. */
const NEITHER = [null, 5, true, {}, [], () => {}, Symbol('symbol'), 1n];

/** Bytes 1 to 8, as every kind of data there is, each with the bytes that are to be sent. */
const BUFFERS = [
  ['a string', 'aé€😀', Buffer.from('aé€😀')],
  ['a string of Latin-1', 'é', Buffer.from('é')],
  ['a string with a lone surrogate', 'a\ud800b', Buffer.from('a\ufffdb')],
  ['a string with NUL', 'a\0b', Buffer.from('a\0b')],
  ['an ArrayBuffer', bytes(), [1, 2, 3, 4, 5, 6, 7, 8]],
  ['a SharedArrayBuffer', shared(), [1, 2, 3, 4, 5, 6, 7, 8]],
  ['a Buffer', Buffer.from([1, 2, 3]), [1, 2, 3]],
  ['a slice of a Buffer', Buffer.from([1, 2, 3, 4]).subarray(1, 3), [2, 3]],
  ['a Uint8Array with offset', new Uint8Array(bytes(), 2, 3), [3, 4, 5]],
  ['a Uint8ClampedArray', new Uint8ClampedArray(bytes(), 6), [7, 8]],
  ['an Int8Array of shared memory', new Int8Array(shared(), 3, 2), [4, 5]],
  ['a Uint16Array with offset', new Uint16Array(bytes(), 2, 2), [3, 4, 5, 6]],
  ['an Int32Array with offset', new Int32Array(bytes(), 4), [5, 6, 7, 8]],
  ['a Float32Array', new Float32Array([1]), [0, 0, 0x80, 0x3f]],
  ['a Float64Array', new Float64Array(bytes()), [1, 2, 3, 4, 5, 6, 7, 8]],
  ['a BigUint64Array', new BigUint64Array([0x0102n]), [2, 1, 0, 0, 0, 0, 0, 0]],
  ['a DataView with offset', new DataView(bytes(), 5, 2), [6, 7]],
  ['a DataView of shared memory', new DataView(shared(), 1, 3), [2, 3, 4]],
  ['an empty string', '', []],
  ['an empty ArrayBuffer', new ArrayBuffer(0), []],
  ['an empty SharedArrayBuffer', new SharedArrayBuffer(0), []],
  ['an empty view', new Uint16Array(bytes(), 8), []],
  ['a detached buffer', detached(), []],
];

function bytes() {
  return new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
}

function shared() {
  const memory = new SharedArrayBuffer(8);
  new Uint8Array(memory).set([1, 2, 3, 4, 5, 6, 7, 8]);
  return memory;
}

function detached() {
  const buffer = bytes();
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

/** The bytes of a response head, with the date replaced by `D` after it was checked to be one. */
function undated(text) {
  return text.replace(/\r\nDate: ([^\r]*)\r\n/, (_, date) => {
    expect(new Date(date).toUTCString()).toBe(date);
    return '\r\nDate: D\r\n';
  });
}

/** All bytes that answer a request until the server closes, without the date. */
async function wire(handler, bytesOfRequest = request('GET', '/', ['Connection: close'])) {
  const client = await serve(handler);
  await client.send(bytesOfRequest);
  return undated(await client.rest());
}

/** What the server says to a GET that lets the connection live. */
async function answer(handler, ...fields) {
  const client = await serve(handler);
  return client.get('/', ...fields);
}

describe('the head', () => {
  test('is status, headers in the order of their calls, Date and Content-Length', async () => {
    const response = await answer((res) => {
      res.writeStatus('201 Created').writeHeader('B', '1').writeHeader('a', '2').end('hi');
    });
    expect(undated(response.headText))
      .toBe('HTTP/1.1 201 Created\r\nB: 1\r\na: 2\r\nDate: D\r\nContent-Length: 2\r\n\r\n');
    expect(response.text).toBe('hi');
  });

  test('is 200 OK, Date and Content-Length by default: no header advertises this server', async () => {
    const response = await answer((res) => res.end());
    expect(undated(response.headText)).toBe('HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\n\r\n');
  });
});

describe('writeStatus', () => {
  test('the first call counts', async () => {
    const response = await answer((res) => res.writeStatus('201 First').writeStatus('202 Second').end());
    expect(response.statusLine).toBe('201 First');
  });

  test('a call after a header is ignored', async () => {
    const response = await answer((res) => res.writeHeader('A', '1').writeStatus('404 Not Found').end());
    expect(response.statusLine).toBe('200 OK');
    expect(response.values('a')).toEqual(['1']);
  });

  test('a call after the first piece of the body is ignored', async () => {
    const response = await answer((res) => {
      res.write('a');
      res.writeStatus('404 Not Found').end('b');
    });
    expect(response.statusLine).toBe('200 OK');
    expect(response.text).toBe('ab');
  });

  test.each([
    ['404 Not Found', '404 Not Found'], ['200 ', '200 '], ['204', '204 '], ['599 Own phrase', '599 Own phrase'],
    ['200 caf\u00e9', Buffer.from('200 caf\u00e9').toString('latin1')], ['999 \tTabbed', '999 \tTabbed'],
  ])('%p is sent', async (status, sent) => {
    expect((await answer((res) => res.writeStatus(status).end())).statusLine).toBe(sent);
  });

  test('takes bytes', async () => {
    expect((await answer((res) => res.writeStatus(Buffer.from('201 Bytes')).end())).statusLine).toBe('201 Bytes');
  });

  test.each([
    '', ' ', '200OK', '20', '2000 OK', 'OK', '2x0 OK', '200 OK\r\nX: y', '200 OK\n', '200\r', '200 \0', '200 \x7f', '099 Low',
    '100 Continue', '103 Early Hints', ' 200 OK', '\u0662\u0660\u0660 OK',
  ])('%j is refused, and the next valid one counts', async (status) => {
    const failures = [];
    const response = await answer((res) => {
      failures.push(failureOf(() => res.writeStatus(status)));
      res.writeStatus('202 Accepted').end();
    });
    expect(failures[0]).toMatchObject({ name: 'TypeError', code: 'ERR_HTTP_INVALID_STATUS' });
    expect(response.statusLine).toBe('202 Accepted');
  });

  test('what is neither text nor data is refused', async () => {
    const failures = [];
    await answer((res) => {
      failures.push(...NEITHER.map((value) => failureOf(() => res.writeStatus(value))));
      res.end();
    });
    expect(failures).toEqual(NEITHER.map(() => NOT_TEXT));
  });
});

describe('writeHeader', () => {
  test('repeated names are sent repeatedly, as they are spelt', async () => {
    const response = await answer((res) => {
      res.writeHeader('Set-Cookie', 'a').writeHeader('set-cookie', 'b').writeHeader('X', '').writeHeader('Set-Cookie', 'a');
      res.end();
    });
    expect(response.fields.slice(0, 4)).toEqual([['Set-Cookie', 'a'], ['set-cookie', 'b'], ['X', ''], ['Set-Cookie', 'a']]);
  });

  test('values are sent as UTF-8, with their tabs', async () => {
    const response = await answer((res) => res.writeHeader('A', 'é€\t😀').end());
    expect(Buffer.from(response.values('a')[0], 'latin1').toString()).toBe('é€\t😀');
  });

  test('takes bytes for both', async () => {
    const response = await answer((res) => {
      res.writeHeader(Buffer.from('A'), new Uint8Array([98])).end();
    });
    expect(response.fields[0]).toEqual(['A', 'b']);
  });

  test('a hundred headers of a thousand bytes are sent', async () => {
    const value = 'v'.repeat(1000);
    const response = await answer((res) => {
      for (let number = 0; number < 100; number++) res.writeHeader(`X-${number}`, value);
      res.end();
    });
    expect(response.names.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, number) => `X-${number}`));
    expect(response.fields.slice(0, 100).every(([, sent]) => sent === value)).toBe(true);
  });

  const illegalNames = ['', ' ', 'a b', 'a:', 'a\r\nb', 'a\n', '\r', '\0', 'é', 'a\tb', '(a)', 'a\x7f', '"a"', 'a/b'];
  const illegalValues = ['a\r\nInjected: yes', 'a\rb', 'a\nb', '\r\n', '\0', 'a\x01', '\x7f', '\x1f'];

  test.each([
    ...illegalNames.map((name) => [name, 'value']), ...illegalValues.map((value) => ['Name', value]),
    [Buffer.from('a\r\nb'), 'value'], ['Name', Buffer.from('a\r\nInjected: yes')],
  ])('%j: %j is refused, and the response goes without it', async (name, value) => {
    const failures = [];
    const response = await answer((res) => {
      res.writeHeader('Before', '1');
      failures.push(failureOf(() => res.writeHeader(name, value)));
      res.writeHeader('After', '2').end('body');
    });
    expect(failures[0]).toMatchObject({ name: 'TypeError', code: 'ERR_HTTP_INVALID_HEADER' });
    expect(undated(response.headText))
      .toBe('HTTP/1.1 200 OK\r\nBefore: 1\r\nAfter: 2\r\nDate: D\r\nContent-Length: 4\r\n\r\n');
  });

  test('what is neither text nor data is refused, for both', async () => {
    const failures = [];
    await answer((res) => {
      failures.push(...NEITHER.map((name) => failureOf(() => res.writeHeader(name, 'value'))));
      failures.push(...NEITHER.map((value) => failureOf(() => res.writeHeader('name', value))));
      res.end();
    });
    expect(failures).toEqual([...NEITHER, ...NEITHER].map(() => NOT_TEXT));
  });

  test('after the first piece of the body it throws', async () => {
    const failures = [];
    const response = await answer((res) => {
      res.write('a');
      failures.push(failureOf(() => res.writeHeader('Late', '1')));
      res.end();
    });
    expect(failures[0]).toMatchObject({ name: 'Error', code: 'ERR_INVALID_STATE' });
    expect(response.values('late')).toEqual([]);
  });

  test('a Content-Length or Transfer-Encoding of the program never contradicts the body', async () => {
    const own = (res) => res.writeHeader('content-length', '99').writeHeader('Transfer-Encoding', 'gzip');
    expect(undated((await answer((res) => own(res).end('four'))).headText))
      .toBe('HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 4\r\n\r\n');
    const chunked = await answer((res) => {
      own(res).write('four');
      res.end();
    });
    expect(undated(chunked.headText)).toBe('HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(chunked.text).toBe('four');
  });

  test('a Date of the program replaces ours', async () => {
    const response = await answer((res) => res.writeHeader('date', 'never').end());
    expect(response.headText).toBe('HTTP/1.1 200 OK\r\ndate: never\r\nContent-Length: 0\r\n\r\n');
  });

  test('Connection: close of the program closes, and is sent once', async () => {
    expect(await wire((res) => res.writeHeader('Connection', 'close').end('x'), request('GET', '/')))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 1\r\n\r\nx');
  });
});

describe('end', () => {
  test.each(BUFFERS)('sends %s', async (_, body, expected) => {
    const response = await answer((res) => res.end(body));
    expect([...response.body]).toEqual([...expected]);
    expect(response.values('content-length')).toEqual([String(expected.length)]);
  });

  test('sends nothing for undefined, and without arguments', async () => {
    for (const args of [[], [undefined], [undefined, false]]) {
      const response = await answer((res) => res.end(...args));
      expect(response.values('content-length')).toEqual(['0']);
      expect(response.body).toHaveLength(0);
    }
  });

  test('the buffer may be reused after the call', async () => {
    const client = await serve((res) => {
      const body = Buffer.alloc(100_000, 'a');
      res.end(body);
      body.fill('b');
    });
    expect((await client.get('/')).text).toBe('a'.repeat(100_000));
    expect((await client.get('/')).text).toBe('a'.repeat(100_000));
  });

  test('what is neither text nor data is refused, and the response can still be answered', async () => {
    const failures = [];
    const response = await answer((res) => {
      res.writeHeader('A', '1');
      failures.push(...NEITHER.map((body) => failureOf(() => res.end(body))));
      res.end('answer');
    });
    expect(failures).toEqual(NEITHER.map(() => NOT_TEXT));
    expect(response.values('a')).toEqual(['1']);
    expect(response.text).toBe('answer');
  });

  test('more than 2^31 - 1 bytes are refused, and the response can still be answered', async () => {
    const failures = [];
    const response = await answer((res) => {
      const body = new ArrayBuffer(2 ** 31);
      failures.push(failureOf(() => res.end(body)), failureOf(() => res.write(body)));
      res.end('answer');
    });
    expect(failures.map(({ code }) => code)).toEqual(['ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE']);
    expect(response.text).toBe('answer');
  });

  test('Connection of the program stays as it is for a client that asked for the end itself', async () => {
    expect(await wire((res) => res.writeHeader('Connection', 'keep-alive').end('x')))
      .toBe('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nDate: D\r\nContent-Length: 1\r\n\r\nx');
  });

  test('closeConnection adds Connection: close and closes behind the body', async () => {
    for (const close of [true, 1, 'yes', {}]) {
      expect(await wire((res) => res.end('x', close), request('GET', '/')))
        .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 1\r\n\r\nx');
    }
  });

  test('without closeConnection the connection lives on', async () => {
    const client = await serve((res, req) => {
      res.end(req.getUrl(), [undefined, false, 0, null, ''][Number(req.getUrl().slice(1))]);
    });
    for (let number = 0; number < 5; number++) {
      const response = await client.get(`/${number}`);
      expect(response.text).toBe(`/${number}`);
      expect(response.values('connection')).toEqual([]);
    }
  });

  test('a thousand requests on one connection are answered', async () => {
    const client = await serve((res, req) => res.end(req.getUrl()));
    for (let number = 0; number < 1000; number++) expect((await client.get(`/${number}`)).text).toBe(`/${number}`);
  });
});

describe('what the client asked for', () => {
  const CLOSED = 'HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 1\r\n\r\nx';

  test.each(['close', 'Close', 'keep-alive, close', 'x , CLOSE'])('Connection: %s closes behind the response', async (it) => {
    expect(await wire((res) => res.end('x'), request('GET', '/', [`Connection: ${it}`]))).toBe(CLOSED);
  });

  test.each(['keep-alive', 'upgrade', 'closed', ''])('Connection: %s does not', async (it) => {
    const client = await serve((res) => res.end('x'));
    expect((await client.get('/', `Connection: ${it}`)).text).toBe('x');
    expect((await client.get('/', `Connection: ${it}`)).text).toBe('x');
  });

  test('HTTP/1.0 closes behind the response', async () => {
    expect(await wire((res) => res.end('x'), 'GET / HTTP/1.0\r\n\r\n')).toBe(CLOSED);
  });

  test('HTTP/1.0 with keep-alive lives on, and is told', async () => {
    const client = await serve((res) => res.end('x'));
    for (let round = 0; round < 2; round++) {
      await client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      const response = await client.response();
      expect(undated(response.headText))
        .toBe('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nDate: D\r\nContent-Length: 1\r\n\r\n');
      expect(response.text).toBe('x');
    }
  });

  test('HTTP/1.0 never gets chunks: the body lasts until the connection ends', async () => {
    const handler = (res) => {
      res.write('one');
      res.write('two');
      res.end('three');
    };
    expect(await wire(handler, 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\n\r\nonetwothree');
  });

  test('HEAD: the head that GET would get, and no body', async () => {
    const client = await serve((res, req) => {
      if (req.getUrl() === '/end') res.end('12345');
      else if (req.getUrl() === '/length') res.endWithoutBody(99);
      else if (req.getUrl() === '/nothing') res.endWithoutBody();
      else {
        res.write('123');
        res.end('45');
      }
    });
    const heads = {
      '/end': 'Content-Length: 5\r\n', '/write': 'Transfer-Encoding: chunked\r\n', '/length': 'Content-Length: 99\r\n',
      '/nothing': '',
    };
    for (const [path, field] of Object.entries(heads)) {
      await client.send(request('HEAD', path));
      expect(undated((await client.response('HEAD')).headText)).toBe(`HTTP/1.1 200 OK\r\nDate: D\r\n${field}\r\n`);
    }
    expect((await client.get('/end')).text).toBe('12345');
  });

  test('204 has neither body nor length, whatever is given', async () => {
    const client = await serve((res, req) => {
      res.writeStatus('204 No Content');
      if (req.getUrl() === '/end') res.end('body');
      else if (req.getUrl() === '/length') res.endWithoutBody(4);
      else {
        res.write('bo');
        res.end('dy');
      }
    });
    for (const path of ['/end', '/length', '/write']) {
      expect(undated((await client.get(path)).headText)).toBe('HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n');
    }
  });

  test('304 has no body; its length is the one that is given', async () => {
    const client = await serve((res, req) => {
      res.writeStatus('304 Not Modified');
      if (req.getUrl() === '/end') res.end('body');
      else if (req.getUrl() === '/length') res.endWithoutBody(99);
      else res.end();
    });
    const head = (field) => `HTTP/1.1 304 Not Modified\r\nDate: D\r\n${field}\r\n`;
    expect(undated((await client.get('/end')).headText)).toBe(head('Content-Length: 4\r\n'));
    expect(undated((await client.get('/length')).headText)).toBe(head('Content-Length: 99\r\n'));
    expect(undated((await client.get('/empty')).headText)).toBe(head(''));
  });
});

describe('endWithoutBody', () => {
  test.each([[99, '99'], ['99', '99'], [0, '0'], ['0', '0'], [2 ** 53 - 1, '9007199254740991']])(
    '%p to HEAD: that Content-Length, and the connection lives on', async (length, sent) => {
      const client = await serve((res) => res.endWithoutBody(length));
      for (let round = 0; round < 2; round++) {
        await client.send(request('HEAD', '/'));
        expect((await client.response('HEAD')).values('content-length')).toEqual([sent]);
      }
    });

  test('0 to GET: an empty body, and the connection lives on', async () => {
    const client = await serve((res) => res.endWithoutBody(0));
    for (let round = 0; round < 2; round++) {
      expect((await client.get('/')).headText).toMatch(/\r\nContent-Length: 0\r\n\r\n$/);
    }
  });

  test('more than 0 to GET: the announced body is missing, so the connection closes', async () => {
    expect(await wire((res) => res.endWithoutBody(5), request('GET', '/')))
      .toBe('HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\n\r\n');
  });

  test('nothing to GET: no Content-Length, so the connection closes', async () => {
    expect(await wire((res) => res.endWithoutBody(), request('GET', '/')))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\n\r\n');
  });

  test('closeConnection closes', async () => {
    expect(await wire((res) => res.endWithoutBody(7, true), request('HEAD', '/')))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 7\r\n\r\n');
    expect(await wire((res) => res.endWithoutBody(undefined, true), request('HEAD', '/')))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\n\r\n');
  });

  test('after write it ends the chunks', async () => {
    const response = await answer((res) => {
      res.write('body');
      res.endWithoutBody();
    });
    expect(response.text).toBe('body');
  });

  test.each([[-1, 'ERR_OUT_OF_RANGE'], [1.5, 'ERR_OUT_OF_RANGE'], [NaN, 'ERR_OUT_OF_RANGE'], [2 ** 53, 'ERR_OUT_OF_RANGE'],
    [Infinity, 'ERR_OUT_OF_RANGE'], ['-1', 'ERR_OUT_OF_RANGE'], ['words', 'ERR_INVALID_ARG_TYPE'],
    [{}, 'ERR_INVALID_ARG_TYPE'], [true, 'ERR_INVALID_ARG_TYPE'], [1n, 'ERR_INVALID_ARG_TYPE']])(
    '%p is refused, and the response can still be answered', async (length, code) => {
      const failures = [];
      const response = await answer((res) => {
        failures.push(failureOf(() => res.endWithoutBody(length)));
        res.end('answer');
      });
      expect(failures[0]).toMatchObject({ code });
      expect(response.text).toBe('answer');
    });
});

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

describe('late and pipelined answers', () => {
  test('a response may be answered from a timer, a promise or another event', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/timer') setTimeout(() => res.end('timer'), 1);
      else if (req.getUrl() === '/promise') res.end(await Promise.resolve('promise'));
      else setImmediate(() => res.end('immediate'));
    });
    for (const name of ['timer', 'promise', 'immediate']) expect((await client.get(`/${name}`)).text).toBe(name);
  });

  test('requests in one piece are answered in order, though the first one is slow', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/0') {
        for (let round = 0; round < 10; round++) await turn();
      }
      res.end(req.getUrl());
    });
    const paths = Array.from({ length: 50 }, (_, number) => `/${number}`);
    await client.send(paths.map((path) => request('GET', path)).join(''));
    for (const path of paths) expect((await client.response()).text).toBe(path);
  });

  test('thousands of requests in one piece are answered in order, though the first one is slow', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      if (req.getUrl() === '/0') {
        for (let round = 0; round < 10; round++) await turn();
      }
      res.end(req.getUrl());
    });
    const paths = Array.from({ length: 5000 }, (_, number) => `/${number}`);
    const sent = client.send(paths.map((path) => request('GET', path)).join(''));
    const answers = [];
    for (let number = 0; number < paths.length; number++) answers.push((await client.response()).text);
    expect(answers).toEqual(paths);
    await sent;
  });

  test('a handler is not called before the request in front of it is answered', async () => {
    const calls = new Mailbox();
    const client = await serve((res, req) => {
      res.onAborted(() => {});
      calls.put({ res, url: req.getUrl() });
    });
    await client.send(request('GET', '/1') + request('GET', '/2'));
    const first = await calls.take();
    // Another connection is served meanwhile, behind whatever the first one has brought.
    for (let round = 0; round < 5; round++) await turn();
    expect(first.url).toBe('/1');
    expect(calls.size).toBe(0);
    first.res.end('one');
    expect((await client.response()).text).toBe('one');
    const second = await calls.take();
    expect(second.url).toBe('/2');
    second.res.end('two');
    expect((await client.response()).text).toBe('two');
  });

  test('requests with bodies in one piece are told apart', async () => {
    const client = await serve((res, req) => {
      const pieces = [req.getUrl()];
      res.onAborted(() => {}).onData((chunk, isLast) => {
        pieces.push(Buffer.from(chunk).toString());
        if (isLast) res.end(pieces.join(' '));
      });
    });
    const chunked = request('POST', '/b', ['Transfer-Encoding: chunked']) + '3\r\nGET\r\n0\r\n\r\n';
    await client.send(request('POST', '/a', [], 'GET / HTTP/1.1') + chunked + request('GET', '/c'));
    expect((await client.response()).text).toBe('/a GET / HTTP/1.1');
    expect((await client.response()).text.replace(/ $/, '')).toBe('/b GET');
    expect((await client.response()).text).toBe('/c ');
  });

  test('behind a response that closes, further requests are not answered', async () => {
    let calls = 0;
    const client = await serve((res) => {
      calls++;
      res.end('only', true);
    });
    await client.send(request('GET', '/1') + request('GET', '/2'));
    expect((await client.response()).text).toBe('only');
    await client.over();
    expect(calls).toBe(1);
  });

  test('a request that arrives byte by byte is answered once', async () => {
    let calls = 0;
    const client = await serve((res, req) => {
      calls++;
      res.end(req.getHeader('a'));
    });
    client.socket.setNoDelay(true);
    for (const byte of request('GET', '/', ['A: value'])) await client.send(byte);
    expect((await client.response()).text).toBe('value');
    expect(calls).toBe(1);
  });

  test('empty lines in front of a request are skipped', async () => {
    const client = await serve((res) => res.end('x'));
    await client.send(`\r\n\r\n${request('GET', '/')}\r\n${request('GET', '/')}`);
    for (let round = 0; round < 2; round++) expect((await client.response()).text).toBe('x');
  });
});

describe('cork', () => {
  test('runs the callback at once and returns the response', async () => {
    const order = [];
    const response = await answer((res) => {
      order.push('before');
      const returned = res.cork(() => {
        order.push('inside');
        res.writeStatus('201 Created').writeHeader('A', '1').end('corked');
      });
      order.push('after', returned === res);
    });
    expect(order).toEqual(['before', 'inside', 'after', true]);
    expect(response.statusLine).toBe('201 Created');
    expect(response.text).toBe('corked');
  });

  test('may be nested, and used outside of the handler', async () => {
    const response = await answer(async (res) => {
      res.onAborted(() => {});
      await turn();
      res.cork(() => {
        res.write('a');
        res.cork(() => res.write('b'));
        res.end('c');
      });
    });
    expect(response.text).toBe('abc');
  });

  test('what the callback throws is thrown by cork, and the response goes on', async () => {
    const thrown = new Error('thrown by the callback');
    const response = await answer(async (res) => {
      res.onAborted(() => {});
      await turn();
      expect(() => res.cork(() => {
        res.write('a');
        throw thrown;
      })).toThrow(thrown);
      res.write('b');
      await turn();
      res.end();
    });
    expect(response.text).toBe('ab');
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as callback', async (callback) => {
    const failures = [];
    await answer((res) => {
      failures.push(failureOf(() => res.cork(callback)));
      res.end();
    });
    expect(failures[0]).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    });
  });
});

describe('onData', () => {
  /** Hands out every call, as text. */
  function collect(res, calls) {
    res.onAborted(() => {}).onData((chunk, isLast) => {
      calls.put([Buffer.from(chunk).toString('latin1'), isLast]);
      if (isLast) res.end('taken');
    });
  }

  /** The body as its handler got it. */
  async function whole(calls) {
    let body = '';
    for (;;) {
      const [chunk, isLast] = await calls.take();
      body += chunk;
      if (isLast) return body;
    }
  }

  test('a body in one piece with its head', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', [], 'the body'));
    expect(await calls.take()).toEqual(['the body', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('a body in many pieces: each is given when it arrives, and the last one is marked', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', ['Content-Length: 26']));
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') {
      await client.send(letter);
      expect(await calls.take()).toEqual([letter, letter === 'z']);
    }
    expect((await client.response()).text).toBe('taken');
  });

  test.each([
    ['GET', request('GET', '/')], ['a Content-Length of 0', request('POST', '/', ['Content-Length: 0'])],
    ['POST without length', request('POST', '/')],
  ])('%s: one call with an empty piece, which is the last', async (_, text) => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(text);
    expect(await calls.take()).toEqual(['', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('a chunked body: what is around the data is not given', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']));
    await client.send('5\r\nhello\r\n6;name="value;\\""\r\n world\r\n');
    await client.send('1\r');
    await client.send('\n!');
    await client.send('\r\n000\r\nTrailer: yes\r\n\r\n');
    expect(await whole(calls)).toBe('hello world!');
    expect((await client.response()).text).toBe('taken');
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']) + '0\r\n\r\n');
    expect(await whole(calls)).toBe('');
  });

  test('a chunked body byte by byte', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => collect(res, calls));
    client.socket.setNoDelay(true);
    const text = request('POST', '/', ['Transfer-Encoding: chunked']) + 'A;x=y\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\n';
    for (const byte of text) await client.send(byte);
    expect(await whole(calls)).toBe('0123456789ab');
  });

  test('a body of 8 MB arrives whole', async () => {
    const body = randomBytes(8 * 1024 * 1024);
    const hash = createHash('sha256');
    const digests = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        hash.update(new Uint8Array(chunk));
        if (isLast) digests.put(hash.digest('hex'));
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', [`Content-Length: ${body.length}`]));
    await client.send(body);
    expect(await digests.take()).toBe(createHash('sha256').update(body).digest('hex'));
    await client.response();
  });

  test('the piece is an ArrayBuffer, isLast a boolean', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((...args) => {
        seen.put([Object.prototype.toString.call(args[0]), typeof args[1]]);
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'x'));
    expect(await seen.take()).toEqual(['[object ArrayBuffer]', 'boolean']);
    await client.response();
  });

  test('attached after an await, or many turns later: nothing is lost', async () => {
    for (const wait of [async () => {}, turn, async () => {
      for (let round = 0; round < 10; round++) await turn();
    }]) {
      const calls = new Mailbox();
      const client = await serve(async (res) => {
        res.onAborted(() => {});
        await wait();
        collect(res, calls);
      });
      await client.send(request('POST', '/', [], 'the body'));
      expect(await whole(calls)).toBe('the body');
      expect((await client.response()).text).toBe('taken');
    }
  });

  test('attached late to a GET: one call, which is the last', async () => {
    const calls = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      await turn();
      collect(res, calls);
    });
    await client.send(request('GET', '/'));
    expect(await calls.take()).toEqual(['', true]);
    await client.response();
    expect(calls.size).toBe(0);
  });

  test('is never called within the call that attaches it', async () => {
    const order = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      await turn();
      res.onData((chunk, isLast) => {
        order.put('data');
        if (isLast) res.end();
      });
      order.put('attached');
    });
    await client.send(request('POST', '/', [], 'x'));
    await client.response();
    expect([await order.take(), await order.take()]).toEqual(['attached', 'data']);
  });

  test.each([1, 10])('%d MB that wait for their handler arrive whole', async (megabytes) => {
    const body = randomBytes(megabytes * 1024 * 1024);
    const hash = createHash('sha256');
    const digests = new Mailbox();
    const started = new Mailbox();
    const client = await serve(async (res) => {
      res.onAborted(() => {});
      started.put(res);
    });
    await client.send(request('POST', '/', [`Content-Length: ${body.length}`]));
    const res = await started.take();
    // Taken by the system, by the server, or waiting: nobody reads it yet.
    const sent = client.send(body);
    for (let round = 0; round < 100; round++) await turn();
    res.onData((chunk, isLast) => {
      hash.update(new Uint8Array(chunk));
      if (!isLast) return;
      digests.put(hash.digest('hex'));
      res.end('taken');
    });
    await sent;
    expect(await digests.take()).toBe(createHash('sha256').update(body).digest('hex'));
    expect((await client.response()).text).toBe('taken');
    expect((await Promise.all([client.send(request('GET', '/')), started.take()]))[1]).not.toBe(res);
  });

  test('a later handler replaces the earlier one', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk) => {
        calls.put(['first', Buffer.from(chunk).toString()]);
        res.onData((next, isLast) => {
          calls.put(['second', Buffer.from(next).toString()]);
          if (isLast) res.end();
        });
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 2']) + 'a');
    expect(await calls.take()).toEqual(['first', 'a']);
    await client.send('b');
    expect(await calls.take()).toEqual(['second', 'b']);
    await client.response();
  });

  test('the piece is detached when the handler returns; a copy stays', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        const copy = chunk.slice(0);
        setImmediate(() => seen.put([chunk.byteLength, Buffer.from(copy).toString()]));
        if (isLast) res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual([0, 'the body']);
    await client.response();
  });

  test('the piece stays if the handler returns a promise', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData(async (chunk, isLast) => {
        for (let round = 0; round < 5; round++) await turn();
        seen.put([Buffer.from(chunk).toString(), isLast]);
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toEqual(['the body', true]);
    await client.response();
  });

  test('a piece that was waiting is detached, and stays for a promise, just the same', async () => {
    for (const isAsync of [false, true]) {
      const seen = new Mailbox();
      const client = await serve(async (res) => {
        res.onAborted(() => {});
        await turn();
        res.onData((chunk) => {
          setImmediate(() => {
            seen.put(chunk.byteLength);
            res.end();
          });
          return isAsync ? turn() : undefined;
        });
      });
      await client.send(request('POST', '/', [], 'the body'));
      expect(await seen.take()).toBe(isAsync ? 8 : 0);
      await client.response();
    }
  });

  test('a handler may transfer the piece', async () => {
    const seen = new Mailbox();
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk) => {
        seen.put(Buffer.from(structuredClone(chunk, { transfer: [chunk] })).toString());
        res.end();
      });
    });
    await client.send(request('POST', '/', [], 'the body'));
    expect(await seen.take()).toBe('the body');
    await client.response();
  });

  test('after an early answer the rest of the body is read past, and the next request is served', async () => {
    let calls = 0;
    const client = await serve((res, req) => {
      if (req.getMethod() === 'get') {
        res.end('next');
        return;
      }
      res.onAborted(() => {}).onData(() => {
        calls++;
        res.end('early');
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 100000']) + 'x');
    expect((await client.response()).text).toBe('early');
    await client.send('y'.repeat(99_999) + request('GET', '/'));
    expect((await client.response()).text).toBe('next');
    expect(calls).toBe(1);
  });

  test('after an early answer to a body of which too much is missing the connection closes', async () => {
    expect(await wire((res) => res.end('early'), request('POST', '/', ['Content-Length: 1000000']) + 'x'))
      .toBe('HTTP/1.1 200 OK\r\nConnection: close\r\nDate: D\r\nContent-Length: 5\r\n\r\nearly');
  });

  test('a body that breaks off is not complete: onAborted runs instead of the last call', async () => {
    const calls = new Mailbox();
    const client = await serve((res) => {
      res.onAborted((reason, info) => calls.put(info.cause)).onData((chunk, isLast) => {
        calls.put([Buffer.from(chunk).toString(), isLast]);
      });
    });
    await client.send(request('POST', '/', ['Content-Length: 10']) + 'abc');
    expect(await calls.take()).toEqual(['abc', false]);
    client.finish();
    expect(await calls.take()).toBe('ERR_FIN_BEFORE_RESPONSE');
  });

  test('a body that breaks a rule is answered with it, and the response is aborted', async () => {
    const aborts = new Mailbox();
    const client = await serve((res) => {
      res.onAborted((reason, info) => aborts.put([reason, info])).onData(() => {});
    });
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']) + 'zz\r\n');
    const response = await client.response();
    expect(response.status).toBe(400);
    expect(response.text).toMatch(/^ERR_HTTP_CHUNK_SIZE: .*RFC 9112/);
    expect(await client.rest()).toBe('');
    const [reason, info] = await aborts.take();
    expect(reason).toMatch(/^Received invalid HTTP request body/);
    expect(info).toEqual({ cause: 'ERR_HTTP_INVALID_BODY', initiator: 'peer', wasClean: false });
  });

  test('a body that breaks a rule once the response has begun ends the connection without another answer', async () => {
    const client = await serve((res) => {
      res.onAborted(() => {}).onData(() => {}).write('begun');
    });
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked']));
    const length = 'HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n'.length;
    expect((await client.bytes(length + 10)).endsWith('\r\n\r\n5\r\nbegun\r\n')).toBe(true);
    await client.send('zz\r\n');
    expect(await client.rest()).toBe('');
  });

  test.each([undefined, null, {}, 'text', 5])('refuses %p as handler', async (handler) => {
    const failures = [];
    await answer((res) => {
      failures.push(failureOf(() => res.onData(handler)));
      res.end();
    });
    expect(failures[0]).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Passed callback is not a valid function.',
    });
  });
});

describe('Expect', () => {
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

  test.each(['100-continue', '100-Continue'])('%s: 100 Continue comes before the body is sent', async (expectation) => {
    const client = await serve((res) => {
      res.onAborted(() => {}).onData((chunk, isLast) => {
        if (isLast) res.end(chunk);
      });
    });
    await client.send(request('POST', '/', [`Expect: ${expectation}`, 'Content-Length: 4']));
    expect(await client.bytes(CONTINUE.length)).toBe(CONTINUE);
    await client.send('body');
    expect((await client.response()).text).toBe('body');
  });

  test('a request without a body is not told to continue', async () => {
    const client = await serve((res) => res.end('x'));
    expect((await client.get('/', 'Expect: 100-continue')).status).toBe(200);
  });

  test('a client of HTTP/1.0 is not told to continue', async () => {
    const text = 'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx';
    expect(await wire((res) => res.end('x'), text)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test('another expectation fails', async () => {
    const client = await serve((res) => res.end('x'));
    const response = await client.get('/', 'Expect: a miracle');
    expect(response.status).toBe(417);
    expect(response.text).toMatch(/^ERR_HTTP_EXPECTATION: /);
  });
});

describe('requests that break a rule', () => {
  const CASES = [
    ['a TLS handshake', '\x16\x03\x01\x02\x00', 400, 'ERR_HTTP_METHOD'],
    ['a method that is no token', 'GE(T / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_METHOD'],
    ['no target', 'GET HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_REQUEST_LINE'],
    ['two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_REQUEST_LINE'],
    ['a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_TARGET'],
    ['a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_TARGET'],
    ['a malformed version', 'GET / HTTP/1.x\r\nHost: a\r\n\r\n', 400, 'ERR_HTTP_VERSION'],
    ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505, 'ERR_HTTP_VERSION_NOT_SUPPORTED'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'ERR_HTTP_VERSION_NOT_SUPPORTED'],
    ['a request line of 20,000 bytes', `GET /${'x'.repeat(20_000)}`, 414, 'ERR_HTTP_TARGET_TOO_LONG'],
    ['a head of 20,000 bytes', request('GET', '/', [`A: ${'x'.repeat(20_000)}`]), 431, 'ERR_HTTP_HEAD_TOO_LONG'],
    ['101 headers', request('GET', '/', Array(100).fill('A: b')), 431, 'ERR_HTTP_TOO_MANY_FIELDS'],
    ['lines that end with LF alone', 'GET / HTTP/1.1\nHost: a\n\n', 400, 'ERR_HTTP_BARE_LF'],
    ['a CR within a value', request('GET', '/', ['A: b\rc']), 400, 'ERR_HTTP_BARE_CR'],
    ['a header name that is no token', request('GET', '/', ['A(): b']), 400, 'ERR_HTTP_FIELD_NAME'],
    ['a space before the colon', request('GET', '/', ['A : b']), 400, 'ERR_HTTP_SPACE_BEFORE_COLON'],
    ['a header without a colon', request('GET', '/', ['A']), 400, 'ERR_HTTP_MISSING_COLON'],
    ['a folded header', request('GET', '/', ['A: b', ' c']), 400, 'ERR_HTTP_FOLDED_FIELD'],
    ['a control byte in a value', request('GET', '/', ['A: \0']), 400, 'ERR_HTTP_FIELD_VALUE'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'ERR_HTTP_MISSING_HOST'],
    ['two Hosts', request('GET', '/', ['Host: b']), 400, 'ERR_HTTP_REPEATED_HOST'],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400, 'ERR_HTTP_HOST'],
    ['a Content-Length that is no number', request('POST', '/', ['Content-Length: x']), 400, 'ERR_HTTP_CONTENT_LENGTH'],
    ['a Content-Length with a sign', request('POST', '/', ['Content-Length: +1']), 400, 'ERR_HTTP_CONTENT_LENGTH'],
    ['two different Content-Lengths', request('POST', '/', ['Content-Length: 1', 'Content-Length: 2']), 400,
      'ERR_HTTP_CONTENT_LENGTH_CONFLICT'],
    ['a Content-Length of 10^19', request('POST', '/', [`Content-Length: 1${'0'.repeat(19)}`]), 413,
      'ERR_HTTP_CONTENT_TOO_LARGE'],
    ['both framings', request('POST', '/', ['Content-Length: 1', 'Transfer-Encoding: chunked']), 400,
      'ERR_HTTP_TRANSFER_ENCODING_WITH_CONTENT_LENGTH'],
    ['chunked twice', request('POST', '/', ['Transfer-Encoding: chunked, chunked']), 400, 'ERR_HTTP_TRANSFER_ENCODING'],
    ['an unknown coding', request('POST', '/', ['Transfer-Encoding: gzip, chunked']), 501,
      'ERR_HTTP_UNKNOWN_TRANSFER_CODING'],
    ['chunks in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400,
      'ERR_HTTP_TRANSFER_ENCODING_IN_HTTP10'],
  ];

  test.each(CASES)('%s: the answer names the rule, the connection closes, no handler runs', async (_, text, status, code) => {
    let calls = 0;
    const client = await serve(() => {
      calls++;
    });
    await client.send(text);
    const response = await client.response();
    expect(response.status).toBe(status);
    expect(response.values('connection')).toEqual(['close']);
    expect(response.text.startsWith(`${code}: `)).toBe(true);
    expect(response.text).toMatch(/\(RFC [0-9]+ section [0-9.]+\)\n$/);
    expect(await client.rest()).toBe('');
    expect(calls).toBe(0);
  });

  test('requests in front of it are answered first', async () => {
    const client = await serve(async (res, req) => {
      res.onAborted(() => {});
      await turn();
      res.end(req.getUrl());
    });
    await client.send(`${request('GET', '/1')}${request('GET', '/2')}GET / HTTP/9.9\r\nHost: a\r\n\r\n`);
    expect((await client.response()).text).toBe('/1');
    expect((await client.response()).text).toBe('/2');
    expect((await client.response()).status).toBe(505);
    expect(await client.rest()).toBe('');
  });
});

describe('addresses', () => {
  /** What the server says about a client that reached it so. */
  async function addresses(listenArguments, host) {
    const seen = new Mailbox();
    const app = createApp().any('/*', guarded((res) => {
      seen.put({
        bytes: [...new Uint8Array(res.getRemoteAddress())],
        text: Buffer.from(res.getRemoteAddressAsText()).toString(),
        port: res.getRemotePort(),
        proxied: [res.getProxiedRemoteAddress(), res.getProxiedRemoteAddressAsText()].map((it) => it.byteLength),
        proxiedPort: res.getProxiedRemotePort(),
      });
      res.end();
    }));
    const client = await RawClient.connect({ port: listen(app, ...listenArguments), host });
    await client.get('/');
    return { ...await seen.take(), localPort: client.socket.localPort };
  }

  test('IPv4: 4 bytes and dotted text', async () => {
    const { bytes: address, text, port, localPort } = await addresses(['127.0.0.1', 0], '127.0.0.1');
    expect(address).toEqual([127, 0, 0, 1]);
    expect(text).toBe('127.0.0.1');
    expect(port).toBe(localPort);
  });

  test('IPv4 on a dual-stack socket: 16 bytes and eight groups, mapped', async () => {
    const { bytes: address, text, port, localPort } = await addresses([0], '127.0.0.1');
    expect(address).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);
    expect(text).toBe('0000:0000:0000:0000:0000:ffff:7f00:0001');
    expect(port).toBe(localPort);
  });

  test('IPv6: 16 bytes and eight groups', async () => {
    for (const args of [[0], ['::1', 0]]) {
      const { bytes: address, text, port, localPort } = await addresses(args, '::1');
      expect(address).toEqual([...Array(15).fill(0), 1]);
      expect(text).toBe('0000:0000:0000:0000:0000:0000:0000:0001');
      expect(port).toBe(localPort);
    }
  });

  test('without a proxy there is no proxied address', async () => {
    expect(await addresses(['127.0.0.1', 0], '127.0.0.1')).toMatchObject({ proxied: [0, 0], proxiedPort: 0 });
  });

  test('each call gives a buffer of its own', async () => {
    const same = [];
    await answer((res) => {
      same.push(res.getRemoteAddress() === res.getRemoteAddress());
      new Uint8Array(res.getRemoteAddress()).fill(0);
      same.push(Buffer.from(res.getRemoteAddress()).toString('hex'));
      res.end();
    });
    expect(same).toEqual([false, '7f000001']);
  });
});

describe('the object', () => {
  test('every method returns what index.d.ts says', async () => {
    const returned = {};
    await answer(async (res) => {
      res.onAborted(() => {});
      returned.onAborted = res.onAborted(() => {}) === res;
      returned.onData = res.onData(() => {}) === res;
      returned.writeStatus = res.writeStatus('200 OK') === res;
      returned.writeHeader = res.writeHeader('A', 'b') === res;
      returned.write = res.write('c');
      returned.cork = res.cork(() => {}) === res;
      returned.end = res.end() === res;
    });
    await answer((res) => {
      returned.endWithoutBody = res.endWithoutBody(0) === res;
    });
    const client = await serve((res) => {
      returned.close = res.close() === res;
    });
    await client.send(request('GET', '/'));
    await client.over();
    expect(returned).toEqual(Object.fromEntries(Object.keys(returned).map((name) => [name, true])));
    expect(Object.keys(returned)).toHaveLength(9);
  });

  test('a program may keep properties on it, and overwrite its methods', async () => {
    const response = await answer((res) => {
      res.mark = 'kept';
      res.end = function end(...args) {
        return Object.getPrototypeOf(this).end.apply(this, [`${this.mark} ${args[0]}`]);
      };
      expect(Object.keys(res)).toEqual(['mark', 'end']);
      res.end('body');
    });
    expect(response.text).toBe('kept body');
  });

  test('aborted is false until the response is aborted, and a program may set it', async () => {
    const seen = [];
    await answer((res) => {
      seen.push(res.aborted);
      res.aborted = true;
      seen.push(res.aborted, Object.keys(res));
      res.end();
      seen.push(res.aborted);
    });
    await answer((res) => {
      res.end();
      seen.push(res.aborted);
    });
    expect(seen).toEqual([false, true, [], true, false]);
  });
});

describe('a handler that does not answer', () => {
  test('is reported once per route by a warning, and may still answer', async () => {
    const program = new Program(`
      process.on('warning', (warning) => say([warning.name, warning.code, warning.message]));
      const waiting = [];
      const wait = (res) => { waiting.push(res); say('waiting'); };
      uWS.App({ threads: 1 })
        .get('/silent/:x', (res) => { wait(res); })
        .post('/body', (res) => { res.onData(() => {}); wait(res); })
        .get('/async', async (res) => { await new Promise(setImmediate); wait(res); })
        .get('/attached', (res) => { res.onAborted(() => {}); wait(res); })
        .get('/yields', (res, req) => { req.setYield(true); })
        .get('/answer', (res) => { waiting.splice(0).forEach((it) => it.end('late')); res.end('done'); })
        .any('/*', (res) => res.end('any'))
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    const text = (what) => [
      'FerrowsWarning', 'FERROWS_UNANSWERED',
      `The handler of ${what} returned without answering and without an abort handler (res.onAborted)`,
    ];
    const silent = [];
    /** Sends a request that is not answered, and expects the program to say this. */
    const start = async (method, path, ...expected) => {
      const client = await RawClient.connect(port);
      await client.send(request(method, path));
      silent.push(client);
      const said = [];
      while (said.length < expected.length) said.push(await program.hear());
      expect(said).toEqual(expect.arrayContaining(expected));
    };
    await start('GET', '/silent/1?query', 'waiting', text('GET /silent/1'));
    await start('GET', '/silent/2', 'waiting');
    await start('GET', '/attached', 'waiting');
    const last = await RawClient.connect(port);
    expect((await last.get('/yields')).text).toBe('any');
    await start('POST', '/body', 'waiting', text('POST /body'));
    // Whether it has gone on before or after the warning, only the program knows: many events may be handled in one turn.
    await start('GET', '/async', 'waiting', text('GET /async'));
    expect((await last.get('/answer')).text).toBe('done');
    for (const client of silent) expect((await client.response()).text).toBe('late');
  });

  test('costs nothing else: later requests of the route are served', async () => {
    const program = new Program(`
      let calls = 0;
      uWS.App().get('/', (res) => { if (++calls > 1) res.end('served'); })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
      process.on('warning', () => say('warned'));
    `);
    const port = await program.hear();
    const silent = await RawClient.connect(port);
    await silent.send(request('GET', '/'));
    expect(await program.hear()).toBe('warned');
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
    silent.reset();
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
  });
});
