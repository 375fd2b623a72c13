'use strict';

// Sends a part of a file as the body of a response, at the pace of whoever reads it.

/** Bytes read at once: what one download keeps in memory, besides what waits in the response. */
const PIECE = 64 * 1024;

/** A response on its way, to be awaited. Attach it before anything else is awaited. */
class Transfer {
  #res;
  #isOver = false;
  #wake = () => {};

  constructor(res) {
    this.#res = res;
    res.onAborted(() => {
      this.#isOver = true;
      this.#wake();
    });
  }

  /** Whether there is nobody left to send to. */
  get isOver() {
    return this.#isOver;
  }

  /** Sends `length` bytes of an open file, from `start` on, as the whole body. Resolves when they are sent or never will be. */
  async send(file, start, length) {
    const res = this.#res;
    const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE, length));
    res.onWritable(() => {
      this.#wake();
      return true;
    });
    for (let sent = 0; sent < length;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - sent), start + sent);
      if (this.isOver) return;
      // The file has become shorter. Its length is announced, so all that is left is to hang up.
      if (bytesRead === 0) return void res.close();
      if (!await this.#offer(buffer.subarray(0, bytesRead), sent, length)) return;
      sent += bytesRead;
    }
  }

  /** Sends the piece of the body that begins at `offset`. Resolves to whether there is somebody to send more to. */
  async #offer(piece, offset, length) {
    for (;;) {
      const writable = new Promise((resolve) => { this.#wake = resolve; });
      const [ok, done] = this.#res.tryEnd(piece.subarray(this.#res.getWriteOffset() - offset), length);
      if (done) return false;
      if (ok) return true;
      await writable;
      if (this.isOver) return false;
    }
  }
}

module.exports = { Transfer };
