'use strict';

// Clients of HTTP/2: one by `node:http2`, and one that sends exactly the frames it is given.

const { once } = require('node:events');
const http2 = require('node:http2');
const net = require('node:net');
const WebSocket = require('ws');

const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');
const { createApp, listen } = require('./server.js');

/** An app that speaks HTTP/2, too; `options` are those of `http2`. Closed after the test. */
function createHttp2App(http2Options = true, options = {}) {
  return createApp({ threads: 1, http2: http2Options, ...options });
}

/** A session of `node:http2` with a port, by prior knowledge, or over TLS if `isSecure`. Closed after the test. */
async function connectHttp2(port, { isSecure = false, ...options } = {}) {
  const tls = isSecure ? { ca: certificate().ca, servername: 'localhost' } : {};
  const session = http2.connect(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, { ...tls, ...options });
  afterTest(() => session.destroy());
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** An app with this one handler of all requests, and a session that is connected to it. */
async function serveHttp2(handler, http2Options = true, options = {}) {
  return connectHttp2(listen(createHttp2App(http2Options, options).any('/*', handler)));
}

/**
 * Sends a request and resolves to its whole response: `{ status, headers, trailers, body, text, early }`, where `early` are the
 * heads that came before it (1xx). An error if the stream is reset, with the name of its code as `reset`.
 */
function ask(session, headers = {}, body = undefined, options = {}) {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined, ...options });
  if (body !== undefined) stream.end(body);
  return answerTo(stream);
}

/** The response on a stream of `node:http2`, as {@link ask} has it. */
function answerTo(stream) {
  return new Promise((resolve, reject) => {
    const early = [];
    const pieces = [];
    let head;
    let trailers;
    stream.on('headers', (headers) => early.push(headers));
    stream.on('response', (headers) => {
      head = headers;
    });
    stream.on('trailers', (headers) => {
      trailers = headers;
    });
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('error', () => {});
    stream.on('close', () => {
      if (stream.rstCode !== 0 || head === undefined) {
        reject(Object.assign(new Error(`the stream was reset: ${codeName(stream.rstCode)}`), { reset: codeName(stream.rstCode) }));
        return;
      }
      const body = Buffer.concat(pieces);
      const { ':status': status, ...headers } = head;
      resolve({ status, headers: { ...headers }, trailers, body, text: body.toString(), early });
    });
  });
}

/** A WebSocket of `ws` in a stream of a session (RFC 8441), the stream, and `headers` of the response that opened it. */
async function openWebSocket(session, path, headers = {}) {
  const stream = session.request({
    ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':authority': 'localhost', ':path': path,
    'sec-websocket-version': '13', ...headers,
  }, { endStream: false });
  const [answer] = await once(stream, 'response');
  if (answer[':status'] !== 200) throw new Error(`refused with ${answer[':status']}`);
  const socket = Object.assign(new WebSocket(null, undefined, { closeTimeout: 30_000 }), { _isServer: false });
  socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 0, skipUTF8Validation: false, allowSynchronousEvents: true });
  socket.on('error', () => {});
  afterTest(() => stream.destroy());
  return { socket, stream, headers: answer };
}

/** The name of an error code (RFC 9113 §7). */
function codeName(code) {
  const prefix = 'NGHTTP2_';
  const isError = (name) => /^NGHTTP2_(NO_ERROR|[A-Z_]*ERROR|SETTINGS_TIMEOUT|STREAM_CLOSED|REFUSED_STREAM|CANCEL|ENHANCE_YOUR_CALM|INADEQUATE_SECURITY|HTTP_1_1_REQUIRED)$/.test(name);
  const found = Object.entries(http2.constants).find(([name, value]) => isError(name) && !name.startsWith('NGHTTP2_ERR') && value === code);
  return found === undefined ? String(code) : found[0].slice(prefix.length);
}

const TYPES = ['DATA', 'HEADERS', 'PRIORITY', 'RST_STREAM', 'SETTINGS', 'PUSH_PROMISE', 'PING', 'GOAWAY', 'WINDOW_UPDATE', 'CONTINUATION'];
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const [END_STREAM, END_HEADERS, ACK] = [0x1, 0x4, 0x1];

