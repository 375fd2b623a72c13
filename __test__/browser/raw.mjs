/** Bytes by hand, for what neither a browser nor an HTTP client would send. */

import { once } from 'node:events';
import { connect } from 'node:net';

/** Sends one request as it stands; resolves to the head of the answer. The socket is left open for the caller. */
export async function request(port, lines) {
  const socket = connect(port, 'localhost');
  await once(socket, 'connect');
  socket.write([...lines, '', ''].join('\r\n'));
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = await once(socket, 'data');
    head += chunk.toString('latin1');
  }
  return { head, socket };
}

/** The request lines of a WebSocket handshake; the key is the sample of RFC 6455 §1.3. */
export function handshake(port, path, extra = []) {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: localhost:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...extra,
  ];
}

/** A masked text frame of at most 125 bytes; with a mask of zeros the payload reads as it is. */
export function textFrame(text) {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
