'use strict';

// Calls the handlers of a program: an exception of a handler ends nothing, and a promise that it returns keeps its arguments
// alive. Also delivers the events that the program's own calls cause: `ws.end()` runs a `close` handler before it returns.

const { AsyncResource } = require('../loading/builtins.js').async_hooks;

const { abi, native, registers } = require('./border.js');
const { checkFunction } = require('./errors.js');

const { DEEP, SLEEP } = abi.step;
const { STEP } = abi.register;

/** By step: the function that runs the handlers of the event and returns a buffer to detach. Set by the other files. */
const deliverers = [];

/** How many calls of `call` and `deliverPending` are nested on the stack. */
let depth = 0;

/** Exceptions of handlers that have not been reported yet. */
const errors = [];

/** How many events were left to an outer call since `depth` was 0, because handlers were nested too deep. */
let deferred = 0;

/** Limit of `depth`. A handler counts twice (`call` and `deliverPending`), so at most sixteen are nested. */
const MAX_DEPTH = 32;

/**
 * Limit of `deferred`. That many deferred events do not come from closing many WebSockets, but from handlers that cause
 * events for each other without end. The dispatcher delivers the rest, so that Node's event loop continues.
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
    const result = depth === 1 && isSharing
      ? runInScope.call(shared, handler, undefined, first, second, third, fourth, fifth)
      : run(handler, first, second, third, fourth, fifth);
    return !isPromise(result);
  } catch (error) {
    errors[errors.length] = error;
    return true;
  } finally {
    depth -= 1;
    if (depth === 0) conclude();
  }
}

/**
 * An async resource whose `hasRef` reports to tools that look for open handles that it does not keep the process alive.
 * Such tools take every other resource for open until the garbage collector has found it.
 */
class Unreferenced extends AsyncResource {
  hasRef() {
    return false;
  }
}

const { runInAsyncScope: runInScope } = AsyncResource.prototype;

/**
 * Whether handlers run in one resource after the other, `shared`, instead of each in one of its own. Making one takes a
 * tenth of the time of a small message. It ends for good once somebody looks at that resource or stores something in it,
 * as the `AsyncLocalStorage` of older versions of Node does, and `executionAsyncResource`.
 */
let isSharing = true;
const shared = new Unreferenced('FERROWS');
Object.setPrototypeOf(shared, new Proxy(Unreferenced.prototype, {
  get(target, key, receiver) {
    isSharing = false;
    return Reflect.get(target, key, receiver);
  },
  set(target, key, value, receiver) {
    isSharing = false;
    return Reflect.set(target, key, value, receiver);
  },
}));

/**
 * Calls a handler in an async resource of its own: many events arrive in one callback of Node, and what a handler does
 * with `AsyncLocalStorage.enterWith` must end with its event.
 */
function run(handler, ...args) {
  return new Unreferenced('FERROWS').runInAsyncScope(handler, undefined, ...args);
}

/**
 * Delivers the events that a native call has caused, which stand in the list of pending events from `mark` on, and all
 * that their handlers cause. Events that stay in the list are delivered by an outer call or by the dispatcher
 * (src/node/state/pending.rs).
 *
 * Call it directly after the native call, so that nothing can throw in between, and in a `try` block: if there is no stack
 * left even for this function, that must not look as if the native call had failed.
 */
function deliverPending(mark) {
  if (depth >= MAX_DEPTH) {
    deferred += 1;
    return;
  }
  // Events that an earlier call has left come first.
  const from = depth === 0 ? 0 : mark;
  depth += 1;
  try {
    deliverFrom(from);
  } catch (error) {
    // `call` has caught what handlers throw. A RangeError means that no stack is left: the rest stays in the list.
    if (!(error instanceof RangeError)) errors[errors.length] = error;
  } finally {
    depth -= 1;
    if (depth === 0) conclude();
  }
}

function deliverFrom(mark) {
  let done;
  let isRoomy = false;
  while (deferred <= MAX_DEFERRED) {
    const payload = native.nextPending(mark, done, isRoomy);
    const step = registers[STEP];
    done = undefined;
    isRoomy = false;
    if (step === SLEEP) return;
    if (step !== DEEP) {
      done = deliverers[step](payload);
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

/** Reports the exceptions of handlers, unless so little stack is left that the program's listener could not run. */
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

/** What a handler returns, like a promise, if its arguments must stay valid. */
const KEPT = Object.freeze({ then() {} });

function isPromise(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

/** Runs the callback of `cork`: the workers get all that it sends in one batch. */
function runCorked(subject, callback) {
  checkFunction(callback);
  native.hold();
  try {
    callback();
  } finally {
    native.letGo();
  }
  return subject;
}

module.exports = {
  call, deliverers, deliverPending, hasErrors, hasRoom, KEPT, reportErrors, run, runCorked, Unreferenced,
};
