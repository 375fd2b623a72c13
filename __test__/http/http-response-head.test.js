'use strict';

// The head of a response: `writeStatus`, `writeHeader`, and what is added to them, byte for byte.

const { failureOf } = require('../helpers/failure.js');
const { request } = require('../helpers/raw-http.js');
const { NEITHER, NOT_TEXT, answer, undated, wire } = require('../helpers/response.js');

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
