// Written by scripts/browser.mjs from lib/browser and lib/reconnect: do not edit it, run `npm run generate`.

// When to connect again: the options, the pauses and the rule by which a client gives up, of `uWS.connect` and of
// `ferrows/browser`, which has this text in it (scripts/browser.mjs). So it uses nothing of Node.js.

/** The longest delay that timers have, in milliseconds. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

/** Names of the numbers among the options: range, whether it is an integer, default. Delays and times are in milliseconds. */
const NUMBERS = {
  minDelay: { min: 1, max: MAX_MILLISECONDS, isInteger: true, usual: 500 },
  maxDelay: { min: 1, max: MAX_MILLISECONDS, isInteger: true, usual: 30_000 },
  factor: { min: 1, max: 100, isInteger: false, usual: 2 },
  maxAttempts: { min: 0, max: Infinity, isInteger: true, usual: Infinity },
  minUptime: { min: 0, max: MAX_MILLISECONDS, isInteger: true, usual: 5000 },
};

/**
 * Reads the options of an object: numbers, and functions with these names. In messages their names follow `prefix`.
 * Throws a TypeError or RangeError with a `code`.
 */
function readReconnectOptions(options, prefix, functions) {
  const read = {};
  for (const [name, rule] of Object.entries(NUMBERS)) {
    const value = options[name] ?? undefined;
    read[name] = value === undefined ? rule.usual : checkNumber(value, prefix + name, rule);
  }
  const { maxDelay } = options;
  if (maxDelay !== undefined && maxDelay !== null && maxDelay < read.minDelay) {
    throw rangeError(`${prefix}maxDelay must not be less than ${prefix}minDelay (${read.minDelay}), got ${maxDelay}`);
  }
  read.maxDelay = Math.max(read.minDelay, read.maxDelay);
  for (const name of functions) {
    const value = options[name] ?? undefined;
    if (value !== undefined && typeof value !== 'function') throw wrongType(`${prefix}${name} must be a function`);
    read[name] = value;
  }
  return read;
}

function checkNumber(value, name, { min, max, isInteger }) {
  if (typeof value !== 'number') throw wrongType(`${name} must be a number`);
  const isKind = isInteger ? Number.isInteger(value) || value === max : value === value;
  if (isKind && value >= min && value <= max) return value;
  const kind = isInteger ? 'an integer' : 'a number';
  const range = max === Infinity ? `${kind} from ${min} on, or Infinity` : `${kind} between ${min} and ${max}`;
  throw rangeError(`${name} must be ${range}, got ${value}`);
}

function wrongType(message) {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
}

function rangeError(message) {
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}

/** How long to wait before which attempt. */
class Backoff {
  #options;
  #attempts = 0;

  constructor(options) {
    this.#options = options;
  }

  /** Attempts since a connection was open for `minUptime`. */
  get attempts() {
    return this.#attempts;
  }

  /** Begins anew. */
  reset() {
    this.#attempts = 0;
  }

