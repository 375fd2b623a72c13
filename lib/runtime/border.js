'use strict';

// The border to the addon, seen from JavaScript: the addon, the numbers that come with an event, and the tables in which
// its handles are looked up.

const { isSharedArrayBuffer } = require('../loading/builtins.js').util.types;

const native = require('../../binding.js')();

/**
 * The numbers that mean the same on both sides, by group and name (src/node/abi.rs). Each file assigns those
 * it needs to constants when it loads, so that nothing is looked up per event.
 */
const abi = native.abi();

const {
  BYTES_RECEIVED, BYTES_SENT, MESSAGES_RECEIVED, MESSAGES_SENT, OPEN_FOR, QUIET_FOR, ROUND_TRIP, SILENT_FOR, UNANSWERED_PINGS,
} = abi.register;
const { NONE } = abi.absent;

/** Numbers that come with an event; written by the addon, read here before anything else is called. */
const registers = new Float64Array(Object.keys(abi.register).length);

/** Keeps constructors to these files: `new ws.constructor()` is refused. */
const KEY = Symbol('ferrows');

/** Handlers and behaviors by route number, of the apps in `apps`. */
const targets = [];

/**
 * The handlers of the apps that may serve connections, by number (lib/app/handlers.js). Handlers of other apps are reachable
 * through the app's object only, and are garbage-collected with it: handlers nearly always refer to their app.
 */
const apps = new Map();

/** Responses that are not over, by slot. */
const responses = [];

/** Open WebSockets, by slot. */
const sockets = [];

/** Open connections for which filters were called, by slot. */
const connections = [];

/** Requests of Node's servers that were handed over and whose handler was not called yet, by ticket. */
const takeovers = new Map();

/** The functions that resolve the promises of `shutdown`, by number. */
const shutdowns = new Map();

/** `{ name, initiator, wasClean, text }` by cause number. */
const causes = readCauses();

function readCauses() {
  const flat = native.causes();
  const table = [];
  for (let index = 0; index < flat.length; index += 4) {
    const [name, initiator, wasClean, text] = flat.slice(index, index + 4);
    table.push({ name, initiator, wasClean, text });
  }
  return table;
}

function infoOf(number) {
  const { name, initiator, wasClean } = causes[number];
  return { cause: name, initiator, wasClean };
}

/** What is reported about the response in the registers. */
function factsOfResponse() {
  return {
    openFor: registers[OPEN_FOR],
    bytes: { received: registers[BYTES_RECEIVED], sent: registers[BYTES_SENT] },
  };
}

/** What is reported about the WebSocket in the registers. */
function factsOfWebSocket() {
  const roundTrip = registers[ROUND_TRIP];
  return {
    openFor: registers[OPEN_FOR],
    silentFor: registers[SILENT_FOR],
    quietFor: registers[QUIET_FOR],
    unansweredPings: registers[UNANSWERED_PINGS],
    roundTrip: roundTrip === NONE ? undefined : roundTrip,
    bytes: { received: registers[BYTES_RECEIVED], sent: registers[BYTES_SENT] },
    messages: { received: registers[MESSAGES_RECEIVED], sent: registers[MESSAGES_SENT] },
  };
}

/** Node-API does not read a bare SharedArrayBuffer; a view of it, it does. */
function readable(data) {
  // Two common kinds first, because Node's check is a native call. Nothing here may run a trap of a Proxy.
  if (typeof data !== 'object' || ArrayBuffer.isView(data)) return data;
  return isSharedArrayBuffer(data) ? new Uint8Array(data) : data;
}

module.exports = {
  abi,
  native,
  registers,
  KEY,
  targets,
  apps,
  responses,
  sockets,
  connections,
  shutdowns,
  takeovers,
  causes,
  factsOfResponse,
  factsOfWebSocket,
  infoOf,
  readable,
};
