'use strict';

// Takes connections over from an HTTP server of Node's, at its 'upgrade' event: `app.handleUpgrade`.
//
//   a TCP or Unix socket   its descriptor goes to an I/O thread, and Node's object is destroyed
//   anything else          a socket pair: one end goes to an I/O thread, and Node passes bytes between the other and the stream
//
// In both cases the request goes along in front, as bytes: what an app allows and answers holds as if it had come in by itself.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;
const { net, timers: { clearTimeout, setTimeout } } = require('../loading/builtins.js');

const { abi, native, takeovers } = require('../runtime/border.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { warnOnce } = require('../runtime/warnings.js');

const { DESCRIPTOR, LOOPBACK, PAIR } = abi.passage;

/** Streams that were handed over: neither may be so twice. */
const handedOver = new WeakSet();

/** The number of the latest takeover. */
let latestTicket = 0;

/** In milliseconds: how long a peer may take for its FIN after ours, as with connections of our own. */
const LINGER_TIMEOUT = 2000;

/** In milliseconds: how long the last bytes may wait for a peer that takes none. */
const STALL_TIMEOUT = 10_000;

/**
 * Hands a connection to `app`, a number. `begin` is called when it may have to serve somebody. Returns whether the connection
 * was taken, which it is unless `passOn` is set and no route takes it.
 */
function takeOver(app, begin, request, stream, head, options) {
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
  // The server has let go of it, and what has no listener for errors ends the process with them.
  stream.on('error', ignore);
  if (typeof stream.setTimeout === 'function') stream.setTimeout(0);
  whenAnswered(stream, () => {
    const takeover = { app, begin, request, stream, early: [text, behind] };
    if (canBeGiven(stream)) give(takeover);
    else if (isPaired()) givePair(takeover);
    else giveLoopback(takeover);
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

/** The bytes behind the request. */
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

/** A request as it was on the wire. Node has its bytes as characters; what cannot have been there is made an error of it. */
function requestBytes({ method, url, httpVersion, rawHeaders }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.map(asOneLine).join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Programs may have changed a request, above all its `url`, and must not end a line by it: NUL is refused by the parser. */
function asOneLine(text) {
  return text.replace(/[^\x01-\x09\x0b\x0c\x0e-\xff]/g, '\0');
}

/** The server name that a client of TLS has asked for. */
function nameOf(stream) {
  return typeof stream.servername === 'string' ? stream.servername : '';
}

/** Goes on when the responses to requests before this one are written: to pipeline an upgrade is unusual, but allowed. */
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

/** Whether bytes reach the peer as they are written to a descriptor, which is there. */
function canBeGiven(stream) {
  const handle = stream._handle;
  return stream instanceof net.Socket && !stream.encrypted && isPaired() && typeof handle?.readStop === 'function'
    && ['TCP', 'Pipe'].includes(handle.constructor?.name) && Number.isInteger(handle.fd) && handle.fd >= 0;
}

/** Whether sockets are descriptors, for the runtime, too. */
function isPaired() {
  const { bun, deno } = process.versions;
  return process.platform !== 'win32' && bun === undefined && deno === undefined;
}

/** Gives the socket itself away. All that Node has read of it goes along, and it reads no more. */
function give({ app, begin, request, stream, early }) {
  const handle = stream._handle;
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) early.push(chunk);
  // Behind the last `read`, which has started it.
  handle.readStop();
  handle.reading = false;
  // Programs may want to know it later, of an object that will have no socket.
  void stream.remoteAddress;
  hand({ app, begin, request, stream, early }, DESCRIPTOR, handle.fd, [undefined, 0, '', '']);
  // It closes a descriptor. The connection has another one, and notices nothing.
  stream.destroy();
}

/** Passes the bytes through a socket pair. */
function givePair(takeover) {
  const [ticket, fd] = hand(takeover, PAIR, 0, peerOf(takeover.stream));
  if (ticket === 0) return;
  const local = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  pass(takeover.stream, local, ticket);
}

/** Passes the bytes through a connection to a port of our own, where Node makes no sockets of descriptors. */
function giveLoopback(takeover) {
  const { stream } = takeover;
  const server = listenLocally();
  server.users += 1;
  server.ready.then(() => {
    const [ticket, port] = stream.destroyed ? [0] : hand(takeover, LOOPBACK, server.address().port, peerOf(stream));
    if (ticket === 0) {
      leave(server);
      return;
    }
    server.expected.set(port, (local) => {
      leave(server);
      pass(stream, local, ticket);
    });
  }, (error) => {
    leave(server);
    giveUp(stream, error);
  });
}

/** The listening server, while anybody is to connect. */
let localServer;

function listenLocally() {
  if (localServer !== undefined) return localServer;
  const server = net.createServer({ allowHalfOpen: true }, (local) => {
    const accept = server.expected.get(local.remotePort);
    server.expected.delete(local.remotePort);
    // Whoever else connects has no business here.
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

function leave(server) {
  server.users -= 1;
  if (server.users > 0) return;
  localServer = undefined;
  server.close();
}

/** The other end of a stream that is no TCP socket: `[ip, port, server name, certificate]`. */
function peerOf(stream) {
  const { remoteAddress, remotePort } = stream;
  // The zone of a link-local address is this machine's name for a network of its own.
  const ip = typeof remoteAddress === 'string' ? remoteAddress.replace(/%.*/, '') : '';
  const hasCertificate = stream.authorized === true && typeof stream.getPeerCertificate === 'function';
  const certificate = hasCertificate ? stream.getPeerCertificate()?.raw : undefined;
  return [net.isIP(ip) === 0 ? undefined : ip, Number.isInteger(remotePort) ? remotePort : 0, nameOf(stream), certificate ?? ''];
}

/**
 * Gives a worker its end. Returns the number of the takeover, and what Node's end is found by: a descriptor or a port. Where
 * there is none the number is 0, and the stream is over.
 */
function hand({ app, begin, request, stream, early }, passage, number, peer) {
  latestTicket = (latestTicket % 0xffff_ffff) + 1;
  const ticket = latestTicket;
  takeovers.set(ticket, request);
  try {
    const end = native.appTakeOver(app, passage, number, Buffer.concat(early), ticket, peer);
    begin();
    return [ticket, end];
  } catch (error) {
    takeovers.delete(ticket);
    giveUp(stream, error);
    return [0];
  }
}

/** The system has refused something. That is no fault of the program, whose process must not end by it. */
function giveUp(stream, error) {
  stream.destroy();
  // The peer has gone.
  if (error.code === 'ENOTCONN' || error.code === 'EBADF') return;
  warnOnce('FERROWS_TAKEOVER', error.code, `A connection could not be taken over, and was closed: ${error.message}`);
}

/**
 * Passes bytes between the peer's stream and the local end of a connection: with the back-pressure and the end of each
 * direction. What breaks on one side breaks on the other.
 */
function pass(stream, local, ticket) {
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
    // Its end must not be heard of before its fault: it is for the worker to close.
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
