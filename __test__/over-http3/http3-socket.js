'use strict';

// An HTTP/3 connection for those who speak HTTP/1.1: see ../over-streams/run.js.

const { EventEmitter } = require('node:events');
const { Duplex } = require('node:stream');

const { Http3Program } = require('../helpers/http3-program.js');
const { Http1Socket } = require('../over-streams/http1-socket.js');

/** Codes with which a connection is closed (RFC 9114 §8.1). */
const NO_ERROR = 0x100;
const INTERNAL_ERROR = 0x102;

/** Fewer bytes are not worth a message. */
const CREDIT = 1 << 16;

/** Bytes of a message to the client at most. */
const PIECE = 1 << 18;

/** Bytes of a datagram: what Ethernet takes. Each costs the client the same, however long it is. */
const DATAGRAM = 1452;

/** The end of the connection stands for FIN, and an error of it for RST. */
class Http3Socket extends Http1Socket {
  constructor({ allowHalfOpen = false, host = '127.0.0.1', port, localAddress }) {
    const session = new Session({ host, port, localAddress });
    super({ below: session.below, session, scheme: 'https', allowHalfOpen });
  }
}

/** What a session of `node:http2` is, over HTTP/3. */
class Session extends EventEmitter {
  static #count = 0;
  #program = Http3Program.shared();
  #name = `s${Session.#count++}`;
  #streams = new Map();
  closed = false;
  destroyed = false;

  constructor({ host, port, localAddress }) {
    super();
    this.#program.connections.set(this.#name, this);
    this.below = new Below(this, port);
    /** The connection is open. */
    this.ready = this.command('connect', { host, port, localAddress, credit: true, maxDatagramSize: DATAGRAM, timeout: 60 });
    this.ready.then((addresses) => this.below.open(addresses), ({ error, code }) => {
      // 2 is CONNECTION_REFUSED (RFC 9000 §20.1).
      const isRefused = error === 'refused' || code === 2;
      this.#finish();
      if (!this.below.destroyed) this.below.fail(isRefused ? 'ECONNREFUSED' : 'ECONNRESET', error);
    });
  }

  command(op, fields) {
    return this.#program.send({ c: this.#name, op, ...fields });
  }

  /** The next request. The streams of a client are numbered from 0 by fours. */
  request(headers, { endStream }) {
    const id = 4 * this.#streams.size;
    const stream = new Stream(this, id, headers, endStream);
    this.#streams.set(id, stream);
    if (this.closed) stream.destroy();
    return stream;
  }

  take({ event, stream, ...what }) {
    if (event === 'goaway') this.emit('goaway');
    else if (event === 'closed') this.#finish();
    else if (event !== 'settings') this.#streams.get(stream).take(event, what);
  }

  /** Closes the connection; with `op` `finish`, behind what was sent. */
  close(op, code) {
    if (this.destroyed) return;
    this.destroyed = true;
    if (this.closed) return;
    this.ready.then(() => this.command(op, { code })).catch(() => {}).then(() => this.#finish());
  }

  destroy() {
    this.close('finish', NO_ERROR);
  }

  #finish() {
    if (this.closed) return;
    this.closed = true;
    this.below.emit('end');
    for (const stream of this.#streams.values()) stream.destroy();
    this.emit('close');
    this.#program.connections.delete(this.#name);
  }
}

/** What a `net.Socket` is of a connection: addresses, states and ends. */
class Below extends EventEmitter {
  #session;
  connecting = true;
  destroyed = false;
  bytesRead = 0;

  constructor(session, port) {
    super();
    this.#session = session;
    this.remotePort = port;
  }

  open({ localAddress, localPort, remoteAddress }) {
    this.connecting = false;
    Object.assign(this, { localAddress, localPort, remoteAddress });
    this.emit('connect');
  }

  fail(code, error) {
    this.connecting = false;
    this.emit('error', Object.assign(new Error(`connect ${code}: ${error}`), { code }));
  }

  get readyState() {
    if (this.connecting) return 'opening';
    return this.#session.closed ? 'closed' : 'open';
  }

  get writable() {
    return !this.destroyed && !this.#session.closed;
  }

  // The credit that streams give stops the server.
  pause() {}

  resume() {}

  end() {
    this.#session.close('finish', NO_ERROR);
  }

  destroy() {
    this.destroyed = true;
    this.#session.close('finish', NO_ERROR);
  }

  resetAndDestroy() {
    this.destroyed = true;
    this.#session.close('close', INTERNAL_ERROR);
  }

  ref() {}

  unref() {}
}

/** What a stream of `node:http2` is, over HTTP/3. */
class Stream extends Duplex {
  #session;
  #id;
  #headers;
  #hasNoBody;
  #isStopped = false;
  /** Bytes of the response that the client knows nothing of. */
  #untaken = 0;
  /** The request is not sent yet. */
  pending = true;
  /** The code with which the server has reset it. */
  rstCode = 0;

  constructor(session, id, headers, hasNoBody) {
    super({ emitClose: true });
    this.#session = session;
    this.#id = id;
    this.#headers = Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => [name, String(value)]));
    this.#hasNoBody = hasNoBody;
    this.on('end', () => {
      if (this.#isStopped) this.destroy();
    });
    this.#open();
    if (hasNoBody) this.end();
  }

  async #open() {
    try {
      await this.#session.ready;
      await this.#session.command('request', { headers: this.#headers, end: this.#hasNoBody });
      this.pending = false;
      this.emit('ready');
    } catch {
      this.destroy();
    }
  }

  take(event, { headers, data, end, code }) {
    if (event === 'headers') this.#takeHeaders(headers);
    else if (event === 'data') {
      const bytes = Buffer.from(data, 'base64');
      this.#session.below.bytesRead += bytes.length;
      this.#untaken += bytes.length;
      this.push(bytes);
      this.#giveCredit();
    } else if (event === 'reset') {
      this.rstCode = code;
      this.destroy();
    } else if (event === 'stop') {
      this.#isStopped = true;
      if (this.readableEnded) this.destroy();
    }
    if (end) this.push(null);
  }

  #takeHeaders(pairs) {
    const status = pairs.find(([name]) => name === ':status')?.[1];
    const head = { ':status': Number(status) };
    const raw = pairs.flat();
    if (status === undefined) this.emit('trailers', head, 0, raw);
    else this.emit(status < 200 ? 'headers' : 'response', head, 0, raw);
  }

  /** Sends something, unless the server does not want it. */
  async #send(op, fields) {
    while (this.pending && !this.destroyed) await new Promise((resolve) => this.once('ready', resolve).once('close', resolve));
    if (!this.#isStopped && !this.destroyed) await this.#session.command(op, { stream: this.#id, ...fields });
  }

  _write(bytes, encoding, done) {
    this.#sendPieces(bytes).catch(() => {}).then(() => done());
  }

  /** In pieces that are messages of a bearable length for the client, and of which few lie with it. */
  async #sendPieces(bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) {
      await this.#send('data', { data: bytes.toString('base64', at, at + PIECE), wait: true });
    }
  }

  _final(done) {
    if (this.#hasNoBody) done();
    else this.#send('bytes', { end: true }).catch(() => {}).then(() => done());
  }

  _read() {
    this.#giveCredit();
  }

  /** Tells the client what was taken, so that the server may send more. */
  #giveCredit() {
    const bytes = this.#untaken - this.readableLength;
    if (bytes < CREDIT || this.#session.closed) return;
    this.#untaken -= bytes;
    this.#session.command('credit', { stream: this.#id, bytes }).catch(() => {});
  }
}

module.exports = { Http3Socket };
