'use strict';

const { createHash } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');

const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');

const NAMES = new Map([[0, 'continuation'], [1, 'text'], [2, 'binary'], [8, 'close'], [9, 'ping'], [10, 'pong']]);

/** A TCP server that answers handshakes with exactly the bytes it is told to. Closed after the test. */
class RawServer {
  #peers = new Mailbox();

  /** Listens on a free port of 127.0.0.1. `answer(request)` gives the bytes of the answer; without it there is none. */
  static async start(answer) {
    const server = net.createServer({ allowHalfOpen: true });
    const self = new RawServer(server, answer);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => server.close());
    return self;
  }

  constructor(server, answer) {
    this.server = server;
    server.on('connection', (socket) => this.#peers.put(new Peer(socket, answer)));
  }

  /** Where to connect to. */
  get url() {
    return `ws://127.0.0.1:${this.server.address().port}`;
  }

  /** The next client that has connected. */
  peer() {
    return this.#peers.take();
  }
}

/** One client, as the server sees it: its request, then its frames. Of those it accepts only masked ones. */
class Peer {
  /** Keys of the frames so far. */
  keys = [];

  #socket;
  #received = Buffer.alloc(0);
  #request = new Mailbox();
  #isOpen = false;
  #frames = new Mailbox();
  #end;

  constructor(socket, answer) {
    this.#socket = socket;
    socket.setNoDelay(true);
    afterTest(() => socket.destroy());
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      if (!this.#isOpen) this.#takeRequest(answer);
      if (this.#isOpen) this.#takeFrames();
    });
    socket.on('end', () => this.#finish('FIN'));
    socket.on('error', (error) => this.#finish(error.code === 'ECONNRESET' ? 'RST' : error.code));
    socket.on('close', () => this.#finish('closed here'));
  }

  /** The request of the handshake. */
  request() {
    return this.#request.take();
  }

  /** Sends bytes in one write. */
  send(...pieces) {
    this.#socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
  }

  /** The next frame: `[name, payload, { fin, rsv }]`, or how the client ended the connection. */
  async frame() {
    const received = await this.#frames.take();
    if (typeof received === 'string') this.#frames.put(received);
    return received;
  }

  /** Whether the client has ended the connection. */
  get hasEnded() {
    return this.#end !== undefined;
  }

  /** Sends FIN. */
  finish() {
    this.#socket.end();
  }

  /** Ends the connection with a reset. */
  reset() {
    this.#socket.resetAndDestroy();
  }

  #takeRequest(answer) {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const request = this.#received.toString('latin1', 0, end + 2);
    this.#received = this.#received.subarray(end + 4);
    this.#isOpen = true;
    this.#request.put(request);
    const bytes = answer?.(request);
    if (bytes !== undefined) this.#socket.write(bytes);
  }

  #takeFrames() {
    for (;;) {
      const frame = parse(this.#received);
      if (frame === undefined) return;
      this.#received = this.#received.subarray(frame.size);
      this.keys.push(frame.key);
      this.#frames.put([frame.name, frame.payload, { fin: frame.fin, rsv: frame.rsv }]);
    }
  }

  #finish(how) {
    if (this.#end !== undefined) return;
    this.#end = how;
    this.#frames.put(how);
  }
}

function parse(bytes) {
  if (bytes.length < 2) return undefined;
  const [first, second] = bytes;
  if (second < 0x80) throw new Error('a client masks its frames');
  const size = { 126: 4, 127: 10 }[second & 0x7f] ?? 2;
  if (bytes.length < size + 4) return undefined;
  const length = { 2: () => second & 0x7f, 4: () => bytes.readUInt16BE(2), 10: () => Number(bytes.readBigUInt64BE(2)) }[size]();
  if (bytes.length < size + 4 + length) return undefined;
  const key = bytes.subarray(size, size + 4);
  const payload = Buffer.from(bytes.subarray(size + 4, size + 4 + length)).map((byte, index) => byte ^ key[index % 4]);
  const name = NAMES.get(first & 0x0f);
  return { name, payload, key: key.toString('hex'), fin: first >= 0x80, rsv: (first >> 4) & 7, size: size + 4 + length };
}

/** The value of a header field of a request or response; `undefined` if it has none. */
function field(head, name) {
  const line = head.split('\r\n').find((text) => text.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(line.indexOf(':') + 1).trim();
}

/** What answers the key of a request (RFC 6455 §4.2.2). */
function acceptOf(request) {
  const key = field(request, 'Sec-WebSocket-Key');
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A 101 to a request; `lines` take the place of the usual ones of the same name. */
function granted(request, lines = []) {
  const usual = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptOf(request)}`];
  const name = (line) => line.split(':')[0].toLowerCase();
  const kept = usual.filter((line) => !lines.some((other) => name(other) === name(line)));
  return ['HTTP/1.1 101 Switching Protocols', ...kept, ...lines, '', ''].join('\r\n');
}

/** An unmasked frame with up to 65,535 bytes of payload. */
function serverFrame(opcode, payload = '', { fin = true, rsv = 0 } = {}) {
  const body = Buffer.from(payload);
  const length = body.length < 126 ? [body.length] : [126, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of((fin ? 0x80 : 0) | (rsv << 4) | opcode, ...length), body]);
}

module.exports = { RawServer, acceptOf, field, granted, serverFrame };
