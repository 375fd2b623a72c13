'use strict';

// What programs may send, as the addon takes it: text, or bytes.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { readable } = require('../runtime/border.js');

const EMPTY = Buffer.alloc(0);

/** Text stays text; everything else becomes bytes that the addon can read. Falsy values are empty. */
function payloadOf(data) {
  if (typeof data === 'string' && data !== '') return data;
  if (!data) return EMPTY;
  if (ArrayBuffer.isView(data)) return data;
  return isAnyArrayBuffer(data) ? readable(data) : Buffer.from(data);
}

/** In bytes. */
function lengthOf(payload) {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
}

/** The same as it is now, for a program that reuses its buffer. */
function snapshotOf(payload) {
  if (typeof payload === 'string') return payload;
  // A detached ArrayBuffer, too, of which JavaScript makes no view.
  if (payload.byteLength === 0) return EMPTY;
  const [buffer, offset] = ArrayBuffer.isView(payload) ? [payload.buffer, payload.byteOffset] : [payload, 0];
  return Buffer.from(Buffer.from(buffer, offset, payload.byteLength));
}

/** Whether data is a Blob or a File, whose bytes have to be waited for. */
function isBlob(data) {
  return typeof data === 'object' && data !== null && typeof data.arrayBuffer === 'function'
    && typeof data.stream === 'function' && typeof data.type === 'string'
    && ['Blob', 'File'].includes(data[Symbol.toStringTag]);
}

module.exports = { EMPTY, isBlob, lengthOf, payloadOf, snapshotOf };
