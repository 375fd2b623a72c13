'use strict';

// What programs and other packages use of Node's socket once the connection belongs to an I/O thread: its addresses, what it
// has not written, and its end.

/** The local end of the latest connection, which on a server is mostly that of all. */
let latestEnd = {};

let secureOf;

class PeerSocket {
  #ws;
  /** `{ address, port }` */
  #localEnd;
  /** The TLSSocket of Node's that goes on carrying the bytes. */
  #secure;

  static {
    secureOf = (socket) => socket.#secure;
  }

  constructor(stream, ws) {
    this.remoteAddress = stream.remoteAddress;
    this.remotePort = stream.remotePort;
    const { localAddress: address, localPort: port } = stream;
    if (latestEnd.address !== address || latestEnd.port !== port) latestEnd = { address, port };
    this.#localEnd = latestEnd;
    this.#ws = ws;
    if (stream.encrypted) this.#secure = stream;
  }

  get remoteFamily() { return familyOf(this.remoteAddress); }

  get localAddress() { return this.#localEnd.address; }

  get localFamily() { return familyOf(this.localAddress); }

  get localPort() { return this.#localEnd.port; }

  address() {
    const { localAddress: address, localFamily: family, localPort: port } = this;
    return address === undefined ? {} : { address, family, port };
  }

  get encrypted() { return this.#secure === undefined ? undefined : true; }

  get authorized() { return this.#secure?.authorized; }

  /** Bytes that wait to be written. */
  get writableLength() { return this.#ws.bufferedAmount; }

  get bufferSize() { return this.writableLength; }

  get _writableState() { return { length: this.writableLength }; }

  get destroyed() { return this.#ws.readyState === this.#ws.CLOSED; }

  /** As `ws.terminate()`. */
  destroy() {
    this.#ws.terminate();
    return this;
  }

  end() {
    return this.destroy();
  }

  pause() {
    this.#ws.pause();
    return this;
  }

  resume() {
    this.#ws.resume();
    return this;
  }

  isPaused() {
    return this.#ws.isPaused;
  }
}

/** Methods of a TLSSocket, which are there if it is one. */
for (const name of ['getCertificate', 'getCipher', 'getPeerCertificate', 'getProtocol']) {
  Object.defineProperty(PeerSocket.prototype, name, {
    configurable: true,
    get() {
      const secure = secureOf(this);
      return secure?.[name].bind(secure);
    },
  });
}

/** What has an effect on Node's socket only: the I/O threads set `TCP_NODELAY` and keep the connection as long as it lasts. */
for (const name of ['cork', 'ref', 'setKeepAlive', 'setNoDelay', 'setTimeout', 'uncork', 'unref']) {
  Object.defineProperty(PeerSocket.prototype, name, { configurable: true, writable: true, value() { return this; } });
}

/** The family of an address, as Node names it. */
function familyOf(address) {
  if (address === undefined) return undefined;
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

module.exports = { PeerSocket };
