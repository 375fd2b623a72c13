'use strict';

// Where to connect: what a url says.

const { UsageError } = require('../arguments.js');
const { harmless } = require('../terminal.js');

const PORTS = { 'ws:': 80, 'wss:': 443 };
/** Browsers take these for `ws:` and `wss:`, too. */
const SAME = { 'http:': 'ws:', 'https:': 'wss:' };

/**
 * `{ url, isSecure, hostname, port, path, host, authorization }` of a url; `base` is where a redirect leads from. Throws a
 * UsageError with a sentence about what is wrong.
 */
function readTarget(text, base) {
  let parsed;
  try {
    parsed = new URL(text, base);
  } catch {
    const guess = /^[\w.-]+(?::\d+)?(?:\/|$)/.test(text) ? ` Do you mean wss://${text}?` : '';
    throw new UsageError(`“${harmless(text)}” is not a url.${guess}`);
  }
  const protocol = SAME[parsed.protocol] ?? parsed.protocol;
  if (!Object.hasOwn(PORTS, protocol)) {
    // `example.com:443/chat` is a url whose scheme is `example.com:`.
    const guess = /^[\w.-]+:\d+/.test(text) ? ` Do you mean wss://${text}?` : '';
    throw new UsageError(`The url must begin with wss:// or ws://, not with ${harmless(parsed.protocol)}.${guess}`);
  }
  if (parsed.hash !== '') throw new UsageError('The url of a WebSocket has no fragment (RFC 6455 §3): leave out what follows the #.');
  const { username, password } = parsed;
  const credentials = username === '' && password === '' ? undefined : `${decoded(username)}:${decoded(password)}`;
  return {
    url: `${protocol}//${parsed.host}${parsed.pathname}${parsed.search}`,
    isSecure: protocol === 'wss:',
    hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? PORTS[protocol] : Number(parsed.port),
    path: parsed.pathname + parsed.search,
    host: parsed.host,
    authorization: credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `host:port`, where to connect instead of what the url says. */
function readAddress(text) {
  const [, host, port] = text.match(/^\[?([^[\]\s]+?)\]?:(\d{1,5})$/) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) {
    throw new UsageError(`--connect-to must be host:port, not “${harmless(text)}”.`);
  }
  return { hostname: host, port: Number(port) };
}

module.exports = { readAddress, readTarget };
