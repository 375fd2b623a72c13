'use strict';

// Turns what a program says to its app into native calls on the app's number: routes, listening, publishing, closing. The
// handlers stay on this side (lib/app/handlers.js); an event names its handler by number.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { AppHandlers } = require('./handlers.js');
const { BEHAVIOR_NAMES, readBehavior } = require('../websocket/behavior.js');
const { abi, KEY, native, readable, registers, shutdowns } = require('../runtime/border.js');
const { tell } = require('../runtime/call.js');
const { watchDrops } = require('../runtime/channels.js');
const { checkFunction, illegalConstructor, invalidThis, missingArguments, typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { FILE_OPTIONS, FileRoute } = require('../static/file-route.js');
const { statsOf } = require('./stats.js');
const { addServerName, answerMissingNames, removeServerName, secure, setCertificate } = require('./tls.js');
const { checkPattern } = require('../runtime/warnings.js');

const { MARK, REPLACED } = abi.register;

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

/** Options of an app that the addon reads, in its order. */
const { limits: LIMITS, tcp: TCP, tls: TLS_OPTIONS } = abi.options;

/** Everything that `App` and `SSLApp` may be given: programs use the same object for both, and for server names. */
const APP_OPTIONS = [
  'threads', ...LIMITS, 'maxBufferedOutput', ...TCP, 'proxyProtocol', ...TLS_OPTIONS, 'handshakeTimeout', 'maxHandshakes',
];

let appNumber;
let handlersOf;

class TemplatedApp {
  #number;
  #handlers;
  #isSecure;

  constructor(key, options, isSecure = false) {
    if (key !== KEY) throw illegalConstructor();
    this.#isSecure = isSecure;
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'Options must be an object.');
    }
    const proxyOptions = options?.proxyProtocol;
    const proxies = readProxies(proxyOptions);
    this.#number = native.appNew(options?.threads, LIMITS.map((name) => options?.[name]), options?.maxBufferedOutput);
    this.#handlers = new AppHandlers(this.#number, this);
    native.appTcp(this.#number, TCP.map((name) => options?.[name]));
    if (proxies !== undefined) native.appProxy(this.#number, proxies.required, proxies.trust.join());
    if (isSecure) secure(this.#number, options);
    checkNames('an app', options, APP_OPTIONS);
    checkNames('proxyProtocol', proxyOptions, ['trust', 'required']);
  }

  static {
    appNumber = (app) => {
      if (typeof app === 'object' && app !== null && #number in app) return app.#number;
      throw invalidThis('uWS.App');
    };
    handlersOf = (app) => app.#handlers;
  }

  get(pattern, handler, options) {
    if (options !== undefined) return cachedRoute(this, pattern, handler, options);
    return route(this, 'GET', pattern, handler);
  }

  post(pattern, handler) {
    return route(this, 'POST', pattern, handler);
  }

  options(pattern, handler) {
    return route(this, 'OPTIONS', pattern, handler);
  }

  del(pattern, handler) {
    return route(this, 'DELETE', pattern, handler);
  }

  patch(pattern, handler) {
    return route(this, 'PATCH', pattern, handler);
  }

  put(pattern, handler) {
    return route(this, 'PUT', pattern, handler);
  }

  head(pattern, handler) {
    return route(this, 'HEAD', pattern, handler);
  }

  connect(pattern, handler) {
    return route(this, 'CONNECT', pattern, handler);
  }

  trace(pattern, handler) {
    return route(this, 'TRACE', pattern, handler);
  }

  any(pattern, handler) {
    return route(this, '', pattern, handler);
  }

  filter(handler) {
    const app = appNumber(this);
    checkFunction(handler);
    this.#handlers.filters.push(handler);
    native.appWatch(app);
    return this;
  }

  serveFiles(pattern, directory, options) {
    appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    const files = new FileRoute(pattern, directory, options);
    const handler = (res, req) => files.handle(res, req);
    for (const method of ['GET', 'HEAD']) route(this, method, pattern, handler);
    checkNames('serveFiles', options, FILE_OPTIONS);
    return this;
  }

  ws(pattern, behavior) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    const { handlers, bits, settings } = readBehavior(behavior);
    handlers.isSecure = this.#isSecure;
    const number = native.appWebSocket(app, readable(pattern), settings, bits);
    setTarget(this, number, handlers, pattern);
    checkNames('a WebSocket route', behavior, BEHAVIOR_NAMES);
    return this;
  }

  listen(...args) {
    const app = appNumber(this);
    if (args.length < 2) throw missingArguments(2);
    const callback = args.pop();
    checkFunction(callback);
    if (args.length === 1 && isOptions(args[0])) {
      checkNames('listen', args[0], ['fd']);
      return listen(this, callback, () => native.appListenDescriptor(app, args[0].fd));
    }
    const { host, port, options } = readListenArguments(args);
    checkNames('listen', options, []);
    return listen(this, callback, () => native.appListen(app, host, port, options));
  }

  listen_unix(callback, path, options) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    checkFunction(callback);
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
    }
    const { mode, group } = options ?? {};
    checkNames('listen_unix', options, ['mode', 'group']);
    return listen(this, callback, () => native.appListenUnix(app, readable(path), mode, group));
  }

  getDescriptor() {
    const descriptor = native.appDescriptor(appNumber(this));
    this.#handlers.begin();
    return descriptor;
  }

  addChildAppDescriptor(descriptor) {
    native.appAddChild(appNumber(this), descriptor);
    return this;
  }

  removeChildAppDescriptor(descriptor) {
    native.appRemoveChild(appNumber(this), descriptor);
    return this;
  }

  adoptSocket(fd, ip) {
    native.appAdopt(appNumber(this), fd, readable(ip));
    this.#handlers.begin();
    return this;
  }

  publish(topic, message, isBinary, compress) {
    const app = appNumber(this);
    if (arguments.length < 2) throw missingArguments(2);
    watchDrops();
    return native.appPublish(app, readable(topic), readable(message), isBinary, compress);
  }

  numSubscribers(topic) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    return native.appSubscribers(app, readable(topic));
  }

  getStats() {
    return statsOf(appNumber(this));
  }

  addServerName(hostname, options) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    addServerName(app, hostname, options);
    checkNames('a server name', options, APP_OPTIONS);
    return this;
  }

  removeServerName(hostname) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    for (const route of removeServerName(app, hostname)) this.#handlers.remove(route);
    return this;
  }

  missingServerName(handler) {
    const app = appNumber(this);
    checkFunction(handler);
    this.#handlers.nameHandler = handler;
    answerMissingNames(app);
    return this;
  }

  domain(hostname) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    native.appDomain(app, readable(hostname));
    return this;
  }

  setCertificate(...args) {
    const app = appNumber(this);
    if (args.length < 1) throw missingArguments(1);
    const [hostname, options] = args.length > 1 ? args : [undefined, args[0]];
    setCertificate(app, hostname, options);
    checkNames('setCertificate', options, APP_OPTIONS);
    return this;
  }

  close() {
    const app = appNumber(this);
    const mark = native.appClose(app);
    try {
      tell(mark);
    } catch {
      // No stack is left: the dispatcher tells it.
    }
    return this;
  }

  async shutdown(options) {
    const app = appNumber(this);
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
    }
    const { timeout, code, reason } = options ?? {};
    let conclude;
    const forced = new Promise((resolve) => { conclude = resolve; });
    // Without stack it is rejected before anything has happened.
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
      tell(mark);
    } catch {
      // No stack is left: the dispatcher tells it.
    }
    checkNames('shutdown', options, ['timeout', 'code', 'reason']);
    return { forced: await forced };
  }
}

