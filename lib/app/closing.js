'use strict';

// Closes an app: at once (`close`), or gracefully (`shutdown`).

const { timers: { clearTimeout, setTimeout } } = require('../loading/builtins.js');

const { abi, native, readable, registers, shutdowns } = require('../runtime/border.js');
const { deliverPending } = require('../runtime/call.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { leave } = require('../websocket/websocket.js');

const { MARK } = abi.register;

function close(app, handlers) {
  for (const shutdown of [...handlers.pausedShutdowns]) shutdown.abandon();
  const mark = native.appClose(app);
  try {
    deliverPending(mark);
  } catch {
    // No stack is left: the dispatcher runs the handlers.
  }
}

/** The number of the latest shutdown. */
let latestShutdown = 0;

/** How often the next WebSockets are closed while their closes are spread, in milliseconds. */
const EVERY = 20;

/** A shutdown that goes on as before for a while, and then closes the open WebSockets one after the other. */
class PausedShutdown {
  #app;
  #settings;
  /** The handlers of the app (lib/app/handlers.js). */
  #handlers;
  #timer;
  #resolve;
  #sockets = [];
  #closed = 0;
  #start = 0;

  constructor(app, settings, handlers) {
    this.#app = app;
    this.#settings = settings;
    this.#handlers = handlers;
  }

  /** Returns a promise of the number of connections that had to be dropped. `sockets` are those of the app. */
  begin(delay, spread, sockets) {
    const forced = new Promise((resolve) => { this.#resolve = resolve; });
    this.#handlers.pausedShutdowns.add(this);
    const begin = () => (spread > 0 ? this.#spread(spread, sockets) : this.end());
    if (delay > 0) this.#timer = setTimeout(begin, delay);
    else begin();
    return forced;
  }

  #spread(period, sockets) {
    this.#handlers.detach();
    native.appStopAccepting(this.#app);
    this.#sockets = shuffled([...sockets]);
    this.#start = performance.now();
    this.#closeNext(period);
  }

  /** Closes those that are due. Otherwise all their clients would connect again at the same moment. */
  #closeNext(period) {
    const [sockets, { code, reason }] = [this.#sockets, this.#settings];
    const due = Math.ceil(sockets.length * ((performance.now() - this.#start) / period));
    while (this.#closed < Math.min(due, sockets.length)) leave(sockets[this.#closed++], code, reason);
    // A handler of these may have ended it.
    if (!this.#handlers.pausedShutdowns.has(this)) return;
    if (this.#closed < sockets.length) this.#timer = setTimeout(() => this.#closeNext(period), Math.min(EVERY, period));
    else this.end();
  }

  /** Ends what is left at once. */
  end() {
    this.abandon(startShutdown(this.#app, this.#settings));
    this.#handlers.detach();
  }

  /** Ends without doing anything. */
  abandon(forced = 0) {
    this.#handlers.pausedShutdowns.delete(this);
    clearTimeout(this.#timer);
    this.#resolve(forced);
  }
}

/**
 * Shuts the app with this number and these handlers down; `sockets` are its open WebSockets. Throws for bad options.
 * Returns a promise of the number of connections that had to be dropped.
 */
function shutDown(app, options, handlers, sockets) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  }
  const { timeout, code, reason, delay: givenDelay, spread: givenSpread } = options ?? {};
  const settings = { timeout, code, reason: readable(reason) };
  const [delay, spread] = native.shutdownCheck(timeout, code, settings.reason, givenDelay, givenSpread);
  // One that still waits: this is the second signal.
  for (const earlier of [...handlers.pausedShutdowns]) earlier.end();
  handlers.isShuttingDown = true;
  let forced;
  if (delay > 0 || spread > 0) {
    // The program may change bytes meanwhile.
    if (typeof reason === 'object' && reason !== null) settings.reason = native.copy(settings.reason);
    forced = new PausedShutdown(app, settings, handlers).begin(delay, spread, sockets);
  } else {
    forced = startShutdown(app, settings);
    handlers.detach();
  }
  checkNames('shutdown', options, ['timeout', 'code', 'reason', 'delay', 'spread']);
  return forced;
}

/** In random order: WebSockets that were opened together are often those of one room. */
function shuffled(list) {
  for (let index = list.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [list[index], list[other]] = [list[other], list[index]];
  }
  return list;
}

/** Returns a promise of the number of connections that had to be dropped. */
function startShutdown(app, { timeout, code, reason }) {
  let conclude;
  const forced = new Promise((resolve) => { conclude = resolve; });
  // Too little stack was left: the promise is rejected, and nothing has happened.
  if (conclude === undefined) return forced;
  const number = ++latestShutdown;
  shutdowns.set(number, conclude);
  let isUnderWay = false;
  try {
    isUnderWay = native.appShutdown(app, timeout, code, reason, number);
  } finally {
    if (!isUnderWay) concludeShutdown(number, 0);
  }
  const mark = registers[MARK];
  try {
    deliverPending(mark);
  } catch {
    // No stack is left: the dispatcher runs the handlers.
  }
  return forced;
}

function concludeShutdown(number, forced) {
  const resolve = shutdowns.get(number);
  shutdowns.delete(number);
  resolve(forced);
}

module.exports = { shutDown, close, concludeShutdown };
