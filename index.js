'use strict';

// The JavaScript side of Ferrows: the classes that programs see, and the loop that runs their handlers. Thin by
// intention: every method is one native call, and what is valid is decided there (src/node). No protocol logic.

const { AsyncResource } = require('node:async_hooks');
const { MAX_STRING_LENGTH } = require('node:buffer').constants;
const { setImmediate } = require('node:timers');
const { isAnyArrayBuffer, isSharedArrayBuffer } = require('node:util').types;

const makeDeclarativeResponse = require('./declarative-response.js');
const makeKeyValueStore = require('./key-value-store.js');

const native = require('./binding.js')();
const { FileRoute } = require('./static/file-route.js');

// Kept, as `setImmediate` is: test frameworks replace the global ones by clocks that stand still.
const { queueMicrotask } = globalThis;

// ------------------------------------------------------------------------------------------------------ The border

/** Numbers that come with an event; written by the addon, read here before anything else is called. */
const registers = new Float64Array(8);

/** What `native.next` asks for. The same numbers stand in src/node/dispatch.rs. */
const SLEEP = 0;
const YIELD = 1;
const REQUEST = 2;
const UPGRADE = 3;
const OPEN = 4;
const MESSAGE = 5;
const PING = 6;
const PONG = 7;
const DRAIN = 8;
const CLOSE = 9;
const ABORT = 10;
const DATA = 11;
const UNANSWERED = 12;
const LOG = 13;
const WRITABLE = 14;
const OPENED = 18;
const CLOSED = 19;
const SHUT_DOWN = 20;
const MISSED = 21;

/** Which handlers a behavior has, as bits. The same numbers stand in src/node/behavior.rs. */
const HANDLER_BITS = { upgrade: 1, message: 2, ping: 4, pong: 8, drain: 16, subscription: 32, dropped: 64 };
/** One more: text messages are handed to `message` as strings. */
const MESSAGE_STRINGS = 128;
const HANDLERS = ['upgrade', 'open', 'message', 'dropped', 'drain', 'close', 'ping', 'pong', 'subscription'];

/** What a DATA event brings. The same numbers stand in src/node/request_body.rs. */
const LAST_PIECE = 1;
const TOO_LONG = 2;

/** How a handler takes the body of a request. The same numbers stand in src/node/request_body.rs. */
const PIECES = 0;
const PIECES_OR_ABORT = 1;
const WHOLE = 2;

/** Stands for the length of a body that is not known (contract 7.9). */
const UNKNOWN_LENGTH = 2n ** 64n - 1n;

/** A handle is a slot and a generation in one number (src/node/handles.rs). */
const SLOTS = 2 ** 24;

/** Keeps constructors to this file: `new ws.constructor()` is refused. */
const KEY = Symbol('ferrows');

/** Handlers and behaviors by route number. */
const targets = [];
/** Responses that are not over, by slot. */
const responses = [];
/** Open WebSockets, by slot. */
const sockets = [];
/** Filters by app number; they are never removed. */
const filters = [];
/** Connections that filters were told of, by slot. */
const connections = [];
/** `{ name, initiator, wasClean, text }` by cause number. */
const causes = readCauses();

// ------------------------------------------------------------------------------------------------------- Dispatcher

/**
 * Runs microtasks and `process.nextTick` callbacks, as Node does after every event of its own. All events of a batch
 * arrive in one callback of Node, which would run them only at its end.
 */
const tick = process._tickCallback;
/** Reading the global each time would cost a getter call per event. */
const thisProcess = process;

/** The response and request of the handler that was called last; a yielded request goes on with the same objects. */
let lastResponse;
let lastRequest;

/** Called when the bell rings: handles events until none is left or the turn's budget is used up. */
function drain() {
  let done;
  for (;;) {
    const payload = native.next(done);
    done = undefined;
    switch (registers[0]) {
      case MESSAGE: {
        const ws = sockets[registers[1]];
        const isDone = call(behaviorOf(ws).message, ws, payload, registers[2] === 1);
        if (isDone && typeof payload !== 'string') done = payload;
        break;
      }
      case REQUEST:
        handleRequest(targets[registers[2]]);
        break;
      case UPGRADE:
        handleUpgrade(targets[registers[2]], registers[2]);
        break;
      case OPEN: {
        const handle = registers[1];
        openSocket(createSocket(targets[registers[2]]), handle);
        break;
      }
      case CLOSE:
        done = handleClose(payload);
        break;
      case DATA:
        done = handleData(payload);
        break;
      case ABORT:
        handleAbort(payload);
        break;
      case WRITABLE:
        call(writableHandlerOf(responses[registers[1]]), registers[2]);
        break;
      case MISSED: {
        const ws = sockets[registers[1]];
        if (call(behaviorOf(ws).dropped, ws, payload, registers[2] === 1, registers[3])) done = payload;
        break;
      }
      case DRAIN: {
        const ws = sockets[registers[1]];
        call(behaviorOf(ws).drain, ws);
        break;
      }
      case PING: {
        const ws = sockets[registers[1]];
        call(behaviorOf(ws).ping, ws, payload);
        break;
      }
      case PONG: {
        const ws = sockets[registers[1]];
        call(behaviorOf(ws).pong, ws, payload);
        break;
      }
      case UNANSWERED:
        call(warnUnanswered, payload);
        break;
      case LOG:
        call(logger, readRecord(payload));
        break;
      case OPENED:
        handleOpened(payload);
        break;
      case CLOSED:
        handleClosed();
        break;
      case SHUT_DOWN:
        concludeShutdown(registers[1], registers[2]);
        break;
      case YIELD:
        isYielding = true;
        setImmediate(drainOutside);
        return;
      case SLEEP:
      default:
        return;
    }
    if (tick === undefined) {
      // A runtime without that function runs microtasks when this returns: one event at a time.
      native.detach(done);
      setImmediate(drainOutside);
      return;
    }
    runTicks();
  }
}

