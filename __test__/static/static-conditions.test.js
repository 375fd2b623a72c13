'use strict';

// What a request for a file asks for: conditions and ranges, as tables.

const { decide, readDate, readRange } = require('../../lib/static/conditions.js');
const { contentTypeOf } = require('../../lib/static/content-types.js');

const MODIFIED = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000;
const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
const BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT';
const AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT';
const FILE = { size: 1000, etag: '"e"', modified: MODIFIED };

/** What is decided about a request with these fields. */
function decided(fields, method = 'GET') {
  return decide({ method, header: (name) => fields[name] ?? '' }, FILE);
}

const whole = { status: 200, start: 0, length: 1000 };
const part = (start, length) => ({ status: 206, start, length });

describe('conditions (RFC 9110 §13)', () => {
  test.each([
    [{}, whole],
    [{ 'if-none-match': '"e"' }, { status: 304 }],
    [{ 'if-none-match': 'W/"e"' }, { status: 304 }],
    [{ 'if-none-match': '*' }, { status: 304 }],
    [{ 'if-none-match': '"a", W/"b" ,"e"' }, { status: 304 }],
    [{ 'if-none-match': '"a,\\"e"' }, whole],
    [{ 'if-none-match': '"E"' }, whole],
    [{ 'if-none-match': 'e' }, whole],
    [{ 'if-none-match': '"x"', 'if-modified-since': DATE }, whole],
    [{ 'if-none-match': '"e"', 'if-modified-since': BEFORE }, { status: 304 }],
    [{ 'if-modified-since': DATE }, { status: 304 }],
    [{ 'if-modified-since': AFTER }, { status: 304 }],
    [{ 'if-modified-since': BEFORE }, whole],
    [{ 'if-modified-since': 'yesterday' }, whole],
    [{ 'if-modified-since': '784111777' }, whole],
    [{ 'if-match': '"e"' }, whole],
    [{ 'if-match': '*' }, whole],
    [{ 'if-match': '"a", "e"' }, whole],
    [{ 'if-match': 'W/"e"' }, { status: 412 }],
    [{ 'if-match': '"x"' }, { status: 412 }],
    [{ 'if-match': '"x"', 'if-none-match': '"e"' }, { status: 412 }],
    [{ 'if-match': '"e"', 'if-none-match': '"e"' }, { status: 304 }],
    [{ 'if-unmodified-since': DATE }, whole],
    [{ 'if-unmodified-since': AFTER }, whole],
    [{ 'if-unmodified-since': BEFORE }, { status: 412 }],
    [{ 'if-unmodified-since': 'never' }, whole],
    [{ 'if-match': '"e"', 'if-unmodified-since': BEFORE }, whole],
    [{ 'if-none-match': '"e"', range: 'bytes=0-0' }, { status: 304 }],
    [{ 'if-match': '"x"', range: 'bytes=0-0' }, { status: 412 }],
  ])('%j', (fields, expected) => {
    expect(decided(fields)).toEqual(expected);
    expect(decided(fields, 'HEAD')).toEqual(expected);
  });
});

describe('If-Range (RFC 9110 §13.1.5)', () => {
  test.each([
    ['"e"', part(0, 1)],
    [DATE, part(0, 1)],
    ['"x"', whole],
    ['W/"e"', whole],
    [BEFORE, whole],
    [AFTER, whole],
    ['nonsense', whole],
  ])('%s', (validator, expected) => {
    expect(decided({ range: 'bytes=0-0', 'if-range': validator })).toEqual(expected);
  });

  test('an unsatisfiable range of another version is the whole file', () => {
    expect(decided({ range: 'bytes=5000-', 'if-range': '"x"' })).toEqual(whole);
    expect(decided({ range: 'bytes=5000-', 'if-range': '"e"' })).toEqual({ status: 416 });
  });
});

describe('ranges (RFC 9110 §14)', () => {
  test('of HEAD are ignored', () => {
    expect(decided({ range: 'bytes=0-0' }, 'HEAD')).toEqual(whole);
  });

  test.each([
    ['bytes=0-0', 1000, { start: 0, length: 1 }],
    ['bytes=0-999', 1000, { start: 0, length: 1000 }],
    ['bytes=0-1000', 1000, { start: 0, length: 1000 }],
    ['bytes=0-', 1000, { start: 0, length: 1000 }],
    ['bytes=999-', 1000, { start: 999, length: 1 }],
    ['bytes=500-99999999999999999999999', 1000, { start: 500, length: 500 }],
    ['bytes=-1', 1000, { start: 999, length: 1 }],
    ['bytes=-1000', 1000, { start: 0, length: 1000 }],
    ['bytes=-1001', 1000, { start: 0, length: 1000 }],
    ['BYTES=1-2', 1000, { start: 1, length: 2 }],
    ['bytes= 1-2 ', 1000, { start: 1, length: 2 }],
    ['bytes=007-008', 1000, { start: 7, length: 2 }],
    ['bytes=1000-', 1000, null],
    ['bytes=1000-1001', 1000, null],
    ['bytes=99999999999999999999999-', 1000, null],
    ['bytes=-0', 1000, null],
    ['bytes=0-', 0, null],
    ['bytes=0-0', 0, null],
    ['bytes=-5', 0, undefined],
    ['', 1000, undefined],
    ['bytes', 1000, undefined],
    ['bytes=', 1000, undefined],
    ['bytes=-', 1000, undefined],
    ['bytes=2-1', 1000, undefined],
    ['bytes=1-2,4-5', 1000, undefined],
    ['bytes=1-2, -5', 1000, undefined],
    ['bytes=a-b', 1000, undefined],
    ['bytes=1-b', 1000, undefined],
    ['bytes=1 - 2', 1000, undefined],
    ['bytes=+1-2', 1000, undefined],
    ['bytes=1.0-2', 1000, undefined],
    ['bytes=0x1-2', 1000, undefined],
    ['bytes=--1', 1000, undefined],
    ['bytes 1-2', 1000, undefined],
    ['items=1-2', 1000, undefined],
    ['bytes=\u0661-2', 1000, undefined],
  ])('%j of %i bytes', (field, size, expected) => {
    expect(readRange(field, size)).toEqual(expected);
  });
});

describe('dates (RFC 9110 §5.6.7)', () => {
  test.each([DATE, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])('%s', (text) => {
    expect(readDate(text)).toBe(MODIFIED);
  });

  test.each([
    '', '0', '1994-11-06T08:49:37Z', 'Sun, 06 Nov 1994 08:49:37', 'Sun, 06 Nov 1994 08:49:37 +0100', 'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 25:49:37 GMT', 'Sun, 06 Foo 1994 08:49:37 GMT', `${DATE}x`, `x${DATE}`,
  ])('no date: %j', (text) => {
    expect(readDate(text)).toBeUndefined();
  });
});

describe('content types', () => {
  test.each([
    ['index.html', 'text/html; charset=utf-8'],
    ['a/b/INDEX.HTML', 'text/html; charset=utf-8'],
    ['app.min.js', 'text/javascript; charset=utf-8'],
    ['logo.svg', 'image/svg+xml'],
    ['module.wasm', 'application/wasm'],
    ['archive.tar.gz', 'application/gzip'],
    ['none', 'application/octet-stream'],
    ['.html', 'application/octet-stream'],
    ['dot.', 'application/octet-stream'],
    ['x.constructor', 'application/octet-stream'],
    ['x.mine', 'x/mine'],
    ['x.css', 'x/css'],
  ])('%s: %s', (name, type) => {
    expect(contentTypeOf(name, new Map([['mine', 'x/mine'], ['css', 'x/css']]))).toBe(type);
  });
});
