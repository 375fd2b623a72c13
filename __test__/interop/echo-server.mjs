/** A server that a WebSocket client of any make is tried on: one route for each way to compress, and each way to send. */

import uWS from '../../index.mjs';

/** The compressors and decompressors, by name. */
export const CONSTANTS = Object.keys(uWS).filter((name) => /^(SHARED|DEDICATED)_(DE)?COMPRESSOR/.test(name));

/** How a route answers: each message as one frame, or cut into three fragments. */
const MANNERS = {
  whole: (ws, message, isBinary) => ws.send(message, isBinary, true),
  fragments(ws, message, isBinary) {
    const bytes = new Uint8Array(message);
    const [first, second] = [bytes.length >> 1, bytes.length - (bytes.length >> 2)];
    ws.sendFirstFragment(bytes.subarray(0, first), isBinary, true);
    ws.ping();
    ws.sendFragment(bytes.subarray(first, second), true);
    ws.sendLastFragment(bytes.subarray(second), true);
  },
};

/** Listens on a free port. Returns the addresses of all routes, by what they do, and `close`. */
export function serveEcho() {
  const app = uWS.App();
  const paths = [];
  for (const name of CONSTANTS) {
    for (const [manner, message] of Object.entries(MANNERS)) {
      app.ws(`/${manner}/${name}`, { compression: uWS[name], maxPayloadLength: 4 * 1024 * 1024, maxBackpressure: 0, message });
      paths.push(`${manner}/${name}`);
    }
  }
  let port;
  app.listen('127.0.0.1', 0, (token, error) => {
    if (!token) throw error;
    port = uWS.us_socket_local_port(token);
  });
  return { urls: paths.map((path) => [path, `ws://127.0.0.1:${port}/${path}`]), close: () => app.close() };
}
