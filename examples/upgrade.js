'use strict';

/**
 * Deciding about a handshake: clients of a foreign page and clients without a common subprotocol are refused, and the
 * WebSocket gets what is known of its visitor. `upgrade-async.js` is for checks that take time.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);

/** Protocols we speak, the one we like best first. */
const PROTOCOLS = ['greeting.v2', 'greeting.v1'];

/** Pages may open a WebSocket to any server; browsers send the origin of the page. Other programs send no Origin. */
function isForeign(req) {
  const origin = req.getHeader('origin');
  return origin !== '' && origin.replace(/^https?:\/\//, '') !== req.getHeader('host');
}

function refuse(res, status, text) {
  res.writeStatus(status).writeHeader('Content-Type', 'text/plain').end(`${text}\n`);
}

uWS
  .App()
  .ws('/greetings/:name', {
    upgrade(res, req, context) {
      if (isForeign(req)) return refuse(res, '403 Forbidden', 'Only from our own pages.');
      const offered = req.getHeader('sec-websocket-protocol').split(/ *, */);
      const protocol = PROTOCOLS.find((ours) => offered.includes(ours));
      if (protocol === undefined) return refuse(res, '400 Bad Request', `Speak one of ${PROTOCOLS.join(', ')}.`);

      const visitor = {
        name: req.getParameter('name'),
        protocol,
        address: Buffer.from(res.getRemoteAddressAsText()).toString(),
      };
      res.writeStatus('101 Switching Protocols').writeHeader('Set-Cookie', 'greeted=yes; HttpOnly; SameSite=Strict');
      return res.upgrade(
        visitor,
        req.getHeader('sec-websocket-key'),
        protocol,
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },

    // `getUserData` is the WebSocket itself, with the properties of `visitor` on it.
    open(ws) {
      const { name, protocol, address } = ws.getUserData();
      ws.send(protocol === 'greeting.v1' ? `Hello, ${name}` : JSON.stringify({ hello: name, from: address }));
    },
  })
  .any('/*', (res) => refuse(res, '426 Upgrade Required', 'This address speaks WebSocket only.'))
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`ws://localhost:${uWS.us_socket_local_port(token)}/greetings/ada`);
  });