  /**
   * Counts another attempt, and returns how many milliseconds to wait before it; `undefined` if there is to be none.
   * `openFor` is how long the connection that has ended was open, in milliseconds; `undefined` after an attempt that failed.
   */
  next(openFor) {
    const { minDelay, maxDelay, factor, maxAttempts, minUptime } = this.#options;
    if (openFor >= minUptime) this.#attempts = 0;
    if (this.#attempts >= maxAttempts) return undefined;
    this.#attempts += 1;
    const ceiling = Math.min(maxDelay, minDelay * factor ** this.#attempts);
    // All of what may be added is random: clients that a server has lost in one moment do not come back in one.
    return Math.round(minDelay + Math.random() * (ceiling - minDelay));
  }
}

/**
 * Codes below 4000 after which the next attempt would end in the same way: the server calls wrong what we sent (1002, 1003,
 * 1007, 1008, 1009), misses an extension (1010), or does not let us in (3000, 3003).
 */
const FINAL_CODES = [1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003];

/** The reason with which a server that ends connections on purpose asks its clients to come back. */
const INVITATION = 'please reconnect';

/**
 * Whether to come back after a close with this code: not after 1000, unless the reason asks for it, nor after one of
 * `FINAL_CODES`, nor after a code of an application's own, with which it says what only it knows.
 */
function isTemporaryClose(code, reason) {
  if (code === 1000) return reason.startsWith(INVITATION);
  return code < 4000 && !FINAL_CODES.includes(code);
}

/** `[first code, last code, name, meaning, what to do]` */
const CODES = [
  [0, 999, undefined, 'not used', undefined],
  [1000, 1000, 'Normal Closure', 'done, nothing wrong', 'The conversation is over. Connect again only when the user wants to go on.'],
  [1001, 1001, 'Going Away', 'a tab closes, a server shuts down', 'The server shuts down, or the page goes away. Connect again after a pause; the server is back soon.'],
  [1002, 1002, 'Protocol Error', 'the other side broke a rule of RFC 6455', 'The server says that a frame broke the protocol. Look for a proxy or browser extension that changes the stream; the reason names the rule.'],
  [1003, 1003, 'Unsupported Data', 'for example binary where only text is understood', 'The server does not take this kind of message. Send text instead of binary data, or the other way round.'],
  [1004, 1004, 'Reserved', 'no meaning yet', undefined],
  [1005, 1005, 'No Status Received', 'local: the Close frame had no code', 'The server closed without saying why. Connect again after a pause; let the server give a code and a reason (ws.end(4003, \'why\')).'],
  [1006, 1006, 'Abnormal Closure', 'local: there was no Close frame', 'No Close frame came: the network or the server was lost, or there never was a connection (refused, a wrong certificate, an answer other than 101), which browsers do not tell apart. Connect again after a pause. If it never opens, look at the network panel and the server\'s log; if it ends after the same time of silence again and again, something on the way cuts quiet lines: npx ferrows probe finds it, and pingInterval of the server mends it.'],
  [1007, 1007, 'Invalid Frame Payload Data', 'a text that is not UTF-8', 'A text was not valid UTF-8, or compressed data were broken. Send binary data as binary; the next attempt would end in the same way.'],
  [1008, 1008, 'Policy Violation', 'refused for a reason that no other code has', 'The server refused for a reason of its own, such as reading too slowly. Do not send or ask for as much; the reason says what.'],
  [1009, 1009, 'Message Too Big', 'more than the other side takes', 'A message was longer than the server takes. Send less at once, or raise maxPayloadLength of the server.'],
  [1010, 1010, 'Mandatory Extension', 'the client insists on an extension it did not get', 'The browser insists on an extension. Look at the extensions that the server offers.'],
  [1011, 1011, 'Internal Error', 'the server met an unexpected condition', 'The server met an error of its own. Connect again after a pause; the server\'s log says more.'],
  [1012, 1012, 'Service Restart', 'come back in a moment', 'The server restarts. Connect again after a pause.'],
  [1013, 1013, 'Try Again Later', 'overloaded: come back later, or elsewhere', 'The server has too much to do. Connect again after a longer pause.'],
  [1014, 1014, 'Bad Gateway', 'a gateway got no proper answer from behind it', 'A gateway got no answer from the server behind it. Connect again after a pause; look whether the server runs.'],
  [1015, 1015, 'TLS Handshake', 'local: TLS failed', 'TLS failed. Look at the certificate, by opening the address in a tab.'],
  [1016, 2999, undefined, 'reserved for RFC 6455, its successors and extensions', undefined],
  [3000, 3000, 'Unauthorized', 'registered: credentials are missing (as HTTP 401)', 'Credentials are missing or have expired. Log in again, then connect.'],
  [3003, 3003, 'Forbidden', 'registered: credentials do not suffice (as HTTP 403)', 'Credentials do not suffice. Do not connect again as this user.'],
  [3008, 3008, 'Timeout', 'registered: took too long (as HTTP 408)', 'The server waited too long for something. Connect again after a pause.'],
  [3000, 3999, undefined, 'libraries and frameworks, first come first served with IANA', undefined],
  [4000, 4999, undefined, 'yours: private use, whatever client and server agree upon', undefined],
  [5000, 65535, undefined, 'not used', undefined],
];

/** Of closes by Ferrows: `[code, how the reason begins, cause]` */
const REASONS = [
  [1002, 'Received invalid WebSocket frame: RSV bits must be 0 unless an extension was negotiated', 'ERR_FRAME_RESERVED_BITS'],
  [1002, 'Received invalid WebSocket frame: RSV1 must be 0 on control frames and continuations', 'ERR_FRAME_MISPLACED_COMPRESSION'],
  [1002, 'Received invalid WebSocket frame: opcode is reserved', 'ERR_FRAME_RESERVED_OPCODE'],
  [1002, 'Received invalid WebSocket frame: FIN must be set on control frames', 'ERR_FRAME_FRAGMENTED_CONTROL'],
  [1002, 'Received invalid WebSocket frame: control frame payload must not exceed 125 bytes', 'ERR_FRAME_CONTROL_TOO_LONG'],
  [1002, 'Received invalid WebSocket frame: continuation without a message to continue', 'ERR_FRAME_UNEXPECTED_CONTINUATION'],
  [1002, 'Received invalid WebSocket frame: expected a continuation of the fragmented message', 'ERR_FRAME_EXPECTED_CONTINUATION'],
  [1002, 'Received invalid WebSocket frame: MASK must be set on client frames', 'ERR_FRAME_UNMASKED'],
  [1002, 'Received invalid WebSocket frame: MASK must not be set on server frames', 'ERR_FRAME_MASKED'],
  [1002, 'Received invalid WebSocket frame: payload length must be encoded minimally', 'ERR_FRAME_NON_MINIMAL_LENGTH'],
  [1002, 'Received invalid WebSocket frame: 64-bit payload length must not exceed 2^63-1', 'ERR_FRAME_LENGTH_OVERFLOW'],
  [1002, 'Received invalid close payload: one byte cannot hold a status code', 'ERR_CLOSE_PAYLOAD_TRUNCATED'],
  [1002, 'Received invalid close payload: status code must not be sent', 'ERR_CLOSE_CODE'],
  [1007, 'Received invalid close payload: reason must be UTF-8', 'ERR_CLOSE_REASON_UTF8'],
  [1007, 'Received too big message, or other inflation error: compressed data must be valid', 'ERR_INVALID_DEFLATE'],
  [1007, 'Received invalid UTF-8: text messages must be UTF-8', 'ERR_INVALID_UTF8'],
  [1009, 'Received too big message: declared length exceeds maxPayloadLength', 'ERR_FRAME_TOO_BIG'],
  [1009, 'Received too big message: fragments exceed maxPayloadLength', 'ERR_MESSAGE_TOO_BIG'],
  [1008, 'Received too many fragments of one message', 'ERR_TOO_MANY_FRAGMENTS'],
  [1009, 'Received too big message, or other inflation error: inflated length exceeds maxPayloadLength', 'ERR_INFLATED_TOO_BIG'],
  [1001, 'TLS keys are used up: please reconnect', 'ERR_TLS_KEYS_EXHAUSTED'],
  [1001, 'WebSocket timed out from inactivity', 'ERR_IDLE_TIMEOUT'],
  [1000, 'please reconnect', 'CLOSED_MAX_LIFETIME'],
  [1008, 'Back-pressure limit exceeded: peer reads too slowly', 'ERR_BACKPRESSURE_LIMIT'],
  [1001, 'Application called app.close()', 'CLOSED_BY_APP_CLOSE'],
];

// What a close code and a reason mean, and what to do about them: what docs/close-reasons.md says.

/** `{ code, name, meaning, advice, cause }`; what is not known is `undefined`. `cause` is the one that Ferrows calls so. */
export function explain(code, reason = '') {
  const fitting = CODES.filter(([first, last]) => code >= first && code <= last);
  // A row of its own says more than that of a range.
  const [, , name, meaning, advice] = fitting.find(([first, last]) => first === last) ?? fitting[0] ?? [];
  const [, , cause] = REASONS.find(([sent, text]) => sent === code && text !== '' && String(reason).startsWith(text)) ?? [];
  return { code, name, meaning, advice, cause };
}

// The WebSocket of `ferrows/browser`: see browser.d.ts and docs/browser.md. scripts/browser.mjs makes browser.mjs of this file
// and those that it imports.

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
