'use strict';

/**
 * One port, several JavaScript threads: the main thread accepts, and hands the connections in turn to apps that live in
 * `worker_threads`. A thread that ends is replaced; its connections end with it, all others stay open.
 * `curl http://localhost:9001/`, several times.
 */

const { availableParallelism, cpus } = require('node:os');
const { isMainThread, parentPort, threadId, Worker } = require('node:worker_threads');

const uWS = require('../index.js');

if (isMainThread) accept(Number(process.env.PORT ?? 9001), Math.max(2, availableParallelism?.() ?? cpus().length));
else serve();

async function accept(port, count) {
  // Its I/O thread only accepts: as long as it has children it serves nothing itself.
  const acceptor = uWS.App({ threads: 1 });
  await Promise.all(Array.from({ length: count }, () => startChild(acceptor)));
  acceptor.listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`http://localhost:${uWS.us_socket_local_port(token)} served by ${count} threads`);
  });
}

/** Resolves once the child takes connections. The acceptor detects by itself that a child has ended. */
function startChild(acceptor) {
  const worker = new Worker(__filename);
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (descriptor) => {
      worker.off('error', reject).on('error', (error) => console.error('a thread failed:', error));
      worker.on('exit', () => startChild(acceptor));
      resolve(acceptor.addChildAppDescriptor(descriptor));
    });
  });
}

/** The program proper; it does not listen. Its descriptor keeps the thread alive. */
function serve() {
  const app = uWS
    .App({ threads: 1 })
    .get('/*', (res) => {
      res.end(`served by thread ${threadId}\n`);
    })
    .ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });
  parentPort.postMessage(app.getDescriptor());
}
