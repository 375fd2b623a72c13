'use strict';

/**
 * Two ways to upload. A form with files is taken whole: open the printed address, or `curl -F file=@photo.jpg
 * http://localhost:9001/`. A file of any size goes to the disk as it arrives: `curl -T film.mp4 http://localhost:9001/`.
 */

const { createWriteStream, mkdtempSync, promises: fs } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../index.js');
const { servePage } = require('./pages/serve.js');

const port = Number(process.env.PORT ?? 9001);
const folder = mkdtempSync(join(tmpdir(), 'uploads-'));

/** Bytes of a form, all files together. They are in memory. */
const MOST = 10 * 1024 * 1024;

let count = 0;

/** A name of our own: what a client calls its file may be `../../etc/passwd`. */
function newPath() {
  count += 1;
  return join(folder, `${count}.upload`);
}

function answer(res, status, text) {
  if (!res.aborted) res.cork(() => res.writeStatus(status).end(`${text}\n`));
}

async function handleForm(res, body, contentType) {
  if (body === null) return answer(res, '413 Content Too Large', `At most ${MOST} bytes.`);
  const fields = uWS.getParts(body, contentType);
  if (fields === undefined) return answer(res, '400 Bad Request', 'That is no form with files.');
  // A file input that was left empty has an empty name.
  const files = fields.filter(({ filename }) => filename);
  await Promise.all(files.map(({ data }) => fs.writeFile(newPath(), Buffer.from(data))));
  answer(res, '200 OK', files.map(({ filename, data }) => `${filename}: ${data.byteLength} bytes`).join('\n'));
}

/** Writes the body to a file, at the pace of the disk. */
function handleFile(res) {
  const path = newPath();
  const file = createWriteStream(path);
  file.on('drain', () => res.aborted || res.resume());
  file.on('error', (error) => {
    console.error(error);
    answer(res, '500 Internal Server Error', 'The file could not be saved.');
  });
  res.onDataOrAborted((same, chunk, remaining) => {
    if (same === null) {
      file.destroy();
      return fs.rm(path, { force: true });
    }
    // A piece stays until the promise is settled, so there is no need for a copy.
    return new Promise((resolve) => {
      const hasRoom = file.write(new Uint8Array(chunk), resolve);
      if (remaining === 0n) file.end(() => answer(res, '201 Created', `${file.bytesWritten} bytes`));
      else if (!hasRoom) res.pause();
    });
  });
}

const app = uWS.App();
servePage(app, 'upload');

app
  .post('/', (res, req) => {
    const contentType = req.getHeader('content-type');
    res.onAborted(() => {});
    res.collectBody(MOST, async (body) => {
      try {
        await handleForm(res, body, contentType);
      } catch (error) {
        console.error(error);
        answer(res, '500 Internal Server Error', 'The files could not be saved.');
      }
    });
  })
  .put('/*', handleFile)
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
