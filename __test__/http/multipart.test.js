'use strict';

// getParts: the fields of a form. How bodies are divided is tested in src/protocol/http/multipart/tests.rs; here are
// the promises to JavaScript, and forms that clients really send.

const { randomBytes } = require('node:crypto');
const fc = require('fast-check');

const uWS = require('../..');
const { failureOf } = require('../helpers/failure.js');
const { createApp, guarded, listen } = require('../helpers/server.js');

const TYPE = 'multipart/form-data; boundary=XX';
const FORM = [
  '--XX',
  'Content-Disposition: form-data; name="text"',
  '',
  'a value',
  '--XX',
  'Content-Disposition: form-data; name="file"; filename="näme.txt"',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'two\r\nlines',
  '--XX--',
  '',
].join('\r\n');

const SMALL = 'multipart/form-data; boundary=b';

/** Fields with text instead of buffers. */
function readable(fields, encoding = 'utf8') {
  return fields.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data).toString(encoding) }));
}

const FIELDS = [
  { name: 'text', data: 'a value' },
  { name: 'file', filename: 'näme.txt', type: 'text/plain; charset=utf-8', data: 'two\r\nlines' },
];

/** Exactly the bytes of the form, at an offset of a larger buffer. */
function inside(form) {
  const buffer = new ArrayBuffer(Buffer.byteLength(form) + 20);
  const bytes = new Uint8Array(buffer, 10, Buffer.byteLength(form));
  bytes.set(Buffer.from(form));
  return bytes;
}

describe('arguments', () => {
  const bytes = inside(FORM);
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);

  test.each([
    ['a Buffer', Buffer.from(FORM)],
    ['an ArrayBuffer', bytes.slice().buffer],
    ['a Uint8Array inside of a larger buffer', bytes],
    ['a DataView', new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)],
    ['a SharedArrayBuffer', shared],
    ['a string', FORM],
  ])('the body may be %s', (title, body) => {
    expect(readable(uWS.getParts(body, TYPE))).toEqual(FIELDS);
  });

  test('the content type may be a buffer', () => {
    expect(readable(uWS.getParts(FORM, Buffer.from(TYPE)))).toEqual(FIELDS);
  });

  test.each([
    ['undefined', [undefined, TYPE], [undefined, undefined], []],
    ['another type', [FORM, 'application/json'], [FORM, ''], [FORM, undefined]],
    ['a malformed body', ['', TYPE], ['nothing', TYPE], [FORM.replace(' name=', ' nome='), TYPE]],
    ['a body that broke off', [FORM.slice(0, -10), TYPE], [FORM.slice(0, 10), TYPE]],
    ['a type without boundary', [FORM, 'multipart/form-data'], [FORM, 'multipart/form-data; boundary=']],
  ])('%s: undefined', (title, ...calls) => {
    for (const args of calls) expect(uWS.getParts(...args)).toBe(undefined);
  });

  test.each([
    ['null', null],
    ['a number', 5],
    ['an object', {}],
    ['an array', []],
  ])('throws ERR_INVALID_ARG_TYPE for what is neither text nor data: %s', (title, value) => {
    for (const args of [[value, TYPE], [value, 'text/plain'], [FORM, value]]) {
      expect(failureOf(() => uWS.getParts(...args))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
  });
});

describe('the result', () => {
  test('has only the properties that the part has', () => {
    const [text, file] = uWS.getParts(FORM, TYPE);
    expect(Object.keys(text).sort()).toEqual(['data', 'name']);
    expect(Object.keys(file).sort()).toEqual(['data', 'filename', 'name', 'type']);
  });

  test('leaves the body as it was, and shares no memory with it', () => {
    const body = Buffer.from(FORM);
    const fields = uWS.getParts(body, TYPE);
    expect(body.toString()).toBe(FORM);
    body.fill(0);
    expect(readable(fields)).toEqual(FIELDS);
    new Uint8Array(fields[0].data).fill(0);
    expect(readable(fields)[1]).toEqual(FIELDS[1]);
  });

  test('an empty filename is a filename', () => {
    const body = '--b\r\nContent-Disposition: form-data; name=a; filename=""\r\n\r\n\r\n--b--';
    const [field] = uWS.getParts(body, SMALL);
    expect(field).toEqual({ name: 'a', filename: '', data: new ArrayBuffer(0) });
  });

  test('a name that is no UTF-8 has replacement characters', () => {
    const body = Buffer.from('--b\r\nContent-Disposition: form-data; name="\xe9"\r\n\r\n\r\n--b--', 'latin1');
    expect(uWS.getParts(body, SMALL)[0].name).toBe('\ufffd');
  });

  test('names like __proto__ are only names', () => {
    const body = FORM.replace('"text"', '"__proto__"');
    expect(readable(uWS.getParts(body, TYPE))[0]).toEqual({ name: '__proto__', data: 'a value' });
  });
});

describe('forms of fetch', () => {
  const FILE = randomBytes(3_000_000);

  test('arrive as they were sent, taken whole', async () => {
    const port = listen(createApp().post('/', guarded((res, req) => {
      const contentType = req.getHeader('content-type');
      res.onAborted(() => {}).collectBody(10_000_000, (body) => {
        res.end(JSON.stringify(readable(uWS.getParts(body, contentType), 'base64')));
      });
    })));
    const form = new FormData();
    form.append('text', 'grüße\r\n--\r\n');
    form.append('text', '');
    form.append('file', new Blob([FILE], { type: 'application/x-random' }), 'a "quoted" näme.bin');
    form.append('empty', new Blob([]));
    const answer = await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: form })).json();
    const base64 = (data) => Buffer.from(data).toString('base64');
    expect(answer).toEqual([
      { name: 'text', data: base64('grüße\r\n--\r\n') },
      { name: 'text', data: '' },
      { name: 'file', filename: 'a %22quoted%22 näme.bin', type: 'application/x-random', data: base64(FILE) },
      { name: 'empty', filename: 'blob', type: 'application/octet-stream', data: '' },
    ]);
  });
});

test('no bytes are too strange: an array of fields, or undefined', () => {
  const disposition = 'Content-Disposition: form-data; name=a';
  const word = fc.oneof(fc.constantFrom('--b', '--b--', '\r\n', disposition, ': ', '; filename="', '\0', 'é'), fc.string());
  const body = fc.oneof(fc.uint8Array(), fc.array(word, { maxLength: 30 }).map((words) => words.join('')));
  const type = fc.oneof(fc.constant(SMALL), fc.string().map((text) => `multipart/${text}`), fc.string());
  fc.assert(fc.property(body, type, (bytes, contentType) => {
    const fields = uWS.getParts(bytes, contentType);
    if (fields === undefined) return;
    for (const { name, data } of fields) {
      expect(typeof name).toBe('string');
      expect(Object.prototype.toString.call(data)).toBe('[object ArrayBuffer]');
    }
  }));
});
