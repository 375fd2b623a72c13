/** The chat's connection: JSON over a WebSocket that comes back (`ferrows/browser`), and its states for the page. */

import { ReconnectingWebSocket } from './browser.mjs';

export class Connection {
  #url;
  #handlers;
  #socket = null;

  /**
   * `handlers`:
   * - `state(state)`: it changed; `{ name: 'idle' | 'connecting' | 'open' }`,
   *   `{ name: 'waiting', attempt, until }` or `{ name: 'stopped', end }`
   * - `open()`: messages may be sent
   * - `message(object)`: one arrived
   * - `end(close)`: a connection that was open ended; `state` follows
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
  }

  /** Connects, unless a connection is there or under way. Also ends a pause early. */
  start() {
    if (this.#socket !== null) {
      this.#socket.connect();
      return;
    }
    this.#handlers.state({ name: 'connecting' });
    const socket = new ReconnectingWebSocket(this.#url, { probe: () => JSON.stringify({ type: 'probe' }) });
    this.#socket = socket;
    socket.onconnecting = () => this.#handlers.state({ name: 'connecting' });
    socket.onopen = () => {
      this.#handlers.state({ name: 'open' });
      this.#handlers.open();
    };
    // What still comes of a connection that we have left is old news.
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#handlers.message(JSON.parse(data));
    };
    socket.onclose = (close) => {
      if (socket === this.#socket) this.#handlers.end(close);
    };
    socket.onreconnecting = ({ attempt, delay }) => this.#handlers.state({ name: 'waiting', attempt, until: Date.now() + delay });
    socket.ongaveup = ({ close }) => this.#handlers.state({ name: 'stopped', end: close });
  }

  /** Closes for good; `start` connects anew. */
  stop(reason) {
    this.#socket?.close(1000, reason);
    this.#socket = null;
    this.#handlers.state({ name: 'idle' });
  }

  /** Sends one message; false when there is no connection to send it on. */
  send(message) {
    return this.#socket?.send(JSON.stringify(message)) ?? false;
  }

  /** Milliseconds since the server said something; `undefined` without a connection. */
  get silentFor() {
    return this.#socket?.silentFor;
  }
}
