'use strict';

/**
 * Sends a film of any size at the pace of its viewer, with a few hundred kilobytes in memory, and from where the viewer
 * jumps to: `FILE=film.mp4 node examples/video-streamer.js`. Without `FILE` it sends itself.
 *
 * This is how to do it by hand, for a source of your own; for the files of a folder, `app.serveFiles` does all of it.
 */

const fs = require('node:fs');

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const path = process.env.FILE ?? __filename;

const PAGE = '<!DOCTYPE html><title>Video</title><video src="/film" controls style="width: 100%"></video>';

/**
 * The bytes that a `Range` asks for: `{ start, end }`, both included; `undefined` for all of them, which is right for
 * whatever is not understood; `null` if there are no such bytes (RFC 9110 §14).
 */
function readRange(header, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(header) ?? [];
  if (!first && !last) return undefined;
  if (first && last && Number(first) > Number(last)) return undefined;
  const start = first ? Number(first) : Math.max(0, size - Number(last));
  const end = first && last ? Math.min(Number(last), size - 1) : size - 1;
  return start > end ? null : { start, end };
}

/** Sends `length` bytes of a readable stream. */
function send(res, stream, length) {
  /** The piece of the stream that was not taken as a whole, and its offset in the body. */
  let waiting;
  let offset;

  stream.on('data', (chunk) => {
    offset = res.getWriteOffset();
    const [ok, done] = res.tryEnd(chunk, length);
    if (ok || done) return;
    waiting = chunk;
    stream.pause();
  });
  // A file that shrinks while it is read, or cannot be read: the length is announced, so all that is left is to hang up.
  stream.on('error', (error) => console.error(error.message));
  stream.on('close', () => {
    if (!res.aborted && stream.bytesRead < length) res.close();
  });

  res.onAborted(() => stream.destroy());
  res.onWritable((writeOffset) => {
    const [ok, done] = res.tryEnd(waiting.subarray(writeOffset - offset), length);
    if (ok && !done) stream.resume();
    return ok;
  });
}

/** Answers GET and HEAD. */
function handleFilm(res, req) {
  const { size, mtimeMs } = fs.statSync(path);
  const etag = `"${size.toString(16)}-${Math.round(mtimeMs).toString(16)}"`;
  // The rest of a film that has changed in the meantime is of no use: then all of it is sent.
  const isSame = ['', etag].includes(req.getHeader('if-range'));
  const range = isSame ? readRange(req.getHeader('range'), size) : undefined;
  if (range === null) {
    return res.writeStatus('416 Range Not Satisfiable').writeHeader('Content-Range', `bytes */${size}`).end();
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const length = end - start + 1;

  res.writeStatus(range ? '206 Partial Content' : '200 OK');
  res.writeHeader('Content-Type', 'video/mp4').writeHeader('Accept-Ranges', 'bytes').writeHeader('ETag', etag);
  if (range) res.writeHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  if (req.getMethod() === 'head') return res.endWithoutBody(length);
  if (length === 0) return res.end();
  return send(res, fs.createReadStream(path, { start, end, highWaterMark: 128 * 1024 }), length);
}

uWS
  .App()
  .get('/', (res) => res.writeHeader('Content-Type', 'text/html; charset=utf-8').end(PAGE))
  .get('/film', handleFilm)
  .head('/film', handleFilm)
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
