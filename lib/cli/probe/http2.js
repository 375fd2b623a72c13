'use strict';

const http2 = require('http2');

const { lookup } = require('dns/promises');
const { connectTcp, connectTls } = require('./handshake.js');

/**
 * Whether the server of a `wss:` target speaks HTTP/2, and WebSockets over it (RFC 8441): `'none'`, `'offered'`,
 * `'websocket'`, or undefined if that cannot be found out. Browsers use it only if it has a connection already.
 */
async function askForHttp2({ hostname, port }, { ca, isInsecure, connectTo, timeout }) {
  const attempt = {};
  let session;
  const timer = setTimeout(() => attempt.socket?.destroy(new Error('too late')), timeout * 1000);
  try {
    const to = connectTo ?? { hostname, port };
    const addresses = await lookup(to.hostname, { all: true, verbatim: true });
    attempt.socket = await connectTcp(addresses, to.port, attempt);
    const socket = await connectTls(attempt.socket, hostname, { ca, isInsecure, offersHttp2: true });
    if (socket.alpnProtocol !== 'h2') return 'none';
    session = http2.connect(`https://${hostname}:${port}`, { createConnection: () => socket });
    const settings = await new Promise((resolve, reject) => {
      session.once('remoteSettings', resolve).once('error', reject).once('close', () => reject(new Error('closed')));
    });
    return settings.enableConnectProtocol === true ? 'websocket' : 'offered';
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    session?.on('error', () => {}).destroy();
    attempt.socket?.on('error', () => {}).destroy();
  }
}

module.exports = { askForHttp2 };
