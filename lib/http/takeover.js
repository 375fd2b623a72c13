'use strict';

// Takes connections over from an HTTP server of Node's, at its 'upgrade' event: `app.handleUpgrade`.
//
// The I/O thread gets the request first, as bytes, and parses it like that of an accepted connection. passage.js hands the
// connection over.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { native, takeovers } = require('../runtime/border.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { handOver, isHandedOver, nameOf } = require('./passage.js');

/**
 * Hands a connection to the app with the number `app`. `register` is called once a worker has the connection. Returns
 * whether the connection was taken over: always, unless `passOn` is set and no route matches.
 */
function takeOver(app, register, request, stream, head, options) {
  checkRequest(request);
  checkStream(stream);
  const behind = bytesOf(head);
  const { passOn = false } = readOptions(options);
  if (isHandedOver(stream)) {
    const message = 'handleUpgrade was called for a socket that has been handed over: does another listener of this event do it, too?';
    throw Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' });
  }
  const text = requestBytes(request);
  if (passOn && !native.appTakes(app, text, nameOf(stream))) return false;
  handOver(stream, [text, behind], {
    request,
    give(way, bytes, ticket, peer) {
      takeovers.set(ticket, request);
      try {
        const end = native.appTakeOver(app, way, bytes, ticket, peer);
        register();
        return end;
      } catch (error) {
        takeovers.delete(ticket);
        throw error;
      }
    },
    fail: ignore,
  });
  return true;
}

function ignore() {}

function checkRequest(request) {
  const isRequest = typeof request === 'object' && request !== null
    && ['method', 'url', 'httpVersion'].every((name) => typeof request[name] === 'string')
    && Array.isArray(request.rawHeaders) && request.rawHeaders.every((text) => typeof text === 'string');
  if (!isRequest) {
    throw typeError('ERR_INVALID_ARG_TYPE', "request must be the http.IncomingMessage of an 'upgrade' event");
  }
}

function checkStream(stream) {
  const isStream = typeof stream === 'object' && stream !== null
    && ['on', 'pipe', 'read', 'write', 'end', 'destroy'].every((name) => typeof stream[name] === 'function');
  if (!isStream) throw typeError('ERR_INVALID_ARG_TYPE', "socket must be the stream.Duplex of an 'upgrade' event");
  if (stream.readableObjectMode || stream.writableObjectMode || (stream.readableEncoding ?? null) !== null) {
    throw typeError('ERR_INVALID_ARG_VALUE', 'socket must be a stream of bytes: neither with an encoding nor in object mode');
  }
}

/** The bytes that Node has read behind the request. */
function bytesOf(head) {
  if (head === undefined || head === null) return Buffer.alloc(0);
  const isBytes = ArrayBuffer.isView(head) || isAnyArrayBuffer(head);
  // A detached ArrayBuffer, too, of which JavaScript makes no view.
  if (isBytes && head.byteLength === 0) return Buffer.alloc(0);
  if (ArrayBuffer.isView(head)) return Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (isAnyArrayBuffer(head)) return Buffer.from(head);
  throw typeError('ERR_INVALID_ARG_TYPE', "head must be the Buffer of an 'upgrade' event");
}

function readOptions(options) {
  if (options === undefined || options === null) return {};
  if (typeof options !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  checkNames('handleUpgrade', options, ['passOn']);
  const { passOn } = options;
  if (passOn !== undefined && typeof passOn !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'passOn must be a boolean');
  }
  return { passOn };
}

/**
 * The bytes of a request. Node decodes them as Latin-1; a character that cannot come from the wire becomes NUL
 * (`asOneLine`).
 */
function requestBytes({ method, url, httpVersion, rawHeaders }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.map(asOneLine).join('\r\n')}\r\n\r\n`, 'latin1');
}

/**
 * Programs may have changed a request, above all its `url`, and must not inject line breaks: the parser refuses NUL.
 */
function asOneLine(text) {
  return text.replace(/[^\x01-\x09\x0b\x0c\x0e-\xff]/g, '\0');
}

module.exports = { takeOver };
