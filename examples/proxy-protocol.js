'use strict';

/**
 * Behind a proxy that speaks the PROXY protocol: every answer names the client, not the proxy. For instance
 * with HAProxy in front (`server node 127.0.0.1:9001 send-proxy-v2`), or by hand, as a client at 203.0.113.7:51966:
 *
 *     { printf '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\1\xca\xfe\x01\xbb'; \
 *       printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'; } | nc localhost 9001
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

// The proxy runs on this machine, and no other peer is trusted. `required` would also refuse connections without a
// header.
const proxyProtocol = { trust: ['127.0.0.0/8', '::1'] };

/** The client's address, whether or not a proxy is in between. */
function clientOf(res) {
  const proxied = Buffer.from(res.getProxiedRemoteAddressAsText()).toString();
  if (proxied !== '') return `${proxied} port ${res.getProxiedRemotePort()}, by way of a proxy`;
  return `${Buffer.from(res.getRemoteAddressAsText())} port ${res.getRemotePort()}`;
}

uWS
  .App({ proxyProtocol })
  .get('/*', (res) => {
    res.writeHeader('Content-Type', 'text/plain').end(`You are ${clientOf(res)}\n`);
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)}`);
  });
