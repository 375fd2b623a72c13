'use strict';

const { once } = require('node:events');
const http2 = require('node:http2');
const net = require('node:net');
const WebSocket = require('ws');

const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');

/** A session of Node's client with a port of 127.0.0.1, or with `https` over TLS. Destroyed after the current test. */
function connectHttp2(port, { scheme = 'http', ...options } = {}) {
  const session = http2.connect(`${scheme}://localhost:${port}`, {
    ca: certificate().ca, createConnection: scheme === 'http' ? () => net.connect(port, '127.0.0.1') : undefined, ...options,
  });
  session.setMaxListeners(0);
  session.on('error', () => {});
  afterTest(() => session.destroy());
  return session;
}

/** Sends a request and returns `{ status, headers, body, stream }`; `headers` may have a path only. */
async function request(session, headers, body) {
  const stream = startRequest(session, headers, body);
  const [answer] = await once(stream, 'response');
  const { ':status': status, ...fields } = answer;
  return { status, headers: fields, body: await readAll(stream), stream };
}

/** The stream of a request whose body is `body`, if there is one; `null` leaves it open. */
function startRequest(session, headers, body) {
  const all = typeof headers === 'string' ? { ':path': headers } : headers;
  const stream = session.request(all, { endStream: body === undefined });
  if (body !== undefined && body !== null) stream.end(body);
  return stream;
}

/** The rest of a stream as a string. */
async function readAll(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** A WebSocket of `ws` in a stream of a session, and `headers` of the response that opened it. */
async function openWebSocket(session, path, headers) {
  if (!session.remoteSettings?.enableConnectProtocol) await once(session, 'remoteSettings');
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

/** What follows the preface. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Types of frames (RFC 9113 §6). */
const FRAME = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, CONTINUATION: 9 };

/** One frame. */
function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** HEADERS with these fields, not compressed. */
function headers(flags, stream, fields) {
  const text = (value) => [Buffer.from([value.length]), Buffer.from(value)];
  const block = Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), ...text(name), ...text(value)]);
  return frame(FRAME.HEADERS, 0x4 | flags, stream, Buffer.concat(block));
}

/** HEADERS of a GET that ends its stream. */
function get(stream, path) {
  return headers(0x1, stream, { ':method': 'GET', ':scheme': 'http', ':path': path, ':authority': 'a' });
}

/** HEADERS of an extended CONNECT for a WebSocket. */
function connect(stream, path) {
  return headers(0, stream, {
    ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': path, ':authority': 'a', 'sec-websocket-version': '13',
  });
}

/** A client that sends what it wants. */
class RawHttp2 {
  #received = [];

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (bytes) => this.#received.push(bytes));
    socket.on('error', () => {});
    this.closed = once(socket, 'close');
  }

  /** Connects, and sends the preface and SETTINGS. */
  static async connect(port) {
    const socket = net.connect(port, '127.0.0.1');
    afterTest(() => socket.destroy());
    await once(socket, 'connect');
    const client = new RawHttp2(socket);
    client.send(PREFACE, frame(FRAME.SETTINGS, 0, 0));
    return client;
  }

  send(...frames) {
    this.socket.write(Buffer.concat(frames));
  }

  /** The frames so far: `{ type, flags, stream, payload }`. */
  frames() {
    const frames = [];
    for (let rest = Buffer.concat(this.#received); rest.length >= 9;) {
      const length = rest.readUIntBE(0, 3);
      const [type, flags, stream] = [rest[3], rest[4], rest.readUInt32BE(5)];
      frames.push({ type, flags, stream, payload: rest.subarray(9, 9 + length) });
      rest = rest.subarray(9 + length);
    }
    return frames;
  }

  /** Code and debug data of the GOAWAY, once the connection is closed. */
  async goaway() {
    await this.closed;
    const { payload } = this.frames().find(({ type }) => type === FRAME.GOAWAY);
    return { code: payload.readUInt32BE(4), text: payload.subarray(8).toString() };
  }
}

module.exports = { connect, connectHttp2, FRAME, frame, get, openWebSocket, RawHttp2, readAll, request, startRequest };
