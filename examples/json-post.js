'use strict';

/**
 * A JSON API: the body is collected up to a limit, after an asynchronous check. Try
 * `curl -d '{"name":"Ali"}' -H 'Authorization: let-me-in' http://localhost:9001/greetings`.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/** Bytes of JSON that are accepted. */
const MOST = 64 * 1024;

/** Stands for a database. */
async function mayEnter(authorization) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return authorization === 'let-me-in';
}

/** The body of a request as a value. Rejects with `{ status }`, and never settles if the client goes away. */
function readJson(res) {
  return new Promise((resolve, reject) => {
    res.collectBody(MOST, (body) => {
      if (body === null) return reject({ status: '413 Content Too Large' });
      try {
        resolve(JSON.parse(Buffer.from(body).toString()));
      } catch {
        reject({ status: '400 Bad Request' });
      }
    });
  });
}

function answer(res, status, value) {
  if (res.aborted) return;
  res.cork(() => res.writeStatus(status).writeHeader('Content-Type', 'application/json').end(JSON.stringify(value)));
}

uWS
  .App()
  .post('/greetings', async (res, req) => {
    res.onAborted(() => {});
    // The body waits meanwhile. Until a handler takes it, no more than 256 KiB of it are read.
    if (!(await mayEnter(req.getHeader('authorization')))) return answer(res, '401 Unauthorized', { error: 'Who is it?' });
    if (res.aborted) return;
    try {
      const { name } = await readJson(res);
      answer(res, '200 OK', { greeting: `Hello, ${name}` });
    } catch ({ status }) {
      answer(res, status ?? '400 Bad Request', { error: 'That is no name in JSON.' });
    }
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}/greetings`);
  });
