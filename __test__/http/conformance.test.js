'use strict';

// HTTP/1.1 at the level of bytes, after the manner of h1spec: what arrives, and what comes of it: the statuses of the
// answers, how often a handler ran, whether the connection lives on. Where a row needs more, it says what the text of an
// answer, or its head, looks like. Every row runs twice: with its bytes in one piece, and one by one.

const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, guarded, listen } = require('../helpers/server.js');

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const EVIL = 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n';
const CHUNKED = 'Transfer-Encoding: chunked';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** A GET with this request line, or with these header lines. */
const line = (text) => `${text}\r\nHost: a\r\n\r\n`;
const fields = (...lines) => ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n');
/** A POST with these header lines, and a body that is sent as it stands. */
const post = (lines, body = '') => ['POST /echo HTTP/1.1', 'Host: a', ...lines, '', body].join('\r\n');
const chunks = (body) => post([CHUNKED], body);

/** Answered by a handler, and the connection goes on. */
const served = (send, text, more = {}) => ({ send, status: [200], calls: 1, then: 'open', text, ...more });
/** Answered by a handler, and the connection closes. */
const last = (send, text, more = {}) => ({ ...served(send, text, more), then: 'closed' });
/** Refused by the server itself, by the name of a rule; no handler runs. */
const refused = (send, status, rule) => ({ send, status: [status], calls: 0, then: 'closed', text: new RegExp(`^${rule}: .*\\(RFC`) });
/** The same, by what is wrong with the body of a request that a handler has been told of. */
const broken = (send, rule, status = 400) => ({ ...refused(send, status, rule), calls: 1 });

/** Two requests, of which the second one is a GET. */
const BOTH = { status: [200, 200], calls: 2, then: 'open', text: 'GET / ' };

