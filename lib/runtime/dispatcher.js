'use strict';

// Runs the handlers: asks the addon for one event after the other, calls what was registered for it, and lets microtasks
// run in between. Loading this file starts it.

const { timers: { setImmediate } } = require('../loading/builtins.js');

const { handleBrokerState, handleCounted } = require('../app/broker.js');
const { concludeShutdown } = require('../app/closing.js');
const { handleEnded } = require('../app/handlers.js');
const { abi, KEY, native, registers, responses, sockets, takeovers, targets } = require('./border.js');
const { call, createBell, deliverers, hasErrors, reportErrors, runInBell, Unreferenced } = require('./call.js');
const { handleConnected, handleNotConnected } = require('../websocket/connect.js');
const { handleOpened } = require('../http/connection.js');
const { HttpRequest } = require('../http/request.js');
const {
  CachedHttpResponse, handleData, HttpResponse, offerUpgrade, SSLHttpResponse, writableHandlerOf,
} = require('../http/response.js');
const { handleRecord, levelOfProcess } = require('./log.js');
const { handleServerName } = require('../app/tls.js');
const { behaviorOf, createSocket, openSocket, UpgradeContext } = require('../websocket/websocket.js');

const {
  ABORT, BROKER_STATE, CLOSE, CLOSED, CONNECTED, COUNTED, DATA, DRAIN, ENDED, LOG, MESSAGE, MESSAGE_DROPPED, NOT_CONNECTED, OPEN, OPENED, PING, PONG,
  REFUSED, REQUEST, SERVER_NAME, SHUT_DOWN, SLEEP, SUBSCRIPTION, UNANSWERED, UPGRADE, UPGRADED, WARNING, WRITABLE, WRITTEN, YIELD,
} = abi.step;
const { CACHED, SECURE, YIELDED } = abi.kind;
const { APP, FORCED, HANDLE, IS_BINARY, KIND, MAY_RETURN, OFFSET, REFERENCED, ROUTE, SHUTDOWN, SLOT, STEP, TICKET, WAITS } = abi.register;
const { SLOTS } = abi.handle;

/**
 * Runs microtasks and `process.nextTick` callbacks, as Node does after every event of its own. All events of a batch
 * arrive in one callback of Node, which would run them only at its end. Bun's function of the same name does nothing, but
 * it has one that does this; Deno has none.
 */
const tick = process.versions.bun === undefined
  ? process._tickCallback
  : process.getBuiltinModule?.('bun:jsc')?.drainMicrotasks;

/** Reading the global each time would cost a getter call per event. */
const thisProcess = process;

/** The response and request of the handler that was called last; a yielded request continues with the same objects. */
let lastResponse;
let lastRequest;
/** Node's `http.IncomingMessage` of the latest upgrade, if a server of Node's handed it over. */
let lastTakeover;

/**
 * Called when the bell rings, which may bring the first event. Exceptions of handlers are caught before. If anything else
 * throws, the remaining events are still handled: the bell does not ring again before the queue has been emptied. Returns
 * what `handleEvents` does.
 */
function drain(isBrought, payload) {
  try {
    return handleEvents(isBrought, payload);
  } catch (error) {
    isYielding = true;
    setImmediate(drainOutside);
    throw error;
  }
}

/**
 * Handles events, of which the bell may bring the first one, until none is left or the turn's budget is used up: then it
 * returns `true`. It returns earlier if the bell has said that the addon looks for more itself, once microtasks have run, as
 * they do behind every callback of Node: then with the buffer to detach, if any.
 */