/**
 * `drain` outside of the async context in which it was asked for: handlers must not see the `AsyncLocalStorage` stores
 * of each other.
 */
const drainOutside = AsyncResource.bind(() => {
  isYielding = false;
  drain();
}, 'FERROWS');

/** Whether the budget was used up, and the loop has not had its turn yet. */
let isYielding = false;

/** The bell may have been rung before, and be heard only now. */
function handleBell() {
  if (!isYielding) drain();
}

function runTicks() {
  for (;;) {
    try {
      tick.call(thisProcess);
      return;
    } catch (error) {
      // Thrown by a nextTick callback; those behind it are still to be run.
      native.reportUncaught(error);
    }
  }
}

/**
 * Calls a handler, if there is one; what it throws becomes 'uncaughtException'. Returns whether the handler is done
 * with its arguments, which it is not if it returned a promise.
 */
function call(handler, first, second, third, fourth, fifth) {
  if (handler === undefined) return true;
  try {
    return !isPromise(handler(first, second, third, fourth, fifth));
  } catch (error) {
    native.reportUncaught(error);
    return true;
  }
}

function isPromise(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

function handleRequest(handler) {
  takeRequest();
  call(handler, lastResponse, lastRequest);
}

function handleUpgrade(behavior, route) {
  takeRequest();
  const context = new UpgradeContext(KEY, behavior, route);
  call(behavior.upgrade, lastResponse, lastRequest, context);
}

/** What a request is, if not new to a usual route. The same numbers stand in src/node/dispatch.rs. */
const YIELDED = 1;
const CACHED = 2;

/** Makes the objects of a new request; one that was yielded keeps its own. */
function takeRequest() {
  const kind = registers[3];
  if (kind === YIELDED) return;
  const handle = registers[1];
  lastResponse = kind === CACHED ? new CachedHttpResponse(KEY, handle) : new HttpResponse(KEY, handle);
  lastRequest = new HttpRequest(KEY, handle);
  responses[handle % SLOTS] = lastResponse;
}

function handleData(chunk) {
  const kind = registers[2];
  const piece = kind === TOO_LONG ? null : chunk;
  return call(dataHandlerOf(responses[registers[1]]), piece, kind === LAST_PIECE) ? chunk : undefined;
}

function handleAbort(reason) {
  const slot = registers[1];
  // A response has no Close handshake, whatever became of the WebSockets that the cause has ended too.
  const info = { ...infoOf(registers[2]), wasClean: false };
  const offset = registers[3];
  const response = responses[slot];
  responses[slot] = undefined;
  if (response !== undefined) abort(response, reason, info, offset);
}

/** The close event of the WebSocket in the registers. Returns the reason, to be detached. */
function handleClose(reason) {
  const slot = registers[1];
  const code = registers[2];
  const info = infoOf(registers[3]);
  const left = [];
  // All of them first: a handler below may close another WebSocket.
  for (let count = registers[4]; count > 0; count--) {
    left.push({ topic: native.wsDeparture(), now: registers[1], before: registers[2] });
  }
  const ws = sockets[slot];
  sockets[slot] = undefined;
  const behavior = behaviorOf(ws);
  for (const { topic, now, before } of left) call(behavior.subscription, ws, topic, now, before);
  return call(behavior.close, ws, code, reason, info) ? reason : undefined;
}

/** A connection was accepted. It is told to the filters that there are now, and its end to the same ones. */
function handleOpened(addresses) {
  const handle = registers[1];
  const list = filters[registers[2]];
  const connection = createConnection(handle, addresses, list.slice());
  connections[handle % SLOTS] = connection;
  report(connection, 1);
}

/** The connection in the registers is over. */
function handleClosed() {
  const slot = registers[1] % SLOTS;
  const connection = connections[slot];
  connections[slot] = undefined;
  report(connection, -1);
}

function report(connection, count) {
  for (const filter of filtersOf(connection)) call(filter, connection, count);
}

function warnUnanswered(request) {
  const text = `The handler of ${request} returned without answering and without an abort handler (res.onAborted)`;
  process.emitWarning(text, { type: 'FerrowsWarning', code: 'FERROWS_UNANSWERED' });
}

function readCauses() {
  const flat = native.causes();
  const table = [];
  for (let index = 0; index < flat.length; index += 4) {
    const [name, initiator, wasClean, text] = flat.slice(index, index + 4);
    table.push({ name, initiator, wasClean, text });
  }
  return table;
}

function infoOf(number) {
  const { name, initiator, wasClean } = causes[number];
  return { cause: name, initiator, wasClean };
}

// ----------------------------------------------------------------------------------------------------------- Errors

function typeError(code, message) {
  return Object.assign(new TypeError(message), { code });
}

function invalidThis(name) {
  return typeError('ERR_INVALID_THIS', `Method called on an object that is no ${name}.`);
}

function illegalConstructor() {
  return typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
}

function missingArguments(count) {
  return typeError('ERR_MISSING_ARGS', `Function requires at least ${count} arguments.`);
}

function checkFunction(value) {
  if (typeof value !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'Passed callback is not a valid function.');
  }
}

