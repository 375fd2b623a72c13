'use strict';

// `WebSocketServer` of `ferrows/ws`. HTTP is Node's; each accepted connection is handed to an I/O thread.

const { events: { EventEmitter }, http } = require('../loading/ws-builtins.js');

const { isHandedOver } = require('../http/passage.js');
const { native } = require('../runtime/border.js');
const { payloadOf } = require('./data.js');
const { policyOf, settingsOf } = require('./options.js');
const { Topics } = require('./topics.js');
const { accept, WebSocket } = require('./websocket.js');

const DEFAULTS = {
  allowSynchronousEvents: true,
  autoPong: true,
  maxBufferedChunks: 1024 * 1024,
  maxFragments: 128 * 1024,
  maxPayload: 100 * 1024 * 1024,
  skipUTF8Validation: false,
  perMessageDeflate: false,
  handleProtocols: null,
  clientTracking: true,
  closeTimeout: 30_000,
  verifyClient: null,
  noServer: false,
  backlog: null,
  server: null,
  host: null,
  path: null,
  port: null,
  topics: false,
  WebSocket,
};

const [RUNNING, CLOSING, CLOSED] = [0, 1, 2];

class WebSocketServer extends EventEmitter {
  #server = null;
  /** Removes the listeners of `#server`. */
  #detach;
  #state = RUNNING;
  #settings;
  #policy;
  /** With the option `topics`. */
  #topics;
  /** What a client calls when it is closed, with the option `clientTracking`. */
  #forget;

  constructor(options, callback) {
    super();
    options = { ...DEFAULTS, ...options };
    const { port, server, noServer } = options;
    const hasPort = port !== null && port !== undefined;
    if ([hasPort, Boolean(server), Boolean(noServer)].filter(Boolean).length !== 1) {
      throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified');
    }
    if (options.perMessageDeflate === true) options.perMessageDeflate = {};
    this.#settings = settingsOf(options);
    if (options.perMessageDeflate) {
      this.#policy = policyOf(options.perMessageDeflate);
      // Throws for a window that there is not.
      native.wsOffer(this.#policy);
    }
    if (options.topics) this.#topics = new Topics();
    if (hasPort) this.#server = http.createServer(refuse).listen(port, options.host, options.backlog, callback);
    else if (server) this.#server = server;
    if (this.#server !== null) this.#attach();
    if (options.clientTracking) {
      this.clients = new Set();
      this.#forget = (ws) => this.#handleClosed(ws);
    }
    this.options = options;
  }

  /** Listens to the HTTP server. */
  #attach() {
    const server = this.#server;
    const emitConnection = (ws, request) => this.emit('connection', ws, request);
    const listeners = {
      listening: () => this.emit('listening'),
      error: (error) => this.emit('error', error),
      upgrade: (request, socket, head) => this.handleUpgrade(request, socket, head, emitConnection),
    };
    for (const [name, listener] of Object.entries(listeners)) server.on(name, listener);
    this.#detach = () => {
      for (const [name, listener] of Object.entries(listeners)) server.removeListener(name, listener);
    };
  }

