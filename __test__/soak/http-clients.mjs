// What HTTP clients do to a server in the soak, good and bad manners mixed.

import { oneOf, pause, upTo } from './chance.mjs';
import { next } from './lanes.mjs';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const PATHS = ['/hello', '/late', '/stream', '/chunked', '/nothing'];
const BODY = Buffer.alloc(300_000, 'x');

const get = (path, ...fields) => [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');

export const HABITS = {
  /** Some requests, each after the answer to the one before, then FIN. */
  async polite(socket) {
    for (let count = upTo(5); count >= 0; count -= 1) {
      socket.write(get(oneOf(['/hello', '/late', '/nothing'])));
      await next(socket, 'data');
    }
    socket.end();
  },
  /** All requests at once, read to the end. */
  async pipelining(socket) {
    socket.write(get('/hello').repeat(upTo(50)) + get('/late', 'Connection: close'));
    socket.resume();
    await next(socket, 'end');
    socket.end();
  },
  /** A download, given up somewhere, in either way. */
  async impatient(socket) {
    socket.write(get(oneOf(PATHS)));
    let left = upTo(3_000_000);
    let isOver = false;
    // Once: Node leaks a socket that is reset while it is ending.
    const giveUp = (...manners) => {
      if (!isOver) oneOf(manners)();
      isOver = true;
    };
    socket.on('data', (data) => {
      left -= data.length;
      if (left < 0) giveUp(() => socket.destroy(), () => socket.resetAndDestroy(), () => socket.end());
    });
    await pause(upTo(60));
    giveUp(() => socket.destroy());
  },
  /** A download that is read now and then, to the end. */
  async slow(socket) {
    socket.write(get('/stream', 'Connection: close'));
    socket.on('data', () => {
      if (upTo(20) > 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), 3);
    });
    await next(socket, 'end');
    socket.end();
  },
  /** An upload in pieces, whole or not. */
  async uploading(socket) {
    const length = upTo(BODY.length);
    const sent = oneOf([length, length, upTo(length)]);
    socket.resume();
    socket.write(`POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`);
    for (let offset = 0; offset < sent; offset += 40_000) {
      socket.write(BODY.subarray(offset, Math.min(sent, offset + 40_000)));
      if (upTo(2) === 0) await pause(1);
    }
    if (sent < length) oneOf([() => socket.destroy(), () => socket.resetAndDestroy(), () => socket.end()])();
    else socket.end();
  },
  /** A chunked upload that breaks a rule now and then. */
  async chunked(socket) {
    socket.resume();
    socket.write('POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let count = upTo(20); count > 0; count -= 1) socket.write('5\r\nhello\r\n');
    socket.write(oneOf(['0\r\n\r\n', '0\r\n\r\n', 'x\r\n', '5\r\nhel']));
    socket.end();
  },
  /** Bytes that are no HTTP. */
  async noise(socket) {
    socket.resume();
    socket.write(Buffer.from(Array.from({ length: upTo(300) }, () => upTo(255))));
    socket.end();
  },
  /** Half a request head. */
  async silent(socket) {
    socket.write(get('/hello').slice(0, upTo(20)));
    await pause(upTo(50));
    socket.destroy();
  },
  /** A WebSocket that sends and goes. */
  async webSocket(socket) {
    socket.resume();
    socket.write(UPGRADE);
    for (let count = upTo(10); count > 0; count -= 1) {
      socket.write(Buffer.from([0x81, 0x83, 1, 2, 3, 4, 0x60, 0x60, 0x60]));
      if (upTo(3) === 0) await pause(1);
    }
    oneOf([() => socket.destroy(), () => socket.resetAndDestroy(), () => socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))])();
  },
};
