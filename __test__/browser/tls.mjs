/** A page, what it fetches and its WebSocket over TLS: what a browser makes of `SSLApp`. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import uWS from '../../index.mjs';

const { certificate } = createRequire(import.meta.url)('../helpers/certificates.js');

/** What the page does: resolves to what came back. */
const SCRIPT = `(async () => {
  const [entry] = performance.getEntriesByType('navigation');
  const posted = await (await fetch('/length', { method: 'POST', body: 'x'.repeat(1e6) })).text();
  const socket = new WebSocket('wss://' + location.host + '/echo');
  const echoed = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send('over TLS');
    socket.onmessage = ({ data }) => resolve(data);
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
  const code = await new Promise((resolve) => {
    socket.onclose = (event) => resolve(event.code);
    socket.close(1000);
  });
  return { protocol: entry.nextHopProtocol, isSecure: isSecureContext, posted, echoed, code };
})()`;

/** Visits a server of its own. The browser must not mind who signed the certificate. */
export async function visitOverTls(context) {
  const { key_file_name, cert_file_name } = certificate();
  const closes = [];
  const app = uWS.SSLApp({ key_file_name, cert_file_name })
    .get('/', (res) => res.writeHeader('Content-Type', 'text/html').end('<!doctype html><title>TLS</title>'))
    .post('/length', (res) => res.onAborted(() => {}).collectBody(2 ** 21, (body) => res.end(String(body.byteLength))))
    .ws('/echo', {
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, message, { cause }) => closes.push(cause),
    });
  try {
    const port = await new Promise((resolve, reject) => {
      app.listen(0, (token, error) => (token ? resolve(uWS.us_socket_local_port(token)) : reject(error)));
    });
    const page = await context.newPage();
    await page.goto(`https://localhost:${port}/`);
    assert.deepEqual(await page.evaluate(SCRIPT), {
      protocol: 'http/1.1', isSecure: true, posted: '1000000', echoed: 'over TLS', code: 1000,
    });
    assert.deepEqual(closes, ['CLOSED_BY_PEER']);
    await page.close();
  } finally {
    app.close();
  }
}
