'use strict';

/**
 * Upgrading after an asynchronous check, here of a ticket in the query:
 * `ws://localhost:9001/?ticket=open-sesame` is let in, everything else is answered with 401.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/** Stands for a database or an identity service. Resolves to the visitor's name, or to `undefined`. */
async function holderOf(ticket) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return ticket === 'open-sesame' ? 'ali' : undefined;
}

async function upgrade(res, req, context) {
  // The peer may hang up while we wait. From then on `res` throws, and `res.aborted` says so beforehand.
  res.onAborted((reason, info) => console.log(`gone before the answer: ${reason} (${info.cause})`));

  // What is needed later is read now: this habit also works where a request dies with the first `await`.
  const key = req.getHeader('sec-websocket-key');
  const protocol = req.getHeader('sec-websocket-protocol');
  const extensions = req.getHeader('sec-websocket-extensions');
  const ticket = req.getQuery('ticket');

  const name = await holderOf(ticket);
  if (res.aborted) return;

  res.cork(() => {
    if (name === undefined) res.writeStatus('401 Unauthorized').end('No such ticket.\n');
    else res.upgrade({ name }, key, protocol, extensions, context);
  });
}

uWS
  .App()
  .ws('/*', {
    upgrade,
    open(ws) {
      ws.send(`welcome, ${ws.getUserData().name}`);
    },
    close(ws, code, message, info) {
      console.log(`${ws.getUserData().name} left: ${code} ${Buffer.from(message)} (${info.cause})`);
    },
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`ws://localhost:${uWS.us_socket_local_port(token)}/?ticket=open-sesame`);
  });
