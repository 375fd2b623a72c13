'use strict';

// Listening sockets: the arguments of `listen`, and the token that its callback gets.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { KEY, native, readable } = require('../runtime/border.js');
const { illegalConstructor, typeError } = require('../runtime/errors.js');

let listenerHandle;

/** The token of a listening socket. */
class ListenSocket {
  #handle;

  constructor(key, handle) {
    if (key !== KEY) throw illegalConstructor();
    this.#handle = handle;
  }

  static {
    listenerHandle = (token) => {
      if (typeof token === 'object' && token !== null && #handle in token) return token.#handle;
      throw typeError('ERR_INVALID_ARG_TYPE', 'token must be one that listen has given');
    };
  }
}

/** Whether an argument of `listen` is `{ fd }`, and not a port or, as text or bytes, a host. */
function isOptions(argument) {
  return typeof argument === 'object' && argument !== null && !ArrayBuffer.isView(argument) && !isAnyArrayBuffer(argument);
}

/** `[port]`, `[port, options]`, `[host, port]` or `[host, port, options]`. A lone port may be a numeric string. */
function readListenArguments(args) {
  const hasHost = args.length > 1 && typeof args[0] !== 'number';
  const [host, port, options] = hasHost ? args : [undefined, ...args];
  return { host: readable(host), port: typeof port === 'string' && port !== '' ? Number(port) : port, options };
}

/**
 * Calls `callback` with a token, or with `false` and the error of the system; throws for misuse. `attempt` starts listening
 * and returns the handle of the socket.
 */
function startListening(handlers, callback, attempt) {
  let handle;
  try {
    handle = attempt();
  } catch (error) {
    if (MISUSES.has(error.code)) throw error;
    callback(false, Object.assign(error, { syscall: 'listen' }));
    return;
  }
  handlers.isShuttingDown = false;
  handlers.register();
  callback(new ListenSocket(KEY, handle));
}

const MISUSES = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_STATE', 'ERR_INTERNAL']);

function us_listen_socket_close(token) {
  native.listenerClose(listenerHandle(token));
}

function us_socket_local_port(token) {
  return native.listenerPort(listenerHandle(token));
}

module.exports = { startListening, isOptions, readListenArguments, us_listen_socket_close, us_socket_local_port };