  /** What other packages read: the HTTP server, and whether this one is closed (2), closing (1) or neither (0). */
  get _server() { return this.#server; }

  get _state() { return this.#state; }

  address() {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode');
    return this.#server === null ? null : this.#server.address();
  }

  close(callback) {
    if (this.#state === CLOSED) {
      if (callback) this.once('close', () => callback(new Error('The server is not running')));
      process.nextTick(() => this.#emitClose());
      return;
    }
    if (callback) this.once('close', callback);
    if (this.#state === CLOSING) return;
    this.#state = CLOSING;
    const server = this.#server;
    this.#detach?.();
    this.#server = null;
    if (!this.options.noServer && !this.options.server) server.close(() => this.#emitClose());
    else if (!this.clients || this.clients.size === 0) process.nextTick(() => this.#emitClose());
  }

  #emitClose() {
    this.#state = CLOSED;
    this.emit('close');
  }

  shouldHandle({ url }) {
    const { path } = this.options;
    if (!path) return true;
    const end = url.indexOf('?');
    return (end < 0 ? url : url.slice(0, end)) === path;
  }

  handleUpgrade(request, socket, head, callback) {
    socket.on('error', destroy);
    const {
      upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version, 'sec-websocket-protocol': subprotocols,
      'sec-websocket-extensions': offers,
    } = request.headers;
    // Packages that make a request themselves give a number.
    const checked = native.wsCheckRequest(request.method, upgrade, key, version === undefined ? undefined : String(version));
    if (typeof checked !== 'number') {
      const [status, message] = checked;
      const isVersion = message.includes('Sec-WebSocket-Version');
      this.#reject(request, socket, status, message, isVersion ? { 'Sec-WebSocket-Version': '13, 8' } : {});
      return;
    }
    if (!this.shouldHandle(request)) {
      answer(socket, 400);
      return;
    }
    const protocols = subprotocols === undefined ? [] : native.wsSubprotocols(subprotocols);
    if (protocols === undefined) {
      this.#reject(request, socket, 400, 'Invalid Sec-WebSocket-Protocol header');
      return;
    }
    const compresses = this.#policy !== undefined && offers !== undefined;
    const agreed = compresses ? native.wsAgree(offers, this.#policy) : [];
    if (agreed === undefined) {
      this.#reject(request, socket, 400, 'Invalid or unacceptable Sec-WebSocket-Extensions header');
      return;
    }
    const handshake = { request, socket, head, key, protocols: new Set(protocols), agreed, callback };
    this.#verify(handshake, checked);
  }

  /** Asks `verifyClient`. */
  #verify(handshake, version) {
    const { verifyClient } = this.options;
    if (!verifyClient) {
      this.#complete(handshake);
      return;
    }
    const { request, socket } = handshake;
    const info = {
      origin: request.headers[version === 8 ? 'sec-websocket-origin' : 'origin'],
      secure: Boolean(request.socket.authorized || request.socket.encrypted),
      req: request,
    };
    if (verifyClient.length === 2) {
      verifyClient(info, (isVerified, code, message, headers) => {
        if (isVerified) this.#complete(handshake);
        else answer(socket, code || 401, message, headers);
      });
    } else if (verifyClient(info)) {
      this.#complete(handshake);
    } else {
      answer(socket, 401);
    }
  }

  #complete({ request, socket, head, key, protocols, agreed: [extensions, agreement], callback }) {
    if (isHandedOver(socket)) {
      const message = 'server.handleUpgrade() was called more than once with the same socket, possibly due to a misconfiguration';
      throw new Error(message);
    }
    // The client has gone.
    if (!socket.readable || !socket.writable) {
      socket.destroy();
      return;
    }
    if (this.#state > RUNNING) {
      answer(socket, 503);
      return;
    }
    const headers = [
      'HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${native.wsAccept(key)}`,
    ];
    const ws = new this.options.WebSocket(null, undefined, this.options);
    const protocol = this.#select(protocols, request);
    if (protocol) headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
    if (extensions !== undefined) headers.push(`Sec-WebSocket-Extensions: ${extensions}`);
    this.emit('headers', headers, request);
    const response = Buffer.from(`${headers.join('\r\n')}\r\n\r\n`, 'latin1');
    socket.removeListener('error', destroy);
    accept(ws, socket, head, {
      request, protocol: protocol || '', isCompressed: extensions !== undefined, agreement, response, settings: this.#settings,
      topics: this.#topics, forget: this.#forget,
    });
    if (this.clients) this.clients.add(ws);
    callback(ws, request);
  }

  #select(protocols, request) {
    if (protocols.size === 0) return undefined;
    const { handleProtocols } = this.options;
    return handleProtocols ? handleProtocols(protocols, request) : protocols.values().next().value;
  }

  /** A client has closed. */
  #handleClosed(ws) {
    this.clients.delete(ws);
    const isLast = this.#state === CLOSING && this.clients.size === 0;
    if (isLast && (this.options.noServer || this.options.server)) process.nextTick(() => this.#emitClose());
  }

  /** Refuses a request that breaks a rule, unless the program does it. */
  #reject(request, socket, status, message, headers) {
    if (this.listenerCount('wsClientError') > 0) this.emit('wsClientError', new Error(message), socket, request);
    else answer(socket, status, message, headers);
  }

  publish(topic, data, options) {
    if (this.#topics === undefined) {
      throw Object.assign(new Error('publish needs the option `topics`'), { code: 'ERR_INVALID_STATE' });
    }
    const { binary, compress } = { binary: typeof data !== 'string', compress: true, ...options };
    const payload = payloadOf(typeof data === 'number' ? data.toString() : data);
    return this.#topics.publish(topic, payload, binary, compress);
  }
}

/** The answer of a server without HTTP to an ordinary request. */
function refuse(request, response) {
  const body = http.STATUS_CODES[426];
  response.writeHead(426, { 'Content-Length': body.length, 'Content-Type': 'text/plain' });
  response.end(body);
}

function destroy() {
  this.destroy();
}

/** Answers a request that is not accepted, and closes its connection. */
function answer(socket, status, message = http.STATUS_CODES[status], headers = {}) {
  const lines = Object.entries({
    Connection: 'close', 'Content-Type': 'text/html', 'Content-Length': Buffer.byteLength(message), ...headers,
  });
  socket.once('finish', socket.destroy);
  const head = [`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join('\r\n')}\r\n\r\n${message}`);
}

module.exports = { WebSocketServer };
