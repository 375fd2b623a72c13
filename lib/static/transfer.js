'use strict';

// Sends a part of a file as the body of a response, at the pace of the client.

const { native } = require('../runtime/border.js');
const { limitBufferedOutput } = require('../http/response.js');

/** Bytes read at once. */
const READ_LENGTH = 64 * 1024;

/** Sends the body of one response. Create it before the handler awaits anything, because it registers `onAborted`. */
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

  /** Whether the response is over or aborted. */
  get isOver() {
    return this.#isOver;
  }

  /**
   * Sends `length` bytes of an open file, from `start` on, as the whole body. Resolves when they are sent or never will be.
   *
   * Bytes for which there is no room are read again later, so that a slow download keeps no more in memory than the output
   * that is buffered for its response.
   */
  async send(file, start, length) {
    const res = this.#res;
    limitBufferedOutput(res);
    res.onWritable(() => {
      this.#wake();
      return true;
    });
    for (let sent = 0; sent < length; sent = res.getWriteOffset()) {
      const piece = await file.read(start + sent, Math.min(READ_LENGTH, length - sent));
      if (this.isOver) return;
      // The file has become shorter. Its length was announced, so the connection must be closed.
      if (piece.length === 0) return void res.close();
      const writable = new Promise((resolve) => { this.#wake = resolve; });
      const [ok, done] = res.tryEnd(piece, length);
      // Frees the memory now instead of at the next garbage collection.
      if (piece.buffer.byteLength === piece.length) native.detach(piece.buffer);
      if (done) return;
      if (!ok) await writable;
      if (this.isOver) return;
    }
  }
}

module.exports = { Transfer };
