'use strict';

// Hands connections of Node's to the I/O threads:
//
//   a TCP or Unix socket   its descriptor goes to an I/O thread, and Node's object is destroyed
//   anything else          a socket pair: one end goes to an I/O thread, and Node relays bytes between the other end and
//                          the stream

const { net, timers: { clearTimeout, setTimeout } } = require('../loading/builtins.js');

const { abi, native } = require('../runtime/border.js');
const { warnOnce } = require('../runtime/warnings.js');

const { DESCRIPTOR, LOOPBACK, PAIR } = abi.passage;

/** Streams that were handed over; a second time is an error. */
const handedOver = new WeakSet();

/** The number of the latest passage. */
let latestTicket = 0;

/** In milliseconds: how long a peer may take for its FIN after ours, as on accepted connections. */
const LINGER_TIMEOUT = 2000;

/** In milliseconds: how long the last bytes may wait for a peer that does not read. */
const STALL_TIMEOUT = 10_000;

/** Whether a stream was handed over. */
function isHandedOver(stream) {
  return handedOver.has(stream);
}

/**
 * Hands a connection to a worker, as soon as what Node has written to it is on its way.
 *
 * - `request` is that of the handshake, if a server of Node's has read it. A response to it is not waited for.
 * - `give([passage, number], bytes, ticket, peer)` makes the native call that does it, and returns the descriptor or port
 *   by which Node's end is found. `bytes` begins with `firstBytes` and has all that Node has read.
 * - `fail(error)` is called in place of `give`, or if that throws: the stream is gone. Without an error it has ended by
 *   itself.
 */
function handOver(stream, firstBytes, { request, give, fail }) {
  handedOver.add(stream);
  // The server has removed its listeners, and an 'error' event without a listener ends the process.
  stream.on('error', ignore);
  if (typeof stream.setTimeout === 'function') stream.setTimeout(0);
  const passing = { give, fail, stream, firstBytes };
  whenAnswered(stream, request, () => {
    if (stream.destroyed) fail();
    else if (canBeGiven(stream)) giveDescriptor(passing);
    else if (isPaired()) relayByPair(passing);
    else relayByLoopback(passing);
  });
}

function ignore() {}

/** Calls `act` once the responses to earlier requests are written: a client may pipeline an upgrade, though few do. */
function whenAnswered(stream, request, act) {
  if (stream.destroyed) {
    act();
    return;
  }
  const message = stream._httpMessage ?? undefined;
  // Fastify and others have middleware run with a response that is never sent.
  const isOwn = message !== undefined && request !== undefined && message.req === request;
  const again = once(() => whenAnswered(stream, request, act));
  if (message !== undefined && !isOwn) {
    message.once('close', again);
    stream.once('close', again);
  } else if (stream.writableLength > 0) {
    stream.write('', again);
    stream.once('close', again);
  } else {
    act();
  }
}

function once(act) {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

/** Whether the stream is a plain socket of Node's with a descriptor: bytes reach the peer as they are written to it. */
function canBeGiven(stream) {
  const handle = stream._handle;
  return stream instanceof net.Socket && !stream.encrypted && isPaired() && typeof handle?.readStop === 'function'
    && ['TCP', 'Pipe'].includes(handle.constructor?.name) && Number.isInteger(handle.fd) && handle.fd >= 0;
}

/** Whether sockets have descriptors on this system and in this runtime. */
function isPaired() {
  const { bun, deno } = process.versions;
  return process.platform !== 'win32' && bun === undefined && deno === undefined;
}

/** Hands the descriptor of the socket to a worker, with all that Node has read. Node stops reading. */
function giveDescriptor(passing) {
  const { stream, firstBytes } = passing;
  const handle = stream._handle;
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) firstBytes.push(chunk);
  // After the last `read`, which starts reading.
  handle.readStop();
  handle.reading = false;
  // Node caches the address at the first access, and programs may read it after the socket was destroyed.
  void stream.remoteAddress;
  handToWorker(passing, [DESCRIPTOR, handle.fd], [undefined, 0, '', '']);
  // Closes Node's descriptor; the connection has a copy.
  stream.destroy();
}

/** Relays the bytes through a socket pair. */
function relayByPair(passing) {
  const [ticket, fd] = handToWorker(passing, [PAIR, 0], peerOf(passing.stream));
  if (ticket === 0) return;
  const local = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  relay(passing.stream, local, ticket);
}

