'use strict';

// What the tests of HttpResponse share: every kind of data there is, and what goes over the wire.

const { request } = require('./raw-http.js');
const { serve } = require('./server.js');

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

module.exports = { BUFFERS, NEITHER, NOT_TEXT, answer, undated, wire };
