'use strict';

// Takes connections over from an HTTP server of Node's, at its 'upgrade' event: `app.handleUpgrade`.
//
//   a TCP or Unix socket   its descriptor goes to an I/O thread, and Node's object is destroyed
//   anything else          a socket pair: one end goes to an I/O thread, and Node relays bytes between the other end and
//                          the stream
//
// In both cases the I/O thread gets the request first, as bytes, and parses it like that of an accepted connection.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;
const { net, timers: { clearTimeout, setTimeout } } = require('../loading/builtins.js');

const { abi, native, takeovers } = require('../runtime/border.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { warnOnce } = require('../runtime/warnings.js');

const { DESCRIPTOR, LOOPBACK, PAIR } = abi.passage;

/** Streams that were handed over; a second time is an error. */
const handedOver = new WeakSet();

/** The number of the latest takeover. */
let latestTicket = 0;

/** In milliseconds: how long a peer may take for its FIN after ours, as on accepted connections. */
const LINGER_TIMEOUT = 2000;

/** In milliseconds: how long the last bytes may wait for a peer that does not read. */
const STALL_TIMEOUT = 10_000;

/**
 * Hands a connection to the app with the number `app`. `register` is called once a worker has the connection. Returns
 * whether the connection was taken over: always, unless `passOn` is set and no route matches.
 */
function takeOver(app, register, request, stream, head, options) {
  checkRequest(request);
  checkStream(stream);
  const behind = bytesOf(head);
  const { passOn = false } = readOptions(options);
  if (handedOver.has(stream)) {
    const message = 'handleUpgrade was called for a socket that has been handed over: does another listener of this event do it, too?';
    throw Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' });
  }
  const text = requestBytes(request);
  if (passOn && !native.appTakes(app, text, nameOf(stream))) return false;
  handedOver.add(stream);
  // The server has removed its listeners, and an 'error' event without a listener ends the process.
  stream.on('error', ignore);
  if (typeof stream.setTimeout === 'function') stream.setTimeout(0);
  whenAnswered(stream, () => {
    const takeover = { app, register, request, stream, firstBytes: [text, behind] };
    if (canBeGiven(stream)) giveDescriptor(takeover);
    else if (isPaired()) relayByPair(takeover);
    else relayByLoopback(takeover);
  });
  return true;
}

function ignore() {}

function checkRequest(request) {
  const isRequest = typeof request === 'object' && request !== null
    && ['method', 'url', 'httpVersion'].every((name) => typeof request[name] === 'string')
    && Array.isArray(request.rawHeaders) && request.rawHeaders.every((text) => typeof text === 'string');
  if (!isRequest) {
    throw typeError('ERR_INVALID_ARG_TYPE', "request must be the http.IncomingMessage of an 'upgrade' event");
  }
}

function checkStream(stream) {
  const isStream = typeof stream === 'object' && stream !== null
    && ['on', 'pipe', 'read', 'write', 'end', 'destroy'].every((name) => typeof stream[name] === 'function');
  if (!isStream) throw typeError('ERR_INVALID_ARG_TYPE', "socket must be the stream.Duplex of an 'upgrade' event");
  if (stream.readableObjectMode || stream.writableObjectMode || (stream.readableEncoding ?? null) !== null) {
    throw typeError('ERR_INVALID_ARG_VALUE', 'socket must be a stream of bytes: neither with an encoding nor in object mode');
  }
}

/** The bytes that Node has read behind the request. */
function bytesOf(head) {
  if (head === undefined || head === null) return Buffer.alloc(0);
  if (ArrayBuffer.isView(head)) return Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (isAnyArrayBuffer(head)) return Buffer.from(head);
  throw typeError('ERR_INVALID_ARG_TYPE', "head must be the Buffer of an 'upgrade' event");
}

function readOptions(options) {
  if (options === undefined || options === null) return {};
  if (typeof options !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  checkNames('handleUpgrade', options, ['passOn']);
  const { passOn } = options;
  if (passOn !== undefined && typeof passOn !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'passOn must be a boolean');
  }
  return { passOn };
}

/**
 * The bytes of a request. Node decodes them as Latin-1; a character that cannot come from the wire becomes NUL
 * (`asOneLine`).
 */
function requestBytes({ method, url, httpVersion, rawHeaders }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.map(asOneLine).join('\r\n')}\r\n\r\n`, 'latin1');
}

/**
 * Programs may have changed a request, above all its `url`, and must not inject line breaks: the parser refuses NUL.
 */
function asOneLine(text) {
  return text.replace(/[^\x01-\x09\x0b\x0c\x0e-\xff]/g, '\0');
}

/** The server name (SNI) that a TLS client has sent. */
function nameOf(stream) {
  return typeof stream.servername === 'string' ? stream.servername : '';
}

/** Calls `act` once the responses to earlier requests are written: a client may pipeline an upgrade, though few do. */
function whenAnswered(stream, act) {
  if (stream.destroyed) return;
  const message = stream._httpMessage ?? undefined;
  const again = once(() => whenAnswered(stream, act));
  if (message !== undefined) {
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
function giveDescriptor({ app, register, request, stream, firstBytes }) {
  const handle = stream._handle;
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) firstBytes.push(chunk);
  // After the last `read`, which starts reading.
  handle.readStop();
  handle.reading = false;
  // Node caches the address at the first access, and programs may read it after the socket was destroyed.
  void stream.remoteAddress;
  handToWorker({ app, register, request, stream, firstBytes }, DESCRIPTOR, handle.fd, [undefined, 0, '', '']);
  // Closes Node's descriptor; the connection has a copy.
  stream.destroy();
}

/** Relays the bytes through a socket pair. */
function relayByPair(takeover) {
  const [ticket, fd] = handToWorker(takeover, PAIR, 0, peerOf(takeover.stream));
  if (ticket === 0) return;
  const local = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  relay(takeover.stream, local, ticket);
}

/** Relays the bytes through a connection to a loopback port, where Node cannot make a socket of a descriptor. */
function relayByLoopback(takeover) {
  const { stream } = takeover;
  const server = listenLocally();
  server.users += 1;
  server.ready.then(() => {
    const listening = server.address().port;
    const [ticket, port] = stream.destroyed ? [0] : handToWorker(takeover, LOOPBACK, listening, peerOf(stream));
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
    closeFailed(stream, error);
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
 * Hands a worker its end of the connection. Returns the ticket of the takeover, and the descriptor or port by which
 * Node's end is found. If that fails, the ticket is 0 and the stream was destroyed.
 */
function handToWorker({ app, register, request, stream, firstBytes }, passage, number, peer) {
  latestTicket = (latestTicket % 0xffff_ffff) + 1;
  const ticket = latestTicket;
  takeovers.set(ticket, request);
  try {
    const end = native.appTakeOver(app, passage, number, Buffer.concat(firstBytes), ticket, peer);
    register();
    return [ticket, end];
  } catch (error) {
    takeovers.delete(ticket);
    closeFailed(stream, error);
    return [0];
  }
}

/** Destroys the stream after an error of the system, with a warning: an exception here would end the process. */
function closeFailed(stream, error) {
  stream.destroy();
  // The peer has closed the connection.
  if (error.code === 'ENOTCONN' || error.code === 'EBADF') return;
  warnOnce('FERROWS_TAKEOVER', error.code, `A connection could not be taken over, and was closed: ${error.message}`);
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

module.exports = { takeOver };
