'use strict';

// The one way in which a handler of a program is called: what it throws ends nothing, and a promise that it returns keeps
// its arguments alive.

const { AsyncResource } = require('async_hooks');

const { native } = require('./border.js');
const { checkFunction } = require('./errors.js');

/**
 * Calls a handler, if there is one; what it throws becomes 'uncaughtException'. Returns whether the handler is done
 * with its arguments, which it is not if it returned a promise.
 */
function call(handler, first, second, third, fourth, fifth) {
  if (handler === undefined) return true;
  try {
    return !isPromise(run(handler, first, second, third, fourth, fifth));
  } catch (error) {
    native.reportUncaught(error);
    return true;
  }
}

/**
 * Calls a handler in an async resource of its own: many events arrive in one callback of Node, and what a handler does
 * with `AsyncLocalStorage.enterWith` must end with its event.
 */
function run(handler, ...args) {
  return new AsyncResource('FERROWS').runInAsyncScope(handler, undefined, ...args);
}

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

module.exports = { call, gather, run };
