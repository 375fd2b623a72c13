'use strict';

// node client.js <url> <agent> [--compression]: the echo client under test, `uWS.connect`, against the fuzzing server at
// this url. Goes through all its cases, has it write its reports, and prints the number of cases.

const uWS = require('../../index.js');

const [url, agent, flag] = process.argv.slice(2);
const compression = flag === '--compression';

const BEHAVIOR = {
  compression: compression ? uWS.DEDICATED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR : uWS.DISABLED,
  // The largest messages of the suite (cases 9.1.6 and 9.2.6) are exactly this long.
  maxPayloadLength: 16 * 1024 * 1024,
  // Nothing may be dropped or cut off while the suite takes its time.
  maxBackpressure: 0,
  idleTimeout: 0,
};

async function main() {
  let count;
  await visit('/getCaseCount', (_, message) => { count = Number(Buffer.from(message).toString()); });
  for (let number = 1; number <= count; number += 1) {
    await visit(`/runCase?case=${number}&agent=${agent}`, (ws, message, isBinary) => ws.send(message, isBinary, compression));
  }
  await visit(`/updateReports?agent=${agent}`);
  console.log(count);
}

/** Opens a WebSocket and resolves once it is closed. */
function visit(target, message) {
  return new Promise((resolve, reject) => {
    // No timeout: the server writes all its reports before it says that the WebSocket is open.
    uWS.connect(url + target, { ...BEHAVIOR, message, close: () => resolve() }, { connectTimeout: 0 }).catch(reject);
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
