'use strict';

// What is told on channels of `node:diagnostics_channel`: see docs/observability.md. Nothing is made for a message that
// nobody has subscribed to; what a subscriber throws Node itself reports as uncaught, once the call is over.

const { channel } = require('../loading/builtins.js').diagnostics_channel;

const { native } = require('./border.js');

/** Kept here: Node forgets a channel that only its subscribers know. */
const opened = channel('ferrows:websocket:open');
const closed = channel('ferrows:websocket:close');
const dropped = channel('ferrows:websocket:dropped');
const aborted = channel('ferrows:http:aborted');

function tellOpened(ws) {
  if (opened.hasSubscribers) opened.publish({ ws });
}

function tellClosed(ws, code, reason, info) {
  if (closed.hasSubscribers) closed.publish({ ws, code, reason: Buffer.from(reason).toString(), info: { ...info } });
}

function tellDropped(ws, message, isBinary, unreported) {
  if (dropped.hasSubscribers) dropped.publish({ ws, message, isBinary, unreported });
}

function tellAborted(res, reason, info) {
  if (aborted.hasSubscribers) aborted.publish({ res, reason, info: { ...info } });
}

/** Whether the workers tell of every published message that is dropped. */
let isWatchingDrops = false;

/** To be called before every publication: without a `dropped` handler it is only for subscribers that drops are told. */
function watchDrops() {
  if (dropped.hasSubscribers === isWatchingDrops) return;
  native.watchDrops(dropped.hasSubscribers);
  isWatchingDrops = dropped.hasSubscribers;
}

/** Whether somebody has subscribed to drops. */
function wantsDrops() {
  return dropped.hasSubscribers;
}

module.exports = { tellOpened, tellClosed, tellDropped, tellAborted, watchDrops, wantsDrops };
