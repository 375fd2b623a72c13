'use strict';

// A client of HTTP/3: aioquic (http3-program.js), which sends requests, or exactly the bytes it is given.

const { EventEmitter, once } = require('node:events');
const { Duplex } = require('node:stream');
const WebSocket = require('ws');

const { certificate } = require('./certificates.js');
const { afterTest } = require('./cleanup.js');
const { Http3Program, hasAioquic } = require('./http3-program.js');
const { Mailbox } = require('./mailbox.js');

/** `describe` of tests that need a client. */
const describeWithHttp3 = hasAioquic ? describe : describe.skip;

/** A connection. */
class Http3Client extends EventEmitter {
  static #count = 0;
  #program = Http3Program.shared();
  #name = `c${Http3Client.#count++}`;
  #streams = new Map();
  /** GOAWAY frames of the server: the numbers of their streams. */
  goaways = new Mailbox();

  constructor() {
    super();
    this.setMaxListeners(0);
    this.#program.connections.set(this.#name, this);
    /** How the connection has ended: `{ code, frame, reason }`; `frame` is null if HTTP/3 gave the code, else QUIC did. */
    this.closed = once(this, 'closed').then(([end]) => end);
    /** The settings of the server. */
    this.settings = once(this, 'settings').then(([settings]) => settings);
  }

