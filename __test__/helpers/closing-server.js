'use strict';

const { createApp, listen } = require('./server.js');
const { Mailbox } = require('./mailbox.js');
const { RawClient } = require('./raw-http.js');
const { WEBSOCKET_FACTS } = require('./facts.js');

/** `maxPayloadLength` of the server below. */
const LIMIT = 1000;

/**
 * An echo server on one thread that tells how its WebSockets closed. `behavior` adds to it, or replaces what it does;
 * `app` is for those who close it themselves.
 */
class ClosingServer {
  /** What close handlers were told, in order: as {@link closed} makes it. */
  closes = new Mailbox();

  constructor(behavior, app = createApp()) {
    this.app = app;
    app.get('/barrier', (res) => res.end());
    app.ws('/*', {
      maxPayloadLength: LIMIT,
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, message, info) => this.closes.put({ code, reason: textOf(message), info }),
      ...behavior,
    });
    this.port = listen(app);
  }

  /** Waits for the next close, which must be this one, and the last. */
  async expectOneClose(expected) {
    expect(await this.closes.take()).toStrictEqual(expected);
    await passBarrier(this.port);
    expect(this.closes.size).toBe(0);
  }
}

/** What a close handler is told. */
function closed(code, reason, cause, initiator, wasClean) {
  return { code, reason, info: { cause, initiator, wasClean, reason, ...WEBSOCKET_FACTS } };
}

/** Once this returns every event has been delivered that was on its way before: the server has one thread. */
async function passBarrier(port) {
  const client = await RawClient.connect(port);
  expect((await client.get('/barrier')).status).toBe(200);
}

/** The text in a buffer of a handler. */
function textOf(message) {
  return new TextDecoder('utf-8', { fatal: true }).decode(message);
}

module.exports = { ClosingServer, LIMIT, closed, passBarrier, textOf };
