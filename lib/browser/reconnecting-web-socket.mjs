// The WebSocket of `ferrows/browser`: see browser.d.ts and docs/browser.md. scripts/browser.mjs makes browser.mjs of this file
// and those that it imports.

import { Backoff, checkNumber, isTemporaryClose, MAX_MILLISECONDS, rangeError, readReconnectOptions, wrongType } from '../reconnect/backoff.js';
import { explain } from './explain.mjs';

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

/** Of times, in milliseconds; 0 is for no limit. */
const TIME = { min: 0, max: MAX_MILLISECONDS, isInteger: true };

/** An event with further properties. Node.js has no CloseEvent and MessageEvent everywhere. */
class SocketEvent extends Event {
  constructor(type, fields) {
    super(type);
    for (const [name, value] of Object.entries(fields)) Object.defineProperty(this, name, { value, enumerable: true });
  }
}

export class ReconnectingWebSocket extends EventTarget {
  #url;
  #protocols;
  #options;
  #backoff;
  #WebSocket;
  #socket;
  #binaryType = 'blob';
  /** Calls off what is under way: an attempt, a pause, the wait for the answer to a probe. */
  #timer;
  #isOver = false;
  /** Counts attempts, so that the answer of a `url` function that comes too late is told from that of this one. */
  #round = 0;
  #openedAt;
  #heardAt;
  #look = ({ type }) => this.#lookAfter(type);

