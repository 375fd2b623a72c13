// What clients do to a server in the soak, good and bad manners mixed.

import { once } from 'node:events';
import net from 'node:net';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const PATHS = ['/hello', '/late', '/stream', '/chunked', '/nothing'];
const BODY = Buffer.alloc(300_000, 'x');

/** A whole number from 0 to `most`. */
const upTo = (most) => Math.floor(Math.random() * (most + 1));
const oneOf = (items) => items[upTo(items.length - 1)];
const get = (path, ...fields) => [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');

const HABITS = {
  /** Some requests, each after the answer to the one before, then FIN. */
  async polite(socket) {
    for (let count = upTo(5); count >= 0; count -= 1) {
      socket.write(get(oneOf(['/hello', '/late', '/nothing'])));
      await once(socket, 'data');
    }
    socket.end();
  },
  /** All requests at once, read to the end. */
  async pipelining(socket) {
    socket.write(get('/hello').repeat(upTo(50)) + get('/late', 'Connection: close'));
    socket.resume();
    await once(socket, 'end');
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
    await once(socket, 'end');
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

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** One connection with one habit. Resolves to its name once the connection is closed. */
async function connection(port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const habit = oneOf(Object.keys(HABITS));
  socket.on('error', () => {});
  socket.setTimeout(15_000, () => socket.destroy(new Error('stuck')));
  const over = new Promise((resolve) => socket.on('close', resolve));
  await Promise.race([HABITS[habit](socket).catch(() => {}), over]);
  await closed;
  return { habit, stuck: socket.errored?.message === 'stuck' };
}

/** So many connections at a time until `until` (a moment of `Date.now`). Resolves to the number of each habit. */
export async function play(port, until, width) {
  const counts = { stuck: 0 };
  const lane = async () => {
    while (Date.now() < until) {
      const { habit, stuck } = await connection(port);
      counts[habit] = (counts[habit] ?? 0) + 1;
      counts.stuck += Number(stuck);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return counts;
}
