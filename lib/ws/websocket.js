'use strict';

// `WebSocket` of `ferrows/ws`: the object that programs of `ws` use. The connection belongs to an I/O thread; until that
// has it, what the program does waits in a queue.

const { timers: { setImmediate } } = require('../loading/builtins.js');
const { EventEmitter } = require('../loading/ws-builtins.js').events;

const { KEPT } = require('../runtime/call.js');
const { native } = require('../runtime/border.js');
const { socketHandle } = require('../websocket/websocket.js');
const { ClientHandshake } = require('./client.js');
const { EMPTY, isBlob, lengthOf, payloadOf, snapshotOf } = require('./data.js');
const { closeInfoOf, errorOf, TERMINATED } = require('./errors.js');
const { attributeOf, EventTarget, TYPES } = require('./events.js');
const { open } = require('./link.js');
const { settingsOf } = require('./options.js');
const { PeerSocket } = require('./peer-socket.js');

const FastBuffer = Buffer[Symbol.species];

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
const [CONNECTING, OPEN, CLOSING, CLOSED] = STATES.keys();

const BINARY_TYPES = ['nodebuffer', 'arraybuffer', 'fragments'];
if (typeof Blob !== 'undefined') BINARY_TYPES.push('blob');

/** The longest payload of a control frame, and the longest reason of a Close frame (RFC 6455 §5.5), in bytes. */
const LONGEST_CONTROL = 125;
const LONGEST_REASON = 123;

const EARLY = 'WebSocket was closed before the connection was established';

/** Takes the connection of a request that a server has accepted. */
let accept;
/** The handlers that the dispatcher calls. */
let BEHAVIOR;

class WebSocket extends EventEmitter {
  #readyState = CONNECTING;
  #binaryType = 'nodebuffer';
  #protocol = '';
  #isCompressed = false;
  #isPaused = false;
  /** Whether a message is being sent in fragments. */
  #isFragmented = false;
  /** Whether the program has closed it before its peer did. */
  #isClosedHere = false;
  /** The object of the addon's events, which has its handle, while it is open there. */
  #link;
  /** `{ act, callback, size, blob, isReading, topic }` of calls that wait for the hand-over or for a Blob; `undefined` if none has to. */
  #queue = [];
  /** Bytes in the queue, and those that were sent after the close, which counts as buffered (WHATWG). */
  #queued = 0;
  /** The callbacks of what is being written, in order. */
  #callbacks;
  #closeInfo;
  /** The message of the error that has closed it. */
  #failure;
  #peer = null;
  /** The topics of its server; `undefined` without the option `topics`. */
  #topics;
  /** Removes it from the `clients` of its server. */
  #forget;
  /** A client's handshake. */
  #handshake;
  /** Calls the hand-over off, while it is under way. */
  #callOff;