/** An app that speaks TLS. */
class SSLTemplatedApp extends TemplatedApp {
  constructor(key, options) {
    super(key, options, true);
  }
}

/** The number of the latest shutdown. */
let latestShutdown = 0;

function concludeShutdown(number, forced) {
  const resolve = shutdowns.get(number);
  shutdowns.delete(number);
  resolve(forced);
}

/** The option `proxyProtocol`: `{ trust, required }`. */
function readProxies(option) {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol must be an object');
  const { required = false } = option;
  const trust = Array.isArray(option.trust) ? [...option.trust] : [];
  if (trust.length === 0 || !trust.every((entry) => typeof entry === 'string')) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.trust must be an array of one string or more');
  }
  if (typeof required !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.required must be a boolean');
  }
  return { trust, required };
}

function route(app, method, pattern, handler) {
  const number = appNumber(app);
  if (handler === null) {
    const removed = native.appUnroute(number, method, readable(pattern));
    handlersOf(app).remove(removed);
    return app;
  }
  if (isAnyArrayBuffer(handler)) {
    setTarget(app, native.appDeclarative(number, method, readable(pattern), readable(handler)), undefined, pattern);
    return app;
  }
  checkFunction(handler);
  setTarget(app, native.appRoute(number, method, readable(pattern)), handler, pattern);
  return app;
}

