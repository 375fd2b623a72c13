'use strict';

// The object through which a handler answers. It stores the handlers for body, `onWritable` and abort; the addon decides
// whether a call is allowed in the current state.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { addAddresses, addTextAddresses } = require('../runtime/addresses.js');
const { abi, causes, factsOfResponse, infoOf, KEY, native, readable, registers, responses, sockets } = require('../runtime/border.js');
const { call, deliverers, deliverPending, runCorked } = require('../runtime/call.js');
const { publishAborted } = require('../runtime/channels.js');
const { checkFunction, illegalConstructor, invalidThis, missingArguments, typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { adoptUserData } = require('../websocket/user-data.js');
const { contextOf, createSocket } = require('../websocket/websocket.js');

const { ABORT } = abi.step;
const { CAUSE, MARK, OFFSET, PIECE, SLOT } = abi.register;
const { SLOTS } = abi.handle;
const { LAST, TOO_LONG } = abi.piece;
const { PIECES, PIECES_OR_ABORT, WHOLE } = abi.taker;
const { ACCEPTED, COMPLETE } = abi.tried;

// Stored at load, because test frameworks replace the global functions with fake timers.
const { queueMicrotask } = globalThis;

/** The result of `maxRemainingBodyLength` for a chunked body, whose length is unknown before its end. */
const { unknownLength: UNKNOWN_LENGTH } = abi;

/** The cause of `res.close()`. */
const CLOSED_BY_APPLICATION = causes.findIndex(({ name }) => name === 'CLOSED_BY_APPLICATION');

let responseHandle;
let dataHandlerOf;
let writableHandlerOf;
let attachDataHandler;
let abort;
let offerUpgrade;

class HttpResponse {
  #handle;
  #abortHandler;
  /** Called with a piece of the body, or `null` if the body is too long, and whether the piece is the last one. */
  #dataHandler;
  /** The handler of `onDataOrAborted`, while it receives the body. */
  #dataAbortHandler;
  #writableHandler;
  /** The handler of `onWritableOrAborted`. */
  #writableAbortHandler;
  /** The value of the accessor `aborted`, which programs set too (`res.aborted = true`). */
  #aborted = false;
  /** The context that the upgrade handler of a `ws` route was called with. */
  #context;
  /** `[reason, info]` once the response is aborted. */
  #end;

  constructor(key, handle) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
  }

  static {
    responseHandle = (response) => {
      if (typeof response === 'object' && response !== null && #handle in response) return response.#handle;
      throw invalidThis('uWS.HttpResponse');
    };
    dataHandlerOf = (response) => response?.#dataHandler;
    writableHandlerOf = (response) => response?.#writableHandler;
    attachDataHandler = (response, handle, taker, handler, maxSize) => {
      native.resAttachData(handle, taker, maxSize);
      response.#dataHandler = handler;
      response.#dataAbortHandler = undefined;
      return response;
    };
    offerUpgrade = (response, context) => { response.#context = context; };
    abort = (response, reason, info, offset) => {
      response.#aborted = true;
      response.#end = [reason, info];
      const handler = response.#abortHandler;
      const dataHandler = response.#dataAbortHandler;
      const writableHandler = response.#writableAbortHandler;
      response.#abortHandler = undefined;
      response.#dataHandler = undefined;
      response.#dataAbortHandler = undefined;
      response.#writableAbortHandler = undefined;
      publishAborted(response, reason, info);
      call(handler, reason, info);
      if (dataHandler !== undefined) call(dataHandler, null, new ArrayBuffer(0), UNKNOWN_LENGTH, reason, info);
      call(writableHandler, null, offset);
    };
  }

  get aborted() {
    responseHandle(this);
    return this.#aborted;
  }

  set aborted(value) {
    responseHandle(this);
    this.#aborted = value;
  }

  writeStatus(status) {
    native.resStatus(responseHandle(this), readable(status));
    return this;
  }

  writeHeader(key, value) {
    native.resHeader(responseHandle(this), readable(key), readable(value));
    return this;
  }

  writeTrailer(key, value) {
    native.resTrailer(responseHandle(this), readable(key), readable(value));
    return this;
  }

  beginWrite() {
    native.resBeginWrite(responseHandle(this));
    return this;
  }

  write(chunk) {
    return native.resWrite(responseHandle(this), readable(chunk));
  }

  tryEnd(chunk, totalSize) {
    const handle = responseHandle(this);
    const bits = native.resTryEnd(handle, readable(chunk), totalSize);
    const isComplete = (bits & COMPLETE) !== 0;
    if (isComplete) responses[handle % SLOTS] = undefined;
    return [(bits & ACCEPTED) !== 0, isComplete];
  }

  getWriteOffset() {
    return native.resOffset(responseHandle(this));
  }

  end(body, closeConnection) {
    const handle = responseHandle(this);
    native.resEnd(handle, readable(body), closeConnection);
    responses[handle % SLOTS] = undefined;
    return this;
  }

  endWithoutBody(reportedContentLength, closeConnection) {
    const handle = responseHandle(this);
    native.resEndWithoutBody(handle, reportedContentLength, closeConnection);
    responses[handle % SLOTS] = undefined;
    return this;
  }

  close() {
    const handle = responseHandle(this);
    const mark = native.resClose(handle);
    const end = [causes[CLOSED_BY_APPLICATION].text, { ...infoOf(CLOSED_BY_APPLICATION), ...factsOfResponse() }];
    // Set at once, even if the handler runs later.
    this.#aborted = true;
    this.#end = end;
    try {
      deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
    return this;
  }

  pause() {
    native.resPause(responseHandle(this));
    return this;
  }

  resume() {
    native.resResume(responseHandle(this));
    return this;
  }

  cork(callback) {
    const handle = responseHandle(this);
    native.resCheck(handle);
    return runCorked(this, callback);
  }

  /** Another name of `cork`. */
  collect(callback) {
    const handle = responseHandle(this);
    native.resCheck(handle);
    return runCorked(this, callback);
  }

  onAborted(handler) {
    const handle = responseHandle(this);
    if (this.#end !== undefined) {
      checkFunction(handler);
      const [reason, info] = this.#end;
      queueMicrotask(() => handler(reason, info));
      return this;
    }
    checkHandler(handle, handler);
    native.resAttachAbort(handle);
    this.#abortHandler = handler;
    return this;
  }

  onWritable(handler) {
    const handle = responseHandle(this);
    checkHandler(handle, handler);
    native.resAttachWritable(handle);
    this.#writableHandler = handler;
    this.#writableAbortHandler = undefined;
    return this;
  }

  onWritableOrAborted(handler) {
    const handle = responseHandle(this);
    checkHandler(handle, handler);
    native.resAttachAbort(handle);
    native.resAttachWritable(handle);
    this.#writableHandler = (offset) => handler(this, offset);
    this.#writableAbortHandler = handler;
    return this;
  }

  onData(handler) {
    const handle = responseHandle(this);
    checkHandler(handle, handler);
    return attachDataHandler(this, handle, PIECES, handler);
  }

  onDataV2(handler) {
    const handle = responseHandle(this);
    checkHandler(handle, handler);
    return attachDataHandler(this, handle, PIECES, (chunk) => handler(chunk, native.resRemaining(handle)));
  }

  onDataOrAborted(handler) {
    const handle = responseHandle(this);
    if (this.#end !== undefined) {
      checkFunction(handler);
      const [reason, info] = this.#end;
      queueMicrotask(() => handler(null, new ArrayBuffer(0), UNKNOWN_LENGTH, reason, info));
      return this;
    }
    checkHandler(handle, handler);
    attachDataHandler(this, handle, PIECES_OR_ABORT, (chunk) => handler(this, chunk, native.resRemaining(handle)));
    this.#dataAbortHandler = handler;
    return this;
  }

  collectBody(maxSize, handler) {
    return collectBody(this, maxSize, handler);
  }

  /** The former name of `collectBody`. */
  onFullData(maxSize, handler) {
    return collectBody(this, maxSize, handler);
  }

  maxRemainingBodyLength() {
    return native.resRemaining(responseHandle(this));
  }

  upgrade(userData, secWebSocketKey, secWebSocketProtocol, secWebSocketExtensions, context) {
    const handle = responseHandle(this);
    native.resCheck(handle);
    if ([1, 2].includes(arguments.length) && isOptions(secWebSocketKey)) {
      if (this.#context === undefined) {
        const message = 'upgrade(userData, options) is for the response of an upgrade handler; elsewhere it takes five arguments';
        throw Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' });
      }
      const { protocol, compression } = readUpgradeOptions(secWebSocketKey);
      upgrade(handle, this.#context, userData, (route) => native.resUpgradeAsAsked(handle, protocol, compression, route));
      return;
    }
    if (arguments.length < 5) throw missingArguments(5);
    upgrade(handle, context, userData, (route) => {
      const key = readable(secWebSocketKey);
      const [protocol, extensions] = [readable(secWebSocketProtocol), readable(secWebSocketExtensions)];
      return native.resUpgrade(handle, key, protocol, extensions, route);
    });
  }

  getX509Certificate() {
    return native.resCertificate(responseHandle(this));
  }
}

addAddresses(HttpResponse, {
  address: (response, isProxied) => native.resAddress(responseHandle(response), isProxied),
  text: (response, isProxied) => native.resAddressText(responseHandle(response), isProxied),
  port: (response, isProxied) => native.resPort(responseHandle(response), isProxied),
});

addTextAddresses(HttpResponse, {
  remoteAddress: (response) => native.resRemoteAddress(responseHandle(response)),
  clientAddress: (response) => native.resClientAddress(responseHandle(response)),
});

/** The response of a cached route: the same methods, under the class name of uWebSockets.js. */
class CachedHttpResponse extends HttpResponse {}

/** The response of an app that speaks TLS. */
class SSLHttpResponse extends HttpResponse {}

/** Upgrades a connection to a WebSocket. `answer` makes the native call and returns the handle of the WebSocket. */
function upgrade(handle, context, userData, answer) {
  const { behavior, route } = contextOf(context);
  const ws = createSocket(behavior);
  // First, because a getter among the properties may throw.
  adoptUserData(ws, userData);
  native.hold();
  try {
    const socket = answer(route);
    const mark = registers[MARK];
    responses[handle % SLOTS] = undefined;
    sockets[socket % SLOTS] = ws;
    try {
      deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
  } finally {
    native.letGo();
  }
}

/** Whether the second argument of `upgrade` is the options object, and not a key. */
function isOptions(argument) {
  if (argument === undefined || argument === null) return true;
  return typeof argument === 'object' && !ArrayBuffer.isView(argument) && !isAnyArrayBuffer(argument);
}

function readUpgradeOptions(options) {
  const { protocol, compression = true } = options ?? {};
  if (typeof compression !== 'boolean') throw typeError('ERR_INVALID_ARG_TYPE', 'compression must be a boolean');
  if (protocol !== undefined && protocol !== null && protocol !== false && typeof protocol !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'protocol must be a string, or null for none');
  }
  checkNames('upgrade', options, ['protocol', 'compression']);
  return { protocol: protocol === undefined ? undefined : protocol || '', compression };
}

/** Checks a handler. A response that is over throws its own error first, whatever the handler is. */
function checkHandler(response, handler) {
  if (typeof handler === 'function') return;
  native.resCheck(response);
  checkFunction(handler);
}

function collectBody(response, maxSize, handler) {
  const handle = responseHandle(response);
  checkHandler(handle, handler);
  return attachDataHandler(response, handle, WHOLE, (body) => handler(body), maxSize);
}

function handleData(chunk) {
  const kind = registers[PIECE];
  const piece = kind === TOO_LONG ? null : chunk;
  return call(dataHandlerOf(responses[registers[SLOT]]), piece, kind === LAST) ? chunk : undefined;
}

function handleAbort(reason) {
  const slot = registers[SLOT];
  // A response has no closing handshake, even if the cause is one that ends WebSockets cleanly.
  const info = { ...infoOf(registers[CAUSE]), wasClean: false, ...factsOfResponse() };
  const offset = registers[OFFSET];
  const response = responses[slot];
  responses[slot] = undefined;
  if (response !== undefined) abort(response, reason, info, offset);
}

/** Limits the output that is buffered for a streamed response to 128 KiB. */
function limitBufferedOutput(response) {
  native.resNarrow(responseHandle(response));
}

deliverers[ABORT] = handleAbort;

module.exports = {
  offerUpgrade,
  writableHandlerOf,
  limitBufferedOutput,
  HttpResponse,
  CachedHttpResponse,
  SSLHttpResponse,
  handleData,
  handleAbort,
};
