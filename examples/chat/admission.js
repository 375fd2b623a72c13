'use strict';

/** The handshake of both WebSocket routes: who may come in, and what the socket remembers of it. */

/**
 * Upgrades the request with `userData`, or refuses it.
 *
 * Browsers do not apply the same-origin policy to WebSockets: without this check any page on the web could open
 * one here in the name of its visitor.
 */
function admit(res, req, context, userData) {
  if (!cameFromOurPage(req)) {
    res.writeStatus('403 Forbidden').end('This origin may not connect.\n', true);
    return;
  }
  res.upgrade(
    { ...userData, address: addressOf(res), since: Date.now() },
    req.getHeader('sec-websocket-key'),
    req.getHeader('sec-websocket-protocol'),
    req.getHeader('sec-websocket-extensions'),
    context,
  );
}

/** True where the Origin names this host, and where there is none: then it is no browser, and no page to defend against. */
function cameFromOurPage(req) {
  const origin = req.getHeader('origin');
  if (origin === '') return true;
  try {
    return new URL(origin).host === req.getHeader('host').toLowerCase();
  } catch {
    return false; // the Origin of a sandboxed page or a local file is the word `null`
  }
}

/**
 * The peer's address for the log. A server that listens on all addresses sees IPv4 peers as IPv6 ones (RFC 4291
 * §2.5.5.2: `::ffff:a.b.c.d`); those are written as people know them.
 */
function addressOf(res) {
  const bytes = Buffer.from(res.getRemoteAddress());
  const isMapped = bytes.length === 16 && bytes.subarray(0, 12).equals(MAPPED);
  if (bytes.length === 4 || isMapped) return [...bytes.subarray(-4)].join('.');
  return Buffer.from(res.getRemoteAddressAsText()).toString();
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

module.exports = { admit };
