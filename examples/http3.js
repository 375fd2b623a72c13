'use strict';

/**
 * HTTP/3: the same app over QUIC. Browsers come by TCP first, hear of HTTP/3 in `Alt-Svc`, and use it from then on; the page says
 * which version brought it. Start it with a certificate that the browser trusts by itself, for example one of mkcert:
 * `CERT=cert.pem KEY=key.pem node examples/http3.js`.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const { CERT: cert_file_name, KEY: key_file_name } = process.env;

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>HTTP/3</title>
<p>This page came over <b id="page">?</b>, and what it fetches over <b id="fetched">?</b>.</p>
<button>Fetch</button>
<script>
  const versionOf = (entry) => entry.nextHopProtocol || 'a version that the browser does not tell';
  document.querySelector('#page').textContent = versionOf(performance.getEntriesByType('navigation')[0]);
  document.querySelector('button').onclick = async () => {
    await (await fetch('/time')).text();
    document.querySelector('#fetched').textContent = versionOf(performance.getEntriesByName(location.origin + '/time').at(-1));
    performance.clearResourceTimings();
  };
</script>`;

if (cert_file_name === undefined || key_file_name === undefined) {
  console.error('There is no QUIC without TLS: CERT=cert.pem KEY=key.pem node examples/http3.js');
  process.exit(1);
}

uWS
  .SSLApp({ cert_file_name, key_file_name, http2: true, http3: true })
  .get('/', (res) => {
    res.writeHeader('Content-Type', 'text/html').end(PAGE);
  })
  .get('/time', (res) => {
    res.writeHeader('Cache-Control', 'no-store').end(new Date().toISOString());
  })
  // A WebSocket in a stream (RFC 9220), for clients that know; others open theirs over TCP.
  .ws('/echo', {
    message: (ws, message, isBinary) => {
      ws.send(message, isBinary);
    },
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`https://localhost:${uWS.us_socket_local_port(token)}`);
  });
