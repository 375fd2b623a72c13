'use strict';

// Stands between a client that speaks HTTP/1.1 and a server of HTTP/2 or HTTP/3: see run.js.

const { createHash } = require('node:crypto');
// Without its scheme, so that it is not what stands for it.
const http = require('http');
const { Duplex } = require('node:stream');

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Fields that HTTP/2 and HTTP/3 have no use for (RFC 9113 §8.2.2, RFC 9114 §4.2), or have elsewhere. */
const OF_THE_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'host', 'sec-websocket-key']);

/** Names that are not written with a capital behind each hyphen. */
const SPECIAL_NAMES = { etag: 'ETag' };

/**
 * Looks like a connected `net.Socket` to its user, who speaks HTTP/1.1: one request after the other, each of which gets a
 * stream of a connection; a WebSocket is an extended CONNECT (RFC 8441, RFC 9220). The connection is that of a subclass.
 */
class Http1Socket extends Duplex {
  /** The connection beneath: what a `net.Socket` has of addresses, states and ends. */
  below;

  #session;
  #scheme;
  #input = Buffer.alloc(0);
  /** The write that waits until a request can take it. */
  #waiting;
  /** The request under way: `{ stream, method, body, isClosing, key, isRead }`. */
  #exchange;
  #isTunnel = false;
  /** The server has sent its FIN. */
  #hasFin = false;
  #hasEnded = false;

