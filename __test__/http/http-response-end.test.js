'use strict';

// Responses in one piece: `end`, `endWithoutBody`, and what the client asked for, byte for byte.

const { failureOf } = require('../helpers/failure.js');
const { request } = require('../helpers/raw-http.js');
const { BUFFERS, NEITHER, NOT_TEXT, answer, undated, wire } = require('../helpers/response.js');
const { serve } = require('../helpers/server.js');

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