/** A GET route whose answers are kept for a while. What needs no handler needs no keeping. */
function cachedRoute(app, pattern, handler, options) {
  const number = appNumber(app);
  const { lowerExpiry, upperExpiry } = readExpiry(options);
  if (typeof handler === 'function') {
    setTarget(app, native.appCached(number, readable(pattern), lowerExpiry, upperExpiry), handler, pattern);
  } else {
    route(app, 'GET', pattern, handler);
  }
  checkNames('a cached route', options, ['lowerExpiry', 'upperExpiry']);
  return app;
}

/** The third argument of `get`. A number is short for `{ lowerExpiry }`. */
function readExpiry(options) {
  if (typeof options === 'number') return { lowerExpiry: options };
  if (typeof options === 'object' && options !== null) return options;
  throw typeError('ERR_INVALID_ARG_TYPE', 'Cache options must be an object');
}

/** The number of the route that this one replaces is in the registers: its own, if its pattern matches nothing. */
function setTarget(app, number, target, pattern) {
  const replaced = registers[REPLACED];
  if (replaced !== number) handlersOf(app).set(number, target, replaced);
  checkPattern(pattern, replaced === number);
}

/** Whether an argument of `listen` is no port: `{ fd }`. Data are hosts. */
function isOptions(argument) {
  return typeof argument === 'object' && argument !== null && !ArrayBuffer.isView(argument) && !isAnyArrayBuffer(argument);
}

/** `[port]`, `[port, options]`, `[host, port]` or `[host, port, options]`. A lone port may be a numeric string. */
function readListenArguments(args) {
  const hasHost = args.length > 1 && typeof args[0] !== 'number';
  const [host, port, options] = hasHost ? args : [undefined, ...args];
  return { host: readable(host), port: typeof port === 'string' && port !== '' ? Number(port) : port, options };
}

/** Calls back with a token, or with `false` and what the system said. A misuse is thrown instead. */
function listen(app, callback, attempt) {
  let handle;
  try {
    handle = attempt();
  } catch (error) {
    if (MISUSES.has(error.code)) throw error;
    callback(false, Object.assign(error, { syscall: 'listen' }));
    return app;
  }
  handlersOf(app).begin();
  callback(new ListenSocket(KEY, handle));
  return app;
}

const MISUSES = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_STATE', 'ERR_INTERNAL']);

function App(options) {
  return new TemplatedApp(KEY, options);
}

function SSLApp(options) {
  return new SSLTemplatedApp(KEY, options);
}

function us_listen_socket_close(token) {
  native.listenerClose(listenerHandle(token));
}

function us_socket_local_port(token) {
  return native.listenerPort(listenerHandle(token));
}

module.exports = { TemplatedApp, SSLTemplatedApp, concludeShutdown, App, SSLApp, us_listen_socket_close, us_socket_local_port };
