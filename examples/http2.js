'use strict';

/**
 * HTTP/2: one connection, many streams. The page holds twenty event streams open at a time, of which HTTP/1.1 allows a browser six.
 * Browsers speak HTTP/2 over TLS only: `CERT=cert.pem KEY=key.pem node examples/http2.js`. Without a certificate it is for
 * clients that know: `curl --http2-prior-knowledge http://localhost:9001/clock/1`.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const { CERT: cert_file_name, KEY: key_file_name } = process.env;
const isSecure = cert_file_name !== undefined;

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Twenty clocks</title>
<ol></ol>
<script>
  for (let number = 1; number <= 20; number++) {
    const clock = document.querySelector('ol').appendChild(document.createElement('li'));
    clock.textContent = 'waits for a connection';
    new EventSource('/clock/' + number).onmessage = ({ data }) => { clock.textContent = data; };
  }
</script>`;

/** The responses that are open: each is a stream. */
const clocks = new Set();

function tick() {
  const event = `data: ${new Date().toISOString()}\n\n`;
  for (const res of clocks) res.write(event);
}

const app = isSecure ? uWS.SSLApp({ cert_file_name, key_file_name, http2: true }) : uWS.App({ http2: true });

app
  .get('/', (res) => {
    res.writeHeader('Content-Type', 'text/html').end(PAGE);
  })
  .get('/clock/:number', (res, req) => {
    const number = req.getParameter('number');
    // A page that is left resets its streams, and keeps the connection for the next one.
    res.onAborted((reason) => {
      clocks.delete(res);
      console.log(`clock ${number}: ${reason}`);
    });
    clocks.add(res);
    res.writeHeader('Content-Type', 'text/event-stream').writeHeader('Cache-Control', 'no-store').write('retry: 1000\n\n');
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    setInterval(tick, 1000);
    console.log(`${isSecure ? 'https' : 'http'}://localhost:${uWS.us_socket_local_port(token)}`);
  });
