'use strict';

/** What is streamed: 100 MB. */
const CONTENT = Buffer.alloc(100_000_000, 'ferrows ');
/** How much of it is offered at a time, as a file stream would. */
const PIECE = 64 * 1024;

/** Answers with it, as fast as it is taken. */
function stream(response) {
  const send = () => {
    for (;;) {
      const offset = response.getWriteOffset();
      const [ok, done] = response.tryEnd(CONTENT.subarray(offset, offset + PIECE), CONTENT.length);
      if (done || !ok) return ok;
    }
  };
  response.onAborted(() => {});
  response.onWritable(send);
  send();
}

module.exports = { CONTENT, PIECE, stream };
