'use strict';

// Sends a part of a file as the body of a response, at the pace of whoever reads it.

const { native } = require('../border.js');

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
    res.onWritable(() => {
      this.#wake();
      return true;
    });
    for (let sent = 0; sent < length;) {
      const piece = await file.read(start + sent, Math.min(PIECE, length - sent));
      if (this.isOver) return;
      // The file has become shorter. Its length is announced, so all that is left is to hang up.
      if (piece.length === 0) return void res.close();
      const isWanted = await this.#offer(piece, sent, length);
      sent += piece.length;
      // Its memory is given back now rather than with the next collection of garbage.
      if (piece.buffer.byteLength === piece.length) native.detach(piece.buffer);
      if (!isWanted) return;
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
