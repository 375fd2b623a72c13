// The server of the soak's part `ws`: the WebSocket part once more, on `ferrows/ws`.

import http from 'node:http';

import { WebSocketServer } from '../../ws.mjs';
import { obey } from './holdings.mjs';

const COMPRESSIONS = {
  plain: false,
  shared: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  small: { serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
  dedicated: true,
};
const CONTENT = Buffer.alloc(64 * 1024, 'ferrows and other trains ');
/** Beyond so much that waits for it, a slow reader misses what is sent, or is closed. */
const LIMIT = 64 * 1024;

const server = http.createServer();
const servers = new Map();
let open = 0;
/** Calls that must not come: a second close, a message after it, and callbacks that are called twice or never. */
let strays = 0;
let waits = 0;

/** Sends, and counts the callback. */
function send(ws, ...args) {
  let isDone = false;
  waits += 1;
  ws.send(...args, () => {
    waits -= 1;
    if (isDone) strays += 1;
    isDone = true;
  });
}

const ORDERS = {
  /** Echo, as text, compressed, and in fragments. */
  e: (ws, rest) => ws.send(rest, { compress: false }),
  c: (ws, rest) => send(ws, rest),
  f(ws, rest) {
    const bytes = Buffer.from(rest);
    ws.send(bytes.subarray(0, bytes.length >> 1), { binary: false, fin: false });
    ws.send('', { fin: false });
    ws.send(bytes.subarray(bytes.length >> 1), { binary: false });
  },
  /** Echo of what has to be read first. */
  g: (ws, rest) => send(ws, new Blob([rest]), { binary: false }),
  s: (ws, rest) => ws.subscribe(rest),
  u: (ws, rest) => ws.unsubscribe(rest),
  p: (ws, rest) => ws.server.publish(rest, CONTENT.subarray(0, rest.length * 500)),
  /** A loop over the clients, from outside of the handler. */
  P(ws, rest) {
    setImmediate(() => {
      for (const client of ws.server.clients) client.send(CONTENT.subarray(0, rest.length * 3), { compress: rest.length % 2 === 0 });
    });
  },
  /** More than a slow reader takes. */
  b(ws) {
    for (let count = 0; count < 30 && ws.bufferedAmount < LIMIT; count += 1) send(ws, CONTENT.subarray(0, 8_000 + count), { compress: count % 2 === 0 });
    if (ws.manner === 'strict' && ws.bufferedAmount >= LIMIT) ws.terminate();
  },
  k: (ws) => ws.ping('?'),
  x: (ws) => ws.close(4000, 'as you wish'),
  X: (ws) => ws.terminate(),
};

function serve(ws) {
  let isClosed = false;
  open += 1;
  ws.on('error', () => {});
  ws.on('message', (data, isBinary) => {
    if (isClosed) strays += 1;
    if (isBinary) return;
    const text = data.toString();
    ORDERS[text[0]]?.(ws, text.slice(1));
  });
  ws.on('close', () => {
    if (isClosed) strays += 1;
    isClosed = true;
    open -= 1;
  });
}

for (const [name, perMessageDeflate] of Object.entries(COMPRESSIONS)) {
  for (const manner of ['lenient', 'patient', 'dropping', 'strict']) {
    const own = new WebSocketServer({ noServer: true, perMessageDeflate, maxPayload: 256 * 1024, closeTimeout: 2_000, topics: true });
    own.on('connection', (ws) => serve(Object.assign(ws, { manner, server: own })));
    servers.set(`/${manner}/${name}`, own);
  }
}
server.on('upgrade', (request, socket, head) => {
  const own = servers.get(request.url);
  own.handleUpgrade(request, socket, head, (ws) => own.emit('connection', ws));
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

const clients = () => [...servers.values()].reduce((sum, own) => sum + own.clients.size, 0);

obey({
  close() {
    server.close();
    server.closeAllConnections();
  },
}, () => ({ open, strays, waits, clients: clients() }));
