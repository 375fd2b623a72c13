'use strict';

/**
 * Sends a file of any size at the pace of its reader, with a few hundred kilobytes in memory: `FILE=film.mp4 node
 * examples/stream-file.js`. Without `FILE` it sends itself.
 */

const fs = require('node:fs');

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const path = process.env.FILE ?? __filename;

/** Sends `size` bytes of a readable stream. */
function send(res, stream, size) {
  /** The piece of the stream that was not taken as a whole, and where in the body it begins. */
  let waiting;
  let start;

  stream.on('data', (chunk) => {
    start = res.getWriteOffset();
    const [ok, done] = res.tryEnd(chunk, size);
    if (ok || done) return;
    waiting = chunk;
    stream.pause();
  });
  // A file that shrinks while it is read, or cannot be read: the length is announced, so all that is left is to hang up.
  stream.on('close', () => {
    if (!res.aborted && stream.bytesRead < size) res.close();
  });

  res.onAborted(() => stream.destroy());
  res.onWritable((offset) => {
    const [ok, done] = res.tryEnd(waiting.subarray(offset - start), size);
    if (ok && !done) stream.resume();
    return ok;
  });
}

uWS
  .App()
  .get('/', (res) => {
    const { size } = fs.statSync(path);
    res.writeHeader('Content-Type', 'application/octet-stream');
    if (size === 0) res.end();
    else send(res, fs.createReadStream(path, { end: size - 1, highWaterMark: 128 * 1024 }), size);
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
