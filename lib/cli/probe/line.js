'use strict';

const { EventEmitter } = require('events');
const { performance } = require('perf_hooks');

const { closePayload, encodeFrame, FrameReader, OPCODE, readClose } = require('./frame.js');

/** How long the other end may take to finish a closing handshake, in milliseconds. */
const CLOSING_TIME = 1000;
const NORMAL = 1000;

/**
 * An open WebSocket that keeps the time of everything that moves on it. Emits `'ping'` and `'pong'` with the payload,
 * `'message'` with payload and whether it is binary, `'traffic'` for every byte from the server, and `'end'` once.
 *
 * Times are milliseconds; `end` is `{ how, code, reason, age, silentFor, heardFor }` when it is over. `how` is `'close'`
 * (a Close frame came), `'fin'`, `'rst'`, `'unreachable'` (the system gave up), `'broken'` (bytes that are no WebSocket),
 * `'error'` or `'here'` (we left). `silentFor` is the time since the last byte in either direction, `heardFor` that since
 * the last byte of the server.
 */
class Line extends EventEmitter {
  opened = performance.now();
  end;
  /** The longest time without a byte in either direction, and that without one from the server. */
  longestSilence = 0;
  longestWait = 0;
  /** When frames came, by kind: milliseconds since it was opened. */
  heard = { ping: [], pong: [], message: [] };

  #socket;
  #reader = new FrameReader();
  #answersPings;
  #deflate;
  #lastReceived = this.opened;
  #lastMoved = this.opened;
  /** The times without a byte, either way and from the server, that the bytes being read have ended. */
  #silenceEnded = 0;
  #waitEnded = 0;
  #close;
  #isClosing = false;
  #fragments;

