'use strict';

/**
 * Ending without cutting anybody off. SIGTERM (`kill`, Docker, Kubernetes, systemd) or SIGINT (Ctrl+C) lets the
 * requests in progress finish, closes every WebSocket with a reason, and the process ends by itself, with code 0. A
 * second signal ends it at once.
 *
 * `curl localhost:9001/slow` in one terminal, `kill -TERM <pid>` in another.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/**
 * How long connections may take to end, in milliseconds. Less than the time after which the process manager sends
 * SIGKILL.
 */
const TIMEOUT = 8000;

const app = uWS
  .App()
  .get('/slow', async (res) => {
    // Called when the time is up before the answer is ready, or the client hangs up.
    res.onAborted((reason) => console.log(`not answered: ${reason}`));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    if (!res.aborted) res.end('That took a while.\n');
  })
  .get('/', (res) => res.end('Hello.\n'))
  .ws('/*', {
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    close: (ws, code, message, info) => console.log(`closed: ${code} ${Buffer.from(message)} (${info.cause})`),
  });

app.listen(port, (token, error) => {
  if (!token) throw error;
  console.log(`listening on http://localhost:${uWS.us_socket_local_port(token)}, process ${process.pid}`);
});

async function shutDown(signal, timeout) {
  console.log(`${signal}: shutting down`);
  const { forced } = await app.shutdown({ timeout, reason: 'Server is restarting' });
  console.log(forced === 0 ? 'everybody had finished' : `${forced} connections were cut off`);
  // What is left to do belongs here: closing a database, say. Nothing of the app keeps the process alive any more.
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  let count = 0;
  process.on(signal, () => shutDown(signal, count++ === 0 ? TIMEOUT : 0));
}
