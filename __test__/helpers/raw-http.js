'use strict';

const { afterTest } = require('./cleanup.js');
const { connect, connected, reset } = require('./connect.js');

/**
 * An HTTP/1.1 client that sends exactly the bytes it is given, and accepts only responses whose every byte is as
 * RFC 9112 wants it: CRLF everywhere, one space where one belongs, one way to find the end of the body.
 */
class RawClient {
  #socket;
  /** What arrived and was not taken: in pieces, because joining them each time would take time by the square. */
  #pieces = [];
  #length = 0;
  #ended = false;
  #error;
  #waiters = [];

  /** Connects to a port of 127.0.0.1, or to where `net.connect` options say. Closed after the test. */
  static async connect(target) {
    const options = typeof target === 'number' ? { port: target, host: '127.0.0.1' } : target;
    // Half-open, so that a test sees the server's FIN and decides about its own.
    const socket = connect({ ...options, allowHalfOpen: true });
    afterTest(() => socket.destroy());
    const client = new RawClient(socket);
    await connected(socket);
    return client;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#pieces.push(data);
      this.#length += data.length;
      this.#wakeAll();
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#wakeAll();
    });
    socket.on('error', (error) => {
      this.#error = error;
      this.#wakeAll();
    });
    socket.on('close', () => this.#wakeAll());
  }

  /** The socket below, for its addresses and for reading slowly. */
  get socket() {
    return this.#socket;
  }

  /** Sends bytes or text (as Latin-1: one byte per character). Resolves when the system has taken them. */
  send(data) {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Sends a GET and returns its response. */
  async get(path, ...fields) {
    await this.send(request('GET', path, fields));
    return this.response();
  }

  /** Sends a FIN. */
  finish() {
    this.#socket.end();
  }

  /** Ends the connection with a reset. */
  reset() {
    reset(this.#socket);
  }

  /** Stops taking bytes from the system, until {@link resume}. */
  pause() {
    this.#socket.pause();
  }

  /** Takes bytes again. */
  resume() {
    this.#socket.resume();
  }

  /** The next response; `method` is that of its request, because a response to HEAD has no body. */
  async response(method = 'GET') {
    const head = parseHead((await this.#takeThrough('\r\n\r\n')).toString('latin1'));
    const { chunks, body, trailers } = await this.#readBody(head, method);
    return new Response(head, body, chunks, trailers);
  }

  /** The next `count` bytes, as Latin-1. */
  async bytes(count) {
    return (await this.#take(count)).toString('latin1');
  }

  /** All bytes up to the server's FIN, as Latin-1. A reset is an error. */
  async rest() {
    while (!this.#ended) await this.#more();
    return this.#take(this.#length).then((bytes) => bytes.toString('latin1'));
  }

  /** Waits until the connection is over, in whatever way; what arrived before is still to be read. */
  async over() {
    while (!this.#ended && this.#error === undefined && !this.#socket.closed) {
      await this.#change();
    }
  }

  async #readBody({ status, values }, method) {
    const lengths = values('content-length');
    const codings = values('transfer-encoding');
    must(lengths.length + codings.length <= 1, 'at most one field frames the body');
    must(lengths.every((length) => /^(0|[1-9][0-9]*)$/.test(length)), 'Content-Length is a number');
    must(codings.every((coding) => coding === 'chunked'), 'Transfer-Encoding is chunked');
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { body: Buffer.alloc(0) };
    if (codings.length > 0) return this.#readChunks();
    if (lengths.length > 0) return { body: await this.#take(Number(lengths[0])) };
    must(values('connection').includes('close'), 'a body without length ends with the connection');
    return { body: Buffer.from(await this.rest(), 'latin1') };
  }

  async #readChunks() {
    const chunks = [];
    for (;;) {
      const line = (await this.#takeThrough('\r\n')).toString('latin1');
      must(/^(0|[1-9a-f][0-9a-f]*)\r\n$/.test(line), `a chunk size is hexadecimal, not ${JSON.stringify(line)}`);
      const size = parseInt(line, 16);
      if (size === 0) return { chunks, body: Buffer.concat(chunks), trailers: await this.#readTrailers() };
      const data = await this.#take(size);
      must((await this.#take(2)).toString('latin1') === '\r\n', 'the data of a chunk is followed by CRLF');
      chunks.push(data);
    }
  }

  async #readTrailers() {
    const trailers = [];
    for (;;) {
      const line = (await this.#takeThrough('\r\n')).toString('latin1').slice(0, -2);
      if (line === '') return trailers;
      trailers.push(parseField(line));
    }
  }

  async #takeThrough(mark) {
    let searched = 0;
    for (;;) {
      const position = this.#received().indexOf(mark, searched, 'latin1');
      if (position >= 0) return this.#take(position + mark.length);
      searched = Math.max(0, this.#length - mark.length);
      await this.#more();
    }
  }

  async #take(count) {
    while (this.#length < count) await this.#more();
    const received = this.#received();
    this.#pieces = [received.subarray(count)];
    this.#length -= count;
    return received.subarray(0, count);
  }

  /** What arrived, in one piece. */
  #received() {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0];
  }

  async #more() {
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) {
      throw new Error(`the connection ended behind ${JSON.stringify(this.#received().toString('latin1'))}`);
    }
    if (this.#socket.closed) throw new Error('the connection was closed');
    await this.#change();
  }

  /** Waits until something happens to the socket. */
  #change() {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #wakeAll() {
    this.#waiters.splice(0).forEach((resolve) => resolve());
  }
}

/** A response, as it was on the wire. */
class Response {
  #head;

  constructor(head, body, chunks, trailers) {
    this.#head = head;
    /** Its text up to the empty line and with it. */
    this.headText = head.text;
    /** The number. */
    this.status = head.status;
    /** What stands behind `HTTP/1.1 `. */
    this.statusLine = head.statusLine;
    /** `[name, value]` in the order of the wire. */
    this.fields = head.fields;
    /** The bytes of the body, without transfer coding. */
    this.body = body;
    /** The pieces it came in, if it was chunked. */
    this.chunks = chunks;
    /** `[name, value]` of the trailers in the order of the wire, if it was chunked. */
    this.trailers = trailers;
  }

  /** The names of the fields in the order of the wire. */
  get names() {
    return this.fields.map(([name]) => name);
  }

  /** The values of a field; the name is given in lower case. */
  values(name) {
    return this.#head.values(name);
  }

  /** The body as UTF-8. */
  get text() {
    return this.body.toString();
  }
}

/** Status line and fields of a response head, which ends with an empty line. */
function parseHead(text) {
  const lines = text.split('\r\n');
  must(lines.splice(-2).join('') === '', 'the head ends with an empty line');
  must(lines.every((line) => !/[\r\n\0]/.test(line)), 'no line of the head has a bare CR or LF');
  // RFC 9112 §4: the second space belongs there even if no reason follows.
  const line = /^HTTP\/1\.1 ([0-9]{3}) .*$/.exec(lines.shift());
  must(line !== null, `the status line is well-formed in ${JSON.stringify(text)}`);
  const fields = lines.map(parseField);
  const values = (name) => fields.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value);
  return { text, status: Number(line[1]), statusLine: line[0].slice('HTTP/1.1 '.length), fields, values };
}

/** Name and value of a field line. */
function parseField(line) {
  const parts = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([^\r\n\0]*)$/.exec(line);
  must(parts !== null, `${JSON.stringify(line)} is a field`);
  return [parts[1], parts[2]];
}

/** The text of a request with a Host field. `fields` are lines without CRLF; a body gets its Content-Length. */
function request(method, path, fields = [], body = undefined) {
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`];
  return [`${method} ${path} HTTP/1.1`, 'Host: test', ...fields, ...length, '', body ?? ''].join('\r\n');
}

function must(holds, what) {
  if (!holds) throw new Error(`malformed response: ${what}`);
}

module.exports = { RawClient, request };