/** Node-API does not read a bare SharedArrayBuffer; a view of it, it does. */
function readable(data) {
  // Two common kinds first: asking Node costs a native call. Nothing here may be observed by a Proxy.
  if (typeof data !== 'object' || ArrayBuffer.isView(data)) return data;
  return isSharedArrayBuffer(data) ? new Uint8Array(data) : data;
}

// ------------------------------------------------------------------------------------------------------ HttpRequest

let requestHandle;

class HttpRequest {
  #handle;

  constructor(key, handle) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
  }

  static {
    requestHandle = (request) => {
      if (typeof request === 'object' && request !== null && #handle in request) return request.#handle;
      throw invalidThis('uWS.HttpRequest');
    };
  }

  getHeader(lowerCaseKey) {
    return native.reqHeader(requestHandle(this), readable(lowerCaseKey));
  }

  forEach(callback) {
    const flat = native.reqHeaders(requestHandle(this));
    checkFunction(callback);
    for (let index = 0; index < flat.length; index += 2) callback(flat[index], flat[index + 1]);
  }

  getParameter(index) {
    return native.reqParameter(requestHandle(this), readable(index));
  }

  getUrl() {
    return native.reqUrl(requestHandle(this));
  }

  getMethod() {
    return native.reqMethod(requestHandle(this), false);
  }

  getCaseSensitiveMethod() {
    return native.reqMethod(requestHandle(this), true);
  }

  getQuery(key) {
    return native.reqQuery(requestHandle(this), readable(key));
  }

  setYield(isYielded) {
    native.reqYield(requestHandle(this), isYielded);
    return this;
  }
}

// ----------------------------------------------------------------------------------------------------- HttpResponse

let responseHandle;
let dataHandlerOf;
let writableHandlerOf;
let attachDataHandler;
let abort;