  constructor(url, protocols = [], options = {}) {
    super();
    // As with a WebSocket, the protocols may be left out; options are an object that is no list.
    if (typeof protocols === 'object' && protocols !== null && !Array.isArray(protocols)) [protocols, options] = [[], protocols];
    if (typeof url !== 'function') checkUrl(url);
    if (typeof options !== 'object' || options === null) throw wrongType('options must be an object');
    this.#url = url;
    this.#protocols = readProtocols(protocols);
    this.#options = {
      ...readReconnectOptions(options, '', ['shouldReconnect', 'probe']),
      connectTimeout: checkNumber(options.connectTimeout ?? 10_000, 'connectTimeout', TIME),
      probeTimeout: checkNumber(options.probeTimeout ?? 4000, 'probeTimeout', TIME),
    };
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (typeof this.#WebSocket !== 'function') {
      throw wrongType('WebSocket must be a constructor: there is no global one here (Node.js has it from 22 on), so pass one, such as that of `ws`');
    }
    this.#backoff = new Backoff(this.#options);
    this.#start();
  }

  static CONNECTING = CONNECTING;
  static OPEN = OPEN;
  static CLOSING = CLOSING;
  static CLOSED = CLOSED;
  get CONNECTING() { return CONNECTING; }
  get OPEN() { return OPEN; }
  get CLOSING() { return CLOSING; }
  get CLOSED() { return CLOSED; }

  get url() {
    return this.#socket?.url ?? (typeof this.#url === 'function' ? '' : String(this.#url));
  }

  get readyState() {
    if (!this.#isOver) return this.#isOpen ? OPEN : CONNECTING;
    return this.#socket === undefined ? CLOSED : CLOSING;
  }

  get protocol() {
    return this.#socket?.protocol ?? '';
  }

  get extensions() {
    return this.#socket?.extensions ?? '';
  }

  get bufferedAmount() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    if (this.#socket !== undefined) this.#socket.binaryType = type;
  }

  get attempts() {
    return this.#backoff.attempts;
  }

  get silentFor() {
    return this.#isOpen ? performance.now() - this.#heardAt : undefined;
  }

  send(data) {
    if (!this.#isOpen) return false;
    this.#socket.send(data);
    return true;
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw rangeError(`code must be 1000 or an integer between 3000 and 4999, got ${code}`);
    }
    if (reason !== undefined && new TextEncoder().encode(reason).length > 123) {
      throw rangeError('reason must not exceed 123 bytes of UTF-8');
    }
    if (this.#isOver) return;
    this.#finish();
    const socket = this.#socket;
    if (!this.#wasOpen) this.#socket = undefined;
    // A WebSocket takes no undefined for a code that was left out.
    if (code === undefined) socket?.close();
    else socket?.close(code, reason);
  }

  connect() {
    if (!this.#isOver && this.#socket !== undefined) return;
    if (this.#isOver) this.#backoff.reset();
    this.#abandon();
    this.#isOver = false;
    this.#start();
  }

  get #isOpen() {
    return !this.#isOver && this.#wasOpen && this.#socket.readyState === OPEN;
  }

  get #wasOpen() {
    return this.#openedAt !== undefined;
  }

  #start() {
    // Phones suspend pages and change networks: both are good moments to look whether the line is still there.
    globalThis.document?.addEventListener('visibilitychange', this.#look);
    globalThis.window?.addEventListener('online', this.#look);
    try {
      this.#attempt();
    } catch (error) {
      // The platform takes no such url or protocol.
      this.#finish();
      throw error;
    }
  }

  #attempt() {
    this.#round += 1;
    const round = this.#round;
    this.#openedAt = undefined;
    this.#expectWithin(this.#options.connectTimeout, 'the server did not accept the connection in time');
    this.dispatchEvent(new SocketEvent('connecting', {}));
    if (this.#isOver || round !== this.#round) return;
    if (typeof this.#url !== 'function') {
      this.#open(this.#url);
      return;
    }
    const failed = (error) => { if (round === this.#round && !this.#isOver) this.#lost({ error }); };
    try {
      Promise.resolve(this.#url()).then((url) => {
        if (round !== this.#round || this.#isOver) return;
        checkUrl(url);
        this.#open(url);
      }).catch(failed);
    } catch (error) {
      // Not in this call, which may be that of the constructor.
      Promise.resolve().then(() => failed(error));
    }
  }

  #open(url) {
    const socket = new this.#WebSocket(absolute(url), this.#protocols);
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    socket.onopen = () => {
      if (socket !== this.#socket || this.#isOver) return;
      clearTimeout(this.#timer);
      this.#openedAt = performance.now();
      this.#heardAt = this.#openedAt;
      this.dispatchEvent(new SocketEvent('open', {}));
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heardAt = performance.now();
      if (!this.#isOver) clearTimeout(this.#timer);
      this.dispatchEvent(new SocketEvent('message', { data }));
    };
    // A close event follows.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason, wasClean }) => {
      if (socket === this.#socket) this.#ended({ code, reason, wasClean });
    };
  }

  /** The socket has ended, or is given up. */
  #ended({ code, reason, wasClean }) {
    const [wasOpen, now] = [this.#wasOpen, performance.now()];
    const times = wasOpen ? { openFor: now - this.#openedAt, silentFor: now - this.#heardAt } : {};
    this.#abandon();
    const round = this.#round;
    const close = { code, reason, wasClean, ...times, explanation: explain(code, reason) };
    // Of an attempt that failed a page learns nothing but 1006.
    if (wasOpen) this.dispatchEvent(new SocketEvent('close', close));
    // A listener may have closed it, or begun anew.
    if (!this.#isOver && round === this.#round) this.#lost({ close }, wasOpen);
  }

  /** Waits for the next attempt, or gives up. `failure` is `{ close }` or `{ error }`. */
  #lost(failure, wasOpen = false) {
    this.#abandon();
    const { close } = failure;
    const usual = close === undefined || isTemporaryClose(close.code, close.reason);
    if (!this.#isWanted(failure, usual)) return this.#giveUp(failure, 'shouldReconnect');
    if (this.#isOver) return undefined;
    const delay = this.#backoff.next(wasOpen ? close.openFor : undefined);
    if (delay === undefined) return this.#giveUp(failure, 'maxAttempts');
    this.#timer = setTimeout(() => this.#attempt(), delay);
    this.dispatchEvent(new SocketEvent('reconnecting', { attempt: this.#backoff.attempts, delay, ...failure }));
    return undefined;
  }

  #isWanted(failure, usual) {
    const { shouldReconnect } = this.#options;
    if (shouldReconnect === undefined) return usual;
    try {
      return shouldReconnect(failure, usual) === true;
    } catch (error) {
      report(error);
      return usual;
    }
  }

  #giveUp(failure, reason) {
    if (this.#isOver) return;
    this.#finish();
    this.dispatchEvent(new SocketEvent('gaveup', { attempts: this.#backoff.attempts, reason, ...failure }));
  }

  /** There will be no further connection. */
  #finish() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    globalThis.document?.removeEventListener('visibilitychange', this.#look);
    globalThis.window?.removeEventListener('online', this.#look);
  }

  /** Forgets the socket, whose further events are not reported, and an url that was asked for. */
  #abandon() {
    clearTimeout(this.#timer);
    this.#round += 1;
    this.#socket = undefined;
    this.#openedAt = undefined;
  }

  /** Ends a pause, or asks the server for a sign of life. */
  #lookAfter(type) {
    if (type === 'visibilitychange' && globalThis.document.visibilityState !== 'visible') return;
    const { probe, probeTimeout } = this.#options;
    if (this.#isOpen) {
      if (probe === undefined) return;
      let data;
      try {
        data = probe();
      } catch (error) {
        report(error);
        return;
      }
      if (data !== undefined && this.send(data)) this.#expectWithin(probeTimeout, 'the server did not answer in time');
    } else if (this.#socket === undefined && !this.#isOver) {
      clearTimeout(this.#timer);
      this.#attempt();
    }
  }

  /** Gives the socket up unless something arrives in time. Waiting for its close event could take minutes. */
  #expectWithin(milliseconds, reason) {
    clearTimeout(this.#timer);
    if (milliseconds === 0) return;
    this.#timer = setTimeout(() => {
      const socket = this.#socket;
      this.#ended({ code: 1006, reason, wasClean: false });
      socket?.close();
    }, milliseconds);
  }
}

// `onopen` and its like, as every EventTarget of the platform has them.
for (const type of ['connecting', 'open', 'message', 'close', 'reconnecting', 'gaveup']) {
  const handlers = new WeakMap();
  Object.defineProperty(ReconnectingWebSocket.prototype, `on${type}`, {
    configurable: true,
    enumerable: true,
    get() { return handlers.get(this) ?? null; },
    set(handler) {
      const isNew = !handlers.has(this);
      handlers.set(this, typeof handler === 'function' ? handler : null);
      if (isNew) this.addEventListener(type, (event) => handlers.get(this)?.call(this, event));
    },
  });
}

function report(error) {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
  else queueMicrotask(() => { throw error; });
}

function checkUrl(url) {
  if (typeof url !== 'string' && !(url instanceof URL)) throw wrongType('url must be a string, a URL, or a function that returns one');
}

/** Also of a path, and of the scheme of pages, which not all browsers take. */
function absolute(url) {
  const base = globalThis.location?.href;
  if (base === undefined) return url;
  const address = new URL(url, base);
  address.protocol = address.protocol.replace(/^http/, 'ws');
  return address;
}

function readProtocols(protocols) {
  const list = Array.isArray(protocols) ? [...protocols] : [protocols];
  if (!list.every((protocol) => typeof protocol === 'string')) throw wrongType('protocols must be a string or an array of strings');
  return list;
}
