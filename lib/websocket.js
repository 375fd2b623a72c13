'use strict';

// The object that stands for a WebSocket, on which programs keep what they like. A method is one native call; the handle is
// dead before the `close` handler runs, so that every use from then on throws, there.

const { infoOf, KEY, native, readable, registers, shutdowns, SLOTS, sockets } = require('./border.js');
const { call, gather } = require('./call.js');
const { tellClosed, tellDropped, tellOpened, wantsDrops, watchDrops } = require('./channels.js');
const { illegalConstructor, invalidThis, missingArguments, typeError } = require('./errors.js');

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
    createSocket = (behavior) => {
      return behavior.isSecure ? new SSLWebSocket(KEY, behavior) : new WebSocket(KEY, behavior);
    };
    openSocket = (ws, handle, response) => {
      ws.#handle = handle;
      sockets[handle % SLOTS] = ws;
      tellOpened(ws);
      // A subscriber may have closed it; its close handler has run then.
      if (sockets[handle % SLOTS] !== ws) return;
      call(ws.#behavior.open, ws, response);
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

  sendFragment(message) {
    const status = native.wsFragment(socketHandle(this), readable(message), false);
    if (status === DROPPED) reportDropped(this, message, registers[1] === 1);
    return status;
  }

  sendLastFragment(message) {
    const status = native.wsFragment(socketHandle(this), readable(message), true);
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
    watchDrops();
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

/** The WebSocket of an app that speaks TLS. */
class SSLWebSocket extends WebSocket {}

/** What `send` returns when `maxBackpressure` is exceeded. */
const DROPPED = 2;

function reportDropped(ws, message, isBinary) {
  if (behaviorOf(ws).dropped === undefined && !wantsDrops()) return;
  const copy = copyOf(message);
  if (handleDropped(ws, copy, Boolean(isBinary), 0)) native.detach(copy);
}

/** A message was dropped. Returns whether its bytes may be detached. */
function handleDropped(ws, message, isBinary, unreported) {
  tellDropped(ws, message, isBinary, unreported);
  // A subscriber may have closed it; nothing is told of a closed one.
  if (sockets[socketHandle(ws) % SLOTS] !== ws) return true;
  return call(behaviorOf(ws).dropped, ws, message, isBinary, unreported);
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
  tellClosed(ws, code, reason, info);
  for (const { topic, now, before } of left) call(behavior.subscription, ws, topic, now, before);
  return call(behavior.close, ws, code, reason, info) ? reason : undefined;
}

/** Closes a WebSocket that has opened while its app shuts down. */
function tellLatecomer(socket) {
  const reason = native.wsShutDown(socket);
  if (reason !== undefined) native.detach(handleClose(reason));
}

module.exports = {
  createSocket,
  openSocket,
  behaviorOf,
  WebSocket,
  SSLWebSocket,
  contextOf,
  UpgradeContext,
  closeSocket,
  handleClose,
  handleDropped,
};
