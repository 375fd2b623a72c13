'use strict';

/**
 * So many requests and messages per second and client, and not more. Everybody has a bucket of `BURST` tokens, into which
 * `RATE` new ones fall every second. A request without a token is answered with 429, and a WebSocket that sends without
 * one is closed with 1008. `for i in $(seq 30); do curl -i localhost:9001; done`
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

const RATE = Number(process.env.RATE ?? 5);
const BURST = Number(process.env.BURST ?? 20);

/** Buckets by address. All connections of a client share one; otherwise each new connection would have a full one. */
const buckets = new Map();

/** Takes a token of a client. Returns 0, or the seconds until there is one. */
function take(client) {
  const now = performance.now();
  const bucket = buckets.get(client) ?? { tokens: BURST, at: now };
  buckets.set(client, bucket);
  bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.at) / 1000) * RATE);
  bucket.at = now;
  if (bucket.tokens < 1) return (1 - bucket.tokens) / RATE;
  bucket.tokens -= 1;
  return 0;
}

/** Removes full buckets, which are like new ones. */
function tidyUp() {
  const now = performance.now();
  for (const [client, { tokens, at }] of buckets) {
    if (tokens + ((now - at) / 1000) * RATE >= BURST) buckets.delete(client);
  }
}

/** The address of a client; of IPv6 its /64, which one client controls. Behind a proxy see proxy-protocol.js. */
function clientOf(connection) {
  const address = Buffer.from(connection.getRemoteAddress());
  const isMapped = address.length === 16 && address.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
  return (address.length === 16 && !isMapped ? address.subarray(0, 8) : address).toString('hex');
}

/** A handler that runs only for those who have a token. */
function limited(handler) {
  return (res, req, context) => {
    const seconds = take(clientOf(res));
    if (seconds === 0) return handler(res, req, context);
    return res.writeStatus('429 Too Many Requests').writeHeader('Retry-After', String(Math.ceil(seconds))).end('Slow down.\n');
  };
}

uWS
  .App()
  .ws('/*', {
    upgrade: limited((res, req, context) => {
      const header = (name) => req.getHeader(`sec-websocket-${name}`);
      res.upgrade({ client: clientOf(res) }, header('key'), header('protocol'), header('extensions'), context);
    }),
    message(ws, message, isBinary) {
      if (take(ws.client) === 0) ws.send(message, isBinary);
      else ws.end(1008, 'too many messages');
    },
  })
  .any('/*', limited((res) => res.end('Hello.\n')))
  .listen(port, (token, error) => {
    if (!token) throw error;
    setInterval(tidyUp, 60_000);
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