  /** `answersPings` is whether pings are answered; `deflate`, if compression was negotiated, has `compress` and `decompress`. */
  constructor({ socket, head }, { answersPings = true, deflate } = {}) {
    super();
    this.#socket = socket;
    this.#answersPings = answersPings;
    this.#deflate = deflate;
    socket.setTimeout(0);
    socket.on('error', (error) => this.#finish(howOf(error), { reason: error.message }));
    socket.on('end', () => {
      socket.end();
      this.#finish(this.#close === undefined ? 'fin' : 'close', this.#close);
      socket.destroySoon();
    });
    socket.on('close', () => this.#finish(this.#close === undefined ? 'error' : 'close', this.#close));
    socket.on('data', (bytes) => this.#receive(bytes));
    if (head.length > 0) this.#receive(head);
  }

  get age() {
    return performance.now() - this.opened;
  }

  /** The longest times without a byte so far, either way and from the server, the one that goes on included; in ms. */
  get silences() {
    const now = this.end === undefined ? performance.now() : 0;
    return {
      both: Math.max(this.longestSilence, now - this.#lastMoved),
      server: Math.max(this.longestWait, now - this.#lastReceived),
    };
  }

  /** Whether messages may be compressed. */
  get isCompressing() {
    return this.#deflate !== undefined;
  }

  get isOpen() {
    return this.end === undefined;
  }

  ping(payload) {
    this.#send(encodeFrame(OPCODE.PING, payload));
  }

  /** A pong that nobody asked for, to which there is no answer (RFC 6455 §5.5.3). */
  pong(payload) {
    this.#send(encodeFrame(OPCODE.PONG, payload));
  }

  /** Sends a message, as one frame or, if `parts` are several payloads, as that many fragments with a ping between. */
  send(parts, isBinary) {
    const opcode = isBinary ? OPCODE.BINARY : OPCODE.TEXT;
    parts.forEach((part, index) => {
      const isFinal = index === parts.length - 1;
      this.#send(encodeFrame(index === 0 ? opcode : OPCODE.CONTINUATION, part, { isFinal }));
      if (!isFinal) this.ping(Buffer.from('between'));
    });
  }

  sendCompressed(payload, isBinary) {
    const opcode = isBinary ? OPCODE.BINARY : OPCODE.TEXT;
    this.#send(encodeFrame(opcode, this.#deflate.compress(payload), { isCompressed: true }));
  }

  /** Waits for an event for at most `timeout` ms: its arguments, or undefined if the line ends or the time is up. */
  take(event, timeout, accepts = () => true) {
    return new Promise((resolve) => {
      if (!this.isOpen) {
        resolve(undefined);
        return;
      }
      const settle = (value) => {
        clearTimeout(timer);
        this.removeListener(event, listen);
        this.removeListener('end', leave);
        resolve(value);
      };
      const listen = (...values) => {
        if (accepts(...values)) settle(values);
      };
      const leave = () => settle(undefined);
      const timer = setTimeout(leave, timeout);
      this.on(event, listen);
      this.once('end', leave);
    });
  }

  /** Pings, and waits for the answer: the time it took, or undefined. */
  async roundTrip(timeout) {
    const payload = Buffer.from(`ferrows ${Math.random().toString(36).slice(2)}`);
    const started = performance.now();
    const answer = this.take('pong', timeout, (data) => data.equals(payload));
    this.ping(payload);
    return (await answer) === undefined ? undefined : performance.now() - started;
  }

  /** Leaves, with a Close frame. */
  leave() {
    if (!this.isOpen) return;
    this.#send(encodeFrame(OPCODE.CLOSE, closePayload(NORMAL)));
    this.#finish('here');
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), CLOSING_TIME).unref();
  }

  /** Drops the connection. */
  destroy() {
    this.#finish('here');
    this.#socket.destroy();
  }

  #send(frame) {
    if (!this.isOpen || this.#isClosing) return;
    this.#move();
    this.#socket.write(frame);
  }

  /** Bytes move now: ends a silence. */
  #move() {
    const now = performance.now();
    this.longestSilence = Math.max(this.longestSilence, now - this.#lastMoved);
    this.#lastMoved = now;
    return now;
  }

  #receive(bytes) {
    if (!this.isOpen) return;
    const before = this.#lastMoved;
    const now = this.#move();
    this.#silenceEnded = now - before;
    this.#waitEnded = now - this.#lastReceived;
    this.longestWait = Math.max(this.longestWait, this.#waitEnded);
    this.#lastReceived = now;
    try {
      for (const frame of this.#reader.push(bytes)) this.#handle(frame);
    } catch (error) {
      this.#finish('broken', { reason: error.message });
      this.#socket.destroy();
    }
    this.emit('traffic');
  }

  #handle(frame) {
    const { opcode, payload } = frame;
    if (this.#isClosing) return;
    if (opcode === OPCODE.PING) {
      this.heard.ping.push(this.age);
      if (this.#answersPings) this.pong(payload);
      this.emit('ping', payload);
    } else if (opcode === OPCODE.PONG) {
      this.heard.pong.push(this.age);
      this.emit('pong', payload);
    } else if (opcode === OPCODE.CLOSE) {
      this.#answerClose(payload);
    } else {
      this.#assemble(frame);
    }
  }

  #answerClose(payload) {
    this.#close = readClose(payload);
    this.#socket.write(encodeFrame(OPCODE.CLOSE, payload.subarray(0, 2)));
    this.#isClosing = true;
    this.#finish('close', this.#close);
    setTimeout(() => this.#socket.destroy(), CLOSING_TIME).unref();
  }

  #assemble({ opcode, isFinal, isCompressed, payload }) {
    if ((opcode === OPCODE.CONTINUATION) === (this.#fragments === undefined)) throw new Error('fragments that do not fit together');
    if (isCompressed && (this.#deflate === undefined || opcode === OPCODE.CONTINUATION)) throw new Error('a compressed frame although nothing was agreed');
    this.#fragments ??= { isBinary: opcode === OPCODE.BINARY, isCompressed, parts: [] };
    this.#fragments.parts.push(payload);
    if (!isFinal) return;
    const { isBinary, parts, ...message } = this.#fragments;
    this.#fragments = undefined;
    this.heard.message.push(this.age);
    const data = Buffer.concat(parts);
    if (!message.isCompressed) {
      this.emit('message', data, isBinary, false);
      return;
    }
    this.#deflate.decompress(data).then(
      (inflated) => this.emit('message', inflated, isBinary, true),
      () => {
        this.#finish('broken', { reason: 'compressed data that cannot be decompressed' });
        this.#socket.destroy();
      },
    );
  }

  #finish(how, { code, reason } = {}) {
    if (!this.isOpen) return;
    const now = performance.now();
    const cameAsBytes = how === 'close' || how === 'broken';
    const silentFor = cameAsBytes ? this.#silenceEnded : now - this.#lastMoved;
    const heardFor = cameAsBytes ? this.#waitEnded : now - this.#lastReceived;
    this.longestSilence = Math.max(this.longestSilence, silentFor);
    this.longestWait = Math.max(this.longestWait, heardFor);
    this.end = { how, code, reason, age: now - this.opened, silentFor, heardFor };
    this.emit('end', this.end);
  }
}

function howOf({ code }) {
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'rst';
  if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'unreachable';
  return 'error';
}

module.exports = { Line };