const TABLE = {
  'the request line (RFC 9112 §3)': {
    'a GET': served(GET, 'GET / '),
    'a method in lower case is another method': served(line('get / HTTP/1.1'), 'get / '),
    'an unknown method': served(line('BREW / HTTP/1.1'), 'BREW / '),
    'every character that a method may have': served(line("!#$%&'*+-.^_`|~9z / HTTP/1.1"), "!#$%&'*+-.^_`|~9z / "),
    'an empty line before it': served(`\r\n${GET}`, 'GET / '),
    'eight empty lines before it': served('\r\n'.repeat(8) + GET, 'GET / '),
    'nine empty lines before it': refused('\r\n'.repeat(9) + GET, 400, 'ERR_HTTP_TOO_MANY_EMPTY_LINES'),
    'a space before it': refused(` ${GET}`, 400, 'ERR_HTTP_METHOD'),
    'a method that is no token': refused(line('G{T / HTTP/1.1'), 400, 'ERR_HTTP_METHOD'),
    'a tab for a space': refused(line('GET\t/ HTTP/1.1'), 400, 'ERR_HTTP_METHOD'),
    'two spaces behind the method': refused(line('GET  / HTTP/1.1'), 400, 'ERR_HTTP_REQUEST_LINE'),
    'two spaces behind the target': refused(line('GET /  HTTP/1.1'), 400, 'ERR_HTTP_REQUEST_LINE'),
    'a space behind the version': refused(line('GET / HTTP/1.1 '), 400, 'ERR_HTTP_REQUEST_LINE'),
    'no version: HTTP/0.9': refused('GET /\r\n\r\n', 400, 'ERR_HTTP_REQUEST_LINE'),
    'no target': refused(line('GET HTTP/1.1'), 400, 'ERR_HTTP_REQUEST_LINE'),
    'a space in the target': refused(line('GET /a b HTTP/1.1'), 400, 'ERR_HTTP_VERSION'),
    'the version in lower case': refused(line('GET / http/1.1'), 400, 'ERR_HTTP_VERSION'),
    'a version of two digits': refused(line('GET / HTTP/1.10'), 400, 'ERR_HTTP_VERSION'),
    'a version without a dot': refused(line('GET / HTTP/11'), 400, 'ERR_HTTP_VERSION'),
    'another protocol': refused(line('GET / RTSP/1.0'), 400, 'ERR_HTTP_VERSION'),
    'HTTP/1.2': refused(line('GET / HTTP/1.2'), 505, 'ERR_HTTP_VERSION_NOT_SUPPORTED'),
    'HTTP/0.9, said': refused(line('GET / HTTP/0.9'), 505, 'ERR_HTTP_VERSION_NOT_SUPPORTED'),
    'the preface of HTTP/2': refused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'ERR_HTTP_VERSION_NOT_SUPPORTED'),
    'a TLS handshake': refused('\x16\x03\x01\x02\x00\x01', 400, 'ERR_HTTP_METHOD'),
    'a method without end': refused('G'.repeat(16_384), 501, 'ERR_HTTP_METHOD_TOO_LONG'),
    'a target without end': refused(`GET /${'a'.repeat(16_384)}`, 414, 'ERR_HTTP_TARGET_TOO_LONG'),
    'a CR alone behind it': refused('GET / HTTP/1.1\rHost: a\r\n\r\n', 400, 'ERR_HTTP_BARE_CR'),
    'a LF alone behind it': refused('GET / HTTP/1.1\nHost: a\r\n\r\n', 400, 'ERR_HTTP_BARE_LF'),
    'a NUL in the target': refused(line('GET /\0 HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'a DEL in the target': refused(line('GET /\x7f HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'a target that is no UTF-8': refused(line('GET /\xff HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'a fragment': refused(line('GET /#a HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
  },

  'the four forms of a target (RFC 9112 §3.2)': {
    'origin-form with a query': served(line('GET /a/b?c=d HTTP/1.1'), 'GET /a/b c=d'),
    'origin-form with two slashes': served(line('GET //a HTTP/1.1'), 'GET //a '),
    'absolute-form': served(line('GET http://a/b?c HTTP/1.1'), 'GET /b c'),
    'absolute-form of another case, with a port': served(line('GET HTTP://a:80/b HTTP/1.1'), 'GET /b '),
    'absolute-form without a path': served(line('GET http://a HTTP/1.1'), 'GET / '),
    'absolute-form without a path, with a query': served(line('GET http://a?b HTTP/1.1'), 'GET / b'),
    'absolute-form: its host outranks Host': served('GET http://b:80/host HTTP/1.1\r\nHost: a\r\n\r\n', 'b:80'),
    'origin-form: Host is what it says': served(line('GET /host HTTP/1.1'), 'a'),
    'absolute-form without Host': refused('GET http://a/ HTTP/1.1\r\n\r\n', 400, 'ERR_HTTP_MISSING_HOST'),
    'absolute-form with a user': refused(line('GET http://u:p@a/ HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'absolute-form without a host': refused(line('GET http:///a HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'absolute-form of another scheme': refused(line('GET ftp://a/ HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'asterisk-form': served(line('OPTIONS * HTTP/1.1'), 'OPTIONS * '),
    'asterisk-form of another method': refused(line('GET * HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'authority-form': last(line('CONNECT a:443 HTTP/1.1'), '', { methods: ['HEAD'] }),
    'authority-form of an IPv6 address': last(line('CONNECT [::1]:443 HTTP/1.1'), '', { methods: ['HEAD'] }),
    'authority-form without a port': refused(line('CONNECT a HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'authority-form of another method': refused(line('GET a:443 HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
    'no form at all': refused(line('GET index.html HTTP/1.1'), 400, 'ERR_HTTP_TARGET'),
  },

  'Host (RFC 9112 §3.2)': {
    'with a port': served('GET / HTTP/1.1\r\nHost: a:80\r\n\r\n', 'GET / '),
    'an IPv6 address': served('GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', 'GET / '),
    'none in HTTP/1.1': refused('GET / HTTP/1.1\r\n\r\n', 400, 'ERR_HTTP_MISSING_HOST'),
    'two of them': refused(fields('Host: b'), 400, 'ERR_HTTP_REPEATED_HOST'),
    'two that agree': refused(fields('host: a'), 400, 'ERR_HTTP_REPEATED_HOST'),
    'an empty one': refused('GET / HTTP/1.1\r\nHost: \r\n\r\n', 400, 'ERR_HTTP_HOST'),
    'one with a path': refused('GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400, 'ERR_HTTP_HOST'),
    'one with a user': refused('GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400, 'ERR_HTTP_HOST'),
    'a list': refused('GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400, 'ERR_HTTP_HOST'),
    'a port that is no number': refused('GET / HTTP/1.1\r\nHost: a:b\r\n\r\n', 400, 'ERR_HTTP_HOST'),
  },

  'fields (RFC 9112 §5)': {
    'blanks and tabs around a value': served(fields('A: \t b \t'), 'GET / '),
    'an empty value': served(fields('A:'), 'GET / '),
    'bytes beyond ASCII in a value': served(fields('A: \xe9\xff'), 'GET / '),
    'a name that is no token': refused(fields('A[]: b'), 400, 'ERR_HTTP_FIELD_NAME'),
    'a name beyond ASCII': refused(fields('\xc4: b'), 400, 'ERR_HTTP_FIELD_NAME'),
    'an empty name': refused(fields(': b'), 400, 'ERR_HTTP_FIELD_NAME'),
    'a space before the colon': refused(fields('A : b'), 400, 'ERR_HTTP_SPACE_BEFORE_COLON'),
    'no colon': refused(fields('A'), 400, 'ERR_HTTP_MISSING_COLON'),
    'a fold': refused(fields('A: b', ' c'), 400, 'ERR_HTTP_FOLDED_FIELD'),
    'a fold with a tab': refused(fields('A: b', '\tc'), 400, 'ERR_HTTP_FOLDED_FIELD'),
    'a blank before the first one': refused('GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400, 'ERR_HTTP_FOLDED_FIELD'),
    'a NUL in a value': refused(fields('A: \0'), 400, 'ERR_HTTP_FIELD_VALUE'),
    'an escape in a value': refused(fields('A: \x1b'), 400, 'ERR_HTTP_FIELD_VALUE'),
    'a CR alone in a value': refused(fields('A: b\rc'), 400, 'ERR_HTTP_BARE_CR'),
    'a LF alone at the end of a line': refused('GET / HTTP/1.1\r\nHost: a\n\r\n', 400, 'ERR_HTTP_BARE_LF'),
    'a LF alone for the empty line': refused('GET / HTTP/1.1\r\nHost: a\r\n\n', 400, 'ERR_HTTP_BARE_LF'),
    'a hundred of them': served(fields(...Array(99).fill('A: b')), 'GET / '),
    'a hundred and one': refused(fields(...Array(100).fill('A: b')), 431, 'ERR_HTTP_TOO_MANY_FIELDS'),
    'too many bytes': refused(fields(`A: ${'b'.repeat(16_384)}`), 431, 'ERR_HTTP_HEAD_TOO_LONG'),
  },

  'the length of a body (RFC 9112 §6)': {
    'Content-Length': served(post(['Content-Length: 4'], 'body'), 'POST /echo body'),
    'Content-Length 0': served(post(['Content-Length: 0']), 'POST /echo '),
    'Content-Length with zeros before it': served(post(['Content-Length: 0004'], 'body'), 'POST /echo body'),
    'Content-Length twice, alike': served(post(['Content-Length: 4', 'Content-Length: 4'], 'body'), 'POST /echo body'),
    'none: there is no body, and 411 has no place': served(post([]), 'POST /echo '),
    'a body that comes with a GET': served(request('GET', '/echo', [], EVIL), `GET /echo ${EVIL}`),
    'Content-Length twice, unlike': refused(post(['Content-Length: 4', 'Content-Length: 5'], 'body!'), 400,
      'ERR_HTTP_CONTENT_LENGTH_CONFLICT'),
    'Content-Length as a list': refused(post(['Content-Length: 4, 4'], 'body'), 400, 'ERR_HTTP_CONTENT_LENGTH'),
    'Content-Length, empty': refused(post(['Content-Length:']), 400, 'ERR_HTTP_CONTENT_LENGTH'),
    'Content-Length with a sign': refused(post(['Content-Length: +4'], 'body'), 400, 'ERR_HTTP_CONTENT_LENGTH'),
    'Content-Length below zero': refused(post(['Content-Length: -1']), 400, 'ERR_HTTP_CONTENT_LENGTH'),
    'Content-Length in hexadecimal': refused(post(['Content-Length: 0x4'], 'body'), 400, 'ERR_HTTP_CONTENT_LENGTH'),
    'Content-Length of 19 digits': refused(post(['Content-Length: 1000000000000000000']), 413, 'ERR_HTTP_CONTENT_TOO_LARGE'),
    'Transfer-Encoding, in capitals': served(post(['Transfer-Encoding: CHUNKED'], '0\r\n\r\n'), 'POST /echo '),
    'an unknown coding': refused(post(['Transfer-Encoding: gzip']), 501, 'ERR_HTTP_UNKNOWN_TRANSFER_CODING'),
    'an unknown coding before chunked': refused(post(['Transfer-Encoding: gzip, chunked']), 501,
      'ERR_HTTP_UNKNOWN_TRANSFER_CODING'),
    'chunked before an unknown coding': refused(post(['Transfer-Encoding: chunked, gzip']), 501,
      'ERR_HTTP_UNKNOWN_TRANSFER_CODING'),
    'chunked twice': refused(post(['Transfer-Encoding: chunked, chunked']), 400, 'ERR_HTTP_TRANSFER_ENCODING'),
    'chunked in HTTP/1.0': refused(`POST / HTTP/1.0\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`, 400,
      'ERR_HTTP_TRANSFER_ENCODING_IN_HTTP10'),
  },

  'chunks (RFC 9112 §7.1)': {
    'some': served(chunks('2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n'), 'POST /echo body'),
    'sizes in any case, with zeros': served(chunks('00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n'),
      'POST /echo 01234567890123456789'),
    'extensions': served(chunks('2;a\r\nbo\r\n2 ; b = "c;\\"" ;d=e\r\ndy\r\n0;f\r\n\r\n'), 'POST /echo body'),
    'trailers, which are ignored': served(chunks('4\r\nbody\r\n0\r\nContent-Length: 9\r\nHost: b\r\n\r\n'), 'POST /echo body'),
    'data that looks like an end': served(chunks('9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n'), 'POST /echo \r\n0\r\n\r\n\r\n'),
    'no size': broken(chunks('\r\n'), 'ERR_HTTP_CHUNK_SIZE'),
    'a size with a sign': broken(chunks('+4\r\nbody\r\n'), 'ERR_HTTP_CHUNK_SIZE'),
    'a size with a prefix': broken(chunks('0x4\r\nbody\r\n'), 'ERR_HTTP_CHUNK_SIZE'),
    'a size that is no number': broken(chunks('four\r\n'), 'ERR_HTTP_CHUNK_EXTENSION|ERR_HTTP_CHUNK_SIZE'),
    'a size of 16 digits': broken(chunks('1000000000000000\r\n'), 'ERR_HTTP_CONTENT_TOO_LARGE', 413),
    'a space behind a size': broken(chunks('4 \r\nbody\r\n'), 'ERR_HTTP_CHUNK_EXTENSION'),
    'an extension without a name': broken(chunks('4;\r\nbody\r\n'), 'ERR_HTTP_CHUNK_EXTENSION'),
    'an extension without end': broken(chunks(`4;${'a'.repeat(300)}`), 'ERR_HTTP_CHUNK_EXTENSION_TOO_LONG'),
    'a LF alone behind a size': broken(chunks('4\nbody\r\n0\r\n\r\n'), 'ERR_HTTP_BARE_LF'),
    'a LF alone in an extension': broken(chunks('4;a\nbody\r\n0\r\n\r\n'), 'ERR_HTTP_BARE_LF'),
    'a CR alone behind a size': broken(chunks('4\rbody\r\n'), 'ERR_HTTP_BARE_CR'),
    'more data than the size says': broken(chunks('4\r\nbodybody\r\n'), 'ERR_HTTP_CHUNK_END'),
    'a LF alone behind the data': broken(chunks('4\r\nbody\n0\r\n\r\n'), 'ERR_HTTP_CHUNK_END'),
    'a request for a trailer': broken(chunks(`0\r\n${EVIL}`), 'ERR_HTTP_SPACE_BEFORE_COLON'),
    'trailers without end': broken(chunks(`0\r\na: ${'b'.repeat(9_000)}`), 'ERR_HTTP_TRAILERS_TOO_LONG', 431),
  },

  'smuggling': {
    'CL.TE': refused(post(['Content-Length: 4', CHUNKED], `0\r\n\r\n${EVIL}`), 400,
      'ERR_HTTP_TRANSFER_ENCODING_WITH_CONTENT_LENGTH'),
    'TE.CL': refused(post([CHUNKED, 'Content-Length: 4'], `20\r\n${EVIL}\r\n0\r\n\r\n`), 400,
      'ERR_HTTP_TRANSFER_ENCODING_WITH_CONTENT_LENGTH'),
    'TE.TE': refused(post([CHUNKED, 'Transfer-Encoding: identity'], `0\r\n\r\n${EVIL}`), 501,
      'ERR_HTTP_UNKNOWN_TRANSFER_CODING'),
    'TE.TE, twice the same': refused(post([CHUNKED, CHUNKED], `0\r\n\r\n${EVIL}`), 400, 'ERR_HTTP_TRANSFER_ENCODING'),
    'TE.TE by a vertical tab': refused(post(['Transfer-Encoding: \x0bchunked'], EVIL), 400, 'ERR_HTTP_FIELD_VALUE'),
    'TE.TE by a space': refused(post(['Transfer-Encoding : chunked'], EVIL), 400, 'ERR_HTTP_SPACE_BEFORE_COLON'),
    'TE.TE by a letter': refused(post(['Transfer-Encoding: xchunked'], EVIL), 501, 'ERR_HTTP_UNKNOWN_TRANSFER_CODING'),
    'TE.TE by a fold': refused(post(['X: y', ` ${CHUNKED}`], EVIL), 400, 'ERR_HTTP_FOLDED_FIELD'),
    'TE.TE by a bare LF': refused(post([`X: y\n${CHUNKED}`], EVIL), 400, 'ERR_HTTP_BARE_LF'),
    'an underscore is another field: the length counts': served(
      post(['Transfer_Encoding: chunked', `Content-Length: ${EVIL.length}`], EVIL), `POST /echo ${EVIL}`),
    'a tab before the coding is a blank': served(post(['Transfer-Encoding:\tchunked'], '0\r\n\r\n'), 'POST /echo '),
    'CL.0': served(post([`Content-Length: ${EVIL.length}`], EVIL), `POST /echo ${EVIL}`),
    'CL.0 with a HEAD': served(`HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`, '',
      { methods: ['HEAD'] }),
    'CL.0 to a handler that answers first': served(
      `POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`, 'early'),
    'a quoted extension that hides an end': broken(chunks(`1;a="\r\nx\r\n0\r\n\r\n${EVIL}`), 'ERR_HTTP_CHUNK_EXTENSION'),
    'a second request line': refused(`GET / HTTP/1.1\r\nHost: a\r\n${EVIL}`, 400, 'ERR_HTTP_SPACE_BEFORE_COLON'),
  },

  'where no body may be (RFC 9110 §6.4.1)': {
    'HEAD': served('HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n', '', { methods: ['HEAD'], head: /\r\nContent-Length: 11\r\n/ }),
    'HEAD that is streamed': served('HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n', '',
      { methods: ['HEAD'], head: /\r\nTransfer-Encoding: chunked\r\n/ }),
    'HEAD that is refused': { ...refused(line('HEAD * HTTP/1.1'), 400), methods: ['HEAD'], text: '' },
    'HEAD whose body breaks a rule': { ...broken(`HEAD / HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\nx\r\n`), methods: ['HEAD'], text: '' },
    '204': served(request('GET', '/204'), '', { status: [204], head: /^(?!.*(content-length|transfer-encoding))/is }),
    '204 with a body from the handler': served(request('GET', '/204?body'), '',
      { status: [204], head: /^(?!.*(content-length|transfer-encoding))/is }),
    '204 that is streamed': served(request('GET', '/204?stream'), '',
      { status: [204], head: /^(?!.*(content-length|transfer-encoding))/is }),
    '304': served(request('GET', '/304'), '', { status: [304], head: /^(?!.*transfer-encoding)/is }),
    '304 with a body from the handler': served(request('GET', '/304?body'), '', { status: [304], head: /\r\nContent-Length: 4\r\n/ }),
    '200 without a body says so': served(request('GET', '/empty'), '', { head: /\r\nContent-Length: 0\r\n/ }),
    'a status of 1xx cannot be set': served(request('GET', '/100'), 'ERR_HTTP_INVALID_STATUS'),
    'CONNECT that a handler accepts: no framing, and no tunnel': last('CONNECT /accept HTTP/1.1\r\nHost: a\r\n\r\n', '',
      { methods: ['HEAD'], head: /^(?!.*(content-length|transfer-encoding))/is }),
    'CONNECT that a handler refuses': served('CONNECT /403 HTTP/1.1\r\nHost: a\r\n\r\n', 'no', { status: [403] }),
  },

  'Expect (RFC 9110 §10.1.1)': {
    '100-continue': served(post(['Expect: 100-continue', 'Content-Length: 4'], 'body'), 'POST /echo body', { before: CONTINUE }),
    'in another case': served(post(['Expect: 100-CONTINUE', 'Content-Length: 4'], 'body'), 'POST /echo body', { before: CONTINUE }),
    'with chunks': served(post(['Expect: 100-continue', CHUNKED], '4\r\nbody\r\n0\r\n\r\n'), 'POST /echo body', { before: CONTINUE }),
    'without a body: nothing to continue with': served(fields('Expect: 100-continue'), 'GET / '),
    'to a handler that answers first: the body is read past': served(
      'POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody', 'early', { before: CONTINUE }),
    'to a handler that answers first, with more than is read past': last(
      'POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n', 'early',
      { before: CONTINUE, head: /\r\nConnection: close\r\n/ }),
    'of HTTP/1.0 is ignored': last('POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody', 'POST /echo body'),
    'anything else': refused(fields('Expect: a miracle'), 417, 'ERR_HTTP_EXPECTATION'),
    'nothing': refused(fields('Expect:'), 417, 'ERR_HTTP_EXPECTATION'),
  },

  'the life of a connection (RFC 9112 §9)': {
    'HTTP/1.1 goes on': served(GET, 'GET / ', { head: /^(?!.*\r\nconnection:)/is }),
    'close': last(fields('Connection: close'), 'GET / ', { head: /\r\nConnection: close\r\n/ }),
    'close among others, in another case': last(fields('Connection: keep-alive, Close'), 'GET / ', { head: /\r\nConnection: close\r\n/ }),
    'close, and requests behind it': last(fields('Connection: close') + EVIL, 'GET / '),
    'an unknown option': served(fields('Connection: closed'), 'GET / '),
    'HTTP/1.0 closes': last('GET / HTTP/1.0\r\n\r\n', 'GET / ', { head: /\r\nConnection: close\r\n/ }),
    'HTTP/1.0 with keep-alive goes on': served('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', 'GET / ',
      { head: /\r\nConnection: keep-alive\r\n/ }),
    'HTTP/1.0 with keep-alive and no length': last('GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 'ab',
      { head: /^(?!.*transfer-encoding).*\r\nConnection: close\r\n/is }),
    'HTTP/1.0 with a body': last('POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody', 'POST /echo body'),
    'the handler closes': last(`${request('GET', '/close')}${EVIL}`, 'closing', { head: /\r\nConnection: close\r\n/ }),
    'chunks where the length is not known': served(request('GET', '/stream'), 'ab', { head: /\r\nTransfer-Encoding: chunked\r\n/ }),
    'two requests in one piece': { ...BOTH, send: request('GET', '/2') + GET },
    'a body, and a request behind it': { ...BOTH, send: post(['Content-Length: 4'], 'body') + GET },
    'chunks, and a request behind them': { ...BOTH, send: chunks('4\r\nbody\r\n0\r\n\r\n') + GET },
    'an empty line between two requests': { ...BOTH, send: `${GET}\r\n${GET}` },
    'a broken request behind a good one': { send: `${GET}GET / HTTP/9.9\r\n\r\n${EVIL}`, status: [200, 505], calls: 1, then: 'closed' },
  },
};

const ROWS = Object.entries(TABLE).flatMap(([chapter, rows]) => (
  Object.entries(rows).map(([name, row]) => [`${chapter}: ${name}`, row])));

/** A server that answers as the path says, by default with what it was asked. `state.calls` counts its handlers. */
function serve() {
  const state = { calls: 0 };
  const app = createApp().any('/*', guarded((res, req) => {
    state.calls += 1;
    const url = req.getUrl();
    const query = req.getQuery();
    const asked = `${req.getCaseSensitiveMethod()} ${url} `;
    res.onAborted(() => {});
    switch (url) {
      case '/204': return without(res.writeStatus('204 No Content'), query);
      case '/304': return without(res.writeStatus('304 Not Modified'), query);
      case '/403': return res.writeStatus('403 Forbidden').end('no');
      case '/100': return res.end(codeOf(() => res.writeStatus('100 Continue')));
      case '/accept':
      case '/empty': return res.end();
      case '/early': return res.end('early');
      case '/host': return res.end(req.getHeader('host'));
      case '/close': return res.end('closing', true);
      case '/stream':
        res.write('a');
        res.write('b');
        return res.end();
      default: return echo(res, asked + (query ?? ''));
    }
  }));
  return { state, port: listen(app) };
}

/** Answers where no body may be, and tries to send one all the same. */
function without(res, how) {
  if (how === 'stream') res.write('body');
  return how === 'body' ? res.end('body') : res.end();
}

function echo(res, asked) {
  let text = asked;
  res.onData((piece, isLast) => {
    text += Buffer.from(piece).toString('latin1');
    if (isLast) res.end(text);
  });
}

function codeOf(call) {
  try {
    call();
    return 'nothing was thrown';
  } catch ({ code }) {
    return code;
  }
}

/** Sends each of the pieces; the server may close before the last one. */
async function sendAll(client, pieces) {
  client.socket.setNoDelay(true);
  for (const piece of pieces) await client.send(piece).catch(() => {});
}

/** What nobody would send byte by byte is sent in larger pieces. */
function cut(text) {
  const size = text.length > 2_000 ? 500 : 1;
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size));
}

test('the table has no fewer rows than promised', () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(150);
});

describe.each([['in one piece', (text) => [text]], ['byte by byte', cut]])('%s', (_, split) => {
  test.each(ROWS)('%s', async (_name, { send, status, calls, then, text, head, before = '', methods = [] }) => {
    const { state, port } = serve();
    const client = await RawClient.connect(port);
    const sent = sendAll(client, split(send));
    expect(await client.bytes(before.length)).toBe(before);
    const responses = [];
    for (let index = 0; index < status.length; index++) responses.push(await client.response(methods[index] ?? 'GET'));
    await sent;

    expect(responses.map((response) => response.status)).toEqual(status);
    const answer = responses.at(-1);
    if (text instanceof RegExp) expect(answer.text).toMatch(text);
    else if (text !== undefined) expect(answer.body.toString('latin1')).toBe(text);
    if (head !== undefined) expect(answer.headText).toMatch(head);
    if (then === 'closed') expect(await client.rest()).toBe('');
    // Behind this answer every handler has run that was to: the app has one thread.
    const prober = then === 'open' ? client : await RawClient.connect(port);
    expect((await prober.get('/probe')).text).toBe('GET /probe ');
    expect(state.calls).toBe(calls + 1);
  });
});

test.each([
  ['a path', line('GET /b HTTP/1.1'), 'GET'],
  ['a method, on a path that knows others: 405 would have to list them', line('POST /a HTTP/1.1'), 'POST'],
  ['a method with a body', request('PUT', '/a', [], 'body'), 'PUT'],
  ['HEAD, which GET does not know either', line('HEAD /b HTTP/1.1'), 'HEAD'],
  ['*', line('OPTIONS * HTTP/1.1'), 'OPTIONS'],
  ['an authority', line('CONNECT a:443 HTTP/1.1'), 'CONNECT'],
])('where no route takes %s the answer is 404, and the connection goes on', async (_, text, method) => {
  const client = await RawClient.connect(listen(createApp().get('/a', (res) => res.end('a'))));
  await client.send(text);
  expect((await client.response(method)).status).toBe(404);
  expect((await client.get('/a')).text).toBe('a');
});

test('ten thousand chunks of one byte are a few calls of the handler', async () => {
  let calls = 0;
  let length = 0;
  const app = createApp().post('/', (res) => {
    res.onAborted(() => {}).onData((piece, isLast) => {
      calls += 1;
      length += piece.byteLength;
      if (isLast) res.end(`${length}`);
    });
  });
  const client = await RawClient.connect(listen(app));
  await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n${'1\r\nx\r\n'.repeat(10_000)}0\r\n\r\n`);
  expect((await client.response()).text).toBe('10000');
  expect(calls).toBeLessThan(100);
});

test('every answer has a Date, of this second or the last ones, in the format of RFC 9110 §5.6.7', async () => {
  const { port } = serve();
  const client = await RawClient.connect(port);
  for (const path of ['/', '/204', '/304', '/stream']) {
    const earliest = Math.floor(Date.now() / 1000) * 1000 - 1000;
    const [date, ...others] = (await client.get(path)).values('date');
    expect(others).toEqual([]);
    expect(new Date(date).toUTCString()).toBe(date);
    expect(Date.parse(date)).toBeGreaterThanOrEqual(earliest);
    expect(Date.parse(date)).toBeLessThanOrEqual(Date.now());
  }
  await client.send('GET / HTTP/9.9\r\n\r\n');
  expect((await client.response()).values('date')).toHaveLength(1);
});
