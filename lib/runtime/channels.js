'use strict';

// Publishes on channels of `node:diagnostics_channel`: see docs/observability.md. Without a subscriber no message is
// created. Node reports what a subscriber throws as uncaught, after the call.

const { channel } = require('../loading/builtins.js').diagnostics_channel;

const { native } = require('./border.js');

/** Stored here, because Node garbage-collects a channel to which only subscribers refer. */
const opened = channel('ferrows:websocket:open');
const closed = channel('ferrows:websocket:close');
const dropped = channel('ferrows:websocket:dropped');
const aborted = channel('ferrows:http:aborted');
const brokerState = channel('ferrows:broker:state');

function publishOpened(ws) {
  if (opened.hasSubscribers) opened.publish({ ws });
}

function publishClosed(ws, code, reason, info) {
  if (closed.hasSubscribers) closed.publish({ ws, code, reason: Buffer.from(reason).toString(), info: copyOf(info) });
}

function publishDropped(ws, message, isBinary, unreported) {
  if (dropped.hasSubscribers) dropped.publish({ ws, message, isBinary, unreported });
}

function publishAborted(res, reason, info) {
  if (aborted.hasSubscribers) aborted.publish({ res, reason, info: copyOf(info) });
}

/** Subscribers may change what they get; the handler gets its own. */
function copyOf(info) {
  const copy = { ...info, bytes: { ...info.bytes } };
  if (info.messages !== undefined) copy.messages = { ...info.messages };
  return copy;
}

function publishBrokerState(message) {
  if (brokerState.hasSubscribers) brokerState.publish(message);
}

/** Whether the workers report every published message that is dropped. */
let isWatchingDrops = false;

/** Call it before every publish: without a `dropped` handler, only subscribers of the channel need reports of drops. */
function watchDrops() {
  if (dropped.hasSubscribers === isWatchingDrops) return;
  native.watchDrops(dropped.hasSubscribers);
  isWatchingDrops = dropped.hasSubscribers;
}

/** Whether the channel of dropped messages has subscribers. */
function hasDropSubscribers() {
  return dropped.hasSubscribers;
}

/** Has `listener` called for every WebSocket that closes. Returns a function that ends this. */
function watchCloses(listener) {
  closed.subscribe(listener);
  return () => closed.unsubscribe(listener);
}

module.exports = {
  publishOpened, publishClosed, publishDropped, publishAborted, publishBrokerState, watchCloses, watchDrops, hasDropSubscribers,
};
