'use strict';

// Closes an app: at once (`close`), or gracefully (`shutdown`).

const { abi, native, readable, registers, shutdowns } = require('../runtime/border.js');
const { deliverPending } = require('../runtime/call.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');

const { MARK } = abi.register;

function close(app) {
  const mark = native.appClose(app);
  try {
    deliverPending(mark);
  } catch {
    // No stack is left: the dispatcher runs the handlers.
  }
}

/** The number of the latest shutdown. */
let latestShutdown = 0;

/** Returns a promise of the number of connections that had to be dropped. */
function startShutdown(app, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  }
  const { timeout, code, reason } = options ?? {};
  let conclude;
  const forced = new Promise((resolve) => { conclude = resolve; });
  // Too little stack was left: the promise is rejected, and nothing has happened.
  if (conclude === undefined) return forced;
  const number = ++latestShutdown;
  shutdowns.set(number, conclude);
  let isUnderWay = false;
  try {
    isUnderWay = native.appShutdown(app, timeout, code, readable(reason), number);
  } finally {
    if (!isUnderWay) concludeShutdown(number, 0);
  }
  const mark = registers[MARK];
  try {
    deliverPending(mark);
  } catch {
    // No stack is left: the dispatcher runs the handlers.
  }
  checkNames('shutdown', options, ['timeout', 'code', 'reason']);
  return forced;
}

function concludeShutdown(number, forced) {
  const resolve = shutdowns.get(number);
  shutdowns.delete(number);
  resolve(forced);
}

module.exports = { startShutdown, close, concludeShutdown };
