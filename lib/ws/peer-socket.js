'use strict';

// What programs and other packages use of Node's socket once the connection belongs to an I/O thread: its addresses, and its
// end.

class PeerSocket {
  #ws;

  constructor(stream, ws) {
    const { remoteAddress, remoteFamily, remotePort, localAddress, localPort } = stream;
    Object.assign(this, { remoteAddress, remoteFamily, remotePort, localAddress, localPort });
    // Of a TLSSocket.
    if (stream.encrypted) Object.assign(this, { encrypted: true, authorized: stream.authorized });
    this.#ws = ws;
  }

  /** As `ws.terminate()`. */
  destroy() {
    this.#ws.terminate();
    return this;
  }

  end() {
    return this.destroy();
  }

  get destroyed() {
    return this.#ws.readyState === this.#ws.CLOSED;
  }

  isPaused() {
    return this.#ws.isPaused;
  }
}

module.exports = { PeerSocket };
