'use strict';

const { once } = require('node:events');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');

const http = require('./http.js');

/** Stands for `fetch` when the suites run over HTTP/3: Node's has none. */
module.exports = async function fetch(url, options) {
  const request = new Request(url, options);
  const { method, signal, body } = request;
  const outgoing = http.request(url, { method, signal, headers: Object.fromEntries(request.headers) });
  const answered = once(outgoing, 'response');
  // What comes of it is that there is no answer.
  const sent = body === null ? outgoing.end() : pipeline(Readable.fromWeb(body), outgoing);
  Promise.resolve(sent).catch(() => {});
  const [answer] = await answered;
  const { statusCode: status, headers } = answer;
  const hasBody = method !== 'HEAD' && ![101, 204, 205, 304].includes(status);
  return new Response(hasBody ? Readable.toWeb(answer) : null, { status, headers: Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => [name, value])) });
};
