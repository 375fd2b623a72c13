// The server of the soak's WebSocket part: everything that a WebSocket can be told to do, by the first letter of a text.

import { setTimeout } from 'node:timers';

import uWS from '../../index.mjs';
import { obey } from './holdings.mjs';

const COMPRESSIONS = {
  plain: uWS.DISABLED,
  shared: uWS.SHARED_COMPRESSOR,
  small: uWS.DEDICATED_COMPRESSOR_8KB | uWS.DEDICATED_DECOMPRESSOR_4KB,
  dedicated: uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR,
};
const LIMITS = {
  lenient: { maxBackpressure: 0 },
  // For clients that are to be closed by nobody but themselves, however late a busy machine lets them answer a Ping.
  patient: { maxBackpressure: 0, idleTimeout: 120 },
  dropping: { maxBackpressure: 64 * 1024, dropped() {} },
  strict: { maxBackpressure: 64 * 1024, closeOnBackpressureLimit: true },
};
const CONTENT = Buffer.alloc(64 * 1024, 'ferrows and other trains ');

const app = uWS.App();
let open = 0;
let subscriptions = 0;
/** Calls that must not come: a second close, a message after it. */
let strays = 0;

/** Sends the last fragments later, if there is somebody to send them to. */
function finishLater(ws, rest) {
  setTimeout(() => {
    if (ws.isClosed) return;
    ws.sendFragment(rest);
    setTimeout(() => ws.isClosed || ws.sendLastFragment(rest), 5);
  }, 5);
}

const ORDERS = {
  /** Echo, and compressed. */
  e: (ws, rest) => ws.send(rest),
  c: (ws, rest) => ws.send(rest, false, true),
  /** Echo in fragments. */
  f(ws, rest) {
    const bytes = Buffer.from(rest);
    ws.sendFirstFragment(bytes.subarray(0, bytes.length >> 1), false, true);
    ws.sendFragment('');
    ws.sendLastFragment(bytes.subarray(bytes.length >> 1));
  },
  /** Fragments that take their time; what is published meanwhile waits. */
  g(ws, rest) {
    ws.isBusy = true;
    ws.sendFirstFragment(rest, false, true);
    finishLater(ws, rest);
  },
  s: (ws, rest) => ws.subscribe(rest),
  u: (ws, rest) => ws.unsubscribe(rest),
  p: (ws, rest) => ws.publish(rest, CONTENT.subarray(0, rest.length * 500), true, true),
  P: (ws, rest) => app.publish(rest, CONTENT.subarray(0, rest.length * 300), true, rest.length % 2 === 0),
  /** More than a slow reader takes. */
  b(ws) {
    for (let count = 0; count < 30 && !ws.isClosed; count += 1) {
      if (ws.send(CONTENT.subarray(0, 8_000 + count), true, count % 2 === 0) === 2) return;
    }
  },
  k: (ws) => ws.ping('?'),
  x: (ws) => ws.end(4000, 'as you wish'),
  X: (ws) => ws.close(),
};

const handlers = {
  open() {
    open += 1;
  },
  message(ws, message, isBinary) {
    if (ws.isClosed) strays += 1;
    if (isBinary) return;
    const text = Buffer.from(message).toString();
    // Between the fragments of a message nothing else can be sent.
    if (ws.isBusy && 'ecfgb'.includes(text[0])) return;
    ORDERS[text[0]]?.(ws, text.slice(1));
  },
  subscription(ws, topic, now, before) {
    subscriptions += now - before;
  },
  close(ws) {
    if (ws.isClosed) strays += 1;
    ws.isClosed = true;
    open -= 1;
  },
};

for (const [name, compression] of Object.entries(COMPRESSIONS)) {
  for (const [manner, limits] of Object.entries(LIMITS)) {
    app.ws(`/${manner}/${name}`, { compression, idleTimeout: 8, ...limits, ...handlers, maxPayloadLength: 256 * 1024 });
  }
}
app.listen('127.0.0.1', 0, (token, error) => {
  if (!token) throw error;
  process.send({ port: uWS.us_socket_local_port(token) });
});

obey(app, () => ({ open, subscriptions, strays }));
