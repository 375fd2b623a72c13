'use strict';

// The class of WebSockets. Programs may add properties to its objects. Each method is one native call. The handle becomes
// invalid before the `close` handler runs, so that the addon throws for every later use.

const { addAddresses, addTextAddresses } = require('../runtime/addresses.js');
const { abi, factsOfWebSocket, infoOf, KEY, native, readable, registers, shutdowns, sockets } = require('../runtime/border.js');
const { call, deliverers, deliverPending, runCorked } = require('../runtime/call.js');
const {
  hasDropSubscribers, publishClosed, publishDropped, publishOpened, watchDrops,
} = require('../runtime/channels.js');
const { illegalConstructor, invalidThis, missingArguments, typeError } = require('../runtime/errors.js');
const { warnOnce } = require('../runtime/warnings.js');

const { CLOSE, MESSAGE_DROPPED, SUBSCRIPTION, UPGRADED } = abi.step;
const { CAUSE, CODE, COUNT_BEFORE, COUNT_NOW, HANDLE, IS_BINARY, MARK, SLOT, TOPICS_LEFT, UNREPORTED } = abi.register;
const { SLOTS } = abi.handle;
const { DROPPED } = abi.sent;
const { NOT_SUBSCRIBED } = abi.absent;

let socketHandle;
let createSocket;
let openSocket;
let behaviorOf;
let isConnected;
let noteClosed;
let isOpen;
let leave;

class WebSocket {
  #handle = -1;
  #behavior;
  /** Whether it was closed and its `close` handler has not run yet. */
  #isClosing = false;

  constructor(key, behavior) {
    if (key !== KEY) throw illegalConstructor();
    this.#behavior = behavior;
  }

