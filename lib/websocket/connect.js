'use strict';

// `connect`: see index.d.ts.

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { BEHAVIOR_NAMES, readBehavior } = require('./behavior.js');
const { abi, native, readable, registers } = require('../runtime/border.js');
const { missingArguments, typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { readReconnect, Reconnection } = require('./reconnect.js');
const { adoptUserData } = require('./user-data.js');
const { behaviorOf, createSocket, openSocket } = require('./websocket.js');

const { CONNECT, HANDLE } = abi.register;

/** Options that the addon reads for `wss:`, in its order. */
const { clientTls: TLS_OPTIONS } = abi.options;

/**
 * `{ ws, resolve, reject, signal, cancel }` by the number of the connect; the `signal`, if any, calls `cancel`. Also of
 * connections that `ferrows/ws` hands over.
 */
const connects = new Map();

async function connect(url, behavior, options) {
  if (arguments.length < 2) throw missingArguments(2);
  const address = readAddress(url);
  const { handlers, bits, settings } = readBehavior(behavior);
  for (const name of ['upgrade', 'subscription']) {
    if (handlers[name] !== undefined) throw invalidValue(`${name} is a handler of servers`);
  }
  const { headers, protocols, connectTimeout, signal, userData, reconnect, tls } = readOptions(options);
  tls.servername ??= address.parts[0];
  handlers.isSecure = address.isSecure;
  const request = [
    address.parts, counted(protocols), counted(withCredentials(headers, address)), connectTimeout, settings, bits,
    address.isSecure ? TLS_OPTIONS.map((name) => tls[name]) : undefined,
  ];
  if (reconnect !== undefined) {
    // What belongs to the program may have changed when it is needed again.
    request.push(request.pop()?.map((value) => (isBytes(value) ? native.copy(value) : value)));
    handlers.reconnection = new Reconnection(reconnect, { begin: (entry) => begin(request, entry), cancel });
  }
  const ws = createSocket(handlers);
  adoptUserData(ws, userData);
  if (signal?.aborted) throw signal.reason;
  checkNames('the behavior of connect', behavior, BEHAVIOR_NAMES);
  checkNames('connect', options, OPTIONS);
  return handlers.reconnection === undefined ? connectOnce(request, ws, signal) : handlers.reconnection.start(ws, signal);
}

function isBytes(value) {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value);
}

function connectOnce(request, ws, signal) {
  const entry = { ws, signal };
  const promise = new Promise((resolve, reject) => { Object.assign(entry, { resolve, reject }); });
  // Too little stack was left: the promise is rejected, and nothing has happened.
  if (entry.reject === undefined) return promise;
  const number = begin(request, entry);
  try {
    entry.cancel = () => abortConnect(number, () => signal.reason);
    signal?.addEventListener('abort', entry.cancel, { once: true });
  } catch (error) {
    // A signal that is not Node's has thrown, or no stack is left.
    cancel(number);
    entry.reject(error);
  }
  return promise;
}

/** Starts a connect, which will settle the entry, and returns its number. Throws for what cannot be sent. */
function begin(request, entry) {
  const number = native.clientConnect(...request);
  try {
    connects.set(number, entry);
  } catch (error) {
    // No stack is left. A WebSocket that no program can reach must not open.
    native.clientCancel(number);
    throw error;
  }
  return number;
}

/** Calls a connect off, unless it has ended. */
function cancel(number) {
  if (connects.delete(number)) native.clientCancel(number);
}