/** Relays the bytes through a connection to a loopback port, where Node cannot make a socket of a descriptor. */
function relayByLoopback(passing) {
  const { stream, fail } = passing;
  const server = listenLocally();
  server.users += 1;
  server.ready.then(() => {
    const listening = server.address().port;
    if (stream.destroyed) fail();
    const [ticket, port] = stream.destroyed ? [0] : handToWorker(passing, [LOOPBACK, listening], peerOf(stream));
    if (ticket === 0) {
      releaseServer(server);
      return;
    }
    server.expected.set(port, (local) => {
      releaseServer(server);
      relay(stream, local, ticket);
    });
  }, (error) => {
    releaseServer(server);
    closeFailed(passing, error);
  });
}

/** The listening server, while connections to it are expected. */
let localServer;

function listenLocally() {
  if (localServer !== undefined) return localServer;
  const server = net.createServer({ allowHalfOpen: true }, (local) => {
    const accept = server.expected.get(local.remotePort);
    server.expected.delete(local.remotePort);
    // Another process has connected.
    if (accept === undefined) local.destroy();
    else accept(local);
  });
  localServer = Object.assign(server, { expected: new Map(), users: 0 });
  server.ready = new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  server.listen(0, '127.0.0.1');
  return server;
}

function releaseServer(server) {
  server.users -= 1;
  if (server.users > 0) return;
  localServer = undefined;
  server.close();
}

/** The server name (SNI) that a TLS client has sent. */
function nameOf(stream) {
  return typeof stream.servername === 'string' ? stream.servername : '';
}

/** The peer of a stream that is no TCP socket: `[ip, port, server name, certificate]`. */
function peerOf(stream) {
  const { remoteAddress, remotePort } = stream;
  // The zone of a link-local address has a meaning on this machine only.
  const ip = typeof remoteAddress === 'string' ? remoteAddress.replace(/%.*/, '') : '';
  const hasCertificate = stream.authorized === true && typeof stream.getPeerCertificate === 'function';
  const certificate = hasCertificate ? stream.getPeerCertificate()?.raw : undefined;
  return [net.isIP(ip) === 0 ? undefined : ip, Number.isInteger(remotePort) ? remotePort : 0, nameOf(stream), certificate ?? ''];
}

/**
 * Hands a worker its end of the connection. Returns the ticket of the passage, and the descriptor or port by which
 * Node's end is found. If that fails, the ticket is 0 and the stream was destroyed.
 */
function handToWorker(passing, way, peer) {
  latestTicket = (latestTicket % 0xffff_ffff) + 1;
  const ticket = latestTicket;
  try {
    return [ticket, passing.give(way, Buffer.concat(passing.firstBytes), ticket, peer)];
  } catch (error) {
    closeFailed(passing, error);
    return [0];
  }
}

/** Destroys the stream after an error of the system, with a warning: an exception here would end the process. */
function closeFailed({ stream, fail }, error) {
  stream.destroy();
  // Otherwise the peer has closed the connection.
  if (error.code !== 'ENOTCONN' && error.code !== 'EBADF') {
    warnOnce('FERROWS_TAKEOVER', error.code, `A connection could not be taken over, and was closed: ${error.message}`);
  }
  fail(error);
}

/**
 * Relays bytes between the peer's stream and the local end of a connection, with the back-pressure and the end of each
 * direction. An error of one side closes the other.
 */
function relay(stream, local, ticket) {
  let isBroken = false;
  let timer;
  const close = () => {
    clearTimeout(timer);
    stream.destroy();
    local.destroy();
  };
  const closeIn = (delay) => {
    clearTimeout(timer);
    timer = setTimeout(close, delay);
    timer.unref();
  };
  const breakOff = (error) => {
    if (isBroken) return;
    isBroken = true;
    native.passageBreak(ticket, String(error?.code ?? ''));
    stream.destroy();
    // The worker must get the error before the end of the stream, so it is the worker that closes the local connection.
    local.unpipe();
    local.resume();
    closeIn(LINGER_TIMEOUT);
  };
  stream.on('error', breakOff);
  stream.on('close', () => {
    if (stream.readableEnded && local.readableEnded) close();
    else breakOff();
  });
  stream.on('finish', () => closeIn(LINGER_TIMEOUT));
  local.on('end', () => (isBroken ? close() : closeIn(STALL_TIMEOUT)));
  local.on('error', ignore);
  local.on('close', () => {
    native.passageEnd(ticket);
    if (local.readableEnded || isBroken) return;
    // The worker has closed its end without reading all of it.
    stream.end();
    closeIn(LINGER_TIMEOUT);
  });
  if (stream.destroyed) {
    breakOff();
    return;
  }
  stream.pipe(local);
  local.pipe(stream);
}

module.exports = { handOver, isHandedOver, nameOf };
