'use strict';

// The one way in which a handler of a program is called: what it throws ends nothing, and a promise that it returns keeps
// its arguments alive. And what the program's own calls have caused: `ws.end()` runs a `close` handler before it returns.

const { AsyncResource } = require('../loading/builtins.js').async_hooks;

const { abi, native, registers } = require('./border.js');
const { checkFunction } = require('./errors.js');

const { DEEP, SLEEP } = abi.step;
const { STEP } = abi.register;

/** Runs the handlers of an event, by its number; returns a buffer that may be detached. Each is set where it is written. */
const tellers = [];

/** How many calls of `call` and `tell` are on the stack, within each other. */
let depth = 0;

/** What handlers have thrown and nobody has reported. */
const errors = [];

/** How many events were left to a call further out, because handlers were nested too deep, since `depth` was 0. */
let deferred = 0;

/** A handler counts twice where it was told: sixteen of them within each other. */
const DEEPEST = 32;

/**
 * So many deferred events within one call are not a room that is being closed, but handlers that will never stop causing
 * events for each other. The dispatcher takes over, so that Node's loop goes on.
 */
const MAX_DEFERRED = 100_000;

/**
 * Calls a handler, if there is one; what it throws becomes 'uncaughtException'. Returns whether the handler is done
 * with its arguments, which it is not if it returned a promise.
 */
function call(handler, first, second, third, fourth, fifth) {
  if (handler === undefined) return true;
  depth += 1;
  try {
    return !isPromise(run(handler, first, second, third, fourth, fifth));
  } catch (error) {
    errors[errors.length] = error;
    return true;
  } finally {
    depth -= 1;
    if (depth === 0) conclude();
  }
}

/**
 * Calls a handler in an async resource of its own: many events arrive in one callback of Node, and what a handler does
 * with `AsyncLocalStorage.enterWith` must end with its event.
 */
function run(handler, ...args) {
  return new AsyncResource('FERROWS').runInAsyncScope(handler, undefined, ...args);
}

/**
 * Tells the events that a native call has caused and put into its list at the place `mark`, and all that their handlers
 * cause. What is not told stays in the list, and is told by a call further out or by the dispatcher (src/node/state/pending.rs).
 *
 * To be called right behind the native call, so that nothing can throw between them, and in a `try` block: it may find no
 * stack even for itself, which must not look as if the native call had failed.
 */
function tell(mark) {
  if (depth >= DEEPEST) {
    deferred += 1;
    return;
  }
  // Whatever an earlier call had to leave is in front.
  const from = depth === 0 ? 0 : mark;
  depth += 1;
  try {
    tellFrom(from);
  } catch (error) {
    // No handler has thrown this: `call` sees to that. Without stack, the rest stays in the list.
    if (!(error instanceof RangeError)) errors[errors.length] = error;
  } finally {
    depth -= 1;
    if (depth === 0) conclude();
  }
}

function tellFrom(mark) {
  let done;
  let isRoomy = false;
  while (deferred <= MAX_DEFERRED) {
    const payload = native.told(mark, done, isRoomy);
    const step = registers[STEP];
    done = undefined;
    isRoomy = false;
    if (step === SLEEP) return;
    if (step !== DEEP) {
      done = tellers[step](payload);
    } else if (hasRoom()) {
      isRoomy = true;
    } else {
      return;
    }
  }
}

/** No handler is on the stack any more. */
function conclude() {
  deferred = 0;
  if (errors.length > 0) reportErrors();
}

let isReporting = false;

/** Reports what handlers have thrown, unless the program has called with so little stack that its listener could not run. */
function reportErrors() {
  if (isReporting || !hasRoom()) return;
  isReporting = true;
  try {
    while (errors.length > 0) native.reportUncaught(errors.shift());
  } finally {
    isReporting = false;
  }
}

/** Whether errors wait to be reported. */
function hasErrors() {
  return errors.length > 0;
}

/** Whether there is stack left for a handler: these arguments would take 64 KiB of it. */
function hasRoom() {
  try {
    doNothing.apply(undefined, ARGUMENTS);
    return true;
  } catch {
    return false;
  }
}

function doNothing() {}

const ARGUMENTS = new Array(8192).fill(0);

function isPromise(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
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

module.exports = { call, gather, hasErrors, hasRoom, reportErrors, run, tell, tellers };
