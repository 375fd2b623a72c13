'use strict';

// The shortest proof that the addon works here: `node __test__/smoke.js` serves, asks, and ends by itself with 0.
// Plain Node, so that `npm run test:nodes` can run it on every version that Ferrows supports.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const WebSocket = require('ws');

const uWS = require('..');

/** How long all of it may take, in milliseconds. Far beyond what it needs: it only keeps a hang from lasting. */
const PATIENCE = 30_000;

async function main() {
  // Unreferenced: the process must end by itself, without waiting for this.
  setTimeout(() => {
    console.error(`still running after ${PATIENCE} ms`);
    process.exit(1);
  }, PATIENCE).unref();

  const seen = { closes: new Mailbox(), aborts: new Mailbox() };
  const app = serve(seen);
  const port = await listen(app);
  const origin = `127.0.0.1:${port}`;

  await speakHttp(origin, seen);
  await speakWebSocket(origin, seen);
  app.close();
}

/** Hands over what handlers report, in order, to whoever waits for it. */
class Mailbox {
  #letters = [];
  #reader = () => {};

  put(letter) {
    this.#letters.push(letter);
    this.#reader();
  }

  async take() {
    while (this.#letters.length === 0) await new Promise((resolve) => { this.#reader = resolve; });
    return this.#letters.shift();
  }
}

function serve({ closes, aborts }) {
  return uWS.App()
    .get('/hello/:name', (res, req) => {
      res.writeHeader('Content-Type', 'text/plain').end(`hello ${req.getParameter(0)}, ${req.getQuery('q')}`);
      assert.throws(() => res.end(), { code: 'ERR_HTTP_RESPONSE_CLOSED' });
    })
    .post('/echo', (res) => {
      const chunks = [];
      res.onAborted(() => {}).onData((chunk, isLast) => {
        chunks.push(Buffer.from(chunk.slice(0)));
        if (isLast) res.end(Buffer.concat(chunks));
      });
    })
    .get('/never', (res) => {
      res.onAborted((reason, info) => aborts.put({ reason, ...info }));
      res.write('begun');
    })
    .ws('/ws', {
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, message, info) => closes.put({ code, message: Buffer.from(message).toString(), ...info }),
    });
}

function listen(app) {
  return new Promise((resolve, reject) => {
    app.listen('127.0.0.1', 0, (token, error) => {
      if (token) resolve(uWS.us_socket_local_port(token));
      else reject(error);
    });
  });
}

async function speakHttp(origin, { aborts }) {
  const hello = await fetch(`http://${origin}/hello/ali?q=how+are+you%3F`);
  assert.equal(hello.status, 200);
  assert.equal(await hello.text(), 'hello ali, how are you?');

  const body = 'x'.repeat(100_000);
  const echo = await fetch(`http://${origin}/echo`, { method: 'POST', body });
  assert.equal(await echo.text(), body);

  assert.equal((await fetch(`http://${origin}/nowhere`)).status, 404);

  const hangUp = new AbortController();
  await fetch(`http://${origin}/never`, { signal: hangUp.signal });
  hangUp.abort();
  const abort = await aborts.take();
  assert.notEqual(abort.reason, '');
  assert.equal(abort.initiator, 'transport');
}

async function speakWebSocket(origin, { closes }) {
  const client = new WebSocket(`ws://${origin}/ws`);
  await once(client, 'open');
  for (const message of ['héllo', Buffer.from([0, 255, 1])]) {
    client.send(message);
    const [data, isBinary] = await once(client, 'message');
    assert.deepEqual(data, Buffer.from(message));
    assert.equal(isBinary, typeof message !== 'string');
  }
  client.close(4000, 'done');
  const { openFor, bytes, messages, ...closed } = await closes.take();
  assert.ok(openFor >= 0 && bytes.received > 0 && bytes.sent > 0);
  assert.deepEqual(messages, { received: 2, sent: 2 });
  for (const fact of ['silentFor', 'quietFor', 'unansweredPings', 'roundTrip']) {
    assert.ok(fact in closed);
    delete closed[fact];
  }
  assert.deepEqual(closed,
    { code: 4000, message: 'done', reason: 'done', cause: 'CLOSED_BY_PEER', initiator: 'peer', wasClean: true });

  const vanishing = new WebSocket(`ws://${origin}/ws`);
  await once(vanishing, 'open');
  vanishing.terminate();
  const { code, message, initiator } = await closes.take();
  assert.equal(code, 1006);
  assert.notEqual(message, '');
  assert.equal(initiator, 'transport');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