class HttpResponse {
  #handle;
  #abortHandler;
  /** Called with a piece of the body, or `null` where it is too long, and whether it is the last one. */
  #dataHandler;
  /** The handler of `onDataOrAborted`, while it is the one that takes the body. */
  #dataAbortHandler;
  #writableHandler;
  /** The handler of `onWritableOrAborted`. */
  #writableAbortHandler;
  /** What the getter `aborted` says; programs write to it too (`res.aborted = true`). */
  #aborted = false;
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
      const isWaiting = native.resAttachData(handle, taker, maxSize);
      response.#dataHandler = handler;
      response.#dataAbortHandler = undefined;
      if (isWaiting) setImmediate(drainOutside);
      return response;
    };
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
    // Not in the contract, but `writeHeader('Age', 5)` can only mean one thing.
    const text = typeof value === 'number' ? String(value) : readable(value);
    native.resHeader(responseHandle(this), readable(key), text);
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
    const isComplete = bits >= COMPLETE;
    if (isComplete) responses[handle % SLOTS] = undefined;
    return [bits % COMPLETE === 1, isComplete];
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
    const offset = native.resOffset(handle);
    native.resClose(handle);
    responses[handle % SLOTS] = undefined;
    const { text } = causes[CLOSED_BY_APPLICATION];
    abort(this, text, infoOf(CLOSED_BY_APPLICATION), offset);
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
    return gather(this, callback);
  }

  /** Another name of `cork`. */
  collect(callback) {
    const handle = responseHandle(this);
    native.resCheck(handle);
    return gather(this, callback);
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

  /** What `collectBody` was called for some months. */
  onFullData(maxSize, handler) {
    return collectBody(this, maxSize, handler);
  }

  maxRemainingBodyLength() {
    return native.resRemaining(responseHandle(this));
  }

  upgrade(userData, secWebSocketKey, secWebSocketProtocol, secWebSocketExtensions, context) {
    const handle = responseHandle(this);
    native.resCheck(handle);
    if (arguments.length < 5) throw missingArguments(5);
    const { behavior, route } = contextOf(context);
    const ws = createSocket(behavior);
    // Before anything has happened: a getter among them may throw.
    Object.assign(ws, userData);
    native.hold();
    try {
      const key = readable(secWebSocketKey);
      const [protocol, extensions] = [readable(secWebSocketProtocol), readable(secWebSocketExtensions)];
      const socket = native.resUpgrade(handle, key, protocol, extensions, route);
      responses[handle % SLOTS] = undefined;
      openSocket(ws, socket);
    } finally {
      native.letGo();
    }
  }

  getRemoteAddress() {
    return native.resAddress(responseHandle(this));
  }

  getRemoteAddressAsText() {
    return native.resAddressText(responseHandle(this));
  }

  getRemotePort() {
    return native.resPort(responseHandle(this));
  }

  getProxiedRemoteAddress() {
    return native.resAddress(responseHandle(this), true);
  }

  getProxiedRemoteAddressAsText() {
    return native.resAddressText(responseHandle(this), true);
  }

  getProxiedRemotePort() {
    return native.resPort(responseHandle(this), true);
  }
}

/** Bit of the result of `native.resTryEnd`: the response is complete. */
const COMPLETE = 2;

/** The response of a route whose answers are kept: the same, under the name that uWebSockets.js has for it. */
class CachedHttpResponse extends HttpResponse {}

/** Closing as the methods do it, whatever a program made of them. */
const { close: closeResponse } = HttpResponse.prototype;

/** A response that is over says so, whatever it is given. */
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

/** Runs the callback of `cork`: what it sends leaves together. */
function gather(subject, callback) {
  checkFunction(callback);
  native.hold();
  try {
    callback();
  } finally {
    native.letGo();
  }
  return subject;
}

// -------------------------------------------------------------------------------------------------------- WebSocket

let socketHandle;
let createSocket;
let openSocket;
let behaviorOf;

class WebSocket {
  #handle = -1;
  #behavior;

  constructor(key, behavior) {
    if (key !== KEY) throw illegalConstructor();
    this.#behavior = behavior;
  }

