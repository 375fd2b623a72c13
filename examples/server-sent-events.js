'use strict';

/**
 * Events for `EventSource`. Open the printed address, and send something to those who listen:
 * `curl -d 'Hello' http://localhost:9001/events`. A client that reconnects gets the events it missed, and a slow reader
 * costs no memory: every client has only a position in the one list of events.
 */

const uWS = require('../index.js');
const { servePage } = require('./pages/serve.js');

const port = Number(process.env.PORT ?? 9001);

/** Number of events that are kept for clients that reconnect. */
const KEPT = 1000;
/** Bytes of an event. */
const MOST = 64 * 1024;
/** Silence after which a comment is sent, in milliseconds: proxies cut connections that are silent for a minute. */
const HEARTBEAT = 15_000;

/** The last events, the newest at the end, and the id of the newest. Ids go up by 1. */
const events = [];
let newest = 0;

const listeners = new Set();

/** A connected client. */
class Listener {
  #res;
  #seen;
  #isFull = false;

  /** `seen` is the id of the last event it has. */
  constructor(res, seen) {
    this.#res = res;
    this.#seen = seen;
    res.onAborted(() => listeners.delete(this));
    res.onWritable(() => {
      this.#isFull = false;
      this.catchUp();
      return true;
    });
    res.writeHeader('Content-Type', 'text/event-stream').writeHeader('Cache-Control', 'no-store');
    this.#write('retry: 1000\n\n');
  }

  /** Writes what it has not seen, as long as there is room. */
  catchUp() {
    while (this.#seen < newest && !this.#isFull) {
      const oldest = newest - events.length + 1;
      if (this.#seen + 1 < oldest) {
        this.#write(`event: missed\ndata: ${oldest - this.#seen - 1}\n\n`);
        this.#seen = oldest - 1;
      }
      this.#seen += 1;
      this.#write(events[this.#seen - oldest]);
    }
  }

  /** A comment, which no program sees; a dead connection is noticed by it. */
  beat() {
    if (!this.#isFull) this.#write(':\n\n');
  }

  /** What is written is sent in any case; `false` asks to wait before there is more. */
  #write(text) {
    this.#isFull = !this.#res.write(text);
  }
}

function publish(text) {
  newest += 1;
  const lines = text.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  events.push(`id: ${newest}\n${lines.join('')}\n`);
  if (events.length > KEPT) events.shift();
  for (const listener of listeners) listener.catchUp();
}

const app = uWS.App();
servePage(app, 'server-sent-events');

app
  .get('/events', (res, req) => {
    // A browser that reconnects says what it has. A number that we do not have yet is from before our restart.
    const last = req.getHeader('last-event-id');
    const seen = Number(last);
    const listener = new Listener(res, last === '' ? newest : seen >= 0 && seen <= newest ? Math.floor(seen) : 0);
    listeners.add(listener);
    listener.catchUp();
  })
  .post('/events', (res) => {
    res.onAborted(() => {});
    res.collectBody(MOST, (body) => {
      if (body === null) return res.writeStatus('413 Content Too Large').end();
      publish(Buffer.from(body).toString());
      return res.writeStatus('202 Accepted').end(`${listeners.size} listening\n`);
    });
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    setInterval(() => listeners.forEach((listener) => listener.beat()), HEARTBEAT);
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
