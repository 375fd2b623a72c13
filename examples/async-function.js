'use strict';

/**
 * Handlers that are async functions. `asynchronous` is all they have in common: it detects that the client has
 * disconnected, and answers for a handler that fails. `req` may be read after an `await`, too, as long as the client is
 * there.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/** The route of an async function that returns `{ status, type, body }`. */
function asynchronous(handler) {
  return async (res, req) => {
    // Without it the abort would go unnoticed, and the answer below would throw.
    const gone = new AbortController();
    const url = req.getUrl();
    res.onAborted((reason) => gone.abort(new Error(reason)));

    let answer;
    try {
      answer = await handler(req, gone.signal);
    } catch (error) {
      if (res.aborted) return console.log(`${url} was given up: ${error.message}`);
      console.error(error.message);
      answer = { status: '500 Internal Server Error', body: 'Something went wrong.' };
    }
    if (res.aborted) return undefined;
    const { status = '200 OK', type = 'text/plain; charset=utf-8', body } = answer;
    // One after the other would do as well: what is written leaves together, here and without `cork`.
    return res.cork(() => res.writeStatus(status).writeHeader('Content-Type', type).end(body));
  };
}

/** Stands for a database: takes a while, and stops when the answer is no longer needed. */
function query(text, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve([text.toUpperCase(), text.length]), 200);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

uWS
  .App()
  .get('/shout/:text', asynchronous(async (req, signal) => {
    const [text, length] = await query(decodeURIComponent(req.getParameter('text')), signal);
    const marks = Number(req.getQuery('marks') ?? 1);
    return { body: `${text}${'!'.repeat(marks)} (${length} characters)` };
  }))
  .get('/slow', asynchronous((req, signal) => new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  })))
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}/shout/hello`);
  });