  static {
    socketHandle = (ws) => {
      if (typeof ws === 'object' && ws !== null && #handle in ws) return ws.#handle;
      throw invalidThis('uWS.WebSocket');
    };
    createSocket = (behavior) => new WebSocket(KEY, behavior);
    openSocket = (ws, handle) => {
      ws.#handle = handle;
      sockets[handle % SLOTS] = ws;
      call(ws.#behavior.open, ws);
      if (shutdowns.size > 0) tellLatecomer(handle);
    };
    behaviorOf = (ws) => ws.#behavior;
  }

  send(message, isBinary, compress) {
    const status = native.wsSend(socketHandle(this), readable(message), isBinary, compress);
    if (status === DROPPED) reportDropped(this, message, isBinary);
    return status;
  }

  sendFirstFragment(message, isBinary, compress) {
    const status = native.wsFirstFragment(socketHandle(this), readable(message), isBinary, compress);
    if (status === DROPPED) reportDropped(this, message, isBinary);
    return status;
  }

  sendFragment(message, compress) {
    const status = native.wsFragment(socketHandle(this), readable(message), false, compress);
    if (status === DROPPED) reportDropped(this, message, registers[1] === 1);
    return status;
  }

  sendLastFragment(message, compress) {
    const status = native.wsFragment(socketHandle(this), readable(message), true, compress);
    if (status === DROPPED) reportDropped(this, message, registers[1] === 1);
    return status;
  }

  ping(message) {
    return native.wsPing(socketHandle(this), readable(message));
  }

  getBufferedAmount() {
    return native.wsBuffered(socketHandle(this));
  }

  end(code, shortMessage) {
    const reason = native.wsEnd(socketHandle(this), code, readable(shortMessage));
    native.detach(handleClose(reason));
  }

  close() {
    const reason = native.wsClose(socketHandle(this));
    native.detach(handleClose(reason));
  }

  cork(callback) {
    native.wsCheck(socketHandle(this));
    return gather(this, callback);
  }

  subscribe(topic) {
    if (native.wsSubscribe(socketHandle(this), readable(topic))) reportSubscription(this, topic);
    return true;
  }

  unsubscribe(topic) {
    const wasSubscribed = native.wsUnsubscribe(socketHandle(this), readable(topic));
    if (wasSubscribed) reportSubscription(this, topic);
    return wasSubscribed;
  }

  isSubscribed(topic) {
    return native.wsIsSubscribed(socketHandle(this), readable(topic));
  }

  getTopics() {
    return native.wsTopics(socketHandle(this));
  }

  publish(topic, message, isBinary, compress) {
    const handle = socketHandle(this);
    if (arguments.length < 2) throw missingArguments(2);
    return native.wsPublish(handle, readable(topic), readable(message), isBinary, compress);
  }

  getUserData() {
    socketHandle(this);
    return this;
  }

  getRemoteAddress() {
    return native.wsAddress(socketHandle(this));
  }

  getRemoteAddressAsText() {
    return native.wsAddressText(socketHandle(this));
  }

  getRemotePort() {
    return native.wsPort(socketHandle(this));
  }

  getProxiedRemoteAddress() {
    return native.wsAddress(socketHandle(this), true);
  }

  getProxiedRemoteAddressAsText() {
    return native.wsAddressText(socketHandle(this), true);
  }

  getProxiedRemotePort() {
    return native.wsPort(socketHandle(this), true);
  }
}

/** What `send` returns when `maxBackpressure` is exceeded. */
const DROPPED = 2;

function reportDropped(ws, message, isBinary) {
  const { dropped } = behaviorOf(ws);
  if (dropped === undefined) return;
  const copy = copyOf(message);
  if (call(dropped, ws, copy, Boolean(isBinary), 0)) native.detach(copy);
}

/** The counts are in the registers. */
function reportSubscription(ws, topic) {
  const { subscription } = behaviorOf(ws);
  if (subscription !== undefined) call(subscription, ws, copyOf(topic), registers[1], registers[2]);
}

/** The bytes of text or data, in an ArrayBuffer of their own. */
function copyOf(data) {
  return native.copy(readable(data));
}

let contextOf;

/** Stands for a `ws` route while an upgrade handler decides. */
class UpgradeContext {
  #target;

  constructor(key, behavior, route) {
    if (key !== KEY) throw illegalConstructor();
    this.#target = { behavior, route };
  }

  static {
    contextOf = (context) => {
      if (typeof context === 'object' && context !== null && #target in context) return context.#target;
      throw typeError('ERR_INVALID_ARG_TYPE', 'context must be the one that the upgrade handler was given');
    };
  }
}

const { close: closeSocket } = WebSocket.prototype;

// ------------------------------------------------------------------------------------------------------- Connection

let createConnection;
let filtersOf;
let addressOf;

/** What a filter is given: one connection, the same object when it opens and when it closes. */
class HttpConnection {
  #handle;
  /** Address, its text and port of the socket's other end, and of the client that a proxy reported. */
  #addresses;
  /** The filters that were told of it. */
  #filters;

  constructor(key, handle, addresses, list) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
    this.#addresses = addresses;
    this.#filters = list;
  }

  static {
    createConnection = (handle, addresses, list) => new HttpConnection(KEY, handle, addresses, list);
    filtersOf = (connection) => connection.#filters;
    addressOf = (connection, index) => {
      if (typeof connection !== 'object' || connection === null || !(#handle in connection)) {
        throw invalidThis('uWS.HttpConnection');
      }
      const address = connection.#addresses[index];
      // A copy: programs may transfer what they are given.
      return typeof address === 'number' ? address : address.slice(0);
    };
  }

  close() {
    addressOf(this, 0);
    native.connectionClose(this.#handle);
    if (registers[1] === RESPONSE) closeResponse.call(responses[registers[2]]);
    else if (registers[1] === SOCKET) closeSocket.call(sockets[registers[2]]);
    return this;
  }

  getRemoteAddress() {
    return addressOf(this, 0);
  }

  getRemoteAddressAsText() {
    return addressOf(this, 1);
  }

  getRemotePort() {
    return addressOf(this, 2);
  }

  getProxiedRemoteAddress() {
    return addressOf(this, 3);
  }

  getProxiedRemoteAddressAsText() {
    return addressOf(this, 4);
  }

  getProxiedRemotePort() {
    return addressOf(this, 5);
  }
}

/** What is going on on a connection. The same numbers stand in src/node/connections.rs. */
const RESPONSE = 1;
const SOCKET = 2;

// -------------------------------------------------------------------------------------------------------------- App

let listenerHandle;

/** The token of a listening socket. */
class ListenSocket {
  #handle;

  constructor(key, handle) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
  }

  static {
    listenerHandle = (token) => {
      if (typeof token === 'object' && token !== null && #handle in token) return token.#handle;
      throw typeError('ERR_INVALID_ARG_TYPE', 'token must be one that listen has given');
    };
  }
}

/** Options of an app, in this order in src/node/limits.rs. */
const LIMITS = [
  'maxHeaderSize', 'maxHeadersCount', 'maxBodySize', 'headersTimeout', 'requestTimeout', 'keepAliveTimeout', 'bodyTimeout',
  'minBodyRate', 'responseTimeout', 'minResponseRate', 'maxDiscardedBody', 'maxPipelinedBytes',
];

let appNumber;

class TemplatedApp {
  #number;

  constructor(key, options) {
    if (key !== KEY) throw illegalConstructor();
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'Options must be an object.');
    }
    const proxies = readProxies(options?.proxyProtocol);
    this.#number = native.appNew(options?.threads, LIMITS.map((name) => options?.[name]));
    if (proxies !== undefined) native.appProxy(this.#number, proxies.required, proxies.trust.join());
  }

  static {
    appNumber = (app) => {
      if (typeof app === 'object' && app !== null && #number in app) return app.#number;
      throw invalidThis('uWS.App');
    };
  }

  get(pattern, handler, options) {
    if (options !== undefined) return cachedRoute(this, pattern, handler, options);
    return route(this, 'GET', pattern, handler, arguments.length);
  }

  post(pattern, handler) {
    return route(this, 'POST', pattern, handler, arguments.length);
  }

  options(pattern, handler) {
    return route(this, 'OPTIONS', pattern, handler, arguments.length);
  }

  del(pattern, handler) {
    return route(this, 'DELETE', pattern, handler, arguments.length);
  }

  patch(pattern, handler) {
    return route(this, 'PATCH', pattern, handler, arguments.length);
  }

  put(pattern, handler) {
    return route(this, 'PUT', pattern, handler, arguments.length);
  }

  head(pattern, handler) {
    return route(this, 'HEAD', pattern, handler, arguments.length);
  }

  connect(pattern, handler) {
    return route(this, 'CONNECT', pattern, handler, arguments.length);
  }

  trace(pattern, handler) {
    return route(this, 'TRACE', pattern, handler, arguments.length);
  }

  any(pattern, handler) {
    return route(this, '', pattern, handler, arguments.length);
  }

  filter(handler) {
    const app = appNumber(this);
    checkFunction(handler);
    (filters[app] ??= []).push(handler);
    native.appWatch(app);
    return this;
  }

  serveFiles(pattern, directory, options) {
    appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    const files = new FileRoute(pattern, directory, options);
    const handler = (res, req) => files.handle(res, req);
    for (const method of ['GET', 'HEAD']) route(this, method, pattern, handler, 2);
    return this;
  }

  ws(pattern, behavior) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    const { handlers, bits, settings } = readBehavior(behavior);
    const number = native.appWebSocket(app, readable(pattern), ...settings, bits);
    setTarget(number, handlers);
    return this;
  }

  listen(...args) {
    const app = appNumber(this);
    if (args.length < 2) throw missingArguments(2);
    const callback = args.pop();
    checkFunction(callback);
    const { host, port, options } = readListenArguments(args);
    return listen(this, callback, () => native.appListen(app, host, port, options));
  }

  listen_unix(callback, path) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    checkFunction(callback);
    return listen(this, callback, () => native.appListenUnix(app, readable(path)));
  }

  getDescriptor() {
    return native.appDescriptor(appNumber(this));
  }

  addChildAppDescriptor(descriptor) {
    native.appAddChild(appNumber(this), descriptor);
    return this;
  }

  removeChildAppDescriptor(descriptor) {
    native.appRemoveChild(appNumber(this), descriptor);
    return this;
  }

  adoptSocket(fd, ip) {
    native.appAdopt(appNumber(this), fd, readable(ip));
    return this;
  }

  publish(topic, message, isBinary, compress) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    return native.appPublish(app, readable(topic), readable(message), isBinary, compress);
  }

  numSubscribers(topic) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    return native.appSubscribers(app, readable(topic));
  }

