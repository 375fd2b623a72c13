// The server of the soak's HTTP part: everything that a response and a body can go through.

import uWS from '../../index.mjs';
import { obey } from './holdings.mjs';

const CONTENT = Buffer.alloc(4 * 1024 * 1024, 'ferrows ');
const app = uWS.App();
/** Responses that are neither complete nor aborted. */
let open = 0;

function track(res) {
  open += 1;
  res.onAborted(() => {
    open -= 1;
  });
}

function finish(res, act) {
  if (res.aborted) return;
  act();
  open -= 1;
}

app
  .get('/hello', (res) => res.end('hello'))
  .get('/late', (res) => {
    track(res);
    setTimeout(() => finish(res, () => res.end('late')), 5);
  })
  .get('/stream', (res) => {
    track(res);
    const send = () => {
      for (;;) {
        const offset = res.getWriteOffset();
        const [ok, done] = res.tryEnd(CONTENT.subarray(offset, offset + 50_000), CONTENT.length);
        if (done) open -= 1;
        if (done || !ok) return ok;
      }
    };
    res.onWritable(send);
    send();
  })
  .get('/chunked', (res) => {
    track(res);
    let left = 40;
    const send = () => {
      while (left > 0) {
        left -= 1;
        if (!res.write(CONTENT.subarray(0, 30_000))) return false;
      }
      finish(res, () => res.end());
      return true;
    };
    res.onWritable(send);
    send();
  })
  .post('/upload', (res) => {
    track(res);
    let length = 0;
    let isOver = false;
    res.onData((chunk, isLast) => {
      length += chunk.byteLength;
      if (isLast) {
        isOver = true;
        finish(res, () => res.end(String(length)));
      } else if (length % 5 === 0) {
        res.pause();
        setImmediate(() => res.aborted || isOver || res.resume());
      }
    });
  })
  .ws('/ws', { idleTimeout: 8, message: (ws, message, isBinary) => void ws.send(message, isBinary) })
  .listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    process.send({ port: uWS.us_socket_local_port(token) });
  });

obey(app, () => ({ open }));