  constructor(address, protocols, options) {
    super();
    if (address === null) return;
    if (protocols === undefined) {
      protocols = [];
    } else if (!Array.isArray(protocols)) {
      if (typeof protocols === 'object' && protocols !== null) [protocols, options] = [[], protocols];
      else protocols = [protocols];
    }
    this.#handshake = new ClientHandshake(this, address, protocols, options, {
      isConnecting: () => this.#readyState === CONNECTING,
      setClosing: () => { this.#readyState = CLOSING; },
      fail: (error) => this.#fail(error),
      close: (text) => this.#finish(1006, undefined, text),
      open: (stream, head, grant) => this.#start(stream, head, { ...grant, response: EMPTY, isServer: false }),
    });
    this.#handshake.start();
  }

  static {
    accept = (ws, stream, head, grant) => {
      ws.#topics = grant.topics;
      ws.#forget = grant.forget;
      ws.#start(stream, head, { ...grant, isServer: true });
    };
    BEHAVIOR = {
      isSecure: false,
      message(link, payload, isBinary) {
        link.owner.#deliver(bufferOf(payload), isBinary);
        // The program may keep the message.
        return KEPT;
      },
      ping(link, payload) {
        link.owner.emit('ping', bufferOf(payload));
        return KEPT;
      },
      pong(link, payload) {
        link.owner.emit('pong', bufferOf(payload));
        return KEPT;
      },
      written(link, waits) {
        for (const callback of link.owner.#callbacks.splice(0, waits)) report(callback);
      },
      close(link, code, reason, info) {
        link.owner.#handleClosed(code, reason, info);
      },
    };
  }

  /**
   * What packages use that have made the handshake themselves, with `new WebSocket(null)`. `_isServer` is what they set
   * before, if it is a client.
   */
  setSocket(stream, head, options) {
    this.#start(stream, head, {
      protocol: '', isCompressed: false, response: EMPTY, isServer: this._isServer ?? true, settings: settingsOf({ ...options }),
    });
  }

  /** The handshake is made: hands the connection over. */
  #start(stream, head, { protocol, isCompressed, ...terms }) {
    this.#handshake?.end();
    this.#protocol = protocol;
    this.#isCompressed = isCompressed;
    this.#peer = new PeerSocket(stream, this);
    if (typeof stream.setNoDelay === 'function') stream.setNoDelay();
    this.#readyState = OPEN;
    this.#callOff = open(BEHAVIOR, this, stream, head, terms, {
      opened: (link) => {
        this.#callOff = undefined;
        this.#link = link;
        this.#runQueue();
      },
      failed: (error) => {
        this.#callOff = undefined;
        // The program gets the WebSocket first, so that it can listen.
        process.nextTick(() => this.#finish(1006, undefined, error?.message));
      },
    });
    this.emit('open');
  }

  /** Runs the calls that have waited, in their order, up to the next Blob. */
  #runQueue() {
    const queue = this.#queue;
    let done = 0;
    while (this.#link !== undefined && done < queue.length) {
      const entry = queue[done];
      if (entry.blob !== undefined) {
        queue.splice(0, done);
        this.#read(entry);
        return;
      }
      done += 1;
      this.#queued -= entry.size;
      try {
        entry.act();
      } catch (error) {
        process.nextTick(entry.callback ?? throwLater, error);
      }
    }
    if (this.#link !== undefined) this.#queue = undefined;
  }

  /** Whether the connection is gone, though 'close' may not have been emitted yet. */
  get #isGone() { return this.#link === undefined && this.#callOff === undefined; }

  /** Reads the Blob of the first call in the queue, unless that is being done. */
  #read(entry) {
    if (entry.isReading) return;
    entry.isReading = true;
    const { act, blob } = entry;
    blob.arrayBuffer().then((bytes) => {
      entry.blob = undefined;
      entry.act = () => act(bytes);
      if (this.#isGone) this.#giveUp(notWritten(true, false));
      else if (this.#link !== undefined) this.#runQueue();
    }, (error) => {
      this.#giveUp(error);
      if (!this.#isGone) this.#fail(error);
    });
  }

  /** Tells those whose calls have waited that nothing comes of them. */
  #giveUp(error) {
    const waiting = this.#queue ?? [];
    this.#queue = undefined;
    for (const { size, topic } of waiting) {
      this.#queued -= size;
      if (topic !== undefined) this.#topics.removeWaiting(topic, this);
    }
    for (const { callback } of waiting) if (typeof callback === 'function') report(callback, error);
  }

  /** Does it now, or after what waits. */
  #inTurn(act, callback, size, topic) {
    if (this.#queue === undefined) act();
    else this.#enqueue({ act, callback, size, topic });
  }

  /** Calls `act` with the bytes of a Blob once they are read. */
  #sendBlob(blob, callback, act) {
    this.#queue ??= [];
    const entry = { act, callback, size: blob.size, blob };
    this.#enqueue(entry);
    if (this.#queue.length === 1) this.#read(entry);
  }

  #enqueue(entry) {
    this.#queued += entry.size;
    this.#queue.push(entry);
  }

  get binaryType() { return this.#binaryType; }

  set binaryType(type) {
    if (BINARY_TYPES.includes(type)) this.#binaryType = type;
  }

  get bufferedAmount() {
    return this.#queued + (this.#link !== undefined ? native.wsBuffered(socketHandle(this.#link)) : 0);
  }

  get closeInfo() { return this.#closeInfo; }

  get extensions() { return this.#isCompressed ? 'permessage-deflate' : ''; }

  get isPaused() { return this.#isPaused; }

  get protocol() { return this.#protocol; }

  get readyState() { return this.#readyState; }

  get url() { return this.#handshake?.url; }

  /** What other packages read: the addresses of the peer; the request of a client, and its number of redirects. */
  get _socket() { return this.#peer; }

  get _req() { return this.#handshake?.request ?? null; }

  get _redirects() { return this.#handshake?.redirects; }

  send(data, options, callback) {
    if (this.#readyState === CONNECTING) this.#checkConnected();
    if (typeof options === 'function') {
      callback = options;
      options = undefined;
    }
    if (typeof data === 'number') data = data.toString();
    if (this.#readyState !== OPEN) {
      this.#refuse(data, callback);
      return;
    }
    let binary = typeof data !== 'string';
    let compress = true;
    let fin = true;
    if (typeof options === 'object' && options !== null) {
      // As in a spread: what is there counts, whatever its value.
      if ('binary' in options) ({ binary } = options);
      if ('compress' in options) ({ compress } = options);
      if ('fin' in options) ({ fin } = options);
    }
    if (this.#queue === undefined && (typeof data === 'string' || ArrayBuffer.isView(data) || !isBlob(data))) {
      this.#transmit(payloadOf(data), binary, compress, fin, callback);
    } else if (isBlob(data)) {
      this.#sendBlob(data, callback, (bytes) => this.#transmit(bytes, binary, compress, fin, callback));
    } else {
      const payload = snapshotOf(payloadOf(data));
      this.#inTurn(() => this.#transmit(payload, binary, compress, fin, callback), callback, lengthOf(payload));
    }
  }

  #transmit(payload, isBinary, compress, isLast, callback) {
    if (this.#isFragmented) native.wsFragment(socketHandle(this.#link), payload, isLast);
    else if (isLast) native.wsTransmit(socketHandle(this.#link), payload, isBinary, compress);
    else native.wsFirstFragment(socketHandle(this.#link), payload, isBinary, compress);
    this.#isFragmented = !isLast;
    this.#await(callback);
  }

  /** Calls back when all that was sent so far is written. */
  #await(callback) {
    if (typeof callback !== 'function') return;
    this.#callbacks ??= [];
    this.#callbacks.push(callback);
    native.wsAwaitWritten(socketHandle(this.#link));
  }

  ping(data, mask, callback) {
    this.#sendControl(native.wsPing, data, mask, callback);
  }

  pong(data, mask, callback) {
    this.#sendControl(native.wsPong, data, mask, callback);
  }

  #sendControl(transmit, data, mask, callback) {
    this.#checkConnected();
    if (typeof data === 'function') [data, callback] = [undefined, data];
    else if (typeof mask === 'function') callback = mask;
    if (typeof data === 'number') data = data.toString();
    if (this.#readyState !== OPEN) {
      this.#refuse(data, callback);
      return;
    }
    if (isBlob(data)) {
      checkControl(data.size);
      this.#sendBlob(data, callback, (bytes) => {
        transmit(socketHandle(this.#link), bytes);
        this.#await(callback);
      });
      return;
    }
    const payload = payloadOf(data);
    checkControl(lengthOf(payload));
    const kept = this.#queue === undefined ? payload : snapshotOf(payload);
    this.#inTurn(() => {
      transmit(socketHandle(this.#link), kept);
      this.#await(callback);
    }, callback, lengthOf(kept));
  }

  #checkConnected() {
    if (this.#readyState === CONNECTING) throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
  }

  /** What is sent too late counts as buffered (WHATWG), and only the callback says so. */
  #refuse(data, callback) {
    if (data) this.#queued += isBlob(data) ? data.size : lengthOf(payloadOf(data));
    if (typeof callback !== 'function') return;
    const state = this.#readyState;
    process.nextTick(callback, new Error(`WebSocket is not open: readyState ${state} (${STATES[state]})`));
  }

  close(code, reason) {
    if (this.#readyState === CONNECTING) {
      this.#handshake?.abort(EARLY);
      return;
    }
    if (this.#readyState !== OPEN) return;
    const text = checkClose(code, reason);
    this.#readyState = CLOSING;
    this.#isClosedHere = true;
    this.#inTurn(() => native.wsStartClose(socketHandle(this.#link), code ?? 0, text), undefined, 0);
  }

  terminate() {
    if (this.#readyState === CLOSED) return;
    if (this.#readyState === CONNECTING) {
      this.#handshake?.abort(EARLY);
      return;
    }
    this.#readyState = CLOSING;
    if (this.#link !== undefined) {
      this.#link.close();
    } else if (this.#callOff !== undefined) {
      this.#callOff();
      this.#callOff = undefined;
      setImmediate(() => this.#finish(1006, undefined, TERMINATED));
    }
  }

  pause() {
    if (this.#readyState === CONNECTING || this.#readyState === CLOSED) return;
    this.#isPaused = true;
    this.#setPaused();
  }

  resume() {
    if (this.#readyState === CONNECTING || this.#readyState === CLOSED) return;
    this.#isPaused = false;
    this.#setPaused();
  }

  #setPaused() {
    if (this.#link !== undefined) native.wsPause(socketHandle(this.#link), this.#isPaused);
    else if (this.#callOff !== undefined) this.#inTurn(() => native.wsPause(socketHandle(this.#link), this.#isPaused), undefined, 0);
  }

  subscribe(topic) {
    const name = this.#nameOf(topic);
    if (this.#readyState !== OPEN) return;
    if (this.#queue !== undefined) this.#topics.addWaiting(topic, this);
    this.#inTurn(() => {
      this.#topics.removeWaiting(topic, this);
      native.wsAddTopic(socketHandle(this.#link), name);
    }, undefined, 0, topic);
  }

  unsubscribe(topic) {
    const name = this.#nameOf(topic);
    if (this.#readyState !== OPEN) return;
    this.#topics.removeWaiting(topic, this);
    this.#inTurn(() => native.wsRemoveTopic(socketHandle(this.#link), name), undefined, 0);
  }

  /** The addon's name of a topic. */
  #nameOf(topic) {
    if (this.#topics !== undefined) return this.#topics.nameOf(topic);
    const message = 'topics need the option `topics` of the WebSocketServer';
    throw Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' });
  }

  #deliver(data, isBinary) {
    if (!isBinary || this.#binaryType === 'nodebuffer') {
      this.emit('message', data, isBinary);
      return;
    }
    switch (this.#binaryType) {
      case 'arraybuffer':
        this.emit('message', data.buffer, true);
        break;
      case 'blob':
        this.emit('message', new Blob([data]), true);
        break;
      default:
        this.emit('message', [data], true);
    }
  }

  #handleClosed(code, reason, info) {
    this.#link = undefined;
    const error = errorOf(info.cause, this.#isCompressed);
    if (info.cause === 'CLOSED_BY_APPLICATION') {
      // In a later turn, as a socket closes.
      setImmediate(() => this.#finish(1006, info, this.#failure ?? TERMINATED));
    } else if (error === undefined) {
      this.#finish(code, info, Buffer.from(reason).toString());
    } else {
      this.#readyState = CLOSING;
      process.nextTick(() => this.#finish(1006, info, info.reason));
      this.emit('error', error);
    }
  }

  /** Emits 'error' and closes. */
  #fail(error) {
    this.#readyState = CLOSING;
    this.#failure = error.message;
    try {
      this.emit('error', error);
    } finally {
      if (this.#link === undefined) {
        this.#callOff?.();
        this.#callOff = undefined;
        this.#finish(1006, undefined, error.message);
      } else {
        this.#link.close();
      }
    }
  }

  /** It is closed: what waits has failed, and the program is told. */
  #finish(code, info, text = '') {
    if (this.#closeInfo !== undefined) return;
    this.#link = undefined;
    this.#callOff = undefined;
    this.#readyState = CLOSING;
    this.#closeInfo = closeInfoOf(info, this.#isClosedHere, text);
    const sent = this.#callbacks ?? [];
    this.#callbacks = undefined;
    const error = notWritten(false, this.#isCompressed);
    // Before a clean close everything is written that was sent.
    for (const callback of sent) report(callback, info?.wasClean ? undefined : error);
    // The end of a Blob that is being read is waited for: it may be another error.
    if (this.#queue?.[0]?.blob === undefined) this.#giveUp(error);
    this.#readyState = CLOSED;
    this.#forget?.(this);
    this.emit('close', code, text === '' ? EMPTY : Buffer.from(text));
  }
}

for (const [number, name] of STATES.entries()) {
  for (const owner of [WebSocket, WebSocket.prototype]) Object.defineProperty(owner, name, { enumerable: true, value: number });
}

for (const name of ['binaryType', 'bufferedAmount', 'closeInfo', 'extensions', 'isPaused', 'protocol', 'readyState', 'url']) {
  Object.defineProperty(WebSocket.prototype, name, { enumerable: true });
}
for (const type of TYPES) Object.defineProperty(WebSocket.prototype, `on${type}`, attributeOf(type));
Object.assign(WebSocket.prototype, EventTarget);

function bufferOf(payload) {
  return payload.byteLength === 0 ? EMPTY : new FastBuffer(payload);
}

/** Calls the callback of a `send`. What it throws must not keep the others from being called. */
function report(callback, error) {
  try {
    if (error === undefined) callback();
    else callback(error);
  } catch (thrown) {
    native.reportUncaught(thrown);
  }
}

function notWritten(isReading, isCompressing) {
  const doing = isReading ? 'the blob' : 'data';
  const what = isCompressing && !isReading ? 'compressed' : isReading ? 'read' : 'written';
  return new Error(`The socket was closed while ${doing} was being ${what}`);
}

function throwLater(error) {
  throw error;
}

function checkControl(length) {
  if (length > LONGEST_CONTROL) throw new RangeError(`The data size must not be greater than ${LONGEST_CONTROL} bytes`);
}

/** Checks the arguments of `close`; returns the reason. */
function checkClose(code, reason) {
  if (code === undefined) return EMPTY;
  const isValid = typeof code === 'number' && Number.isInteger(code)
    && ((code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999));
  if (!isValid) throw new TypeError('First argument must be a valid error code number');
  const text = payloadOf(reason);
  if (lengthOf(text) > LONGEST_REASON) {
    throw new RangeError(`The message must not be greater than ${LONGEST_REASON} bytes`);
  }
  return text;
}

module.exports = { accept, WebSocket };