  close() {
    const app = appNumber(this);
    native.appClose(app);
    tellClosing(app);
    return this;
  }

  async shutdown(options) {
    const app = appNumber(this);
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
    }
    const { timeout, code, reason } = options ?? {};
    const number = native.appShutdown(app, timeout, code, readable(reason));
    const forced = number < 0 ? 0 : new Promise((resolve) => { shutdowns.set(number, resolve); });
    tellClosing(app);
    return { forced: await forced };
  }
}

/** Runs the handlers of what `close` or `shutdown` has closed. */
function tellClosing(app) {
  for (;;) {
    const payload = native.appClosing(app);
    if (registers[0] === SLEEP) return;
    if (registers[0] === CLOSE) native.detach(handleClose(payload));
    else if (registers[0] === CLOSED) handleClosed();
    else handleAbort(payload);
  }
}

/** What resolves the promises of `shutdown`, by number. */
const shutdowns = new Map();

function concludeShutdown(number, forced) {
  const resolve = shutdowns.get(number);
  shutdowns.delete(number);
  resolve(forced);
}

/** Closes a WebSocket that has opened while its app shuts down. */
function tellLatecomer(socket) {
  const reason = native.wsShutDown(socket);
  if (reason !== undefined) native.detach(handleClose(reason));
}

