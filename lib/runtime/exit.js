'use strict';

// Delays the exit of the process until the I/O threads have written what was sent before it, so that a program may send a
// message and then call `process.exit()`. Loading this file installs the listener.

const { native } = require('./border.js');
const { hasErrors, reportErrors } = require('./call.js');

/**
 * Installs one 'exit' listener for all loads of this file in the process. It refers weakly to each load, so that one
 * that is no longer in use and has nothing to send can be garbage-collected.
 */
function flushAtExit() {
  const symbol = Symbol.for('ferrows.exit');
  if (process[symbol] === undefined) {
    const loads = new Set();
    Object.defineProperty(process, symbol, { value: loads });
    process.on('exit', () => loads.forEach((load) => load.deref()?.conclude()));
  }
  const loads = process[symbol];
  for (const load of loads) {
    if (load.deref() === undefined) loads.delete(load);
  }
  native.conclude = conclude;
  loads.add(new WeakRef(native));
}

function conclude() {
  native.exit();
  // A handler that calls `process.exit()` must not hide what one within it has thrown.
  if (hasErrors()) {
    if (!catchesUncaught()) process.exitCode ||= 1;
    reportErrors();
  }
}

/** Whether the program handles uncaught exceptions, so that none ends the process. */
function catchesUncaught() {
  return process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback();
}

flushAtExit();
