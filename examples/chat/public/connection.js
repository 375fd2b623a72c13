/**
 * A WebSocket that comes back. It speaks JSON, reconnects with exponential back-off and jitter, gives up when the
 * server said something that trying again cannot change, and notices connections that died without a word.
 */

/** Shortest and longest pause before another attempt, in milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** How long a connection may take to open, and a probe to be answered, in milliseconds. */
const OPEN_TIMEOUT = 10_000;
const PROBE_TIMEOUT = 4_000;

/**
 * Codes below 4000 after which the next attempt would end the same way: the server calls what we sent wrong (1002,
 * 1003, 1007, 1008, 1009), misses an extension (1010) or does not let us in (3000, 3003).
 * Everything else below 4000 passes: restarts (1001, 1012), overload (1013), lost connections (1006).
 */
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003]);

/** True for codes that mean "do not come back"; this application's own codes (4000–4999) all do. */
export function isFinal(code) {
  return FINAL_CODES.has(code) || code >= 4000;
}

export class Connection {
  #url;
  #handlers;
  #socket = null;
  #wasOpen = false;
  #attempt = 0;
  #pauseTimer = 0;
  #deadline = 0;

  /**
   * `handlers`:
   * - `state(state)`: it changed; `{ name: 'idle' | 'connecting' | 'open' }`,
   *   `{ name: 'waiting', attempt, until }` or `{ name: 'stopped', end }`
   * - `open()`: messages may be sent
   * - `message(object)`: one arrived
   * - `end({ code, reason, wasClean })`: a connection that was open ended; `state` follows
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    // Phones suspend pages and change networks: both are good moments to look whether the line is still there.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#lookAfter();
    });
    window.addEventListener('online', () => this.#lookAfter());
  }

  /** Connects, unless a connection is there or under way. Also ends a pause early. */
  start() {
    if (this.#socket !== null) return;
    clearTimeout(this.#pauseTimer);
    this.#handlers.state({ name: 'connecting' });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#wasOpen = false;
    this.#expectWithin(OPEN_TIMEOUT);
    socket.onopen = () => {
      clearTimeout(this.#deadline);
      this.#wasOpen = true;
      this.#handlers.state({ name: 'open' });
      this.#handlers.open();
    };
    socket.onmessage = ({ data }) => {
      clearTimeout(this.#deadline);
      this.#handlers.message(JSON.parse(data));
    };
    socket.onclose = ({ code, reason, wasClean }) => this.#ended(socket, { code, reason, wasClean });
  }

  /** Closes for good; `start` connects anew. */
  stop(reason) {
    clearTimeout(this.#pauseTimer);
    this.#attempt = 0;
    const socket = this.#detach();
    socket?.close(1000, reason);
    this.#handlers.state({ name: 'idle' });
  }

  /** To be called when the server has accepted us, and not merely the handshake: the next pause is short again. */
  settled() {
    this.#attempt = 0;
  }

  /** Sends one message; false when there is no connection to send it on. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #ended(socket, end) {
    if (socket !== this.#socket) return; // given up before; its end is old news
    this.#detach();
    // A failed attempt is always 1006 without a reason: browsers hide what went wrong from pages.
    if (this.#wasOpen) this.#handlers.end(end);
    if (isFinal(end.code)) {
      this.#attempt = 0;
      this.#handlers.state({ name: 'stopped', end });
      return;
    }
    const ceiling = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#attempt);
    // Between half and all of it: after a restart not all clients return in the same instant.
    const pause = ceiling * (0.5 + Math.random() / 2);
    this.#attempt += 1;
    this.#pauseTimer = setTimeout(() => this.start(), pause);
    this.#handlers.state({ name: 'waiting', attempt: this.#attempt, until: Date.now() + pause });
  }

  /** Ends a pause, or asks the server for a sign of life. */
  #lookAfter() {
    if (this.send({ type: 'probe' })) this.#expectWithin(PROBE_TIMEOUT);
    else if (this.#attempt > 0) this.start();
  }

  /** Gives the connection up unless something arrives in time. Waiting for its close event could take minutes. */
  #expectWithin(milliseconds) {
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    this.#deadline = setTimeout(() => {
      this.#ended(socket, { code: 1006, reason: 'the server did not answer in time', wasClean: false });
      socket.close();
    }, milliseconds);
  }

  #detach() {
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    this.#socket = null;
    return socket;
  }
}
