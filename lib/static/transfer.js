'use strict';

// Sends a part of a file as the body of a response, at the pace of whoever reads it.

const { native } = require('../runtime/border.js');
const { narrow } = require('../http/response.js');

/** Bytes read at once. */
const READ_LENGTH = 64 * 1024;

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

  /**
   * Sends `length` bytes of an open file, from `start` on, as the whole body. Resolves when they are sent or never will be.
   *
   * What there is no room for is read again later, so that a download that waits for its client keeps no more than what
   * waits in the response.
   */
  async send(file, start, length) {
    const res = this.#res;
    narrow(res);
    res.onWritable(() => {
      this.#wake();
      return true;
    });
    for (let sent = 0; sent < length; sent = res.getWriteOffset()) {
      const piece = await file.read(start + sent, Math.min(READ_LENGTH, length - sent));
      if (this.isOver) return;
      // The file has become shorter. Its length is announced, so all that is left is to hang up.
      if (piece.length === 0) return void res.close();
      const writable = new Promise((resolve) => { this.#wake = resolve; });
      const [ok, done] = res.tryEnd(piece, length);
      // Its memory is given back now rather than with the next collection of garbage.
      if (piece.buffer.byteLength === piece.length) native.detach(piece.buffer);
      if (done) return;
      if (!ok) await writable;
      if (this.isOver) return;
    }
  }
}

module.exports = { Transfer };
