'use strict';

/**
 * Letting in only pages of one's own. Browsers do not apply the same-origin policy to WebSockets: any page on the web
 * can open one here, with the cookies of its visitor. Only the Origin header distinguishes it from your own pages, and
 * pages cannot forge it. (Programs can: it says nothing about who they are, for that there are cookies and tokens.)
 *
 * ORIGINS lists who may connect, `https://example.com,https://www.example.com`; without it, pages of this host. Clients
 * without an Origin are no browsers, and let in.
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const allowed = process.env.ORIGINS?.split(',').map((text) => new URL(text.trim()).origin);

/** Whether the page that opens the WebSocket may do so. */
function isWelcome(origin, host) {
  if (origin === '') return true;
  let url;
  try {
    url = new URL(origin);
  } catch {
    return false; // `null`: a sandboxed frame, or a local file
  }
  // Compared whole. `startsWith` or `includes` would let https://example.com.evil.example in.
  return allowed === undefined ? url.host === host.toLowerCase() : allowed.includes(url.origin);
}

uWS
  .App()
  .ws('/*', {
    upgrade(res, req, context) {
      const origin = req.getHeader('origin');
      if (!isWelcome(origin, req.getHeader('host'))) {
        res.writeStatus('403 Forbidden').writeHeader('Content-Type', 'text/plain').end('This origin may not connect.\n', true);
        return;
      }
      res.upgrade(
        { origin },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open: (ws) => ws.send(`welcome, ${ws.origin || 'whoever you are'}`),
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  })
  .listen(port, (token, error) => {
    if (!token) throw error;
    console.log(`ws://localhost:${uWS.us_socket_local_port(token)}`);
  });
