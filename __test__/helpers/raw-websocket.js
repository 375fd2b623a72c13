'use strict';

const { afterTest } = require('./cleanup.js');
const { connect, reset } = require('./connect.js');
const { Mailbox } = require('./mailbox.js');

/** The sample key of RFC 6455 §1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

const NAMES = new Map([[1, 'text'], [2, 'binary'], [8, 'close'], [9, 'ping'], [10, 'pong']]);

/**
 * A WebSocket client that shakes hands by hand, sends exactly the bytes it is given and never answers by itself. Of the
 * server it accepts only frames whose every bit is as RFC 6455 wants it.
 */
class RawWebSocket {
  /** The answer to the handshake, without the empty line. */
  head = '';

  #socket;
  #received = Buffer.alloc(0);
  #head = new Mailbox();
  #isOpen = false;
  #frames = new Mailbox();
  #end;

  /**
   * Opens a WebSocket on a port of 127.0.0.1, or where `net.connect` options say. `behind` are bytes that leave
   * together with the request. Resolves once the server has answered 101; any other answer is an error. Closed after
   * the test, unless `closeLater` takes care of that.
   */
  static async open(target, { path = '/', fields = [], behind = '', closeLater = afterTest } = {}) {
    const options = typeof target === 'number' ? { port: target, host: '127.0.0.1' } : target;
    const socket = connect(options).setNoDelay(true);
    closeLater(() => socket.destroy());
    const client = new RawWebSocket(socket);
    socket.write(Buffer.concat([Buffer.from(handshake(path, fields)), bytesOf(behind)]));
    await client.#shakeHands();
    return client;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      try {
        this.#take();
      } catch (error) {
        this.#finish(error.message);
      }
    });
    // A FIN of the server is answered with one of ours, by Node.
    socket.on('end', () => this.#finish('FIN'));
    socket.on('error', (error) => this.#finish(error.code === 'ECONNRESET' ? 'RST' : error.code));
    socket.on('close', () => this.#finish('closed here'));
  }

  /** The socket below, for its addresses. */
  get socket() {
    return this.#socket;
  }

  /** Sends bytes, as a Buffer or in hexadecimal digits, in one write. */
  send(...pieces) {
    this.#socket.write(Buffer.concat(pieces.map(bytesOf)));
  }

  /** Sends bytes one by one, and lets the event loop turn in between. */
  async dribble(...pieces) {
    for (const byte of Buffer.concat(pieces.map(bytesOf))) {
      if (this.#end !== undefined || !this.#socket.writable) return;
      this.#socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
  }

  /** Sends a text message of one frame. */
  sendText(text) {
    this.send(frame('text', text));
  }

  /**
   * The next frame: `['text', string]`, `['binary', Buffer]`, `['ping', string]`, `['pong', string]`,
   * `['close', code, reason]`, or `['close']` without a code. An error if the connection ended before.
   */
  async frame() {
    const received = await this.#frames.take();
    if (!(received instanceof End)) return received;
    this.#frames.put(received);
    throw new Error(`the connection ended (${received.how}) before another frame came`);
  }

  /** All frames that are left, and how the server ended the connection: `'FIN'` or `'RST'`. */
  async rest() {
    const frames = [];
    for (;;) {
      const received = await this.#frames.take();
      if (received instanceof End) return { frames, end: received.how };
      frames.push(received);
    }
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

  async #shakeHands() {
    this.head = await this.#head.take();
    if (!this.head.startsWith('HTTP/1.1 101 ')) throw new Error(`no upgrade: ${this.head}`);
    must(/\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=(\r\n|$)/.test(this.head), 'the key is accepted');
  }

  #take() {
    if (!this.#isOpen) this.#takeHead();
    if (this.#isOpen) this.#takeFrames();
  }

  #takeHead() {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.#isOpen = true;
    this.#head.put(this.#received.toString('latin1', 0, end));
    this.#received = this.#received.subarray(end + 4);
  }

  #takeFrames() {
    for (;;) {
      const header = parseHeader(this.#received);
      if (header === undefined || this.#received.length < header.size + header.length) return;
      const payload = this.#received.subarray(header.size, header.size + header.length);
      this.#received = this.#received.subarray(header.size + header.length);
      this.#frames.put(describe(header.opcode, payload));
    }
  }

  #finish(how) {
    if (this.#end !== undefined) return;
    const rest = this.#received.length === 0 ? '' : ` behind ${this.#received.toString('hex')}`;
    this.#end = new End(how + rest);
    this.#head.put(`the connection ended (${this.#end.how})`);
    this.#frames.put(this.#end);
  }
}

/** How a connection ended: behind its last frame. */
class End {
  constructor(how) {
    this.how = how;
  }
}

/** Length, opcode and size of a frame header; `undefined` while it is incomplete. */
function parseHeader(bytes) {
  if (bytes.length < 2) return undefined;
  const [first, second] = bytes;
  must((first & 0x80) !== 0, 'the server never fragments');
  must((first & 0x70) === 0, 'reserved bits are 0');
  must(second < 0x80, 'the frames of a server are not masked');
  const header = { opcode: first & 0x0f, length: second, size: 2 };
  must(NAMES.has(header.opcode), 'the opcode has a meaning');
  must(second <= 125 || header.opcode < 8, 'a control frame has at most 125 bytes');
  if (second === 126) {
    if (bytes.length < 4) return undefined;
    Object.assign(header, { length: bytes.readUInt16BE(2), size: 4 });
    must(header.length > 125, 'the length is minimal');
  } else if (second === 127) {
    if (bytes.length < 10) return undefined;
    Object.assign(header, { length: Number(bytes.readBigUInt64BE(2)), size: 10 });
    must(header.length > 0xffff, 'the length is minimal');
  }
  return header;
}

function describe(opcode, payload) {
  const name = NAMES.get(opcode);
  if (name === 'binary') return [name, Buffer.from(payload)];
  if (name !== 'close') return [name, utf8(payload)];
  must(payload.length !== 1, 'a Close frame has no half of a code');
  return payload.length === 0 ? [name] : [name, payload.readUInt16BE(0), utf8(payload.subarray(2))];
}

function utf8(bytes) {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/**
 * A masked frame. `name` is an opcode, by number or name (`'continuation'` too); `rsv` are the three reserved bits as a
 * number.
 */
function frame(name, payload = '', { fin = true, rsv = 0, mask = '37fa213d' } = {}) {
  const body = Buffer.from(payload);
  const key = bytesOf(mask);
  for (let index = 0; index < body.length; index++) body[index] ^= key[index % 4];
  return Buffer.concat([header(name, body.length, { fin, rsv }), key, body]);
}

/** The header of a masked frame, without the mask; the length is written in the shortest form. */
function header(name, length, { fin = true, rsv = 0 } = {}) {
  const opcode = typeof name === 'number' ? name : opcodeOf(name);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  if (length <= 125) return Buffer.of(first, 0x80 | length);
  if (length <= 0xffff) return Buffer.of(first, 0x80 | 126, length >> 8, length & 0xff);
  const long = Buffer.alloc(10);
  long.set([first, 0x80 | 127]);
  long.writeBigUInt64BE(BigInt(length), 2);
  return long;
}

/** A masked Close frame. */
function closeFrame(code, reason = '') {
  return frame('close', Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]));
}

function opcodeOf(name) {
  if (name === 'continuation') return 0;
  for (const [opcode, known] of NAMES) if (known === name) return opcode;
  throw new Error(`no opcode is called ${name}`);
}

/** The text of a handshake. `fields` are further lines without CRLF. */
function handshake(path = '/', fields = []) {
  const usual = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`];
  return [`GET ${path} HTTP/1.1`, 'Host: test', ...usual, ...fields, '', ''].join('\r\n');
}

function bytesOf(piece) {
  if (typeof piece !== 'string') return piece;
  const digits = piece.replaceAll(' ', '');
  must(/^([0-9a-f]{2})*$/.test(digits), `${JSON.stringify(piece)} is hexadecimal`);
  return Buffer.from(digits, 'hex');
}

function must(holds, what) {
  if (!holds) throw new Error(`expected: ${what}`);
}

module.exports = { KEY, RawWebSocket, closeFrame, frame, handshake, header };