function handleEvents(isBrought, payload) {
  const mayReturn = isBrought && registers[MAY_RETURN] === 1;
  let done;
  for (;;) {
    if (!isBrought) {
      if (hasErrors()) reportErrors();
      payload = native.next(done);
    }
    isBrought = false;
    done = undefined;
    switch (registers[STEP]) {
      case MESSAGE: {
        const ws = sockets[registers[SLOT]];
        const isDone = call(behaviorOf(ws).message, ws, payload, registers[IS_BINARY] === 1);
        if (isDone && typeof payload !== 'string') done = payload;
        break;
      }
      case SLEEP:
        return true;
      case REQUEST:
        handleRequest(targets[registers[ROUTE]]);
        break;
      case UPGRADE:
        handleUpgrade(targets[registers[ROUTE]], registers[ROUTE], registers[TICKET]);
        break;
      case OPEN: {
        const handle = registers[HANDLE];
        if (registers[TICKET] !== 0) takeovers.delete(registers[TICKET]);
        openSocket(createSocket(targets[registers[ROUTE]]), handle);
        break;
      }
      case ABORT:
      case CLOSE:
      case CLOSED:
      case MESSAGE_DROPPED:
      case SUBSCRIPTION:
      case UPGRADED:
      case WARNING:
        // These may also happen within a call of the program.
        done = deliverers[registers[STEP]](payload);
        break;
      case DATA:
        done = handleData(payload);
        break;
      case WRITABLE:
        call(writableHandlerOf(responses[registers[SLOT]]), registers[OFFSET]);
        break;
      case DRAIN: {
        const ws = sockets[registers[SLOT]];
        call(behaviorOf(ws).drain, ws);
        break;
      }
      case PING: {
        const ws = sockets[registers[SLOT]];
        call(behaviorOf(ws).ping, ws, payload);
        break;
      }
      case PONG: {
        const ws = sockets[registers[SLOT]];
        call(behaviorOf(ws).pong, ws, payload);
        break;
      }
      case WRITTEN: {
        const ws = sockets[registers[SLOT]];
        call(behaviorOf(ws).written, ws, registers[WAITS]);
        break;
      }
      case UNANSWERED:
        call(warnUnanswered, payload);
        break;
      case LOG:
        handleRecord(payload);
        break;
      case BROKER_STATE:
        handleBrokerState(payload);
        break;
      case COUNTED:
        handleCounted();
        break;
      case OPENED:
        handleOpened(payload);
        break;
      case CONNECTED:
        handleConnected(payload);
        break;
      case NOT_CONNECTED:
        handleNotConnected(payload);
        break;
      case SERVER_NAME:
        handleServerName(payload);
        break;
      case SHUT_DOWN:
        concludeShutdown(registers[SHUTDOWN], registers[FORCED]);
        break;
      case REFUSED:
        takeovers.delete(registers[TICKET]);
        break;
      case ENDED:
        handleEnded(registers[APP]);
        break;
      case YIELD:
        isYielding = true;
        setImmediate(drainOutside);
        return true;
      default:
        return true;
    }
    if (tick === undefined) {
      // A runtime without that function runs microtasks when this returns: one event at a time.
      native.detach(done);
      setImmediate(drainOutside);
      return true;
    }
    if (mayReturn && !hasErrors()) return done;
    runTicks();
  }
}

/**
 * `drain`, outside of the async context in which it was scheduled: handlers must not see the `AsyncLocalStorage` stores
 * of each other.
 */
const drainOutside = new Unreferenced('FERROWS').bind(() => {
  isYielding = false;
  drain(false);
});

/** Whether the budget was used up and Node's event loop has not run since. */
let isYielding = false;

/**
 * Called when the bell rings: with the payload of the first event, if it brings one. If the budget was used up before, a later
 * turn of the event loop drains the queue; then the bell brings nothing.
 */
function handleBell(payload) {
  const isBrought = arguments.length > 0;
  return isBrought || !isYielding ? runInBell(drain, isBrought, payload) : true;
}

/**
 * Whether Node's own loop may drive sockets: it has to be libuv's, which Bun and Deno only imitate, and on Windows it watches
 * sockets alone.
 */
function isInline() {
  const { bun, deno } = process.versions;
  return bun === undefined && deno === undefined && ['darwin', 'linux'].includes(process.platform);
}

function runTicks() {
  for (;;) {
    try {
      tick.call(thisProcess);
      return;
    } catch (error) {
      // Thrown by a nextTick callback. The later callbacks still have to run.
      native.reportUncaught(error);
    }
  }
}

function handleRequest(handler) {
  const isYielded = registers[KIND] === YIELDED;
  takeRequest();
  if (isYielded) offerUpgrade(lastResponse, undefined);
  call(handler, lastResponse, lastRequest);
}

function handleUpgrade(behavior, route, ticket) {
  const isYielded = registers[KIND] === YIELDED;
  takeRequest();
  if (!isYielded) lastTakeover = ticket === 0 ? undefined : takeovers.get(ticket);
  if (ticket !== 0) takeovers.delete(ticket);
  const context = new UpgradeContext(KEY, behavior, route, lastTakeover);
  offerUpgrade(lastResponse, context);
  call(behavior.upgrade, lastResponse, lastRequest, context);
}

/** Creates the objects of a new request; a request that was yielded keeps its objects. */
function takeRequest() {
  const kind = registers[KIND];
  if (kind === YIELDED) return;
  const handle = registers[HANDLE];
  if (kind === CACHED) lastResponse = new CachedHttpResponse(KEY, handle);
  else lastResponse = kind === SECURE ? new SSLHttpResponse(KEY, handle) : new HttpResponse(KEY, handle);
  lastRequest = new HttpRequest(KEY, handle);
  responses[handle % SLOTS] = lastResponse;
}

function warnUnanswered(request) {
  const text = `The handler of ${request} returned without answering and without an abort handler (res.onAborted)`;
  process.emitWarning(text, { type: 'FerrowsWarning', code: 'FERROWS_UNANSWERED' });
}

/**
 * The resource of the bell for `async_hooks`. Tools that look for what keeps a process alive, such as
 * `jest --detectOpenHandles`, call its `hasRef`. The addon keeps this object as long as the environment lives or this
 * load of the addon is in use, so it must refer to nothing of these files but the registers.
 */
const bell = createBell(Float64Array.prototype.at.bind(registers, REFERENCED));
// The addon object refers to the function, which so lives as long as a program can call the addon. The addon itself
// refers to it only while events may arrive.
native.handleBell = handleBell;
native.start(registers, handleBell, levelOfProcess(), bell, isInline());
