'use strict';

// Calls the handlers of a program: an exception of a handler ends nothing, and a promise that it returns keeps its arguments
// alive. Also delivers the events that the program's own calls cause: `ws.end()` runs a `close` handler before it returns.

const { AsyncResource } = require('../loading/builtins.js').async_hooks;

const { abi, native, registers } = require('./border.js');
const { checkFunction } = require('./errors.js');
const { watched } = require('./watched.js');

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
    if (depth > 1 || sharing.isTouched) return !isPromise(run(handler, first, second, third, fourth, fifth));
    if (isInBell) return !isPromise(handler(first, second, third, fourth, fifth));
    return !isPromise(runInScope.call(shared, handler, undefined, first, second, third, fourth, fifth));
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
 * Handlers run in one resource after the other, instead of each in one of its own: in that of the bell, whose callback this
 * is, or in `shared`. Making one takes a tenth of the time of a small message, entering one half of that. It ends for good
 * once somebody looks at that resource or stores something in it, as the `AsyncLocalStorage` of older versions of Node does,
 * and `executionAsyncResource`.
 */
const sharing = { isTouched: false };

const shared = new Unreferenced('FERROWS');
Object.setPrototypeOf(shared, watched(Unreferenced.prototype, sharing));

/** The async resource of the bell; `hasRef` is its method of that name. The addon keeps it: it must not refer to this file. */
function createBell(hasRef) {
  bell = Object.create(watched({ hasRef }, sharing));
  return bell;
}

let bell;
/** Whether the dispatcher was called by the bell, and handlers that leave no trace in its resource may run in that. */
let isInBell = false;

/**
 * Whether `AsyncLocalStorage` keeps its stores in async resources, as by default before version 24 of Node, so that a trace of
 * it is noticed. Later ones keep them in a frame of their own, which only entering a resource restores.
 */
const leavesTraces = process.versions.bun === undefined && process.versions.deno === undefined
  && Number.parseInt(process.versions.node, 10) < 24
  && ![...process.execArgv, process.env.NODE_OPTIONS].some((option) => option?.includes('async-context-frame'));

/** Runs the dispatcher in a callback of the bell. Returns what it returns. */
function runInBell(dispatch, isBrought, payload) {
  isInBell = leavesTraces;
  try {
    return dispatch(isBrought, payload);
  } finally {
    isInBell = false;
  }
}

/** Removes what a handler has stored in the resource of the bell, before the next one runs. From now on none runs in it. */
function cleanBell() {
  isInBell = false;
  for (const key of Reflect.ownKeys(bell)) delete bell[key];
}

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
  if (isInBell && sharing.isTouched) cleanBell();
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
  call, createBell, deliverers, deliverPending, hasErrors, hasRoom, KEPT, reportErrors, run, runCorked, runInBell, Unreferenced,
};
