'use strict';

// The class of apps: its methods become native calls with the app's number. Routes, listening and closing have files of
// their own. The handlers stay on this side (lib/app/handlers.js); an event names its handler by number.

const { BEHAVIOR_NAMES, readBehavior } = require('../websocket/behavior.js');
const { abi, KEY, native, readable } = require('../runtime/border.js');
const { watchDrops } = require('../runtime/channels.js');
const { checkFunction, illegalConstructor, invalidThis, missingArguments, typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { takeOver } = require('../http/takeover.js');
const { WebSocketList } = require('../websocket/websocket.js');
const attachments = require('./attach.js');
const { inspect } = require('../inspect/inspection.js');
const { FILE_OPTIONS, FileRoute } = require('../static/file-route.js');
const { countSubscribers, joinBroker, readBroker } = require('./broker.js');
const { close, shutDown } = require('./closing.js');
const { AppHandlers } = require('./handlers.js');
const { isOptions, readListenArguments, startListening } = require('./listening.js');
const { addCachedRoute, addRoute, setTarget } = require('./routes.js');
const { statsOf } = require('./stats.js');
const { addServerName, answerMissingNames, removeServerName, secure, setCertificate } = require('./tls.js');

/** Options of an app that the addon reads, in its order. */
const { limits: LIMITS, tcp: TCP, http2: HTTP2, http3: HTTP3, tls: TLS_OPTIONS } = abi.options;

/** The known options of `App` and `SSLApp`. Programs pass the same object to both, and to `addServerName`. */
const APP_OPTIONS = [
  'threads', 'inline', ...LIMITS, 'maxBufferedOutput', 'cutWarnings', ...TCP, 'proxyProtocol', 'broker', 'http2', 'http3',
  ...TLS_OPTIONS,
  'handshakeTimeout', 'maxHandshakes',
];

let appNumber;
let handlersOf;

class TemplatedApp {
  #number;
  #handlers;
  #isSecure;

  constructor(key, options, isSecure = false, isAlone = false) {
    if (key !== KEY) throw illegalConstructor();
    this.#isSecure = isSecure;
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'Options must be an object.');
    }
    const proxyOptions = options?.proxyProtocol;
    const proxies = readProxies(proxyOptions);
    const http2Options = options?.http2;
    const http2 = readHttp2(http2Options);
    const http3Options = isAlone ? options?.http3 ?? true : options?.http3;
    const http3 = readHttp3(http3Options, isSecure, isAlone, http2);
    const brokerOptions = options?.broker;
    const broker = readBroker(brokerOptions);
    const { threads, maxBufferedOutput, cutWarnings, inline = true } = options ?? {};
    this.#number = native.appNew(threads, LIMITS.map((name) => options?.[name]), maxBufferedOutput, cutWarnings, inline);
    this.#handlers = new AppHandlers(this.#number, this);
    native.appTcp(this.#number, TCP.map((name) => options?.[name]));
    if (proxies !== undefined) native.appProxy(this.#number, proxies.required, proxies.trust.join(), proxies.forwarded);
    if (http2 !== undefined) native.appHttp2(this.#number, http2);
    if (http3 !== undefined) native.appHttp3(this.#number, http3, isAlone);
    if (isSecure) secure(this.#number, options);
    if (broker !== undefined) joinBroker(this.#number, broker, brokerOptions);
    checkNames('an app', options, APP_OPTIONS);
    checkNames('proxyProtocol', proxyOptions, ['trust', 'required', 'forwarded']);
    checkNames('http2', http2Options, HTTP2);
    checkNames('http3', http3Options, HTTP3);
  }

  static {
    appNumber = (app) => {
      if (typeof app === 'object' && app !== null && #number in app) return app.#number;
      throw invalidThis('uWS.App');
    };
    handlersOf = (app) => app.#handlers;
  }

  get(pattern, handler, options) {
    if (options === undefined) return route(this, 'GET', pattern, handler);
    addCachedRoute(appNumber(this), this.#handlers, pattern, handler, options);
    return this;
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
    handlers.owner = this.#handlers;
    handlers.pattern = textOf(pattern);
    const number = native.appWebSocket(app, readable(pattern), settings, bits);
    setTarget(this.#handlers, number, handlers, pattern);
    checkNames('a WebSocket route', behavior, BEHAVIOR_NAMES);
    return this;
  }

  listen(...args) {
    const app = appNumber(this);
    if (args.length < 1) throw missingArguments(2);
    if (typeof args.at(-1) !== 'function') return promiseOf((callback) => listenAt(this, app, args, callback));
    return listenAt(this, app, args, args.pop());
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
    this.#handlers.register();
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
    this.#handlers.register();
    return this;
  }

  handleUpgrade(request, socket, head, options) {
    const app = appNumber(this);
    if (arguments.length < 3) throw missingArguments(3);
    return takeOver(app, () => this.#handlers.register(), request, socket, head, options);
  }

  get webSockets() {
    appNumber(this);
    return new WebSocketList(KEY, this.#handlers);
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

  async countSubscribers(topic, options) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    return countSubscribers(app, topic, options);
  }

  getStats() {
    return statsOf(appNumber(this));
  }

  inspect(pattern, options) {
    const app = appNumber(this);
    if (arguments.length < 1) throw missingArguments(1);
    inspect(this, app, this.#handlers, pattern, options);
    return this;
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
    this.#handlers.detach();
    close(app, this.#handlers);
    return this;
  }

  get isShuttingDown() {
    appNumber(this);
    return this.#handlers.isShuttingDown;
  }

  async shutdown(options) {
    const app = appNumber(this);
    return { forced: await shutDown(app, options, this.#handlers, this.webSockets) };
  }
}

/** An app that speaks TLS. */
class SSLTemplatedApp extends TemplatedApp {
  constructor(key, options) {
    super(key, options, true);
  }
}

/** The option `proxyProtocol`: `{ trust, required, forwarded }`. */
function readProxies(option) {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol must be an object');
  const { required = false, forwarded = '' } = option;
  const trust = Array.isArray(option.trust) ? [...option.trust] : [];
  if (trust.length === 0 || !trust.every((entry) => typeof entry === 'string')) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.trust must be an array of one string or more');
  }
  if (typeof required !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.required must be a boolean');
  }
  if (typeof forwarded !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'proxyProtocol.forwarded must be a string');
  return { trust, required, forwarded };
}

/** The option `http2`: `true`, or an object of limits. */
function readHttp2(option) {
  if (option === undefined || option === null || option === false) return undefined;
  if (option !== true && typeof option !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'http2 must be a boolean or an object');
  }
  return HTTP2.map((name) => option[name]);
}

/** The option `http3`: `true`, or an object of limits. An app that speaks HTTP/3 alone has it anyway. */
function readHttp3(option, isSecure, isAlone, http2) {
  if (isAlone && http2 !== undefined) throw typeError('ERR_INVALID_ARG_VALUE', 'http2 has no meaning for H3App, which speaks HTTP/3 alone');
  if (isAlone && option === false) throw typeError('ERR_INVALID_ARG_VALUE', 'http3 must not be false for H3App');
  if (option === undefined || option === null || option === false) return undefined;
  if (option !== true && typeof option !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'http3 must be a boolean or an object');
  }
  if (!isSecure) throw typeError('ERR_INVALID_ARG_VALUE', 'http3 needs TLS: use SSLApp or H3App');
  return HTTP3.map((name) => option[name]);
}

/** A pattern as it is shown to people. */
function textOf(pattern) {
  return typeof pattern === 'string' ? pattern : Buffer.from(native.copy(readable(pattern))).toString();
}

function route(app, method, pattern, handler) {
  addRoute(appNumber(app), handlersOf(app), method, pattern, handler);
  return app;
}

/** `listen`, whose arguments are those in front of the callback. */
function listenAt(app, number, args, callback) {
  if (args.length < 1) throw missingArguments(2);
  if (args.length === 1 && isOptions(args[0])) {
    checkNames('listen', args[0], ['fd']);
    return listen(app, callback, () => native.appListenDescriptor(number, args[0].fd));
  }
  const { host, port, options } = readListenArguments(args);
  checkNames('listen', options, []);
  return listen(app, callback, () => native.appListen(number, host, port, options));
}

/** Returns a promise of the token that `act` passes to its callback; it rejects if listening fails. */
function promiseOf(act) {
  return new Promise((resolve, reject) => {
    act((token, error) => (token === false ? reject(error) : resolve(token)));
  });
}

function listen(app, callback, attempt) {
  startListening(handlersOf(app), callback, attempt);
  return app;
}

function App(options) {
  return new TemplatedApp(KEY, options);
}

/** An app that speaks HTTP/3 alone. */
class H3TemplatedApp extends TemplatedApp {
  constructor(key, options) {
    super(key, options, true, true);
  }
}

function H3App(options) {
  return new H3TemplatedApp(KEY, options);
}

function SSLApp(options) {
  return new SSLTemplatedApp(KEY, options);
}

/**
 * Hands the upgrades of a server of Node's that match a route of the app to the app. Returns a function that ends this.
 */
function attach(server, app) {
  appNumber(app);
  const detach = attachments.attach(server, app);
  handlersOf(app).attachments.add(detach);
  return () => {
    handlersOf(app).attachments.delete(detach);
    detach();
  };
}

module.exports = { appNumber, TemplatedApp, SSLTemplatedApp, H3TemplatedApp, App, SSLApp, H3App, attach };
