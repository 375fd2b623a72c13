'use strict';

// Warnings about mistakes of a program that are not errors, each emitted once per process (`process.on('warning')`).

const { abi, native, readable } = require('./border.js');
const { call, deliverers, hasRoom } = require('./call.js');

const { WARNING } = abi.step;

/**
 * Emits a warning, unless this process has emitted one with this code about this subject. Does nothing while too little
 * stack is left: Node aborts the process if an async resource runs out of stack when it ends.
 */
function warnOnce(code, subject, text) {
  if (!hasRoom() || !native.isNews(`${code} ${subject}`)) return;
  warn(code, text);
}

function warn(code, text) {
  // Through `call`, because a program may have replaced `process.emitWarning` by a function that throws.
  call(() => process.emitWarning(text, { type: 'FerrowsWarning', code }));
}

deliverers[WARNING] = ([code, text]) => warn(code, text);

/** Warns of a pattern that does not match what it seems to. The addon has checked that it is text or bytes. */
function checkPattern(pattern, isDead) {
  const text = typeof pattern === 'string' ? pattern : Buffer.from(native.copy(readable(pattern))).toString();
  const [first] = text;
  if (first === '/' && !isDead) return;
  const shown = JSON.stringify(text.slice(0, 100));
  if (isDead || first === undefined) {
    const rule = first === undefined ? 'it is empty' : 'a wildcard is its last segment, and it has 100 segments at most';
    warnOnce('FERROWS_PATTERN', 'dead', `The pattern ${shown} matches no request: ${rule}`);
    return;
  }
  const meant = JSON.stringify(`/${text.slice(first.length, 100)}`);
  const rule = 'as in uWebSockets.js, its first character is taken for the slash';
  warnOnce('FERROWS_PATTERN', 'slash', `The pattern ${shown} does not begin with a slash, and means ${meant}: ${rule}`);
}

module.exports = { warnOnce, checkPattern };
