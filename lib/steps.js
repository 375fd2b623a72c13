'use strict';

// The events by number: the border passes numbers, because making text costs more than handling an event.

/** What `native.next` asks for. The same numbers stand in src/node/step.rs. */
const SLEEP = 0;
const YIELD = 1;
const REQUEST = 2;
const UPGRADE = 3;
const OPEN = 4;
const MESSAGE = 5;
const PING = 6;
const PONG = 7;
const DRAIN = 8;
const CLOSE = 9;
const ABORT = 10;
const DATA = 11;
const UNANSWERED = 12;
const LOG = 13;
const WRITABLE = 14;
const OPENED = 18;
const CLOSED = 19;
const SHUT_DOWN = 20;
const MISSED = 21;
const UPGRADED = 24;
const SUBSCRIPTION = 25;
const SERVER_NAME = 26;
const DEEP = 27;
const WARNING = 28;
const CONNECTED = 22;
const NOT_CONNECTED = 23;
const ENDED = 30;

module.exports = {
  SLEEP,
  YIELD,
  REQUEST,
  UPGRADE,
  OPEN,
  MESSAGE,
  PING,
  PONG,
  DRAIN,
  CLOSE,
  ABORT,
  DATA,
  UNANSWERED,
  LOG,
  WRITABLE,
  OPENED,
  CLOSED,
  SHUT_DOWN,
  MISSED,
  UPGRADED,
  SUBSCRIPTION,
  SERVER_NAME,
  DEEP,
  WARNING,
  CONNECTED,
  NOT_CONNECTED,
  ENDED,
};