/** `{ parts: [host, port, path with query, Host], isSecure, authorization }` */
function readAddress(url) {
  const { protocol, hostname, port, pathname, search, host, username, password, hash } = parse(url);
  if (protocol !== 'ws:' && protocol !== 'wss:') throw invalidValue('url must begin with ws:// or wss://');
  const isSecure = protocol === 'wss:';
  if (hash !== '') throw invalidValue('url must have no fragment (RFC 6455 §3)');
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const parts = [bare, port === '' ? DEFAULT_PORTS[protocol] : Number(port), pathname + search, host];
  if (username === '' && password === '') return { parts, isSecure };
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`);
  return { parts, isSecure, authorization: `Basic ${credentials.toString('base64')}` };
}

const DEFAULT_PORTS = { 'ws:': 80, 'wss:': 443 };

function parse(url) {
  const text = typeof url === 'object' && url !== null ? url.href : url;
  if (typeof text !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'url must be a string or a URL');
  try {
    return new URL(text);
  } catch {
    throw invalidValue('url must be a URL');
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Options of `connect`. */
const OPTIONS = ['headers', 'protocols', 'connectTimeout', 'signal', 'userData', 'reconnect', ...TLS_OPTIONS];

function readOptions(options) {
  if (options === undefined || options === null) options = {};
  if (typeof options !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  const { headers, protocols, connectTimeout, signal, userData, reconnect } = options;
  checkSignal(signal);
  return {
    headers: readHeaders(headers ?? {}), protocols: readProtocols(protocols ?? []), connectTimeout, signal, userData,
    reconnect: readReconnect(reconnect), tls: readTls(options),
  };
}

/** Reads the TLS options, which apply to `wss:` only. */
function readTls({ ca, cert, key, passphrase, servername, rejectUnauthorized }) {
  if (servername !== undefined && typeof servername !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'servername must be a string');
  }
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== 'boolean') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'rejectUnauthorized must be a boolean');
  }
  // A list of certificates is the text of all of them.
  const pem = Array.isArray(ca) ? ca.map((one) => Buffer.from(native.copy(readable(one)))).flatMap((one) => [one, NEWLINE]) : undefined;
  return {
    servername, ca: pem === undefined ? readable(ca) : Buffer.concat(pem), cert: readable(cert), key: readable(key),
    passphrase: readable(passphrase), rejectUnauthorized,
  };
}

const NEWLINE = Buffer.from('\n');

/** Names and values in turn. */
function readHeaders(headers) {
  if (typeof headers !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'headers must be an object');
  const flat = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one !== 'string' && typeof one !== 'number') {
        throw typeError('ERR_INVALID_ARG_TYPE', 'a header must be a string, a number, or an array of these');
      }
      flat.push(name, String(one));
    }
  }
  return flat;
}

/** The credentials of a url, unless the headers have others. */
function withCredentials(headers, { authorization }) {
  const isGiven = headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization');
  return authorization === undefined || isGiven ? headers : ['Authorization', authorization, ...headers];
}

function readProtocols(protocols) {
  const list = Array.isArray(protocols) ? [...protocols] : [protocols];
  if (!list.every((protocol) => typeof protocol === 'string')) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'protocols must be a string or an array of strings');
  }
  return list;
}

function checkSignal(signal) {
  if (signal === undefined) return;
  const isSignal = typeof signal === 'object' && signal !== null && typeof signal.aborted === 'boolean'
    && typeof signal.addEventListener === 'function' && typeof signal.removeEventListener === 'function';
  if (!isSignal) throw typeError('ERR_INVALID_ARG_TYPE', 'signal must be an AbortSignal');
}

/** Aborts a connect; its promise is rejected with what `reasonOf` returns or throws. */
function abortConnect(number, reasonOf) {
  const { reject } = take(number);
  if (reject === undefined) return;
  native.clientCancel(number);
  try {
    reject(reasonOf());
  } catch (error) {
    reject(error);
  }
}

/** Removes the listener of the signal. An AbortSignal that is not Node's may throw, which must not end the event loop. */
function release({ signal, cancel }) {
  try {
    signal?.removeEventListener('abort', cancel);
  } catch (error) {
    native.reportUncaught(error);
  }
}

/** An array as the addon reads it: its length comes first. */
function counted(list) {
  return [list.length, ...list].map(readable);
}

/** The WebSocket in the registers is open. */
function handleConnected([protocol, extensions, ...fields]) {
  const handle = registers[HANDLE];
  const entry = take(registers[CONNECT]);
  const { ws, resolve } = entry;
  const reconnects = behaviorOf(ws).reconnection?.opened ?? 0;
  openSocket(ws, handle, { protocol, extensions, headers: headersOf(fields), reconnects });
  // Code that awaits the promise runs before the first message is handled.
  resolve(ws);
  release(entry);
}

/** The connect in the registers has failed. */
function handleNotConnected([code, message, system, status, body, ...fields]) {
  const entry = take(registers[CONNECT]);
  const error = Object.assign(new Error(message), { code });
  if (system !== undefined) error.system = system;
  if (status !== undefined) Object.assign(error, { status, headers: headersOf(fields), body });
  entry.reject(error);
  release(entry);
}

/** Removes the connect of this number and returns it; an empty object if it has ended before. */
function take(number) {
  const entry = connects.get(number) ?? {};
  connects.delete(number);
  return entry;
}

function headersOf(fields) {
  const headers = Object.create(null);
  for (let index = 0; index < fields.length; index += 2) {
    const [name, value] = [fields[index], fields[index + 1]];
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

function invalidValue(message) {
  return typeError('ERR_INVALID_ARG_VALUE', message);
}

module.exports = { connect, connects, handleConnected, handleNotConnected };