  static {
    socketHandle = (ws) => {
      if (typeof ws === 'object' && ws !== null && #handle in ws) return ws.#handle;
      throw invalidThis('uWS.WebSocket');
    };
    createSocket = (behavior) => {
      if (behavior.reconnection !== undefined) return new ReconnectingWebSocket(KEY, behavior);
      return behavior.isSecure ? new SSLWebSocket(KEY, behavior) : new WebSocket(KEY, behavior);
    };
    openSocket = (ws, handle, response) => {
      ws.#handle = handle;
      sockets[handle % SLOTS] = ws;
      publishOpened(ws);
      // A subscriber may have closed it; its close handler has run then.
      if (sockets[handle % SLOTS] !== ws) return;
      call(ws.#behavior.open, ws, response);
      // The close handler runs next.
      if (shutdowns.size > 0) native.wsShutDown(handle);
    };
    behaviorOf = (ws) => ws.#behavior;
    isConnected = (ws) => ws.#handle >= 0 && sockets[ws.#handle % SLOTS] === ws;
    noteClosed = (ws) => { ws.#isClosing = false; };
    isOpen = (ws) => ws.#handle >= 0 && !ws.#isClosing;
    leave = (ws, code, reason) => {
      if (ws.#isClosing || sockets[ws.#handle % SLOTS] !== ws) return;
      const mark = native.wsLeave(ws.#handle, code, reason);
      ws.#isClosing = true;
      try {
        deliverPending(mark);
      } catch {
        // No stack is left: the dispatcher runs the handlers.
      }
    };
  }

  send(message, isBinary, compress) {
    // A value that is no boolean costs the addon a call to convert it.
    const status = native.wsSend(socketHandle(this), readable(message), Boolean(isBinary), Boolean(compress));
    if (status === DROPPED) reportDropped(this, message, isBinary);
    return status;
  }

  sendFirstFragment(message, isBinary, compress) {
    const status = native.wsFirstFragment(socketHandle(this), readable(message), isBinary, compress);
    if (status === DROPPED) reportDropped(this, message, isBinary);
    return status;
  }

  sendFragment(message) {
    const status = native.wsFragment(socketHandle(this), readable(message), false);
    if (status === DROPPED) reportDropped(this, message);
    return status;
  }

  sendLastFragment(message) {
    const status = native.wsFragment(socketHandle(this), readable(message), true);
    if (status === DROPPED) reportDropped(this, message);
    return status;
  }

  ping(message) {
    return native.wsPing(socketHandle(this), readable(message));
  }

  getBufferedAmount() {
    return native.wsBuffered(socketHandle(this));
  }

  end(code, shortMessage) {
    const handle = socketHandle(this);
    if (this.#isClosing) return;
    const mark = native.wsEnd(handle, closeCodeOf(handle, code), readable(shortMessage));
    this.#isClosing = true;
    try {
      deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
  }

  close() {
    const handle = socketHandle(this);
    if (this.#isClosing) return;
    const mark = native.wsClose(handle);
    this.#isClosing = true;
    try {
      deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
  }

  cork(callback) {
    native.wsCheck(socketHandle(this));
    return runCorked(this, callback);
  }

  subscribe(topic) {
    // Other threads may publish to it directly, and this one never.
    watchDrops();
    const mark = native.wsSubscribe(socketHandle(this), readable(topic));
    try {
      if (mark >= 0) deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
    return true;
  }

  unsubscribe(topic) {
    const mark = native.wsUnsubscribe(socketHandle(this), readable(topic));
    try {
      if (mark >= 0) deliverPending(mark);
    } catch {
      // No stack is left: the dispatcher runs the handlers.
    }
    return mark !== NOT_SUBSCRIBED;
  }

  isSubscribed(topic) {
    return native.wsIsSubscribed(socketHandle(this), readable(topic));
  }

  getTopics() {
    return native.wsTopics(socketHandle(this));
  }

  publish(topic, message, isBinary, compress) {
    const handle = socketHandle(this);
    if (arguments.length < 2) {
      native.wsCheck(handle);
      throw missingArguments(2);
    }
    watchDrops();
    return native.wsPublish(handle, readable(topic), readable(message), isBinary, compress);
  }

  getUserData() {
    socketHandle(this);
    return this;
  }
}

addAddresses(WebSocket, {
  address: (ws, isProxied) => native.wsAddress(socketHandle(ws), isProxied),
  text: (ws, isProxied) => native.wsAddressText(socketHandle(ws), isProxied),
  port: (ws, isProxied) => native.wsPort(socketHandle(ws), isProxied),
});

addTextAddresses(WebSocket, { remoteAddress: (ws) => native.wsRemoteAddress(socketHandle(ws)) });

/**
 * Converts the code given to `end` to an integer; 0, with a warning, if it is not valid in a Close frame. An exception would
 * leave the WebSocket open.
 */
function closeCodeOf(handle, code) {
  if (code === undefined || isCloseCode(code)) return code;
  native.wsCheck(handle);
  const number = numberOf(code);
  const integer = number | 0;
  if (isCloseCode(integer) && Number.isFinite(number)) return integer;
  const shown = ['object', 'function'].includes(typeof code) ? typeof code : String(code);
  warnOnce('FERROWS_CLOSE_CODE', 'end', `ws.end takes 0 or 1000–4999 as a code and was given ${shown}: the Close frame has none`);
  return 0;
}

function isCloseCode(code) {
  return code === 0 || (Number.isInteger(code) && code >= 1000 && code < 5000);
}

function numberOf(value) {
  try {
    return Number(value);
  } catch {
    // A symbol, or an object whose conversion throws.
    return NaN;
  }
}

/** The WebSocket of an app that speaks TLS. */
class SSLWebSocket extends WebSocket {}

/**
 * The WebSocket of `connect` with `reconnect`. Between two connections nothing is sent, and `end` and `close` see to it that
 * there is no other one.
 */
class ReconnectingWebSocket extends WebSocket {
  send(message, isBinary, compress) {
    return isBetween(this) ? DROPPED : super.send(message, isBinary, compress);
  }

  sendFirstFragment(message, isBinary, compress) {
    return isBetween(this) ? DROPPED : super.sendFirstFragment(message, isBinary, compress);
  }

  sendFragment(message) {
    return isBetween(this) ? DROPPED : super.sendFragment(message);
  }

  sendLastFragment(message) {
    return isBetween(this) ? DROPPED : super.sendLastFragment(message);
  }

  ping(message) {
    return isBetween(this) ? DROPPED : super.ping(message);
  }

  getBufferedAmount() {
    return isBetween(this) ? 0 : super.getBufferedAmount();
  }

  cork(callback) {
    return isBetween(this) ? runCorked(this, callback) : super.cork(callback);
  }

  end(code, shortMessage) {
    if (isBetween(this)) return reconnectionOf(this).close();
    reconnectionOf(this).stop();
    return super.end(code, shortMessage);
  }

  close() {
    if (isBetween(this)) return reconnectionOf(this).close();
    reconnectionOf(this).stop();
    return super.close();
  }
}

function reconnectionOf(ws) {
  socketHandle(ws);
  return behaviorOf(ws).reconnection;
}

/** Whether it has no connection, but may get one. */
function isBetween(ws) {
  return !reconnectionOf(ws).isOver && !isConnected(ws);
}

/**
 * Reports a message that a send call has dropped. The addon has queued an event for it if there is a `dropped` handler
 * or `watchDrops` was called; a channel that was subscribed to since is served here.
 */
function reportDropped(ws, message, isBinary) {
  const mark = registers[MARK];
  if (mark >= 0) deliverPending(mark);
  else if (hasDropSubscribers()) publishDropped(ws, copyOf(message), Boolean(isBinary), 0);
}

function handleMessageDropped(message) {
  const ws = sockets[registers[SLOT]];
  return handleDropped(ws, message, registers[IS_BINARY] === 1, registers[UNREPORTED]) ? message : undefined;
}

/** Runs the handlers for a dropped message. Returns whether its bytes may be detached. */
function handleDropped(ws, message, isBinary, unreported) {
  publishDropped(ws, message, isBinary, unreported);
  // A subscriber may have closed it; no handler runs for a closed one.
  if (sockets[socketHandle(ws) % SLOTS] !== ws) return true;
  return call(behaviorOf(ws).dropped, ws, message, isBinary, unreported);
}

function handleSubscription(topic) {
  const ws = sockets[registers[SLOT]];
  call(behaviorOf(ws).subscription, ws, topic, registers[COUNT_NOW], registers[COUNT_BEFORE]);
}

/** The bytes of text or data, in an ArrayBuffer of their own. */
function copyOf(data) {
  return native.copy(readable(data));
}

let contextOf;

/** Stands for a `ws` route while an upgrade handler decides. */
class UpgradeContext {
  #target;
  #request;

  constructor(key, behavior, route, request) {
    if (key !== KEY) throw illegalConstructor();
    this.#target = { behavior, route };
    this.#request = request;
  }

  get request() {
    contextOf(this);
    return this.#request;
  }

  static {
    contextOf = (context) => {
      if (typeof context === 'object' && context !== null && #target in context) return context.#target;
      throw typeError('ERR_INVALID_ARG_TYPE', 'context must be the one that the upgrade handler was given');
    };
  }
}

/** The close event of the WebSocket in the registers. Returns the reason, to be detached. */
function handleClose(reason) {
  const slot = registers[SLOT];
  const code = registers[CODE];
  const info = {
    ...infoOf(registers[CAUSE]),
    reason: reason === undefined ? '' : Buffer.from(reason).toString(),
    ...factsOfWebSocket(),
  };
  const left = [];
  // All of them first: a handler below may close another WebSocket.
  for (let count = registers[TOPICS_LEFT]; count > 0; count--) {
    left.push({ topic: native.wsDeparture(), now: registers[COUNT_NOW], before: registers[COUNT_BEFORE] });
  }
  const ws = sockets[slot];
  sockets[slot] = undefined;
  // Every use throws from here on.
  noteClosed(ws);
  const behavior = behaviorOf(ws);
  publishClosed(ws, code, reason, info);
  for (const { topic, now, before } of left) call(behavior.subscription, ws, topic, now, before);
  const isDone = call(behavior.close, ws, code, reason, info);
  behavior.reconnection?.ended(code, info);
  return isDone ? reason : undefined;
}

/** Called when the WebSocket of an `upgrade` call is open. */
function handleUpgraded() {
  const handle = registers[HANDLE];
  openSocket(sockets[handle % SLOTS], handle);
}

deliverers[CLOSE] = handleClose;
deliverers[MESSAGE_DROPPED] = handleMessageDropped;
deliverers[SUBSCRIPTION] = handleSubscription;
deliverers[UPGRADED] = handleUpgraded;

/** The open WebSockets of the app whose behaviors have this `owner`. */
class WebSocketList {
  #owner;

  constructor(key, owner) {
    if (key !== KEY) throw illegalConstructor();
    this.#owner = owner;
  }

  get size() {
    let size = 0;
    for (const ws of this) size += ws === undefined ? 0 : 1;
    return size;
  }

  * [Symbol.iterator]() {
    // One that opens during the iteration may be included.
    for (let slot = 0; slot < sockets.length; slot++) {
      const ws = sockets[slot];
      if (ws !== undefined && behaviorOf(ws).owner === this.#owner && isOpen(ws)) yield ws;
    }
  }
}

module.exports = {
  socketHandle: (ws) => socketHandle(ws),
  WebSocketList,
  createSocket,
  openSocket,
  leave,
  behaviorOf,
  WebSocket,
  SSLWebSocket,
  ReconnectingWebSocket,
  isConnected: (ws) => isConnected(ws),
  contextOf,
  UpgradeContext,
};
