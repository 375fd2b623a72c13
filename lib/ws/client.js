'use strict';

// The opening handshake of a client, over node:http, so that agents, proxies and all other options of `http.request` work.

const { crypto, http, https, net, tls } = require('../loading/ws-builtins.js');

const { native } = require('../runtime/border.js');
const { policyOf, settingsOf } = require('./options.js');

const VERSIONS = [8, 13];

const DEFAULTS = {
  protocolVersion: 13,
  perMessageDeflate: true,
  followRedirects: false,
  maxRedirects: 10,
};

/** What of the options is for the URL to say. */
const OF_URL = {
  host: undefined, hostname: undefined, method: 'GET', path: undefined, port: undefined, protocol: undefined,
  socketPath: undefined, timeout: undefined,
};

/** A subprotocol is a token (RFC 6455 §4.1). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

class ClientHandshake {
  /** The address, once it is known to be one. */
  url;
  #ws;
  #address;
  #protocols;
  #options;
  /** What it may do with its WebSocket: `isConnecting`, `setClosing`, `fail`, `close`, `open`. */
  #control;
  #request;
  #redirects = 0;
  /** Whether the program has called it off. */
  #isAborted = false;
  /** `{ target, isSecure }` of the first request: credentials are for it alone. */
  #origin;

  constructor(ws, address, protocols, options, control) {
    this.#ws = ws;
    this.#address = address;
    this.#protocols = protocols;
    // A copy, because credentials of the address are added for redirects.
    this.#options = { ...options, headers: { ...options?.headers } };
    this.#control = control;
  }

  /** The request, until it is answered. */
  get request() { return this.#request; }

  get redirects() { return this.#redirects; }

  /** Sends the request. Throws for what the program has to correct. */
  start() {
    const attempt = this.#prepare();
    this.#origin = attempt;
    this.#send(attempt);
  }

  /**
   * Reads address and options: `{ isSecure, target, key, settings, options }`, the last of which are those of
   * `http.request`.
   */
  #prepare() {
    const options = { ...DEFAULTS, ...this.#options, ...OF_URL };
    if (!VERSIONS.includes(options.protocolVersion)) {
      const message = `Unsupported protocol version: ${options.protocolVersion} (supported versions: ${VERSIONS.join(', ')})`;
      throw new RangeError(message);
    }
    const url = this.#parse(this.#address);
    const [isSecure, isLocal] = [url.protocol === 'wss:', url.protocol === 'ws+unix:'];
    checkUrl(url);
    const key = crypto.randomBytes(16).toString('base64');
    options.createConnection ??= isSecure ? connectTls : connectTcp;
    options.defaultPort ||= isSecure ? 443 : 80;
    options.port = url.port || (isSecure ? 443 : 80);
    options.host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
    options.path = url.pathname + url.search;
    options.timeout = options.handshakeTimeout;
    options.headers = {
      ...options.headers,
      'Sec-WebSocket-Version': options.protocolVersion,
      'Sec-WebSocket-Key': key,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
    };
    if (options.perMessageDeflate) {
      options.headers['Sec-WebSocket-Extensions'] = native.wsOffer(policyOf(options.perMessageDeflate));
    }
    if (this.#protocols.length > 0) {
      checkSubprotocols(this.#protocols);
      options.headers['Sec-WebSocket-Protocol'] = this.#protocols.join(',');
    }
    if (options.origin) {
      options.headers[options.protocolVersion < 13 ? 'Sec-WebSocket-Origin' : 'Origin'] = options.origin;
    }
    if (url.username !== '' || url.password !== '') options.auth = `${url.username}:${url.password}`;
    // The settings are checked before anything is sent.
    const settings = settingsOf(options);
    if (!isLocal) return { isSecure, target: url.host, key, settings, options };
    [options.socketPath, options.path] = options.path.split(':');
    return { isSecure, target: `unix:${options.socketPath}`, key, settings, options };
  }

  #parse(address) {
    let url = address;
    if (!(address instanceof URL)) {
      try {
        url = new URL(address);
      } catch {
        throw new SyntaxError(`Invalid URL: ${address}`);
      }
    }
    if (url.protocol === 'http:') url.protocol = 'ws:';
    else if (url.protocol === 'https:') url.protocol = 'wss:';
    this.url = url.href;
    return url;
  }

  #send(attempt) {
    const { isSecure, options } = attempt;
    const { headers } = this.#options;
    if (options.followRedirects && options.auth && !hasHeader(headers, 'authorization')) {
      // The first credentials are those of all requests. A listener of 'redirect' can remove the header.
      headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      options.headers.authorization = headers.authorization;
    }
    const request = (isSecure ? https : http).request(options);
    this.#request = request;
    if (this.#redirects > 0) this.#ws.emit('redirect', this.url, request);
    if (options.timeout) request.on('timeout', () => this.abort('Opening handshake has timed out'));
    request.on('error', (error) => {
      if (this.#request !== request || this.#isAborted) return;
      this.#request = undefined;
      this.#control.fail(error);
    });
    request.on('response', (response) => this.#handleResponse(request, response, options));
    request.on('upgrade', (response, stream, head) => this.#handleUpgrade(response, stream, head, attempt));
    if (options.finishRequest) options.finishRequest(request, this.#ws);
    else request.end();
  }

  #handleResponse(request, response, options) {
    const { statusCode, headers: { location } } = response;
    if (location && options.followRedirects && statusCode >= 300 && statusCode < 400) {
      this.#redirects += 1;
      if (this.#redirects > options.maxRedirects) this.abort('Maximum redirects exceeded');
      else this.#follow(request, location);
    } else if (!this.#ws.emit('unexpected-response', request, response)) {
      this.abort(`Unexpected server response: ${statusCode}`);
    }
  }

  #follow(request, location) {
    this.#request = undefined;
    request.destroy();
    let next;
    try {
      try {
        this.#address = new URL(location, this.url);
      } catch {
        throw new SyntaxError(`Invalid URL: ${location}`);
      }
      next = this.#prepare();
    } catch (error) {
      this.#control.fail(error);
      return;
    }
    const { isSecure, target, options } = next;
    const isSame = target === this.#origin.target;
    if (this.#ws.listenerCount('redirect') === 0 && (!isSame || (this.#origin.isSecure && !isSecure))) {
      // Credentials are not for another host, nor for a wire that anybody can read.
      dropHeaders(options.headers, isSame ? ['authorization', 'cookie'] : ['authorization', 'cookie', 'host']);
      options.auth = undefined;
    }
    this.#send(next);
  }

  #handleUpgrade(response, stream, head, { key, settings, options }) {
    this.#ws.emit('upgrade', response);
    // The program may have closed it.
    if (!this.#control.isConnecting()) return;
    this.#request = undefined;
    const {
      upgrade, 'sec-websocket-accept': accept, 'sec-websocket-protocol': protocol, 'sec-websocket-extensions': extensions,
    } = response.headers;
    const offered = [this.#protocols.length, ...this.#protocols];
    const policy = options.perMessageDeflate ? policyOf(options.perMessageDeflate) : undefined;
    const agreement = native.wsCheckResponse([upgrade, accept, protocol, extensions], key, offered, policy);
    if (typeof agreement === 'string') {
      this.#refuse(stream, new Error(agreement));
      return;
    }
    const isCompressed = agreement !== undefined;
    this.#control.open(stream, head, { protocol: protocol ?? '', isCompressed, agreement, settings });
  }

  /** The response breaks a rule. */
  #refuse(stream, error) {
    this.#control.setClosing();
    stream.once('error', (thrown) => this.#ws.emit('error', thrown));
    stream.once('close', () => this.#control.close(error.message));
    stream.destroy(error);
  }

  /** Ends it with an error. */
  abort(message) {
    const request = this.#request;
    const error = new Error(message);
    this.#control.setClosing();
    this.#isAborted = true;
    if (request !== undefined) {
      request.destroy();
      // Which a request that is complete no longer does.
      request.socket?.destroy();
    }
    process.nextTick(() => this.#control.fail(error));
  }

  /** The WebSocket is open: what was only for the handshake is let go. */
  end() {
    this.#options = {};
    this.#request = undefined;
  }
}

function checkUrl(url) {
  let message;
  if (!['ws:', 'wss:', 'ws+unix:'].includes(url.protocol)) {
    message = 'The URL\'s protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"';
  } else if (url.protocol === 'ws+unix:' && url.pathname === '') {
    message = "The URL's pathname is empty";
  } else if (url.hash !== '') {
    message = 'The URL contains a fragment identifier';
  }
  if (message !== undefined) throw new SyntaxError(message);
}

function checkSubprotocols(protocols) {
  const isValid = protocols.every((name) => typeof name === 'string' && TOKEN.test(name));
  if (!isValid || new Set(protocols).size < protocols.length) {
    throw new SyntaxError('An invalid or duplicated subprotocol was specified');
  }
}

function hasHeader(headers, wanted) {
  return Object.keys(headers).some((name) => name.toLowerCase() === wanted);
}

function dropHeaders(headers, names) {
  for (const name of Object.keys(headers)) if (names.includes(name.toLowerCase())) delete headers[name];
}

function connectTcp(options) {
  return net.connect({ ...options, path: options.socketPath });
}

function connectTls(options) {
  const servername = options.servername || options.servername === '' ? options.servername : nameOf(options.host);
  return tls.connect({ ...options, path: undefined, servername });
}

/** The server name (SNI) for a host: none for an address. */
function nameOf(host) {
  return net.isIP(host) === 0 ? host : '';
}

module.exports = { ClientHandshake };
