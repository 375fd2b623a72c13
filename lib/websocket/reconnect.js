'use strict';

// The option `reconnect` of `connect`: one WebSocket for the program, and one connection after another behind it.

const { Backoff, isTemporaryClose, readReconnectOptions } = require('../reconnect/backoff.js');
const { native } = require('../runtime/border.js');
const { call } = require('../runtime/call.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { isConnected } = require('./websocket.js');

const HANDLERS = ['shouldReconnect', 'reconnecting', 'gaveUp'];
const NAMES = ['minDelay', 'maxDelay', 'factor', 'maxAttempts', 'minUptime', ...HANDLERS];

/** Failures of a connect that pass: those of names, networks and machines, but not what a server answers on purpose. */
const TEMPORARY = new Set([
  'ERR_CONNECT_DNS', 'ERR_CONNECT_REFUSED', 'ERR_CONNECT_UNREACHABLE', 'ERR_CONNECT_TIMEOUT', 'ERR_CONNECT_ENDED',
  'ERR_CONNECT_DESCRIPTORS', 'ERR_CONNECT_FAILED',
]);

/** Statuses below 500 that pass: Request Timeout, Too Early, Too Many Requests. */
const TEMPORARY_STATUSES = new Set([408, 425, 429]);

/** The option as `connect` is given it; `undefined` if it is not to reconnect. */
function readReconnect(reconnect) {
  if (reconnect === undefined || reconnect === null || reconnect === false) return undefined;
  if (reconnect === true) return readReconnectOptions({}, 'reconnect.', HANDLERS);
  if (typeof reconnect !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'reconnect must be a boolean or an object');
  const options = readReconnectOptions(reconnect, 'reconnect.', HANDLERS);
  checkNames('reconnect', reconnect, NAMES);
  return options;
}

/** The connections of one WebSocket, from the first attempt until there is to be none any more. */
class Reconnection {
  /** Whether there will be no further connection. One that is open may still be. */
  isOver = false;

  #options;
  #backoff;
  #ways;
  #ws;
  #signal;
  /** Calls off the attempt that is under way, or the pause before the next one. */
  #callOff = () => {};
  #abort = () => this.#aborted();
  /** `{ resolve, reject }` of the program's promise until it is settled. */
  #promised;
  /** The close of the last connection that was open: `{ code, info }`. */
  #last = {};
  /** Why the last attempt failed. */
  #error;
  #opened = 0;

  /**
   * `options` are those of `readReconnect`. `begin(entry)` starts a connect, which settles `{ ws, resolve, reject }`, and
   * returns its number; `cancel(number)` calls it off, so that it settles nothing.
   */
  constructor(options, ways) {
    this.#options = options;
    this.#backoff = new Backoff(options);
    this.#ways = ways;
  }

  /** How many connections were opened. */
  get opened() {
    return this.#opened;
  }

  /** Returns the promise of the first connection. Throws what `begin` throws. */
  start(ws, signal) {
    this.#ws = ws;
    this.#signal = signal;
    const promise = new Promise((resolve, reject) => { this.#promised = { resolve, reject }; });
    // Too little stack was left: the promise is rejected, and nothing has happened.
    if (this.#promised === undefined) return promise;
    this.#attempt();
    try {
      signal?.addEventListener('abort', this.#abort, { once: true });
    } catch (error) {
      this.stop();
      throw error;
    }
    return promise;
  }

  /** No further connection: the program wants it so. */
  stop() {
    if (this.isOver) return;
    this.isOver = true;
    this.#callOff();
    try {
      this.#signal?.removeEventListener('abort', this.#abort);
    } catch (error) {
      // An AbortSignal that is not Node's.
      native.reportUncaught(error);
    }
  }

  /** The program closes the WebSocket, which has no connection. If it never had one, the promise rejects. */
  close() {
    this.stop();
    this.#promised?.reject(this.#error);
  }

  /** The connection has ended, and its `close` handler has run. */
  ended(code, info) {
    if (this.isOver) return;
    this.#last = { code, info };
    this.#goOn({ ...this.#last }, isTemporaryClose(code, info.reason), info.openFor);
  }

  #attempt() {
    const number = this.#ways.begin({ ws: this.#ws, resolve: () => this.#connected(), reject: (error) => this.#failed(error) });
    this.#callOff = () => this.#ways.cancel(number);
  }

  #connected() {
    // Unless it has ended within `open`, and a pause has begun.
    if (isConnected(this.#ws)) this.#callOff = () => {};
    this.#opened += 1;
    this.#promised?.resolve(this.#ws);
    this.#promised = undefined;
  }

  #failed(error) {
    if (this.isOver) return;
    this.#error = error;
    const { code, status } = error;
    const isTemporary = TEMPORARY.has(code) || status >= 500 || TEMPORARY_STATUSES.has(status);
    this.#goOn({ ...this.#last, error }, isTemporary, undefined);
  }

  /** Waits for the next attempt, or gives up. */
  #goOn(failure, isTemporary, openFor) {
    if (!this.#isWanted(failure, isTemporary)) return this.#giveUp(failure, 'shouldReconnect');
    // The program may have ended it in its handler.
    if (this.isOver) return undefined;
    const delay = this.#backoff.next(openFor);
    if (delay === undefined) return this.#giveUp(failure, 'maxAttempts');
    const timer = setTimeout(() => this.#tryAgain(failure), delay);
    this.#callOff = () => clearTimeout(timer);
    call(this.#options.reconnecting, this.#ws, { attempt: this.#backoff.attempts, delay, ...failure });
    return undefined;
  }

  #tryAgain(failure) {
    try {
      this.#attempt();
    } catch (error) {
      // What could be used before cannot any more, such as the certificates of the system.
      this.#error = error;
      this.#giveUp({ ...failure, error }, 'shouldReconnect');
    }
  }

  #isWanted(failure, isTemporary) {
    const { shouldReconnect } = this.#options;
    if (shouldReconnect === undefined) return isTemporary;
    let answer = isTemporary;
    call(() => { answer = shouldReconnect(failure, isTemporary); });
    return answer === true;
  }

  #giveUp(failure, reason) {
    if (this.isOver) return;
    this.#callOff = () => {};
    this.stop();
    const { attempts } = this.#backoff;
    if (this.#promised === undefined) call(this.#options.gaveUp, this.#ws, { attempts, reason, ...failure });
    else this.#promised.reject(this.#error);
  }

  #aborted() {
    this.stop();
    // In `open` the promise is not settled yet.
    if (isConnected(this.#ws)) return;
    try {
      this.#promised?.reject(this.#signal.reason);
    } catch (error) {
      // The signal is not one of Node's.
      this.#promised?.reject(error);
    }
  }
}

module.exports = { readReconnect, Reconnection };
