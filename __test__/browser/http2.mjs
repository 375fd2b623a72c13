/** A page of many files, with many streams of events and WebSockets: what a browser makes of `http2: true` and of `http3: true`. */

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import uWS from '../../index.mjs';

const { certificate } = createRequire(import.meta.url)('../helpers/certificates.js');

const { key_file_name, cert_file_name } = certificate();

/** With HTTP/1.1 there would be six streams of events, one for each connection that a browser allows to a host. */
const [ASSETS, STREAMS, SOCKETS] = [100, 20, 5];

const PAGE = `<!doctype html><title>Many files</title>${Array.from({ length: ASSETS }, (_, index) => `<img src="/asset/${index}.svg" alt="${index}">`).join('')}`;
const IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>';

/** What the page does: resolves to what came back. */
const SCRIPT = `(async () => {
  const sources = Array.from({ length: ${STREAMS} }, (_, index) => new EventSource('/events/' + index));
  const events = await Promise.all(sources.map((source) => new Promise((resolve, reject) => {
    source.onmessage = ({ data }) => resolve(data);
    source.onerror = () => reject(new Error('a stream of events failed'));
  })));
  const sockets = Array.from({ length: ${SOCKETS} }, () => new WebSocket('wss://' + location.host + '/echo'));
  const echoes = await Promise.all(sockets.map((socket, index) => new Promise((resolve, reject) => {
    const message = String(index).repeat(index * 20_000 + 1);
    socket.onopen = () => socket.send(message);
    socket.onmessage = ({ data }) => resolve([data === message, socket.extensions.split(';')[0]]);
    socket.onerror = () => reject(new Error('a WebSocket failed'));
  })));
  const codes = await Promise.all(sockets.map((socket) => new Promise((resolve) => {
    socket.onclose = (event) => resolve(event.code);
    socket.close(1000);
  })));
  // While all streams of events are open.
  const posted = await (await fetch('/length', { method: 'POST', body: 'x'.repeat(1e6) })).text();
  sources.forEach((source) => source.close());
  const images = [...document.images].filter((image) => image.complete && image.naturalWidth === 8).length;
  const protocols = new Set(['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type)).map((entry) => entry.nextHopProtocol));
  return { events, echoes, codes, posted, images, protocols: [...protocols] };
})()`;

/** A server of the page. `seen` has the ports of its clients, and how WebSockets and streams of events have ended. */
async function serve(options) {
  const seen = { pages: new Set(), sockets: new Set(), closes: [], aborts: 0 };
  const note = (res) => seen.pages.add(res.getRemotePort());
  const app = uWS.SSLApp({ ...options, key_file_name, cert_file_name })
    .get('/', (res) => {
      note(res);
      res.writeHeader('Content-Type', 'text/html').end(PAGE);
    })
    .get('/asset/*', (res) => {
      note(res);
      res.writeHeader('Content-Type', 'image/svg+xml').end(IMAGE);
    })
    .get('/events/:number', (res, req) => {
      note(res);
      res.onAborted(() => { seen.aborts++; });
      res.writeHeader('Content-Type', 'text/event-stream').write(`data: ${req.getParameter('number')}\n\n`);
    })
    .post('/length', (res) => res.onAborted(() => {}).collectBody(2 ** 21, (body) => res.end(String(body.byteLength))))
    .ws('/echo', {
      maxPayloadLength: 2 ** 20,
      compression: uWS.DEDICATED_COMPRESSOR_4KB,
      open: (ws) => seen.sockets.add(ws.getRemotePort()),
      message: (ws, message, isBinary) => ws.send(message, isBinary, true),
      close: (ws, code, message, { cause }) => seen.closes.push(cause),
    });
  return { app, seen, port: uWS.us_socket_local_port(await app.listen(0)) };
}

/** Visits the page, which must come by this protocol alone, on one connection. */
async function visit(context, { port, seen }, protocol) {
  const page = await context.newPage();
  await page.goto(`https://localhost:${port}/`, { waitUntil: 'load' });
  assert.deepEqual(await page.evaluate(SCRIPT), {
    events: Array.from({ length: STREAMS }, (_, index) => String(index)),
    echoes: Array(SOCKETS).fill([true, 'permessage-deflate']),
    codes: Array(SOCKETS).fill(1000),
    posted: '1000000',
    images: ASSETS,
    protocols: [protocol],
  });
  assert.equal(seen.pages.size, 1, 'all requests are on one connection');
  assert.deepEqual(seen.closes, Array(SOCKETS).fill('CLOSED_BY_PEER'));
  // The browser resets the streams of events.
  while (seen.aborts < STREAMS) await new Promise((resolve) => { setTimeout(resolve, 10); });
  await page.close();
}

/** Visits a server of its own. The browser must not mind who signed the certificate. */
export async function visitOverHttp2(context) {
  const server = await serve({ http2: true });
  try {
    await visit(context, server, 'h2');
    assert.deepEqual(server.seen.sockets, server.seen.pages, 'and the WebSockets, too');
  } finally {
    server.app.close();
  }
}

/** Starts a browser that does not mind who signed the certificate, with further flags. */
function launchWith(launch, ...flags) {
  const key = new X509Certificate(readFileSync(cert_file_name)).publicKey.export({ type: 'spki', format: 'der' });
  return launch([`--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`, ...flags]);
}

/**
 * The same over HTTP/3, in a browser that `launch` starts with further flags: it must speak QUIC with the server, and know its
 * certificate. WebSockets of Chromium go over TCP.
 */
export async function visitOverHttp3(launch) {
  const server = await serve({ http3: true });
  try {
    const browser = await launchWith(launch, `--origin-to-force-quic-on=localhost:${server.port}`);
    try {
      await visit(browser, server, 'h3');
    } finally {
      await browser.close();
    }
  } finally {
    server.app.close();
  }
}

/** A browser that came by TCP finds HTTP/3 by what the first response says (Alt-Svc), and nothing else. */
export async function findHttp3(launch) {
  const server = await serve({ http2: true, http3: true });
  try {
    // Over QUIC, Chromium takes a certificate of no known root only for a host that is named here, with whatever port.
    const browser = await launchWith(launch, '--origin-to-force-quic-on=localhost:1');
    try {
      const page = await browser.newPage();
      const visits = [];
      while (visits.at(-1) !== 'h3') {
        await page.goto(`https://localhost:${server.port}/asset/${visits.length}.svg`);
        visits.push(await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"));
        assert.ok(visits.length <= 50, `it does not find HTTP/3: ${visits}`);
      }
      assert.equal(visits[0], 'h2');
    } finally {
      await browser.close();
    }
  } finally {
    server.app.close();
  }
}