/** A frame (RFC 9113 §4.1). `type` is its name, or its number. */
function frameOf(type, { flags = 0, stream = 0, payload = Buffer.alloc(0) } = {}) {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.set([typeof type === 'number' ? type : TYPES.indexOf(type), flags], 3);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** A payload of 32-bit numbers. */
function numbers(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

/** A field as HPACK has it without any compression (RFC 7541 §6.2.2), which leaves the dynamic table alone. */
function literal(name, value) {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** A string of HPACK, without Huffman code (RFC 7541 §5.2). */
function text(string) {
  const bytes = Buffer.from(string, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push(128 + (rest % 128));
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** A header block: that of a GET, with further fields, of which pseudo-header fields replace its own. */
function block(fields = {}) {
  const all = { ':method': 'GET', ':scheme': 'http', ':authority': 'test', ':path': '/', ...fields };
  return Buffer.concat(Object.entries(all).map(([name, value]) => literal(name, value)));
}

/** HEADERS of a request in one frame. */
function headersFrame(stream, { fields = {}, end = true } = {}) {
  return frameOf('HEADERS', { flags: END_HEADERS | (end ? END_STREAM : 0), stream, payload: block(fields) });
}

/** DATA. */
function dataFrame(stream, data, { end = false } = {}) {
  return frameOf('DATA', { flags: end ? END_STREAM : 0, stream, payload: Buffer.from(data) });
}

/** A client that sends exactly the frames it is given. It answers nothing by itself. */
class RawHttp2 {
  #socket;
  #received = Buffer.alloc(0);
  #frames = new Mailbox();

  /** Connects to a port of 127.0.0.1, and sends preface and `settings`. Closed after the test. */
  static async connect(port, { settings = frameOf('SETTINGS') } = {}) {
    const socket = net.connect({ port, host: '127.0.0.1' });
    afterTest(() => socket.destroy());
    await once(socket, 'connect');
    const client = new RawHttp2(socket);
    client.send(PREFACE, settings);
    return client;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#take();
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#frames.put(undefined));
  }

  /** The socket below. */
  get socket() {
    return this.#socket;
  }

  /** Sends bytes, in one write. */
  send(...pieces) {
    this.#socket.write(Buffer.concat(pieces));
  }

  /** The next frame: `{ type, flags, stream, payload }`; `undefined` once the connection is over. */
  async frame() {
    const frame = await this.#frames.take();
    if (frame === undefined) this.#frames.put(undefined);
    return frame;
  }

  /** The next frame of this type, on `stream` if that is given; others are dropped. An error if the connection ends before. */
  async next(type, stream) {
    for (;;) {
      const frame = await this.frame();
      if (frame === undefined) throw new Error(`the connection ended before ${type} came`);
      if (frame.type === type && (stream === undefined || frame.stream === stream)) return frame;
    }
  }

  /** What the server says when it ends the connection: `{ last, code, reason }` of its last GOAWAY, once it is over. */
  async goaway() {
    let goaway;
    for (;;) {
      const frame = await this.frame();
      if (frame === undefined) return goaway;
      if (frame.type === 'GOAWAY') goaway = goawayOf(frame);
    }
  }

  /** The code of the next RST_STREAM of a stream. */
  async reset(stream) {
    return codeName((await this.next('RST_STREAM', stream)).payload.readUInt32BE(0));
  }

  #take() {
    while (this.#received.length >= 9) {
      const length = this.#received.readUIntBE(0, 3);
      if (this.#received.length < 9 + length) return;
      const [type, flags] = [this.#received[3], this.#received[4]];
      const stream = this.#received.readUInt32BE(5);
      this.#frames.put({ type: TYPES[type] ?? type, flags, stream, payload: this.#received.subarray(9, 9 + length) });
      this.#received = this.#received.subarray(9 + length);
    }
  }
}

/** What a GOAWAY says. */
function goawayOf({ payload }) {
  return { last: payload.readUInt32BE(0), code: codeName(payload.readUInt32BE(4)), reason: payload.toString('utf8', 8) };
}

module.exports = {
  ACK, END_HEADERS, END_STREAM, RawHttp2, answerTo, ask, block, codeName, connectHttp2, createHttp2App, dataFrame, frameOf, goawayOf, headersFrame,
  literal, numbers, openWebSocket, serveHttp2,
};