  /** `session` opens streams: it has `request`, events and states as a session of `node:http2`. */
  constructor({ below, session, scheme, allowHalfOpen }) {
    super({ allowHalfOpen, emitClose: true, autoDestroy: true });
    this.below = below;
    this.#session = session;
    this.#scheme = scheme;
    below.once('connect', () => {
      this.emit('connect');
      this.emit('ready');
    });
    // The session may still write when the server has gone.
    below.on('error', (error) => (error.code === 'EPIPE' ? this.#finish() : this.destroy(error)));
    below.on('end', () => {
      this.#hasFin = true;
    });
    session.on('error', () => {});
    session.on('close', () => this.#finish());
    session.on('goaway', () => {
      if (this.#exchange === undefined) this.#finish();
    });
  }

  get localPort() {
    return this.below.localPort;
  }

  get localAddress() {
    return this.below.localAddress;
  }

  get remotePort() {
    return this.below.remotePort;
  }

  get remoteAddress() {
    return this.below.remoteAddress;
  }

  get bytesRead() {
    return this.below.bytesRead;
  }

  get readyState() {
    return this.destroyed ? 'closed' : this.below.readyState;
  }

  get connecting() {
    return this.below.connecting;
  }

  setNoDelay() {
    return this;
  }

  setKeepAlive() {
    return this;
  }

  setTimeout() {
    return this;
  }

  ref() {
    this.below.ref();
    return this;
  }

  unref() {
    this.below.unref();
    return this;
  }

  /** Whether bytes are taken from the system. What is written may wait for a WINDOW_UPDATE among them. */
  get isTaking() {
    const stream = this.#exchange?.stream;
    const isWriting = stream !== undefined && (stream.writableLength > 0 || (stream.writableEnded && !stream.writableFinished));
    return !this.isPaused() || isWriting || this.writableLength > 0;
  }

  /** Takes nothing from the system any more, as a socket does, not even what the windows of its streams allow. */
  pause() {
    super.pause();
    if (!this.isTaking) this.below.pause();
    return this;
  }

  resume() {
    this.below.resume();
    return super.resume();
  }

  /** Ends the connection with a reset. */
  resetAndDestroy() {
    this.below.resetAndDestroy();
    return this.destroy();
  }

  _write(bytes, encoding, done) {
    this.#input = Buffer.concat([this.#input, bytes]);
    this.below.resume();
    this.#waiting = done;
    this.#take();
  }

  _final(done) {
    const stream = this.#exchange?.stream;
    if (this.#isTunnel && !stream.destroyed) stream.end();
    else this.#sendFin();
    done();
  }

  /** The FIN comes behind the frames of what was written before, which the session may still have. */
  #sendFin() {
    if (this.isBehind() && !this.#session.destroyed && this.below.writable) setImmediate(() => this.#sendFin());
    else this.below.end();
  }

  /** Whether something that was written has not left yet. */
  isBehind() {
    const stream = this.#exchange?.stream;
    return stream !== undefined && stream.pending && !stream.destroyed;
  }

  _read() {
    // Before there is somebody who takes it, data would be lost.
    if (this.#exchange?.isRead) this.#exchange.stream.resume();
  }

  _destroy(error, done) {
    this.#session.destroy();
    this.below.destroy();
    this.#waiting?.();
    done(error);
  }

  /** Nothing comes from the server any more. */
  #finish() {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.push(null);
    if (this.below.destroyed && !this.allowHalfOpen) this.destroy();
  }

  /** Passes on what the user has written, as far as the request under way takes it. What cannot be said in a stream is an error. */
  #take() {
    try {
      this.#passOn();
    } catch (error) {
      this.destroy(error);
    }
  }

  #passOn() {
    while (this.#waiting !== undefined) {
      if (this.#exchange === undefined) {
        const end = this.#input.indexOf('\r\n\r\n');
        if (end < 0) return this.#acknowledge();
        const head = this.#input.toString('latin1', 0, end);
        this.#input = this.#input.subarray(end + 4);
        this.#start(head);
      }
      const { stream, body } = this.#exchange;
      const piece = body.take(this.#input);
      if (piece === undefined) {
        // The body is complete; what follows is the next request, which waits for the response.
        if (!stream.writableEnded) stream.end();
        return this.#input.length === 0 ? this.#acknowledge() : undefined;
      }
      this.#input = piece.rest;
      if (piece.data.length > 0 && !stream.destroyed) {
        if (this.#input.length === 0 && !body.isOver) {
          const done = this.#waiting;
          this.#waiting = undefined;
          stream.write(piece.data, () => done());
          return undefined;
        }
        stream.write(piece.data);
      } else if (piece.isShort) {
        return this.#acknowledge();
      }
    }
    return undefined;
  }

  #acknowledge() {
    const done = this.#waiting;
    this.#waiting = undefined;
    done();
  }

  /** Opens a stream for a request. */
  #start(text) {
    const [line, ...lines] = text.replace(/^(\r\n)+/, '').split('\r\n');
    const [method, target] = line.split(' ');
    const fields = lines.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    });
    const of = (name) => fields.find(([known]) => known === name)?.[1];
    const key = of('sec-websocket-key');
    const isTunnel = /^websocket$/i.test(of('upgrade') ?? '') && key !== undefined;
    const headers = { ':method': method, ':path': target, ':scheme': this.#scheme, ':authority': of('host') ?? 'test' };
    if (isTunnel) Object.assign(headers, { ':method': 'CONNECT', ':protocol': 'websocket' });
    for (const [name, value] of fields) {
      if (OF_THE_CONNECTION.has(name)) continue;
      headers[name] = headers[name] === undefined ? value : [headers[name], value].flat();
    }
    const isChunked = /chunked/i.test(of('transfer-encoding') ?? '');
    const length = isTunnel ? Infinity : Number(of('content-length') ?? 0);
    const body = isChunked ? new ChunkedBody() : new PlainBody(length);
    const exchange = { stream: undefined, method, body, isClosing: /\bclose\b/i.test(of('connection') ?? ''), key: isTunnel ? key : undefined };
    this.#exchange = exchange;
    exchange.stream = this.#session.request(headers, { endStream: !isTunnel && body.isOver });
    this.#answer(exchange);
  }

  /** Writes the response on a stream as HTTP/1.1 has it. */
  #answer(exchange) {
    const { stream, method, key } = exchange;
    let isChunked = false;
    let trailers = [];
    // Node may have the first data before it tells of the response.
    const read = () => {
      exchange.isRead = true;
      stream.on('data', (data) => {
        const bytes = isChunked ? Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]) : data;
        if (!this.push(bytes)) stream.pause();
      });
    };
    stream.on('error', () => {});
    stream.on('headers', ({ ':status': status }) => this.push(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n\r\n`));
    stream.on('response', ({ ':status': status }, flags, raw) => {
      const fields = pairsOf(raw).filter(([name]) => !name.startsWith(':'));
      if (key !== undefined && status === 200) {
        this.#isTunnel = true;
        const accept = createHash('sha1').update(key + GUID).digest('base64');
        this.push(headText(101, [['upgrade', 'websocket'], ['connection', 'Upgrade'], ['sec-websocket-accept', accept], ...fields]));
        read();
        return;
      }
      const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
      isChunked = hasBody && !fields.some(([name]) => name === 'content-length');
      if (isChunked) fields.push(['transfer-encoding', 'chunked']);
      if (exchange.isClosing) fields.unshift(['connection', 'close']);
      this.push(headText(status, fields), 'latin1');
      read();
    });
    stream.on('trailers', (fields, flags, raw) => {
      trailers = pairsOf(raw);
    });
    stream.on('end', () => {
      if (stream.rstCode !== 0) return;
      if (isChunked) this.push(`0\r\n${linesOf(trailers)}\r\n`, 'latin1');
      if (this.#isTunnel) this.#finish();
    });
    stream.on('close', () => this.#conclude(exchange));
  }

  /** A stream is over: the next request, or the end. */
  #conclude({ stream, isClosing }) {
    if (stream.rstCode !== 0 && !this.#hasEnded && !this.#hasFin) {
      this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    } else if (isClosing || this.#isTunnel || this.#session.closed || this.#session.destroyed) {
      this.#finish();
      if (!this.below.destroyed) this.below.end();
    } else {
      this.#exchange = undefined;
      this.#take();
    }
  }
}

/** A body with a length. */
class PlainBody {
  #left;

  constructor(length) {
    this.#left = length;
  }

  get isOver() {
    return this.#left === 0;
  }

  /** The next piece of it: `{ data, rest, isShort }`; `undefined` behind its end. */
  take(input) {
    if (this.isOver) return undefined;
    const length = Math.min(input.length, this.#left);
    this.#left -= length;
    return { data: input.subarray(0, length), rest: input.subarray(length), isShort: length === 0 };
  }
}

/** A body in chunks (RFC 9112 §7.1), which are well-formed and without trailers: what is not so cannot be said in a stream. */
class ChunkedBody {
  isOver = false;

  /** As that of {@link PlainBody}. */
  take(input) {
    if (this.isOver) return undefined;
    const pieces = [];
    let rest = input;
    for (;;) {
      const end = rest.indexOf('\r\n');
      if (end < 0) break;
      const size = parseInt(rest.toString('latin1', 0, end), 16);
      if (Number.isNaN(size)) throw new Error(`${rest.toString('latin1', 0, end)} is no chunk size: a body in a stream has none`);
      if (rest.length < end + 2 + size + 2) break;
      pieces.push(rest.subarray(end + 2, end + 2 + size));
      rest = rest.subarray(end + 2 + size + 2);
      if (size === 0) {
        this.isOver = true;
        break;
      }
    }
    const data = Buffer.concat(pieces);
    return { data, rest, isShort: data.length === 0 && !this.isOver };
  }
}

/** A response head of HTTP/1.1. */
function headText(status, fields) {
  return `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n${linesOf(fields)}\r\n`;
}

/** Fields as lines. */
function linesOf(fields) {
  return fields.map(([name, value]) => `${spell(name)}: ${value}\r\n`).join('');
}

/** `[name, value]` of a list in which names and values alternate. */
function pairsOf(raw) {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index], raw[2 * index + 1]]);
}

function spell(name) {
  return SPECIAL_NAMES[name] ?? name.replace(/(^|-)([a-z])/g, (_, hyphen, letter) => hyphen + letter.toUpperCase()).replace('Websocket', 'WebSocket');
}

module.exports = { Http1Socket };
