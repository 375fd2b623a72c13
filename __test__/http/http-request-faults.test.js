'use strict';

// Requests that break a rule: the answer names it, and no handler runs.

const { setImmediate: turn } = require('node:timers/promises');

const { request } = require('../helpers/raw-http.js');
const { serve } = require('../helpers/server.js');

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
