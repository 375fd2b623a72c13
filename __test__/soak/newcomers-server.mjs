// The server of the measurement in newcomers.mjs: TLS, and what it has open at any time.

import uWS from '../../index.mjs';

const { key_file_name, cert_file_name } = JSON.parse(process.env.SERVER);
const app = uWS.SSLApp({ threads: 1, key_file_name, cert_file_name }).get('/', (res) => {
  res.end('served');
});
app.listen('127.0.0.1', 0, (token) => process.send({ port: uWS.us_socket_local_port(token) }));
process.on('message', async () => {
  const { connections, handshakeFailures } = await app.getStats();
  process.send({ connections, failures: handshakeFailures.tls, resident: process.memoryUsage.rss() });
});