/** The option `proxyProtocol`: `{ trust, required }`. */
function readProxies(option) {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol must be an object');
  const { required = false } = option;
  const trust = Array.isArray(option.trust) ? [...option.trust] : [];
  if (trust.length === 0 || !trust.every((entry) => typeof entry === 'string')) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.trust must be an array of one string or more');
  }
  if (typeof required !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.required must be a boolean');
  }
  return { trust, required };
}

function route(app, method, pattern, handler, count) {
  const number = appNumber(app);
  if (count < 2) throw missingArguments(2);
  if (handler === null) {
    const removed = native.appUnroute(number, method, readable(pattern));
    if (removed >= 0) targets[removed] = undefined;
    return app;
  }
  if (isAnyArrayBuffer(handler)) {
    setTarget(native.appDeclarative(number, method, readable(pattern), readable(handler)), undefined);
    return app;
  }
  checkFunction(handler);
  setTarget(native.appRoute(number, method, readable(pattern)), handler);
  return app;
}

/** A GET route whose answers are kept for a while. What needs no handler needs no keeping. */
function cachedRoute(app, pattern, handler, options) {
  const number = appNumber(app);
  if (typeof options !== 'object' || options === null) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'Cache options must be an object');
  }
  const { lowerExpiry, upperExpiry } = options;
  if (typeof handler !== 'function') return route(app, 'GET', pattern, handler, 2);
  setTarget(native.appCached(number, readable(pattern), lowerExpiry, upperExpiry), handler);
  return app;
}

/** The number of the route that this one replaces is in register 1. */
function setTarget(number, target) {
  const replaced = registers[1];
  if (replaced >= 0) targets[replaced] = undefined;
  targets[number] = target;
}

function readBehavior(behavior) {
  if (typeof behavior !== 'object' || behavior === null) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'behavior must be an object');
  }
  const handlers = {};
  let bits = 0;
  for (const name of HANDLERS) {
    const handler = behavior[name] ?? undefined;
    if (handler !== undefined && typeof handler !== 'function') {
      throw typeError('ERR_INVALID_ARG_TYPE', `${name} must be a function`);
    }
    handlers[name] = handler;
    if (handler !== undefined) bits |= HANDLER_BITS[name] ?? 0;
  }
  const { maxPayloadLength, idleTimeout, maxLifetime, maxBackpressure, sendPingsAutomatically } = behavior;
  const { closeOnBackpressureLimit, compression, text } = behavior;
  if (wantsStrings(text, maxPayloadLength)) bits |= MESSAGE_STRINGS;
  const settings = [
    maxPayloadLength, idleTimeout, maxLifetime, maxBackpressure, sendPingsAutomatically, closeOnBackpressureLimit,
    compression,
  ];
  return { handlers, bits, settings };
}

/** What the option `text` says. */
function wantsStrings(text, maxPayloadLength) {
  if (text === undefined || text === 'arraybuffer') return false;
  if (typeof text !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'text must be a string');
  if (text !== 'string') throw typeError('ERR_INVALID_ARG_VALUE', "text must be 'arraybuffer' or 'string'");
  if (maxPayloadLength > MAX_STRING_LENGTH) {
    const message = `maxPayloadLength must not exceed ${MAX_STRING_LENGTH}, the longest string, with text: 'string'`;
    throw Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
  }
  return true;
}

/** `[port]`, `[port, options]`, `[host, port]` or `[host, port, options]`. A lone port may be a numeric string. */
function readListenArguments(args) {
  const hasHost = args.length > 1 && typeof args[0] !== 'number';
  const [host, port, options] = hasHost ? args : [undefined, ...args];
  return { host: readable(host), port: typeof port === 'string' && port !== '' ? Number(port) : port, options };
}

/** Calls back with a token, or with `false` and what the system said. A misuse is thrown instead. */
function listen(app, callback, attempt) {
  let handle;
  try {
    handle = attempt();
  } catch (error) {
    if (MISUSES.has(error.code)) throw error;
    callback(false, Object.assign(error, { syscall: 'listen' }));
    return app;
  }
  callback(new ListenSocket(KEY, handle));
  return app;
}

const MISUSES = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_STATE', 'ERR_INTERNAL']);

/** The cause of `res.close()`. */
const CLOSED_BY_APPLICATION = causes.findIndex(({ name }) => name === 'CLOSED_BY_APPLICATION');

function App(options) {
  return new TemplatedApp(KEY, options);
}

