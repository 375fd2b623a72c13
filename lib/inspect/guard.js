'use strict';

// Who may look: without `authorize`, programs and browsers of this machine.

const { native } = require('../runtime/border.js');

/** What proxies add. Behind one of them every client seems to come from this machine. */
const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via', 'cf-connecting-ip'];

/** Names that lead to this machine only. A page elsewhere may have given its own name the address 127.0.0.1. */
const LOCAL_HOST = /^(?:localhost|[a-z0-9-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

const REFUSED = 'Only for clients on this machine: app.inspect() was called without `authorize`. See docs/inspect.md.\n';

/**
 * Calls `serve` if the request may be answered, and refuses it otherwise. `authorize` gets the request while it may be
 * read, and may return a promise.
 */
function admit(res, req, authorize, serve) {
  if (authorize === undefined) {
    if (isLocal(res, req)) serve();
    else refuse(res, '403 Forbidden', REFUSED);
    return;
  }
  let outcome;
  try {
    outcome = authorize(req, { remoteAddress: res.remoteAddress });
  } catch (error) {
    native.reportUncaught(error);
    fail(res);
    return;
  }
  if (typeof outcome?.then !== 'function') {
    answer(res, outcome, serve);
    return;
  }
  res.onAborted(() => {});
  Promise.resolve(outcome).then(
    (value) => ifAlive(res, () => answer(res, value, serve)),
    (error) => {
      native.reportUncaught(error);
      ifAlive(res, () => fail(res));
    },
  );
}

function ifAlive(res, act) {
  if (!res.aborted) res.cork(act);
}

/** Anything but `true` is a refusal: a function that returns an object by mistake lets nobody in. */
function answer(res, outcome, serve) {
  if (outcome === true) serve();
  // Browsers ask for name and password then.
  else refuse(res, '401 Unauthorized', 'Not authorized.\n', [['WWW-Authenticate', 'Basic realm="Ferrows", charset="UTF-8"']]);
}

function fail(res) {
  refuse(res, '500 Internal Server Error', '`authorize` of app.inspect() has failed.\n');
}

function refuse(res, status, text, headers = []) {
  res.writeStatus(status).writeHeader('Content-Type', 'text/plain; charset=utf-8').writeHeader('Cache-Control', 'no-store');
  for (const [name, value] of headers) res.writeHeader(name, value);
  res.end(text);
}

/** Whether the request comes from this machine, and not through a proxy. */
function isLocal(res, req) {
  if (!isLoopback(res.getRemoteAddress())) return false;
  // With the PROXY protocol the peer is the proxy.
  const client = res.getProxiedRemoteAddress();
  if (client.byteLength > 0 && !isLoopback(client)) return false;
  return FORWARDING.every((name) => req.getHeader(name) === '') && LOCAL_HOST.test(req.getHeader('host'));
}

/** 127.0.0.0/8, also as an address of IPv6, and ::1. */
function isLoopback(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length === 4) return bytes[0] === 127;
  if (bytes.length !== 16) return false;
  if (bytes.subarray(0, 10).some((byte) => byte !== 0)) return false;
  const isMapped = bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return bytes[12] === 127;
  return bytes.subarray(10, 15).every((byte) => byte === 0) && bytes[15] === 1;
}

module.exports = { admit, isLoopback, refuse };
