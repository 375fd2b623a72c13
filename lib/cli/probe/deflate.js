'use strict';

// permessage-deflate (RFC 7692) as a client: each message is compressed by itself, and those of the server may refer to
// earlier ones.

const zlib = require('zlib');

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const MAX_INFLATED = 64 * 1024 * 1024;
/** What zlib cannot do; with stored blocks nothing refers back, so any window will do. */
const TOO_SMALL_WINDOW = 8;

/** For the extensions that the server has accepted; undefined if compression is not among them. */
function deflateFor(extensions) {
  const accepted = extensions?.split(',').map((one) => one.trim()).find((one) => /^permessage-deflate\b/i.test(one));
  if (accepted === undefined) return undefined;
  const bits = Number(accepted.match(/client_max_window_bits\s*=\s*"?(\d+)/i)?.[1] ?? 15);
  return new Deflate({ bits, hasContext: !/server_no_context_takeover/i.test(accepted) });
}

class Deflate {
  #bits;
  #hasContext;
  #inflate;
  /** Messages are inflated one behind the other. */
  #turn = Promise.resolve();

  constructor({ bits, hasContext }) {
    this.#bits = bits;
    this.#hasContext = hasContext;
  }

  compress(payload) {
    const options = this.#bits <= TOO_SMALL_WINDOW ? { level: 0 } : { windowBits: this.#bits };
    const data = zlib.deflateRawSync(payload, { ...options, finishFlush: zlib.constants.Z_SYNC_FLUSH });
    return data.subarray(0, data.length - TAIL.length);
  }

  decompress(payload) {
    this.#turn = this.#turn.then(() => this.#decompress(payload));
    return this.#turn;
  }

  #decompress(payload) {
    const inflate = this.#inflate ?? zlib.createInflateRaw();
    this.#inflate = this.#hasContext ? inflate : undefined;
    return new Promise((resolve, reject) => {
      const parts = [];
      let length = 0;
      inflate.removeAllListeners('data').removeAllListeners('error');
      inflate.once('error', reject);
      inflate.on('data', (part) => {
        parts.push(part);
        length += part.length;
        if (length > MAX_INFLATED) reject(new Error('too long'));
      });
      inflate.write(payload);
      inflate.write(TAIL);
      inflate.flush(() => resolve(Buffer.concat(parts)));
    });
  }
}

module.exports = { deflateFor };