/** A part comes as name, type, filename and data; what it does not have is `false`. */
function getParts(body, contentType) {
  const flat = native.getParts(readable(body), readable(contentType));
  if (flat === undefined) return undefined;
  const fields = [];
  for (let index = 0; index < flat.length; index += 4) {
    const [name, type, filename, data] = flat.slice(index, index + 4);
    const field = { data, name };
    if (type !== false) field.type = type;
    if (filename !== false) field.filename = filename;
    fields.push(field);
  }
  return fields;
}

function us_listen_socket_close(token) {
  native.listenerClose(listenerHandle(token));
}

function us_socket_local_port(token) {
  return native.listenerPort(listenerHandle(token));
}

function _cfg() {
  // uWebSockets.js leaves out its advertising header when told so; there is none here.
}

// -------------------------------------------------------------------------------------------------------------- Log

/** The levels by number. The same numbers stand in src/bridge/record.rs. */
const LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'];

/** The listener of `setLogger`. */
let logger;

function setLogger(level, listener) {
  if (typeof level !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'level must be a string');
  const number = LEVELS.indexOf(level);
  if (number === -1) throw typeError('ERR_INVALID_ARG_VALUE', `level must be one of ${LEVELS.join(', ')}`);
  const isOptional = level === 'off';
  if (typeof listener !== 'function' && listener !== null && !(isOptional && listener === undefined)) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'listener must be a function or null');
  }
  logger = level === 'off' ? undefined : listener ?? undefined;
  native.setLogger(logger === undefined ? 0 : number);
}

/** A record comes as level, target, message, and then name and value of each field. */
function readRecord([level, target, message, ...details]) {
  const fields = {};
  for (let index = 0; index < details.length; index += 2) fields[details[index]] = details[index + 1];
  return { level: LEVELS[level], target, message, fields };
}

/** What the environment variable says: the records that go to stderr. */
function levelOfProcess() {
  const level = process.env.FERROWS_LOG ?? '';
  if (level === '') return 0;
  const number = LEVELS.indexOf(level.toLowerCase());
  if (number >= 0) return number;
  const text = `FERROWS_LOG must be one of ${LEVELS.join(', ')}; it is ${JSON.stringify(level)}, so nothing is logged`;
  process.emitWarning(text, { type: 'FerrowsWarning', code: 'FERROWS_LOG' });
  return 0;
}

// ---------------------------------------------------------------------------------------------------------- Process

/** What was sent leaves the process before it ends, however often this file is loaded (S15). */
function flushAtExit() {
  const symbol = Symbol.for('ferrows.exit');
  if (process[symbol] === undefined) {
    const loads = new Set();
    Object.defineProperty(process, symbol, { value: loads });
    process.on('exit', () => loads.forEach((exit) => exit()));
  }
  process[symbol].add(() => native.exit());
}

const CLASSES = { App: TemplatedApp, HttpConnection, HttpRequest, HttpResponse, CachedHttpResponse, WebSocket };
for (const [name, type] of Object.entries(CLASSES)) {
  // Programs that log or compare `object.constructor.name` expect these.
  Object.defineProperty(type, 'name', { value: `uWS.${name}` });
}

const DeclarativeResponse = makeDeclarativeResponse({ native, readable, invalidThis });

native.start(registers, handleBell, levelOfProcess());
flushAtExit();

module.exports = {
  App,
  us_listen_socket_close,
  us_socket_local_port,
  getParts,
  DeclarativeResponse,
  ...makeKeyValueStore({ native, readable }),
  setLogger,
  _cfg,
  LIBUS_LISTEN_DEFAULT: 0,
  LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
  DISABLED: 0,
  SHARED_COMPRESSOR: 1,
  SHARED_DECOMPRESSOR: 256,
  DEDICATED_COMPRESSOR_3KB: 145,
  DEDICATED_COMPRESSOR_4KB: 146,
  DEDICATED_COMPRESSOR_8KB: 163,
  DEDICATED_COMPRESSOR_16KB: 180,
  DEDICATED_COMPRESSOR_32KB: 197,
  DEDICATED_COMPRESSOR_64KB: 214,
  DEDICATED_COMPRESSOR_128KB: 231,
  DEDICATED_COMPRESSOR_256KB: 248,
  DEDICATED_COMPRESSOR: 248,
  DEDICATED_DECOMPRESSOR_512B: 2304,
  DEDICATED_DECOMPRESSOR_1KB: 2560,
  DEDICATED_DECOMPRESSOR_2KB: 2816,
  DEDICATED_DECOMPRESSOR_4KB: 3072,
  DEDICATED_DECOMPRESSOR_8KB: 3328,
  DEDICATED_DECOMPRESSOR_16KB: 3584,
  DEDICATED_DECOMPRESSOR_32KB: 3840,
  DEDICATED_DECOMPRESSOR: 3840,
};