  /**
   * Connects to a port of 127.0.0.1. `options`: `raw` (HTTP/3 is not started, streams are told as bytes), `hold` (no credit
   * beyond the first), `maxData`, `maxStreamData`, `idleTimeout`, `alpn`, `serverName`, `cert`, `key`, `resume` (a client
   * whose ticket and token are used). Closed after the test.
   */
  static async connect(port, { resume, ...options } = {}) {
    const client = new Http3Client();
    afterTest(() => client.close().catch(() => {}));
    client.opened = await client.command('connect', { port, ...options, resume: resume === undefined ? undefined : resume.#name });
    return client;
  }

  command(op, fields) {
    return this.#program.send({ c: this.#name, op, ...fields });
  }

  take({ event, ...what }) {
    if (event === 'goaway') this.goaways.put(what.stream);
    else if (event === 'settings') this.emit('settings', what.settings);
    else if (event === 'closed') {
      const { code, frame, reason } = what;
      this.emit('closed', { code, frame, reason });
      for (const stream of this.#streams.values()) stream.take({ event: 'closed', ...what });
    } else this.stream(what.stream).take({ event, ...what });
  }

  /** The stream with this number. */
  stream(id) {
    if (!this.#streams.has(id)) this.#streams.set(id, new Http3Stream(this, id));
    return this.#streams.get(id);
  }

  /** Sends a request; `headers` may have a path only, and `body` `null` leaves it open. Resolves to its stream. */
  async start(headers = '/', body = undefined) {
    const given = typeof headers === 'string' ? { ':path': headers } : headers;
    const all = { ':method': body === undefined ? 'GET' : 'POST', ':scheme': 'https', ':authority': 'localhost', ':path': '/', ...given };
    const pairs = Object.entries(all).flatMap(([name, values]) => [values].flat().map((value) => [name, String(value)]));
    const present = pairs.filter(([, value]) => value !== 'undefined');
    const { stream: id } = await this.command('request', { headers: present, end: body === undefined });
    const stream = this.stream(id);
    if (body !== undefined && body !== null) await stream.write(body, { end: true });
    return stream;
  }

  /** The same, and resolves to the whole response. */
  async request(headers, body) {
    return (await this.start(headers, body)).response();
  }

  /** Sends bytes as they are on a new stream of this `kind`: `request` or `uni`. Resolves to the stream. */
  async open(kind, bytes, { end = false } = {}) {
    const { stream } = await this.command('bytes', { kind, data: base64(bytes), end });
    return this.stream(stream);
  }

  /** Sends bytes on the control stream. */
  async control(bytes) {
    await this.command('control', { data: base64(bytes) });
  }

  /** Waits until the server has acknowledged what was sent. */
  ping() {
    return this.command('ping');
  }

  /** Gives no further credit, or gives it again. */
  hold(on) {
    return this.command('hold', { on });
  }

  close(code = 0x100, reason = '') {
    return this.command('close', { code, reason });
  }
}

/** One stream of a client. */
class Http3Stream {
  #client;
  #events = new EventEmitter().setMaxListeners(0);
  #pieces = [];
  #state = { status: undefined, headers: undefined, trailers: undefined, early: [], hasEnded: false };

  constructor(client, id) {
    this.#client = client;
    this.id = id;
    /** The code with which the server has reset its half. */
    this.reset = once(this.#events, 'reset').then(([code]) => code);
    /** The code with which the server has asked to stop sending. */
    this.stopped = once(this.#events, 'stop').then(([code]) => code);
  }

  take({ event, headers, data, end, code, reason }) {
    const state = this.#state;
    if (event === 'headers') {
      const fields = {};
      for (const [name, value] of headers) fields[name] = name in fields ? [fields[name], value].flat() : value;
      const { ':status': status, ...rest } = fields;
      if (status === undefined) state.trailers = rest;
      else if (status[0] === '1') state.early.push({ status: Number(status), headers: rest });
      else Object.assign(state, { status: Number(status), headers: rest });
    } else if (event === 'data' || event === 'bytes') {
      const piece = Buffer.from(data, 'base64');
      this.#pieces.push(piece);
      this.#events.emit('data', piece);
    } else if (event === 'reset' || event === 'closed') {
      state.failure ??= Object.assign(new Error(`${event} with ${code} ${reason ?? ''}`), { [event]: code });
    }
    if (end) state.hasEnded = true;
    if (event !== 'data') this.#events.emit(event, code);
    this.#events.emit('change');
  }

  /** Waits until `isDone` is true of what has arrived; fails if the stream has. */
  async #until(isDone) {
    while (!isDone(this.#state)) {
      if (this.#state.failure !== undefined) throw this.#state.failure;
      await once(this.#events, 'change');
    }
    return this.#state;
  }

  /** Status and headers, once they are there. */
  async head() {
    const { status, headers, early } = await this.#until((state) => state.status !== undefined);
    return { status, headers, early };
  }

  /** The whole response: `{ status, headers, trailers, early, body, text }`. */
  async response() {
    const { status, headers, trailers, early } = await this.#until((state) => state.hasEnded);
    const body = this.received;
    return { status, headers, trailers, early, body, text: body.toString() };
  }

  /** Waits until so many bytes of the body have arrived, and returns all that have. */
  async bytes(length) {
    await this.#until(() => this.received.length >= length);
    return this.received;
  }

  /** What has arrived of the body. */
  get received() {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  /** Calls `listener` with every further piece of the body. */
  onData(listener) {
    this.#events.on('data', listener);
  }

  /** Calls `listener` once the server has ended its half, or the stream has failed. */
  async ended() {
    await this.#until((state) => state.hasEnded);
  }

  /** Sends a DATA frame. */
  async write(data, { end = false } = {}) {
    await this.#client.command('data', { stream: this.id, data: base64(data), end });
  }

  /** Ends this half. */
  async end() {
    await this.send('', { end: true });
  }

  /** Sends trailers, and ends this half. */
  async trailers(headers) {
    await this.#client.command('trailers', { stream: this.id, headers: Object.entries(headers) });
  }

  /** Sends bytes as they are. */
  async send(bytes, { end = false } = {}) {
    await this.#client.command('bytes', { stream: this.id, data: base64(bytes), end });
  }

  /** Resets this half. */
  async abandon(code = CODE.REQUEST_CANCELLED) {
    await this.#client.command('reset', { stream: this.id, code });
  }

  /** Does not want the half of the server. */
  async refuse(code = CODE.REQUEST_CANCELLED) {
    await this.#client.command('stop', { stream: this.id, code });
  }
}

/** A WebSocket of `ws` in a stream of a client (RFC 9220), and `headers` of the response that opened it. */
async function openWebSocket(client, path, headers) {
  await client.settings;
  const stream = await client.start({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13', ...headers }, null);
  const answer = await stream.head();
  if (answer.status !== 200) throw new Error(`refused with ${answer.status}`);
  const duplex = new Duplex({
    read() {},
    write: (bytes, encoding, done) => stream.write(bytes).then(() => done(), done),
    final: (done) => stream.end().then(() => done(), done),
  });
  stream.onData((piece) => duplex.push(piece));
  stream.ended().then(() => duplex.push(null), (error) => duplex.destroy(error));
  const socket = Object.assign(new WebSocket(null, undefined, { closeTimeout: 30_000 }), { _isServer: false });
  socket.on('error', () => {});
  socket.setSocket(duplex, Buffer.alloc(0), { maxPayload: 0, skipUTF8Validation: false, allowSynchronousEvents: true });
  if (stream.received.length > 0) duplex.push(stream.received);
  afterTest(() => duplex.destroy());
  return { socket, stream, headers: answer.headers };
}

/** Key and certificate for an app, and what a test may change. */
function http3Options(options = {}) {
  const { key_file_name, cert_file_name } = certificate();
  return { threads: 1, key_file_name, cert_file_name, ...options };
}

function base64(bytes) {
  return Buffer.from(bytes).toString('base64');
}

/** A number of variable length (RFC 9000 §16). */
function varint(value) {
  if (value < 0x40) return Buffer.of(value);
  if (value < 0x4000) return Buffer.of(0x40 | (value >> 8), value & 0xff);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value) | (3n << 62n));
  return bytes;
}

/** A frame (RFC 9114 §7.1). */
function frame(type, payload = Buffer.alloc(0)) {
  return Buffer.concat([varint(type), varint(payload.length), Buffer.from(payload)]);
}

/** An integer with a prefix of so many bits, the bits above which are those of `pattern` (RFC 7541 §5.1). */
function integer(value, bits, pattern) {
  const max = 2 ** bits - 1;
  if (value < max) return Buffer.of(pattern | value);
  const bytes = [pattern | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 | (rest % 128));
  return Buffer.from([...bytes, rest]);
}

/** A field section of literals, without any compression (RFC 9204 §4.5.6). */
function section(fields) {
  const pairs = Array.isArray(fields) ? fields : Object.entries(fields);
  const lines = pairs.flatMap(([name, value]) => [
    integer(Buffer.byteLength(name), 3, 0x20), Buffer.from(name), integer(Buffer.byteLength(value), 7, 0), Buffer.from(value),
  ]);
  return Buffer.concat([Buffer.of(0, 0), ...lines]);
}

/** HEADERS of a GET, with further fields, of which pseudo-header fields replace its own. */
function headersFrame(fields = {}) {
  return frame(FRAME.HEADERS, section({ ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': '/', ...fields }));
}

/** Types of frames (RFC 9114 §7.2, RFC 9218 §7.2). */
const FRAME = {
  DATA: 0x0, HEADERS: 0x1, CANCEL_PUSH: 0x3, SETTINGS: 0x4, PUSH_PROMISE: 0x5, GOAWAY: 0x7, MAX_PUSH_ID: 0xd, PRIORITY_UPDATE: 0xf0700,
  GREASE: 0x21,
};

/** Codes of errors (RFC 9114 §8.1, RFC 9204 §6). */
const CODE = {
  NO_ERROR: 0x100, GENERAL_PROTOCOL_ERROR: 0x101, INTERNAL_ERROR: 0x102, STREAM_CREATION_ERROR: 0x103, CLOSED_CRITICAL_STREAM: 0x104,
  FRAME_UNEXPECTED: 0x105, FRAME_ERROR: 0x106, EXCESSIVE_LOAD: 0x107, ID_ERROR: 0x108, SETTINGS_ERROR: 0x109, MISSING_SETTINGS: 0x10a,
  REQUEST_REJECTED: 0x10b, REQUEST_CANCELLED: 0x10c, REQUEST_INCOMPLETE: 0x10d, MESSAGE_ERROR: 0x10e, CONNECT_ERROR: 0x10f,
  VERSION_FALLBACK: 0x110, QPACK_DECOMPRESSION_FAILED: 0x200, QPACK_ENCODER_STREAM_ERROR: 0x201, QPACK_DECODER_STREAM_ERROR: 0x202,
};

module.exports = {
  CODE, FRAME, Http3Client, describeWithHttp3, frame, hasAioquic, headersFrame, http3Options, integer, openWebSocket, section, varint,
};
