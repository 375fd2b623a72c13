'use strict';

// What programs get: the classes and functions of lib/. That side of Ferrows is thin by intention: every method is one native
// call, and what is valid is decided there (src/node). No protocol logic.

const { App, attach, H3App, H3TemplatedApp, SSLApp, SSLTemplatedApp, TemplatedApp } = require('./lib/app/app.js');
const { us_listen_socket_close, us_socket_local_port } = require('./lib/app/listening.js');
const { abi, native, readable } = require('./lib/runtime/border.js');
const { invalidThis } = require('./lib/runtime/errors.js');
const { connect } = require('./lib/websocket/connect.js');
const { HttpConnection } = require('./lib/http/connection.js');
const { HttpRequest } = require('./lib/http/request.js');
const { CachedHttpResponse, HttpResponse, SSLHttpResponse } = require('./lib/http/response.js');
const { setLogger } = require('./lib/runtime/log.js');
const { getParts } = require('./lib/http/multipart.js');
const { ReconnectingWebSocket, SSLWebSocket, WebSocket } = require('./lib/websocket/websocket.js');
const makeDeclarativeResponse = require('./lib/http/declarative-response.js');
const makeKeyValueStore = require('./lib/kv/key-value-store.js');

// From here on events are handled, and the end of the process is waited for.
require('./lib/runtime/dispatcher.js');
require('./lib/runtime/exit.js');

function _cfg() {
  // uWebSockets.js leaves out its advertising header when told so; there is none here.
}

const CLASSES = {
  App: TemplatedApp,
  SSLApp: SSLTemplatedApp,
  H3App: H3TemplatedApp,
  HttpConnection,
  HttpRequest,
  HttpResponse,
  SSLHttpResponse,
  CachedHttpResponse,
  WebSocket,
  SSLWebSocket,
  ReconnectingWebSocket,
};
for (const [name, type] of Object.entries(CLASSES)) {
  // Programs that log or compare `object.constructor.name` expect these.
  Object.defineProperty(type, 'name', { value: `uWS.${name}` });
}

const { DEFAULT: LIBUS_LISTEN_DEFAULT, EXCLUSIVE_PORT: LIBUS_LISTEN_EXCLUSIVE_PORT } = abi.listen;

/** What TypeScript makes of an enum: names by values, too. */
const ListenOptions = Object.freeze({
  LIBUS_LISTEN_DEFAULT,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  [LIBUS_LISTEN_DEFAULT]: 'LIBUS_LISTEN_DEFAULT',
  [LIBUS_LISTEN_EXCLUSIVE_PORT]: 'LIBUS_LISTEN_EXCLUSIVE_PORT',
});

/** Those of uWebSockets.js, which mean nothing here. */
const EnvironmentVariables = Object.freeze({
  UWS_HTTP_MAX_HEADERS_SIZE: undefined,
  UWS_HTTP_MAX_HEADERS_COUNT: undefined,
});

const DeclarativeResponse = makeDeclarativeResponse({ abi, native, readable, invalidThis });

module.exports = {
  App,
  SSLApp,
  H3App,
  attach,
  connect,
  us_listen_socket_close,
  us_socket_local_port,
  getParts,
  DeclarativeResponse,
  ...makeKeyValueStore({ native, readable }),
  setLogger,
  _cfg,
  ListenOptions,
  EnvironmentVariables,
  LIBUS_LISTEN_DEFAULT,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  DISABLED: 0,
  SHARED_COMPRESSOR: 1,
  SHARED_DECOMPRESSOR: 256,
  DEDICATED_COMPRESSOR_3KB: 145,
  DEDICATED_COMPRESSOR_4KB: 146,
  DEDICATED_COMPRESSOR_8KB: 163,
  DEDICATED_COMPRESSOR_16KB: 180,
  DEDICATED_COMPRESSOR_32KB: 197,
  DEDICATED_COMPRESSOR_64KB: 214,
  DEDICATED_COMPRESSOR_128KB: 231,
  DEDICATED_COMPRESSOR_256KB: 248,
  DEDICATED_COMPRESSOR: 248,
  DEDICATED_DECOMPRESSOR_512B: 2304,
  DEDICATED_DECOMPRESSOR_1KB: 2560,
  DEDICATED_DECOMPRESSOR_2KB: 2816,
  DEDICATED_DECOMPRESSOR_4KB: 3072,
  DEDICATED_DECOMPRESSOR_8KB: 3328,
  DEDICATED_DECOMPRESSOR_16KB: 3584,
  DEDICATED_DECOMPRESSOR_32KB: 3840,
  DEDICATED_DECOMPRESSOR: 3840,
};
