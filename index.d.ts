/**
 * Ferrows: an HTTP and WebSocket server behind the uWebSockets.js API, and a WebSocket client. Node's event loop does the
 * socket work while it has time, separate threads do it while it has not.
 *
 * ```ts
 * import { App } from 'ferrows';
 *
 * App()
 *   .get('/', (res) => res.end('hello'))
 *   .ws('/echo', { message: (ws, message, isBinary) => ws.send(message, isBinary) })
 *   .listen(9001, (token, error) => { if (!token) throw error; });
 * ```
 *
 * These rules hold for every member:
 * - Text is sent as UTF-8. Data is copied before a call returns, so a buffer may be reused as soon as the call has returned.
 * - No call can crash the process. A call that cannot be carried out throws an `Error` with a `code` ({@link ErrorCode})
 *   and has no effect. Besides the errors that its comment lists, every member throws `ERR_INVALID_ARG_TYPE` for arguments
 *   of another type than declared and `ERR_INVALID_THIS` when called on a foreign object; the members of the app, `upgrade` and
 *   `publish` throw `ERR_MISSING_ARGS` when required arguments are left out (elsewhere they are then `undefined`).
 * - Handlers run one at a time on the thread that created the app; microtasks and `process.nextTick` run between any
 *   two of them. A handler that throws raises `uncaughtException`, and later events are still delivered. The
 *   return value of a handler is ignored unless it is a promise, whose rejection raises `unhandledRejection`.
 * - An option with an unknown name has no effect. The first one of each name causes a warning that suggests the most
 *   similar name (`process.on('warning')`, code `FERROWS_OPTION`). Instances of classes are not checked.
 */

// ---------------------------------------------------------------------------------------------------------- Shared

/**
 * Text or bytes. A string is encoded as UTF-8; of a view, exactly the bytes that it covers are used. Where an argument of
 * this type is optional, `undefined` means empty. Anything else throws `ERR_INVALID_ARG_TYPE`.
 */
export type RecognizedString = string | ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/**
 * The `code` of an error that a call throws. Codes are stable; messages are those of uWebSockets.js where it has one.
 */
export type ErrorCode =
  /** An `HttpResponse` was used after it ended, was aborted, closed or upgraded. */
  | 'ERR_HTTP_RESPONSE_CLOSED'
  /** An `HttpRequest` was read after its handler had returned and its response was over. */
  | 'ERR_HTTP_REQUEST_CLOSED'
  /** A `WebSocket` was used after it closed. */
  | 'ERR_WEBSOCKET_CLOSED'
  /** A header name that is no token, or a value with CR, LF or another control character (RFC 9110 §5). */
  | 'ERR_HTTP_INVALID_HEADER'
  /** A trailer whose name or value is as bad, or that has to precede the body, such as `Content-Type` (RFC 9110 §6.5.1). */
  | 'ERR_HTTP_INVALID_TRAILER'
  /** A status that is not three digits, a space and a reason phrase without control characters (RFC 9112 §4). */
  | 'ERR_HTTP_INVALID_STATUS'
  /** A class of Ferrows called with `new`; only Ferrows makes its objects (a `TypeError`). */
  | 'ERR_ILLEGAL_CONSTRUCTOR'
  /** An argument of the wrong type (a `TypeError`). */
  | 'ERR_INVALID_ARG_TYPE'
  /** An argument of the right type with an invalid value (a `TypeError`). */
  | 'ERR_INVALID_ARG_VALUE'
  /** A call at the wrong moment, such as `writeHeader` after the first `write`. */
  | 'ERR_INVALID_STATE'
  /** A method called on an object that is not of its class (a `TypeError`). */
  | 'ERR_INVALID_THIS'
  /** `countSubscribers`: not every process has answered in time, or there is no connection to the broker. */
  | 'ERR_BROKER_TIMEOUT'
  /** Fewer arguments than the function needs (a `TypeError`). */
  | 'ERR_MISSING_ARGS'
  /** A number outside its range (a `RangeError`). */
  | 'ERR_OUT_OF_RANGE'
  /** The lock of the key-value store was not released in time by another thread. */
  | 'ERR_LOCK_TIMEOUT'
  /** `require('ferrows')` found no native addon for this platform; the message says what to do. */
  | 'ERR_ADDON_UNAVAILABLE'
  /** `adoptSocket`: no descriptor of this process has that number. */
  | 'EBADF'
  /** `adoptSocket`: the descriptor is no socket. */
  | 'ENOTSOCK'
  /** `adoptSocket`: the socket listens, or is not connected. */
  | 'ENOTCONN'
  /** TLS options: a file cannot be read. */
  | 'ERR_TLS_FILE'
  /** TLS options: the private key is missing, malformed or of an unsupported algorithm. */
  | 'ERR_TLS_KEY'
  /** TLS options: the private key is encrypted, and the passphrase is missing or wrong. */
  | 'ERR_TLS_PASSPHRASE'
  /** TLS options: the certificate is missing or malformed. */
  | 'ERR_TLS_CERTIFICATE'
  /** TLS options: the private key does not belong to the certificate. */
  | 'ERR_TLS_KEY_MISMATCH'
  /** TLS options: the certificates of the certificate authorities (`ca`) are missing or malformed. */
  | 'ERR_TLS_CA'
  /** TLS options: the list has an unknown cipher suite, or selects none that is available. */
  | 'ERR_TLS_CIPHERS'
  /** `setCertificate`: this server name was not added. */
  | 'ERR_TLS_SERVER_NAME'
  /** TLS options: there are no Diffie-Hellman parameters in the file. */
  | 'ERR_TLS_DH_PARAMS'
  /** A bug in Ferrows, caught before it could corrupt state. Please report it. */
  | 'ERR_INTERNAL';

/** Why a WebSocket closed or a response was aborted, for programs to compare. docs/close-reasons.md says what to do about each. */
export type CloseCauseName =
  // The peer completed or started the closing handshake.
  | 'CLOSED_BY_PEER'
  | 'CLOSED_BY_PEER_WITHOUT_CODE'
  // The peer violated a protocol.
  | 'ERR_FRAME_RESERVED_BITS'
  | 'ERR_FRAME_MISPLACED_COMPRESSION'
  | 'ERR_FRAME_RESERVED_OPCODE'
  | 'ERR_FRAME_FRAGMENTED_CONTROL'
  | 'ERR_FRAME_CONTROL_TOO_LONG'
  | 'ERR_FRAME_UNEXPECTED_CONTINUATION'
  | 'ERR_FRAME_EXPECTED_CONTINUATION'
  | 'ERR_FRAME_UNMASKED'
  | 'ERR_FRAME_MASKED'
  | 'ERR_FRAME_NON_MINIMAL_LENGTH'
  | 'ERR_FRAME_LENGTH_OVERFLOW'
  | 'ERR_CLOSE_PAYLOAD_TRUNCATED'
  | 'ERR_CLOSE_CODE'
  | 'ERR_CLOSE_REASON_UTF8'
  | 'ERR_FRAME_TOO_BIG'
  | 'ERR_MESSAGE_TOO_BIG'
  | 'ERR_TOO_MANY_FRAGMENTS'
  | 'ERR_INFLATED_TOO_BIG'
  | 'ERR_INVALID_DEFLATE'
  | 'ERR_INVALID_UTF8'
  | 'ERR_HTTP_INVALID_BODY'
  | 'ERR_HTTP_BODY_TOO_LARGE'
  // The transport (TCP, TLS or a stream of HTTP/2) ended or failed.
  | 'ERR_FIN_WITHOUT_CLOSE'
  | 'ERR_FIN_BEFORE_RESPONSE'
  | 'ERR_CONNECTION_RESET'
  | 'ERR_TRANSPORT_TIMED_OUT'
  | 'ERR_UNREACHABLE'
  | 'ERR_TRANSPORT'
  | 'ERR_TLS_TRUNCATED'
  | 'ERR_TLS_ALERT'
  | 'ERR_TLS_INVALID'
  | 'ERR_TLS_KEYS_EXHAUSTED'
  | 'ERR_TLS_PEER_KEYS_EXHAUSTED'
  | 'ERR_HTTP2_STREAM_RESET'
  | 'ERR_HTTP2_INVALID'
  | 'ERR_HTTP3_STREAM_RESET'
  | 'ERR_HTTP3_INVALID'
  | 'ERR_QUIC_CLOSED'
  | 'ERR_QUIC_PEER'
  | 'ERR_QUIC_INVALID'
  | 'ERR_QUIC_RESET'
  | 'ERR_QUIC_IDLE_TIMEOUT'
  // A timeout or a lifetime expired.
  | 'ERR_IDLE_TIMEOUT'
  | 'ERR_CLOSE_TIMEOUT'
  | 'CLOSED_MAX_LIFETIME'
  | 'ERR_HTTP_BODY_TIMEOUT'
  | 'ERR_HTTP_RESPONSE_TIMEOUT'
  // A limit of output was reached.
  | 'ERR_BACKPRESSURE_LIMIT'
  | 'ERR_OUTPUT_LIMIT'
  // The application closed it.
  | 'CLOSED_BY_APPLICATION'
  | 'CLOSED_BY_END'
  | 'CLOSED_BY_APP_CLOSE'
  | 'CLOSED_BY_SHUTDOWN';

/** Details of a close or an abort. */
export interface CloseInfo {
  /** The cause: `ERR_…` for a failure, `CLOSED_…` for an intended end. */
  readonly cause: CloseCauseName;
  /**
   * Who ended it: the peer (with a Close frame, or by violating a protocol), this end (`local`: the application or one of
   * its limits), or neither (`transport`: the connection ended or failed).
   */
  readonly initiator: 'peer' | 'local' | 'transport';
  /** Whether Close frames were exchanged, or are being exchanged (RFC 6455 §7.1.4). Always false for a response. */
  readonly wasClean: boolean;
  /** Time since the WebSocket was opened, or since the request of the response arrived, in milliseconds. */
  readonly openFor: number;
  /**
   * Of a WebSocket: bytes of its frames that arrived, and that the system took, without TLS. Of a response: bytes of the
   * request's body that arrived, and of its own body that the system took.
   */
  readonly bytes: { readonly received: number; readonly sent: number };
}

/** Details of the close of a WebSocket. */
export interface WebSocketCloseInfo extends CloseInfo {
  /** The argument `message` of the `close` handler, as a string. Never empty. */
  readonly reason: string;
  /**
   * Time since the last byte from the peer or, if none came, since the WebSocket was opened, in milliseconds. If it is the
   * same for many closes, something on the way cuts lines that are silent for so long (docs/load-balancers.md).
   */
  readonly silentFor: number;
  /** Time since the system took the last byte for the peer or, without one, since the opening, in milliseconds. */
  readonly quietFor: number;
  /** Pings, automatic and by {@link WebSocket.ping}, that were sent since the last Pong. */
  readonly unansweredPings: number;
  /** How long the last Pong took, in milliseconds; `undefined` if no ping was answered. */
  readonly roundTrip: number | undefined;
  /**
   * Whole messages from the peer and to it, published ones included. What a handler has sent just before it closes the
   * WebSocket itself may be missing here and in `bytes`: it is counted when the I/O thread gets to it.
   */
  readonly messages: { readonly received: number; readonly sent: number };
}

// ------------------------------------------------------------------------------------------------------------- App

/** Options of {@link App}. A key given as `undefined` means its default. */
export interface AppOptions extends TlsOptions {
  /**
   * Number of I/O threads that share the connections of this app, 0–64. All apps of a thread of Node.js share the same
   * threads: two apps with 2 and 3 use 3 in total. With 0, Node's event loop alone serves the connections, unless another
   * app has threads; then nothing happens on them while a handler blocks the event loop. Where {@link inline} has no effect,
   * 0 means 1.
   * @default max(1, min(4, cores - 1))
   */
  threads?: number;
  /**
   * Whether Node's event loop serves the connections itself while it has time, and the I/O threads while it has not. The
   * change happens by itself; `getStats().workers` tells who leads. With `false` the threads always serve them, also
   * those of all other apps of this thread of Node.js. Has no effect in other runtimes than Node.js, or on other systems than
   * Linux and macOS: there the threads always serve them.
   * @default true
   */
  inline?: boolean;

  // Limits of HTTP: integers, fixed for the life of the app. Times are milliseconds up to 2^31-1, and fire up to 0.1 s late;
  // none runs while this server does not read (`res.pause()`, a busy event loop), and none applies to a WebSocket. What a
  // client sees of each stands in docs/limits.md.

  /**
   * Longest request head, in bytes: request line, headers and the empty line. 256–65,535. A longer head is answered
   * with 431; with 414 if the request line alone is too long, and with 501 if the method alone is.
   * @default 16384
   */
  maxHeaderSize?: number;
  /** Maximum number of headers of a request, 0–65,535; 0 means no limit but `maxHeaderSize`. Beyond it: 431. @default 100 */
  maxHeadersCount?: number;
  /**
   * Longest request body, in bytes without the framing of chunks, up to 2^53-1; 0 means no limit. A `Content-Length` above
   * it is answered with 413 before a handler runs. A chunked body is aborted when the size of a chunk exceeds it: with
   * 413 unless a response has started, and `onAborted` gets the cause `ERR_HTTP_BODY_TOO_LARGE`. @default 0
   */
  maxBodySize?: number;
  /**
   * Time for a request head, from the accept or from the first byte of a later request; 0 means for ever. After it the
   * server answers 408, or closes without an answer if no byte has arrived. @default 10000
   */
  headersTimeout?: number;
  /**
   * Time for a whole request, head and body, from the same moment; 0 means for ever. After it the server does the same as
   * after `headersTimeout` or, within the body, `bodyTimeout`. Off by default, unlike in Node: `minBodyRate` bounds a body
   * too, and lets a large one take its time.
   * @default 0
   */
  requestTimeout?: number;
  /** Time between a response and the next request, after which the connection closes; 0 means for ever. @default 10000 */
  keepAliveTimeout?: number;
  /**
   * Time in which `bodyTimeout` × `minBodyRate` bytes of a request body must arrive, in every such interval until the
   * body ends; 0 means for ever. Otherwise the server answers 408 unless a response has started, and `onAborted` gets the
   * cause `ERR_HTTP_BODY_TIMEOUT`.
   * @default 10000
   */
  bodyTimeout?: number;
  /** Bytes of a request body per second, 0 – 2^32-1; with 0, one byte per `bodyTimeout` suffices. @default 16384 */
  minBodyRate?: number;
  /**
   * Time in which a client must take `responseTimeout` × `minResponseRate` bytes of its buffered output, in every such
   * interval while output is buffered; 0 means for ever. Otherwise the connection is dropped, and `onAborted` gets the cause
   * `ERR_HTTP_RESPONSE_TIMEOUT`. The time that a handler takes to answer is not limited. @default 10000
   */
  responseTimeout?: number;
  /** Bytes of a response per second, 0 – 2^32-1; with 0, one byte per `responseTimeout` suffices. @default 1024 */
  minResponseRate?: number;
  /**
   * Bytes of a request body that are read and dropped after its response, 0 – 2^32-1, so that the connection can be reused.
   * If more bytes are outstanding, the connection is closed. @default 262144
   */
  maxDiscardedBody?: number;
  /**
   * Bytes of pipelined requests that may wait behind an unanswered one, 1 – 2^32-1; one read of at most 128 KiB may exceed
   * it. At the limit the server stops reading, so TCP flow control stops the client, and a disconnect is not detected.
   * @default 65536
   */
  maxPipelinedBytes?: number;
  /**
   * Bytes of output that may be buffered because clients read too slowly, over all connections of the app, 0 – 2^53-1; 0
   * means no limit. Beyond it, connections, or streams of HTTP/2 and HTTP/3, of slow readers are dropped
   * (`ERR_OUTPUT_LIMIT` for `close` or `onAborted`), those first for which most bytes wait for the longest time, until an
   * eighth of the limit is free. The default is a quarter of the memory that the process may use: of the machine, or of its
   * control group. {@link AppStats.queues} has the current number and the limit.
   */
  maxBufferedOutput?: number;
  /**
   * Whether a program is warned (`process.on('warning')`, code `FERROWS_CUT`) when several of its WebSockets have been cut
   * after the same time of silence, once for each such time: see {@link AppStats.patterns}. @default false
   */
  cutWarnings?: boolean;

  /**
   * Whether the system sends probes on idle connections (`SO_KEEPALIVE`), and ends the connection if the peer does not
   * answer them (`ERR_TRANSPORT_TIMED_OUT`). As in Node, not to be confused with {@link keepAliveTimeout}. Off, because
   * WebSockets are pinged and HTTP has limits of its own; docs/load-balancers.md says when to turn it on. @default false
   */
  keepAlive?: boolean;
  /**
   * Milliseconds of silence before the first probe (`TCP_KEEPIDLE`), 0 – 32,767,000, rounded up to seconds; 0 leaves it to
   * the system, on Linux two hours. @default 0
   */
  keepAliveInitialDelay?: number;
  /**
   * Milliseconds between probes that are not answered (`TCP_KEEPINTVL`), 0 – 32,767,000, rounded up to seconds; 0 leaves it
   * to the system, on Linux 75 s. @default 0
   */
  keepAliveInterval?: number;
  /**
   * Unanswered probes after which the connection ends (`TCP_KEEPCNT`), 0 – 127; 0 leaves it to the system, on Linux
   * 9. @default 0
   */
  keepAliveProbes?: number;
  /**
   * Milliseconds for which sent data may stay unacknowledged, or the peer's receive window closed, 0 – 2^31-1
   * (`TCP_USER_TIMEOUT`, RFC 5482). After it the connection ends with `ERR_TRANSPORT_TIMED_OUT`. 0 means the system's
   * default: about a quarter of an hour, and no limit. Linux only, ignored elsewhere. @default 0
   */
  tcpUserTimeout?: number;

  /**
   * Reads the PROXY protocol, versions 1 and 2, from trusted peers. Off by default, because a peer that is trusted can claim
   * any address.
   */
  proxyProtocol?: ProxyProtocolOptions | null;
  /**
   * Whether clients may use HTTP/2: `SSLApp` offers it beside HTTP/1.1 (ALPN), `App` takes it from clients that know
   * ("h2c with prior knowledge"). Handlers stay as they are, and `ws` routes are open to WebSockets over HTTP/2 (RFC 8441).
   * An object sets its limits. docs/http2.md says what is different.
   *
   * Throws `ERR_INVALID_ARG_TYPE` for anything else. @default false
   */
  http2?: boolean | Http2Options | null;
  /**
   * Whether clients may use HTTP/3: `listen` then binds a UDP port beside the TCP port of the same number, and responses over
   * TCP say so (`Alt-Svc`), by which browsers find it. For `SSLApp`, because QUIC is always encrypted. Handlers stay as they
   * are, and `ws` routes are open to WebSockets over HTTP/3 (RFC 9220). An object sets its limits. docs/http3.md says what is
   * different.
   *
   * Throws `ERR_INVALID_ARG_TYPE` for anything else, and `ERR_INVALID_ARG_VALUE` for an `App`. @default false
   */
  http3?: boolean | Http3Options | null;
  /**
   * Shares the topics of this app with all apps of the same name, in this thread, in all other `worker_threads` of the
   * process and, with a `url`, in other processes: `publish` and `ws.publish` reach the subscribers of all of them. Without
   * it, the app keeps its topics to itself. docs/scaling.md says what is guaranteed.
   *
   * Throws `ERR_INVALID_ARG_VALUE` if apps of this process have the same name and another `url` or `maxPending`, and
   * `ERR_LISTEN` or another code of the system if it refuses a thread. @default undefined
   */
  broker?: BrokerOptions | null;
  /** Accepted and ignored by `App`, as the other TLS options below: it serves plain TCP. */
  key_file_name?: RecognizedString;
  /** Accepted and ignored by `App`. */
  cert_file_name?: RecognizedString;
  /** Accepted and ignored by `App`. */
  ca_file_name?: RecognizedString;
  /** Accepted and ignored by `App`. */
  passphrase?: RecognizedString;
  /** Accepted and ignored by `App`. */
  dh_params_file_name?: RecognizedString;
  /** Accepted and ignored by `App`. */
  ssl_ciphers?: RecognizedString;
  /** Accepted and ignored by `App`. */
  ssl_prefer_low_memory_usage?: boolean;
}

/**
 * Limits of a connection with HTTP/2, beside those of HTTP ({@link AppOptions}). Each is an integer; a wrong one throws
 * `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE`. docs/http2.md says what each of them stops.
 */
export interface Http2Options {
  /** Streams that a client may have open at a time, 1 – 10,000; further ones are refused. @default 100 */
  maxConcurrentStreams?: number;
  /** Bytes of a request body, or of a WebSocket, that may be under way on a stream, 1,024 – 2^31-1. @default 262144 */
  initialWindowSize?: number;
  /** The same of all streams of a connection, 65,535 – 2^31-1. @default 1048576 */
  connectionWindowSize?: number;
  /**
   * Streams that may end in error at once, because the client resets them or breaks a rule, 1 – 2^31-1; more end the
   * connection. @default 1000
   */
  streamResetBurst?: number;
  /** The same per second in the long run, 0 – 2^31-1. @default 33 */
  streamResetRate?: number;
  /** Frames that ask for nothing, such as PING, at once, 1 – 2^31-1; more end the connection. @default 1000 */
  idleFrameBurst?: number;
  /** The same per second in the long run, 0 – 2^31-1. @default 100 */
  idleFrameRate?: number;
}

/**
 * Limits of a connection with HTTP/3, beside those of HTTP ({@link AppOptions}), and options of its QUIC. A wrong one throws
 * `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE`. docs/http3.md says what each of them stops.
 */
export interface Http3Options {
  /** Streams that a client may have open at a time, 1 – 10,000. @default 100 */
  maxConcurrentStreams?: number;
  /** Bytes of a request body, or of a WebSocket, that may be under way on a stream, 1,024 – 2^31-1. @default 262144 */
  initialWindowSize?: number;
  /**
   * The same of all streams of a connection, 1,024 – 2^31-1; at least as much as `maxConcurrentStreams` times
   * `initialWindowSize`, so that a body that is not read stops no other. @default 1048576
   */
  connectionWindowSize?: number;
  /** Bytes of the table with which a client may compress the fields of its requests (QPACK), 0 – 2^20. @default 4096 */
  headerTableSize?: number;
  /** Requests of a connection that may wait for entries of that table, 0 – 10,000. @default 16 */
  blockedStreams?: number;
  /**
   * Streams that may end in error at once, because the client resets them or breaks a rule, 1 – 2^31-1; more end the
   * connection. @default 1000
   */
  streamResetBurst?: number;
  /** The same per second in the long run, 0 – 2^31-1. @default 33 */
  streamResetRate?: number;
  /** What asks for nothing, such as frames of unknown types, at once, 1 – 2^31-1; more end the connection. @default 1000 */
  idleFrameBurst?: number;
  /** The same per second in the long run, 0 – 2^31-1. @default 100 */
  idleFrameRate?: number;
  /**
   * Time without a packet from the client after which a connection is lost, in milliseconds up to 2^31-1; 0 means never. The
   * client's own limit counts, too. This side sends a packet each third of it, which a client that is there acknowledges.
   * @default 30000
   */
  idleTimeout?: number;
  /**
   * Whether every client has to show that it receives at its address before it costs a handshake ("Retry"), which takes it
   * one round trip. With `false` that is so only while many handshakes are under way. @default false
   */
  retry?: boolean;
  /** Whether a client may go on from another address, as one does that leaves its Wi-Fi. @default true */
  migration?: boolean;
}

/**
 * Which peers may report a client's address. A proxy in front of this server sends the client's address before the client's
 * first byte, in a header of the PROXY protocol, version 1 or 2 (`send-proxy` and `send-proxy-v2` of HAProxy, nginx, Envoy,
 * the network load balancers of the clouds). `getProxiedRemoteAddress` and its variants then return it, for every request
 * of the connection and for its WebSocket.
 *
 * - From a peer that is not listed such a header is a broken request, answered with 400 (`ERR_HTTP_PROXY_HEADER`).
 * - A header that is malformed, or longer than 4112 bytes (107 in version 1), is answered with 400 too, and the connection
 *   closes. It must arrive within `headersTimeout`, counted from the accept.
 * - `LOCAL` connections and `PROXY UNKNOWN` (health checks of the proxy), UDP and Unix addresses report no address. TLVs are
 *   skipped.
 */
export interface ProxyProtocolOptions {
  /**
   * Addresses (`'192.0.2.1'`), networks in CIDR notation (`'10.0.0.0/8'`, `'fd00::/8'`), and `'unix'` for peers on Unix
   * sockets; at least one. An IPv4 entry also means IPv4 peers of a dual-stack socket.
   */
  trust: readonly string[];
  /** Whether a listed peer that sends no header is refused (400). @default false */
  required?: boolean;
  /**
   * The header field, in lower case, in which the listed peers note where a request comes from, for
   * {@link HttpResponse.clientAddress}. Name the one that your proxy maintains: the other one may come from the client
   * unchanged. Without it no field is believed. @default undefined
   */
  forwarded?: 'x-forwarded-for' | 'forwarded';
}

/**
 * Creates an app: routes, and the sockets that serve them. It opens no socket before `listen`.
 *
 * Throws `ERR_INVALID_ARG_TYPE` if `options` is neither an object nor null nor undefined, and for an option that is not a
 * number; `ERR_OUT_OF_RANGE` for one that is not an integer in its range, `ERR_INVALID_ARG_VALUE` for an entry of
 * `proxyProtocol.trust` that is not an address, a network or `'unix'`, and for another `proxyProtocol.forwarded` than the
 * two. The message names the option.
 */
export function App(options?: AppOptions | null): TemplatedApp;

/**
 * Certificates, client authentication and cipher suites; see docs/tls.md. Every document is PEM: give the path of its file,
 * or the document itself. Files are read within the call.
 */
export interface TlsOptions {
  /** Path of the private key: RSA (2048 – 4096 bits), ECDSA (P-256, P-384) or Ed25519; encrypted or not. */
  key_file_name?: RecognizedString;
  /** The private key itself. */
  key?: RecognizedString;
  /** Path of the certificate, followed by the intermediate certificates. */
  cert_file_name?: RecognizedString;
  /** The certificate, followed by the intermediate certificates. */
  cert?: RecognizedString;
  /** The passphrase of an encrypted private key. */
  passphrase?: RecognizedString;
  /**
   * Path of the certificates of the authorities whose client certificates are accepted. The server then requests a
   * certificate: a client need not send one, but one that it sends must verify. The empty string means none.
   */
  ca_file_name?: RecognizedString;
  /** The certificates of these authorities. */
  ca?: RecognizedString;
  /** Whether clients without a certificate are refused. Needs `ca_file_name` or `ca`. @default false */
  requireClientCertificate?: boolean;
  /**
   * Cipher suites, as a list in OpenSSL's syntax: names of OpenSSL or IANA, and groups (`HIGH:!aNULL`). If it names no
   * suite of TLS 1.3, all of those stay enabled. Suites that are known but not implemented are skipped, and logged.
   */
  ssl_ciphers?: RecognizedString;
  /** Path of Diffie-Hellman parameters. The file is checked but not used: DHE suites are not implemented. */
  dh_params_file_name?: RecognizedString;
  /** Whether to keep no sessions in memory. Clients can still resume with session tickets. @default false */
  ssl_prefer_low_memory_usage?: boolean;
}

/** Options of {@link SSLApp}: those of {@link App} and for TLS. A private key and its certificate are required. */
export interface SSLAppOptions extends AppOptions {
  /**
   * Time for a TLS handshake, from the accept (or from the header of the PROXY protocol), in milliseconds up to 2^31-1,
   * after which the connection closes; 0 means for ever. The timeouts of the first request start after it. @default 10000
   */
  handshakeTimeout?: number;
  /**
   * Maximum number of concurrent TLS handshakes, 1 – 2^32-1, divided evenly among the I/O threads. A connection counts from
   * its first byte on. Beyond the limit, the handshake that started first is ended. @default 4096
   */
  maxHandshakes?: number;
}

/**
 * Creates an app that speaks TLS 1.2 and 1.3 on every connection, and is otherwise like one of {@link App}. The I/O threads
 * do handshakes and encryption. Returning clients resume their sessions with tickets. Renegotiation is refused, and
 * by ALPN every protocol but `http/1.1` (and `http/1.0`). A client that speaks HTTP without TLS is answered 400.
 *
 * Throws what `App` throws, and for invalid TLS options an error whose code starts with `ERR_TLS_` and whose
 * message names the option ("App construction failed: …"). A certificate that has expired, or is not valid yet, is used
 * all the same, and a warning is logged.
 */
export function SSLApp(options: SSLAppOptions): TemplatedApp;

/**
 * Creates an app that speaks HTTP/3 alone, and is otherwise like one of {@link SSLApp}: `listen` binds a UDP port and none of
 * TCP. `http3` sets its limits. Browsers find HTTP/3 by the responses of an app that speaks TCP, which is why most programs
 * want {@link SSLApp} with `http3`.
 *
 * Throws what `SSLApp` throws, and `ERR_INVALID_ARG_VALUE` for `http2`, and for `http3: false`. `listen({ fd })`, `listen_unix`,
 * `adoptSocket` and `handleUpgrade` of such an app throw `ERR_INVALID_STATE`.
 */
export function H3App(options: SSLAppOptions): TemplatedApp;

/** A handler of requests. It may be async; a return value other than a promise is ignored. */
export type HttpHandler = (res: HttpResponse, req: HttpRequest) => unknown;

/**
 * How long `get` caches responses, in seconds, with fractions, at most a year.
 *
 * A cached response is sent to requests whose path, query and `Host` equal those of the request that it answered, byte for
 * byte. Nothing else of a request is part of the cache key: **a handler must not read other headers, such as cookies**,
 * or other clients get a response that depends on them. Requests with `Authorization` or with a body go to the handler, and
 * its responses to them are not cached. Clients cannot bypass the cache (`Cache-Control` of a request has no effect).
 *
 * Cached are responses completed by `end` or `tryEnd` with status 200, 203, 204, 300, 301, 302, 307, 308, 404 or 410; not
 * those with `Set-Cookie`, `Vary`, or a `Cache-Control` of `no-store`, `private` or `no-cache`, nor those above 1 MiB or
 * with another length than `tryEnd` announced.
 * A thread caches at most 10,000 responses and 64 MiB in all; beyond that, the least recently used ones are removed.
 * Requests that arrive before the first response is complete all go to the handler.
 */
export interface CacheOptions {
  /** Age in seconds below which every request gets the cached response. @default 0 */
  lowerExpiry?: number;
  /**
   * Age in seconds from which no request gets it any more. In between, one request goes to the handler, which makes a new
   * response; the others get the old one until then. At least `lowerExpiry`. @default lowerExpiry
   */
  upperExpiry?: number;
}

/** A handler whose responses are cached. */
export type CachedHandler = (res: CachedHttpResponse, req: HttpRequest) => unknown;

/** What {@link TemplatedApp.handleUpgrade} reads of an `http.IncomingMessage`. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/** The socket of {@link TemplatedApp.handleUpgrade}: a `stream.Duplex` of bytes. */
export interface UpgradeSocket {
  on(event: string, listener: (...args: any[]) => void): unknown;
  pipe(destination: any): unknown;
  read(): unknown;
  write(chunk: any): boolean;
  end(): unknown;
  destroy(error?: Error): unknown;
}

/** Bytes: a Buffer, for example. */
export type RecognizedBytes = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** Options of {@link TemplatedApp.handleUpgrade}. */
export interface HandleUpgradeOptions {
  /** Whether a request that no `ws` route matches is left untouched instead of being refused. @default false */
  passOn?: boolean;
}

/** The server of {@link attach}: an `http.Server` or `https.Server`. */
export interface UpgradeServer {
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
  emit(event: string, ...args: any[]): boolean;
  listenerCount(event: string): number;
}

/** The open WebSockets of an app, for `for … of`. */
export interface OpenWebSockets extends Iterable<OpenWebSocket<any>> {
  /** Their number at this moment; counted at every access. */
  readonly size: number;
}

/**
 * The handler of {@link TemplatedApp.filter}: `count` is 1 when the connection opens, -1 when it ends. A handler that
 * declares `res` as {@link HttpResponse}, as for uWebSockets.js, is accepted too, but it cannot write a response.
 */
export type ConnectionFilter = { filter(res: HttpConnection, count: 1 | -1): unknown }['filter'];

/** A listening socket; made by `listen`, for {@link us_listen_socket_close} and {@link us_socket_local_port} only. */
export interface ListenSocket {
  readonly [listenSocket]?: never;
}
/** The name uWebSockets.js gives to {@link ListenSocket}. */
export type us_listen_socket = ListenSocket;
/** The name that uWebSockets.js gives to a socket of any kind. Both libraries return listening sockets only. */
export type us_socket = ListenSocket;

/** The `code` of a {@link ListenError}: what Node calls the same error. */
export type ListenErrorCode =
  /** Another socket listens on the port, and one of the two does not share it ({@link LIBUS_LISTEN_DEFAULT}). */
  | 'EADDRINUSE'
  /** This machine does not have that address. */
  | 'EADDRNOTAVAIL'
  /** Permission denied: a port below 1024, or the folder of a Unix socket. */
  | 'EACCES'
  /** The host name does not resolve. */
  | 'ENOTFOUND'
  /** The path of a Unix socket: its folder is missing. */
  | 'ENOENT'
  /** The path of a Unix socket: a part of it is no folder. */
  | 'ENOTDIR'
  /** The path of a Unix socket is too long. */
  | 'ENAMETOOLONG'
  | 'EINVAL'
  /** `listen({ fd })`: this process has no descriptor with that number. */
  | 'EBADF'
  /** `listen({ fd })`: the descriptor is not a socket. */
  | 'ENOTSOCK'
  | 'ENOTSUP'
  /** Too many open files. */
  | 'EMFILE'
  /** Another error of the system; the message names it. */
  | 'ERR_LISTEN';

/** Why `listen` failed. */
export interface ListenError extends Error {
  readonly code: ListenErrorCode;
  readonly syscall: 'listen';
}

/**
 * Called with the result of `listen`, before `listen` returns: a token, whose port can be read at once, or `false` and the
 * error. `listen` rethrows what the callback throws.
 */
export type ListenCallback = (token: ListenSocket | false, error?: ListenError) => unknown;

/**
 * The same for `listen_unix`. Its token is a {@link ListenSocket} or `false`, too: check it before you use it. It is
 * declared as `any`, because the types of uWebSockets.js leave `false` out, and programs written for them must compile.
 */
export type ListenUnixCallback = (token: any, error?: ListenError) => unknown;

/** How to listen. The values are also exports of their own. */
export enum ListenOptions {
  /** See the constant {@link LIBUS_LISTEN_DEFAULT}. */
  LIBUS_LISTEN_DEFAULT = 0,
  /** See the constant {@link LIBUS_LISTEN_EXCLUSIVE_PORT}. */
  LIBUS_LISTEN_EXCLUSIVE_PORT = 1,
}

/** A socket to accept on, for {@link TemplatedApp.listen}. */
export interface ListenDescriptorOptions {
  /** The descriptor of the socket, 0 – 2^31-1; the first one that systemd passes is 3. */
  fd: number;
}

/** Who may connect to the socket of {@link TemplatedApp.listen_unix}. A key given as `undefined` means its default. */
export interface ListenUnixOptions {
  /** Permissions of its file, 0 – 0o777, whatever the umask is. To connect takes write permission. @default 0o700 */
  mode?: number;
  /**
   * Group of its file, by name or number. Listening fails with `EINVAL` for an unknown name, and with `EACCES` for a
   * group that this process must not set. @default that of the process
   */
  group?: string | number;
}

/**
 * Share a fixed port with other listening sockets that share it, of this process or another (`SO_REUSEPORT`; on Linux
 * of the same user). Each new connection goes to one of them. A port that the system has chosen (0) is never shared.
 */
export const LIBUS_LISTEN_DEFAULT: 0;
/** Fail with `EADDRINUSE` if another socket listens on the port, and do not share it afterwards. */
export const LIBUS_LISTEN_EXCLUSIVE_PORT: 1;

/** Counts of connections. */
export interface ConnectionCounts {
  /** Open at this moment. */
  open: number;
  /** Opened since the app was created. */
  total: number;
}

/** With which apps an app shares its topics: the option `broker` of {@link AppOptions}. */
export interface BrokerOptions {
  /**
   * What the apps have in common: 1 to 64 letters, digits, hyphens and underscores of ASCII. Throws
   * `ERR_INVALID_ARG_VALUE` for anything else.
   */
  name: string;
  /**
   * A Redis or Valkey server by which the topics are shared with other processes: `redis://[[user]:password@]host[:port]`,
   * `rediss://` with TLS, or `redis+unix:///path[?user=…&pass=…]`; the master that sentinels name:
   * `redis-sentinel://[[user]:password@]host[:port]/master[?sentinelUsername=…&sentinelPassword=…]` and `rediss-sentinel://`; a
   * cluster from version 7 on: `redis-cluster://[[user]:password@]host[:port]` and `rediss-cluster://`; or NATS servers:
   * `nats://[user:password@|token@]host[:port]` and `tls://`. Sentinels, nodes of a cluster and servers of NATS: with further
   * hosts behind commas. Without it, with apps of this process only. It need not be there yet.
   * Throws `ERR_INVALID_ARG_VALUE` for anything else; the message does not repeat it. @default undefined
   */
  url?: string | null;
  /**
   * Bytes of messages for other processes that wait while there is no connection, 0 – 2^30; beyond that the oldest are lost
   * and counted. @default 1048576
   */
  maxPending?: number;
}

/** See {@link TemplatedApp.countSubscribers}. */
export interface CountSubscribersOptions {
  /** Milliseconds that other processes have to answer, 1 to 2^31-1. Apps of this process need no time. @default 1000 */
  timeout?: number;
}

/**
 * Why there is no connection to a broker: {@link BrokerStateMessage}. docs/scaling.md says what to do about each;
 * `countSubscribers` rejects with `ERR_BROKER_TIMEOUT`.
 */
export type BrokerCauseCode =
  | 'ERR_BROKER_CONNECT'
  | 'ERR_BROKER_TLS'
  | 'ERR_BROKER_AUTH'
  | 'ERR_BROKER_REFUSED'
  | 'ERR_BROKER_MASTER'
  | 'ERR_BROKER_PROTOCOL'
  | 'ERR_BROKER_TOO_LARGE'
  | 'ERR_BROKER_TIMEOUT'
  | 'ERR_BROKER_CLOSED'
  | 'ERR_BROKER_INTERNAL';

/** A change of the connection to a broker, for each thread that has an app there. */
export interface BrokerStateMessage {
  /** The name of the broker. */
  name: string;
  /**
   * The state from now on. `disconnected` is told again when the cause changes, and `connected` when topics have moved to
   * another master of a cluster. With a cluster, `disconnected` may mean one of its masters only.
   */
  state: 'connected' | 'disconnected';
  /** Since when, in milliseconds since the epoch. */
  since: number;
  /** Why there is no connection. */
  cause?: { code: BrokerCauseCode; message: string };
  /** `connected`: when messages of others may have been missed, in milliseconds since the epoch. */
  gap?: { from: number; to: number };
}

/**
 * The broker of an app: part of {@link AppStats}. All apps of the name in this process have the same numbers. Those below
 * `topics` are present with a `url` only, and count since the first of these apps was created.
 */
export interface BrokerStats {
  /** `local` without a `url`; `connecting` until the first attempt to connect has ended. */
  state: 'local' | 'connecting' | 'connected' | 'disconnected';
  /** The name that the apps have in common. */
  name: string;
  /** Apps of this process that have it. */
  apps: number;
  /** Topics that have a subscriber in one of them. */
  topics: number;
  /** Since when the state is this, in milliseconds since the epoch. */
  since?: number;
  /** Topics that are subscribed at the broker. */
  subscribed?: number;
  /** Messages that the broker has taken, and messages of other processes. */
  messages?: { sent: number; received: number };
  /**
   * Messages that did not get there: `sent` here, because too many waited, or the broker refused them (NATS also those
   * larger than its `max_payload`); `received` of other
   * processes, because they did not arrive or an I/O thread was too slow.
   */
  lost?: { sent: number; received: number };
  /** Bytes of the messages. */
  bytes?: { sent: number; received: number };
  /** Bytes that wait to be sent. */
  pending?: number;
  /** Connections after the first one. */
  reconnects?: number;
}

/** Options of {@link TemplatedApp.inspect}. */
export interface InspectOptions {
  /**
   * Decides who may look, instead of the rule that only clients on this machine may: called for each HTTP request of the
   * page. Only `true`, or a promise of it, lets it pass; anything else is answered with 401, upon which browsers ask for
   * a name and a password (`Authorization: Basic`). What it throws or rejects with is reported as uncaught, and answered
   * with 500. `request` may be read until it returns. `client.remoteAddress` is as of
   * {@link HttpResponse.remoteAddress}.
   */
  authorize?(request: HttpRequest, client: { remoteAddress: string | undefined }): boolean | Promise<boolean>;
}

/**
 * The result of `getStats`; docs/observability.md has details. The counters cover this app since it was created, across
 * `listen` and `close`, and never decrease; `queues` and the `open` numbers are gauges. The numbers are not a consistent
 * snapshot: the I/O threads continue while they are read.
 *
 * An event is counted before its handler runs. What the app sends is counted when the I/O thread processes it.
 * WebSockets that `connect` has opened belong to no app and are not counted.
 */
export interface AppStats {
  /** Seconds since the app was created. */
  uptime: number;
  connections: {
    /**
     * Connections that speak HTTP. Every connection starts as one, so `total` counts all accepted connections; `open` does
     * not include WebSockets.
     */
    http: ConnectionCounts;
    /** WebSockets: open from before `open` until before `close`. */
    webSocket: ConnectionCounts;
  };
  /** Requests with a valid head, including WebSocket handshakes. */
  requests: number;
  /** WebSocket messages; pings, pongs and Close frames are not counted. */
  messages: {
    received: number;
    /** Passed to a connection; a published message counts once per recipient. */
    sent: number;
    /** Dropped because of `maxBackpressure`: `send` returned 2, or a subscriber missed a published one. */
    dropped: number;
  };
  /** Bytes of HTTP and WebSocket on the sockets, including framing (with TLS: plaintext). */
  bytes: { received: number; sent: number };
  /** Numbers of ends by cause. Causes that have not occurred are missing. */
  closes: {
    /** WebSockets, by the `info.cause` of their `close` event. */
    webSocket: { [cause in CloseCauseName]?: number };
    /** Responses that were aborted, by the `info.cause` of `onAborted`, whether or not it was attached. */
    aborted: { [cause in CloseCauseName]?: number };
    /** Connections that ended because the client violated HTTP, HTTP/2 or the PROXY protocol: `ERR_HTTP_…`, `ERR_HTTP2_…`,
     * `ERR_PROXY_…`. */
    refused: { [rule: string]: number };
  };
  handshakeFailures: {
    /** TLS handshakes that failed, or were ended because of `maxHandshakes`; the log says why. */
    tls: number;
    /** WebSocket handshakes that were answered with 400 or 426. */
    webSocket: number;
  };
  /**
   * What the closes of WebSockets that neither side wanted have in common: at least 5 of one cause whose silence was the
   * same within a second, and at least half of the latest ones of that cause. Something on the way cuts lines on which
   * nothing moves for so long. At most 8, the earliest first; a new one is logged, too (level `warn`).
   */
  patterns: {
    /** The cause of these closes. */
    cause: CloseCauseName;
    /** For how many seconds nothing had moved, in either direction. */
    silence: number;
    /** How many closes there were. */
    count: number;
    /** All of that, what it probably is, and what to do, in words. */
    text: string;
  }[];
  /** Queue lengths at this moment. */
  queues: {
    /** Events for handlers, of all apps of this thread. If they grow, the handlers are too slow. */
    events: number;
    /** Memory that these events take, in bytes. */
    eventBytes: number;
    /** Commands for the I/O threads, of all apps of this thread. */
    commands: number;
    /** Buffered output of this app, in bytes, that the system has not taken because clients read too slowly. */
    backpressure: number;
    /** Limit of `backpressure`, in bytes, beyond which the slowest readers are dropped; 0 means none. */
    maxBufferedOutput: number;
  };
  /** What the app shares with others; `undefined` without the option `broker`. */
  broker?: BrokerStats;
  /** The I/O threads, which all apps of this thread share. */
  workers: {
    /** The thread name that `top -H` and debuggers show. */
    name: string;
    /**
     * Processor time in seconds; `undefined` on other systems than Linux. Threads end when there is no listening socket and
     * no connection; their time still counts when they start again.
     */
    cpu: number | undefined;
    /**
     * Who drives its sockets at the moment: Node's event loop, or the I/O thread; `undefined` while it does not run. Only the
     * first one may be driven by the event loop ({@link AppOptions.inline}).
     */
    leader: 'node' | 'thread' | undefined;
    /** How often that has changed. */
    switches: number;
    /** How often of these the I/O thread took over because the event loop was blocked. */
    seizures: number;
  }[];
}

/**
 * The messages on channels of `node:diagnostics_channel`, by the names of the channels; docs/observability.md says when they
 * are published. Subscribers only observe: the objects belong to the handlers.
 */
export interface DiagnosticsMessages {
  /** A WebSocket opens; before its `open` handler. */
  'ferrows:websocket:open': { ws: WebSocket<unknown> };
  /** A WebSocket is closed; before its `close` handler. */
  'ferrows:websocket:close': { ws: WebSocket<unknown>; code: number; reason: string; info: WebSocketCloseInfo };
  /** A message was dropped; before the `dropped` handler, whose arguments these are. `message` is to be copied if kept. */
  'ferrows:websocket:dropped': { ws: WebSocket<unknown>; message: ArrayBuffer; isBinary: boolean; unreported: number };
  /** A response is aborted; before its handlers. */
  'ferrows:http:aborted': { res: HttpResponse; reason: string; info: CloseInfo };
  /** There is a connection to a broker, or none any more. */
  'ferrows:broker:state': BrokerStateMessage;
}

/**
 * An app. Its methods may be called at any time, inside handlers and after `listen` too, and take effect before they
 * return. Methods that return the app can be chained.
 *
 * **Patterns** are paths of segments: literal (`/users`), parameter (`/:id`, exactly one non-empty segment) and, last,
 * wildcard (`/*`, one or more segments, of which the first may be empty). Literals win over parameters, parameters
 * over wildcards, whatever the order of registration; the routes of a method win over `any`, `ws` routes over both.
 * Paths are matched as they arrive: case-sensitive, not percent-decoded, `/a/` is not `/a`. At most 100 segments.
 * The same method and pattern (names of parameters ignored) replaces the route; `null` instead of a handler removes
 * it. A request that matches no route is answered with 404, unless `any('/*')` is registered.
 *
 * A pattern starts with a slash. Otherwise its first character counts as the slash, whatever it is: `'test'` means
 * `'/est'` and `'*'` means `'/'`, as in uWebSockets.js. The first such pattern of a process causes a warning, and so
 * does the first one that matches nothing: an empty one, one with segments after its wildcard, one of more than 100
 * segments (`process.on('warning')`, code `FERROWS_PATTERN`).
 *
 * A HEAD request that matches no route of `head` or `any` goes to the route of GET. Its handler answers as for GET, and only
 * the head of the response is sent (RFC 9110 §9.3.2).
 *
 * A handler must answer before it returns, or attach `res.onAborted` and answer later. If it does neither, a
 * warning is emitted, once per route (`process.on('warning')`). An `ArrayBuffer` instead of a handler is a response that
 * is the same for every request, or nearly so: see {@link DeclarativeResponse}.
 *
 * Routes throw `ERR_INVALID_ARG_TYPE` for patterns that are not text and handlers that are neither functions nor
 * ArrayBuffers nor null, and `ERR_INVALID_ARG_VALUE` for an ArrayBuffer that `DeclarativeResponse` did not make.
 */
export interface TemplatedApp {
  /** Routes GET requests. Returns the app. */
  get(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /**
   * Routes GET requests, and caches the responses: the handler is not called while a cached response is fresh. See
   * {@link CacheOptions} for how long, and for what is never cached. Replacing or removing the route removes its cached
   * responses. Returns the app.
   *
   * A number of seconds is short for `{ lowerExpiry: seconds }`. A HEAD request is answered from the cache of GET; a
   * response to HEAD is not cached.
   *
   * Throws `ERR_INVALID_ARG_TYPE` if `options` is neither an object nor a number, or an expiry is not a number;
   * `ERR_OUT_OF_RANGE` for an expiry below 0 or above a year, or an `upperExpiry` below `lowerExpiry`.
   */
  get(
    pattern: RecognizedString,
    handler: CachedHandler | ArrayBuffer | null,
    options: CacheOptions | number | undefined,
  ): this;
  /** Routes POST requests. Returns the app. */
  post(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes OPTIONS requests. Returns the app. */
  options(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes DELETE requests. Returns the app. */
  del(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes PATCH requests. Returns the app. */
  patch(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes PUT requests. Returns the app. */
  put(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /**
   * Routes HEAD requests, which otherwise go to the routes of `any` and then of GET. Only the head of the response is sent;
   * `endWithoutBody` announces the length of a body without creating it. Returns the app.
   */
  head(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes CONNECT requests. Returns the app. */
  connect(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes TRACE requests. Returns the app. */
  trace(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;
  /** Routes requests of every method, known or not, after the routes of their own method. Returns the app. */
  any(pattern: RecognizedString, handler: HttpHandler | ArrayBuffer | null): this;

  /**
   * Routes GET and HEAD requests to the files below a folder. `pattern` consists of literal segments and ends with
   * `/*`; the wildcard matches the path of the file: with `app.serveFiles('/assets/*', 'public')`, `/assets/a/b.css` is
   * `public/a/b.css`. Returns the app. The options are {@link ServeFilesOptions}.
   *
   * - A file is read at the pace of the client, 64 KiB at a time, and is closed when the response is over. A slow
   *   client keeps at most 128 KiB of it in memory; a file that is sent to several clients at the same time is opened
   *   once.
   * - Responses have `ETag` and `Last-Modified`; conditional requests are answered with 304 or 412 (RFC 9110 §13). One
   *   range is answered with 206 or 416, and `If-Range` is evaluated; for several ranges the whole file is sent (RFC
   *   9110 §14).
   * - A path that ends with a slash means the `index` of that folder; the path of a folder without the slash is
   *   redirected there (301). The answer is 404 if there is no file, 403 if this process must not read it, and 503
   *   while the process has too many open files.
   * - No path leads out of the folder: `..`, empty names, and names that contain `/`, `\` or NUL after decoding are not
   *   found. Neither are names that start with a dot, nor files to which a symbolic link leads out of the folder. The
   *   system checks the latter while it opens the file, so replacing a folder by a link at that moment has no effect
   *   (except on Windows, by somebody who has write permission in the folder).
   *
   * Throws `ERR_INVALID_ARG_VALUE` if the pattern has another form, or `directory` is no directory or cannot be read;
   * `ERR_INVALID_ARG_TYPE` or `ERR_HTTP_INVALID_HEADER` for bad options.
   */
  serveFiles(pattern: string, directory: string, options?: ServeFilesOptions | null): this;

  /**
   * Routes WebSocket handshakes: GET requests with a `Sec-WebSocket-Key` of 24 characters. Other requests go to the
   * other routes. A handshake that violates a rule (RFC 6455 §4.2.1) is answered with 400, or with 426 for another
   * version, and a body that names the rule, before a handler runs. Returns the app. Throws `ERR_INVALID_ARG_TYPE` or
   * `ERR_OUT_OF_RANGE` for bad settings.
   */
  ws<UserData = unknown>(pattern: RecognizedString, behavior: WebSocketBehavior<UserData>): this;
  ws<UserData = unknown>(pattern: RecognizedString, behavior: StringBehavior<UserData>): this;
  ws<UserData = unknown>(
    pattern: RecognizedString,
    behavior: WebSocketBehavior<UserData, 'string'> & { text: 'string' },
  ): this;

  /**
   * Starts listening; an app may have several listening sockets. `port` is 0–65535; with 0 the system chooses a free
   * port. Without `host` the app listens on all IPv4 and IPv6 addresses, and IPv4 peers appear as IPv4-mapped IPv6. A
   * host name is resolved before the call returns, and its first address is used. A failure is passed to the callback,
   * not thrown.
   *
   * Returns the app. Throws `ERR_OUT_OF_RANGE` for the port, and what the callback throws.
   */
  listen(port: number, callback: ListenCallback): this;
  /** The same, with {@link ListenOptions}. */
  listen(port: number, options: ListenOptions | undefined, callback: ListenCallback): this;
  /** The same, on one address: an IPv4 or IPv6 address or a host name. */
  listen(host: RecognizedString, port: number, callback: ListenCallback): this;
  /** The same, on one address and with {@link ListenOptions}. */
  listen(host: RecognizedString, port: number, options: ListenOptions | undefined, callback: ListenCallback): this;
  /**
   * Starts listening on a socket that another process has bound, such as systemd (docs/deployment.md): a TCP or Unix
   * stream socket, which may listen already. The app accepts on a copy of the descriptor; the original stays open. A
   * failure is passed to the callback: `EBADF`, `ENOTSOCK`, `EINVAL` for sockets of another kind or that are connected,
   * `ENOTSUP` on Windows.
   *
   * Returns the app. Throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` if `fd` is no descriptor, and what the callback
   * throws.
   */
  listen(options: ListenDescriptorOptions, callback: ListenCallback): this;
  /**
   * Without a callback: resolves to the token once the app listens, and is rejected with the {@link ListenError}, or with
   * what the other forms throw.
   */
  listen(port: number, options?: ListenOptions): Promise<ListenSocket>;
  /** The same, on one address. */
  listen(host: RecognizedString, port: number, options?: ListenOptions): Promise<ListenSocket>;
  /** The same, on a socket that another process has bound. */
  listen(options: ListenDescriptorOptions): Promise<ListenSocket>;
  /**
   * Starts listening on a Unix socket. Only its owner may connect, unless `options` say otherwise. An existing socket
   * at `path` is replaced; listening fails with `EADDRINUSE` if another kind of file exists there. A failure is passed
   * to the callback, not thrown. Note the order of arguments: the callback comes first.
   *
   * Returns the app. Throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for bad options, and what the callback throws.
   */
  listen_unix(callback: ListenUnixCallback, path: RecognizedString, options?: ListenUnixOptions | null): this;

  /**
   * Calls `handler` for every connection of this app that is accepted from now on: with 1 before its first request, and
   * with -1 after its end, whatever the cause. So the sum of the counts is the number of open connections; a
   * WebSocket counts until it closes. Several filters are called in the order of their registration. Apps without
   * filters have no cost. Returns the app.
   *
   * - The call with 1 is made as soon as the client's address is known: on accept, or for a trusted peer of
   *   {@link AppOptions.proxyProtocol} after the PROXY header or the first byte of something else. For a peer that sends
   *   neither, no call is made.
   * - The call with -1 is made after `onAborted` or `close` of the connection, and inside of {@link close}.
   * - For a connection that a child app has taken over, the filters of the child are called.
   */
  filter(handler: ConnectionFilter): this;
  /** The same, for handlers written for uWebSockets.js; they cannot write a response. */
  filter(handler: (res: HttpResponse, count: number) => unknown): this;

  /**
   * Returns the number with which other apps of this process, in this thread or in others (`worker_threads`), can hand
   * connections to this one: see {@link addChildAppDescriptor}. It stays the same until `close`; from the first call
   * until then the app keeps the thread alive, as a listening socket does.
   */
  getDescriptor(): AppDescriptor;
  /**
   * Hands the connections that this app accepts from now on to the app with this descriptor, or to all such child apps
   * in turn. An app without children serves its connections itself; it can be its own child to serve a share of them.
   * Adding a child again has no effect. A child that is closed, or whose thread ends, is removed; its connections end
   * with it. Returns the app (for the types of uWebSockets.js, nothing; hence `void`, which does no harm).
   *
   * Throws `ERR_INVALID_STATE` for a number that is not the descriptor of an existing app.
   */
  addChildAppDescriptor(descriptor: AppDescriptor): this & void;
  /**
   * Hands no more connections to this child; it keeps those that it has. No effect if it is no child. Returns the app.
   */
  removeChildAppDescriptor(descriptor: AppDescriptor): this & void;

  /**
   * Serves a connection that was accepted elsewhere: `fd` is the number of a descriptor of this process, of a connected TCP
   * or Unix stream socket. `ip`, as text or as 4 or 16 bytes, replaces the peer's address that the socket reports. The
   * connection is then like any other of this app: it keeps the process alive, filters are called for it, and `close`
   * closes it. Returns the app.
   *
   * The app uses a copy of the descriptor. Close the original without reading or writing, right after the call
   * (`socket.destroy()` of a `net.Socket` that was never read, `fs.closeSync(fd)`); the connection stays open as long
   * as it is.
   *
   * Throws `ERR_OUT_OF_RANGE` for `fd`, `EBADF`, `ENOTSOCK`, `ENOTCONN`; `ERR_INVALID_ARG_VALUE` for sockets of another kind
   * and for `ip`; `EMFILE`; `ENOTSUP` on Windows, where sockets have no descriptors.
   */
  adoptSocket(fd: number, ip?: RecognizedString): this;

  /**
   * Takes a connection over from an HTTP server of Node's, at its `'upgrade'` event, whose arguments these are: of
   * `http.Server` and `https.Server`, and so of Express, Fastify, Next.js or Vite (docs/with-node-servers.md). {@link attach}
   * does all of it. The `ws` routes match the request as if the app had received it itself: patterns, server names, the
   * `upgrade` handler, subprotocols, compression, limits, statistics, causes and `shutdown` are those of any connection of
   * this app. Its HTTP routes are not used. A request that no `ws` route matches is answered with 404 and a reason. Any
   * response other than an upgrade closes the connection.
   *
   * Returns whether the connection was taken over: `true`, or with `passOn` `false` if no route matches; then nothing
   * was done. May be called after the event, for example after an `await`: what the client sends meanwhile is not lost.
   *
   * - The descriptor of a plain TCP or Unix socket of Node's goes to an I/O thread; the connection then costs no more
   *   than any other. `socket` is destroyed, which does not affect the connection. The takeover waits until the
   *   responses to earlier requests of the connection are written.
   * - The bytes of any other stream (`https.Server`, Windows, other runtimes, any `stream.Duplex`) go through a local
   *   pair of sockets between JavaScript and the I/O thread. That is slower, uses Node's thread for every byte, and has
   *   some 300 KiB of buffers that back-pressure does not count. `remoteAddress`, `remotePort`, `servername` and the
   *   certificate of a client that Node has found `authorized` are passed on.
   * - If the system has no more descriptors, the connection is closed, with a warning (`process.on('warning')`, code
   *   `FERROWS_TAKEOVER`).
   *
   * Throws `ERR_INVALID_STATE` for a socket that was handed over already.
   */
  handleUpgrade(
    request: UpgradeRequest,
    socket: UpgradeSocket,
    head: RecognizedBytes | null | undefined,
    options?: HandleUpgradeOptions | null,
  ): boolean;

  /** The open WebSockets of this app, in no particular order. One that opens during an iteration may be included. */
  readonly webSockets: OpenWebSockets;

  /**
   * Sends one message to every WebSocket subscribed to exactly this topic. It is encoded once, whatever their number,
   * and arrives in the order of `send` and `publish` calls. A subscriber for whom more than `maxBackpressure` is waiting
   * already misses it.
   *
   * With a `broker`, all of this holds for the subscribers of every app of its name.
   *
   * What a handler publishes leaves together when it has returned; and what a callback outside of handlers does, before the
   * event loop waits for events: as soon as it is much, while the callback still runs.
   *
   * Returns whether there was a subscriber; without a broker, `false` too while no `ws` route exists.
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary?: boolean, compress?: boolean): boolean;
  /** The number of WebSockets of this app subscribed to exactly this topic, at this moment. */
  numSubscribers(topic: RecognizedString): number;
  /**
   * The number of WebSockets subscribed to exactly this topic in all apps that share it (`broker`); without a broker, in
   * this app. Those of other threads are counted while they come and go, and those of other processes by asking.
   *
   * Rejects with `ERR_BROKER_TIMEOUT` if another process does not answer in time, or there is no connection to the broker;
   * with `ERR_MISSING_ARGS`, `ERR_INVALID_ARG_TYPE`, and `ERR_OUT_OF_RANGE` for a `timeout` out of its range.
   */
  countSubscribers(topic: RecognizedString, options?: CountSubscribersOptions): Promise<number>;

  /**
   * Returns the counters and gauges of this app: see {@link AppStats}. A new object each time. The call takes tens of
   * microseconds; counting itself takes no lock and no memory per connection. May be called at any time, after `close` too.
   */
  getStats(): AppStats;

  /**
   * Serves a page at `pattern` that shows this app live: its WebSockets, closes with cause and times, patterns, rates,
   * queues, the event loop and the I/O threads; and the pages of `docs`. See docs/inspect.md. Off unless it is called, and
   * without cost while no page is open, but for its routes.
   *
   * `pattern` is a path without parameters and wildcards, such as `/_ferrows`. Routes are added for it and for addresses
   * below it: `GET` of the page and what it consists of, `POST` of `ticket`, and the WebSocket `live`, which counts as
   * one of the app's while a page is open. At most 16 pages are open at the same time.
   *
   * Without `authorize` only clients on this machine may look: the peer, and the client that a trusted proxy reports,
   * must have a loopback address, the `Host` must be `localhost` or such an address, and there must be no header of a
   * proxy (`X-Forwarded-For`, `Forwarded`, `Via`, …). Others get 403.
   *
   * Throws `ERR_MISSING_ARGS` without an argument; `ERR_INVALID_ARG_TYPE` if `pattern` is no string, `options` no
   * object, or `authorize` no function; `ERR_INVALID_ARG_VALUE` if `pattern` is no such path; `ERR_INVALID_STATE` if
   * the files of the page are not there, as in a bundle.
   */
  inspect(pattern: string, options?: InspectOptions | null): TemplatedApp;

  /**
   * Adds a server name (SNI): TLS handshakes with this name get this certificate. A name consists of labels separated by
   * dots; a label `*` matches any one label. If several names match, labels are compared from the left and a literal one
   * wins over `*`. Names are case-insensitive. Adding a name again replaces its options and keeps its routes. Options
   * that are left out, except key and certificate, are those of the app. Open connections are not affected.
   *
   * Throws what {@link SSLApp} throws for its options, and `ERR_INVALID_ARG_VALUE` for an invalid name; then nothing has
   * changed. Has no effect on an app without TLS, so that one program can serve both.
   * Returns the app.
   */
  addServerName(hostname: RecognizedString, options: TlsOptions): this;
  /**
   * Removes a server name, as it was added, and its routes. New handshakes with it get another name that matches, or the
   * default certificate; open connections stay open, with the routes of the app. Returns the app.
   */
  removeServerName(hostname: RecognizedString): this;
  /**
   * Sets the handler that is called with the server name of a TLS handshake if no added name matches it; it replaces an
   * earlier handler. The handshake waits until the handler has returned, and if it returns a promise, until that has
   * settled; all within `handshakeTimeout`. If the handler adds the name, the handshake gets its certificate, otherwise
   * the default one. Other connections are served meanwhile. Returns the app.
   *
   * @example
   * app.missingServerName(async (name) => {
   *   const { key, cert } = await store.find(name);
   *   app.addServerName(name, { key, cert });
   * });
   */
  missingServerName(handler: (hostname: string) => unknown): this;
  /**
   * Selects the server name that matches this hostname, or the app itself if none does (`domain('')`): routes are added
   * to and removed from it from now on. Requests go to the routes of the name in their TLS handshake, whatever their
   * `Host` says, and to no others; a request that none of them matches is answered with 404. A name without routes of
   * its own uses those of the app. Returns the app.
   */
  domain(hostname: RecognizedString): this;
  /**
   * Replaces the certificate of an app that speaks TLS, without a restart: new handshakes use it, open connections stay
   * open. Options that are left out, except key and certificate, stay as they are. Clients cannot resume earlier
   * sessions.
   *
   * Throws what {@link SSLApp} throws for its options, and `ERR_INVALID_STATE` if the app speaks plain HTTP; then nothing
   * has changed. Returns the app.
   */
  setCertificate(options: TlsOptions): this;
  /** The same for a server name, as it was added. Throws `ERR_TLS_SERVER_NAME` if it is not there. */
  setCertificate(hostname: RecognizedString, options: TlsOptions): this;

  /**
   * Closes the listening sockets and drops every connection. `onAborted` and `close` handlers run before it returns
   * (cause `CLOSED_BY_APP_CLOSE`; peers of WebSockets get the code 1001). The app may listen again afterwards. Has no
   * effect when nothing is open. Returns the app.
   */
  close(): this;

  /**
   * Shuts the app down gracefully. Resolves when its last connection has ended; the app no longer keeps the process alive
   * then. For `process.once('SIGTERM', …)`; examples/graceful-shutdown.js is a whole program.
   *
   * - Without `delay` and `spread` of the options: before the call returns, the ports are free (connections in the backlog are accepted first), and every WebSocket
   *   has been closed with `code` and `reason` as by `ws.end`: its `close` handler has run (cause
   *   `CLOSED_BY_SHUTDOWN`). One that opens later, from a handshake in progress, is closed when its `open` handler has
   *   returned.
   * - A request of which at least the first byte has arrived is served. The next response that starts on each
   *   connection has `Connection: close` and is the last one: requests pipelined behind it are not processed, and the
   *   client can send them again elsewhere (RFC 9112 §9.6).
   * - Idle connections are closed at once, and new ones a second after the accept if no byte has arrived. A client that
   *   sends its next request at that moment must retry it (RFC 9112 §9.5).
   * - After `timeout` the remaining connections are dropped: `onAborted` runs (cause `CLOSED_BY_SHUTDOWN`, with `reason`).
   *
   * Other apps are not affected. The app may listen again, even before the shutdown is complete; the new connections
   * are not part of it. A further call has its own promise and deadline, so that a second signal can shorten the first
   * shutdown; handlers that have run do not run again. `close` completes the shutdown at once. Without open connections
   * the promise resolves soon.
   *
   * Rejects, without effect, with `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for bad options.
   */
  shutdown(options?: ShutdownOptions | null): Promise<ShutdownSummary>;

  /**
   * Whether `shutdown` has been called since the app last started to listen. For the route that a load balancer asks
   * whether this server is ready: with the option `delay` it can say no while the port still serves.
   */
  readonly isShuttingDown: boolean;
}

/** What {@link TemplatedApp.getDescriptor} returns. May be sent to other threads (`postMessage`). */
export type AppDescriptor = number;

/** Options of {@link TemplatedApp.serveFiles}. Read once. A key given as `undefined` means its default. */
export interface ServeFilesOptions {
  /** The file that is sent for the path of a folder; `false` for none. @default 'index.html' */
  index?: string | false;
  /**
   * The file that is sent, with 200, if there is no file and the client accepts `text/html`: for pages that evaluate
   * their address themselves. A path below the folder. @default undefined
   */
  fallback?: string;
  /**
   * The value of `Cache-Control`, `null` for none, or a function that returns either, given the path of the file below the
   * folder. What it throws becomes an `unhandledRejection`, and the answer is 500. @default 'no-cache'
   */
  cacheControl?: string | null | ((path: string) => string | null | undefined);
  /** Further header fields, for all answers with a file and for 304 and 416. @default {} */
  headers?: Record<string, string>;
  /** Content types by file extension, which win over the built-in ones. Others are `application/octet-stream`. @default {} */
  contentTypes?: Record<string, string>;
  /**
   * Whether requests for names that start with a dot are served, such as `.well-known`, but `.git` too. A symbolic link
   * with another name may lead to such a file below the folder in any case. @default false
   */
  dotFiles?: boolean;
  /**
   * Whether symbolic links may lead out of the folder. Those that stay inside are always followed. @default false
   */
  followSymlinks?: boolean;
}

/** Options of {@link TemplatedApp.shutdown}. A key given as `undefined` means its default. */
export interface ShutdownOptions {
  /** Milliseconds until what has not ended is dropped, 0 – 2^31-1; 0 is at once. @default 10000 */
  timeout?: number;
  /** Close code for WebSockets, as for {@link WebSocket.end}. @default 1001 */
  code?: number;
  /** Reason for WebSockets and for `onAborted`; empty means the default. @default 'Server is shutting down' */
  reason?: RecognizedString;
  /**
   * Milliseconds, 0 – 2^31-1, during which everything goes on as before, but for {@link TemplatedApp.isShuttingDown}: time for
   * the load balancer to notice that this server wants no more connections. `timeout` counts from its end. A further call
   * of `shutdown`, and `close`, end it at once. @default 0
   */
  delay?: number;
  /**
   * Milliseconds, 0 – 2^31-1, over which the closes of the open WebSockets are spread after `delay`, in random order, so that
   * their clients do not all connect again at the same moment. The ports are free from its start on; requests are served.
   * `timeout` counts from its end, and what ends `delay` ends it, too. @default 0
   */
  spread?: number;
}

/** The result of a shutdown. */
export interface ShutdownSummary {
  /**
   * Connections that had to be dropped before they were finished, by the timeout or by `close` (unless that ended `delay` or
   * `spread`, too): with a request that was
   * not answered, a response that the client had not taken, or a WebSocket whose peer did not answer the Close frame.
   */
  forced: number;
}

/**
 * Hands the WebSockets of an HTTP server of Node's, an `http.Server` or `https.Server`, to an app: an upgrade that one
 * of the app's `ws` routes matches goes to {@link TemplatedApp.handleUpgrade} (which has the details), and the other
 * listeners of `'upgrade'` do not see it. Other upgrades go to these listeners, or are refused with 404 if there are
 * none. Several apps may be attached to a server, and one app to several; the first app with a matching route takes the
 * request. May be called before or after the server listens.
 *
 * Returns a function that detaches the app: it gets no further connections. `app.close()` and `app.shutdown()` detach
 * it, too. While an app is attached, the server has an `emit` of its own: Node has no other way to stop an event.
 */
export function attach(server: UpgradeServer, app: TemplatedApp): () => void;

/**
 * Stops accepting connections. Open connections stay open, and the port is free when the call returns. No effect if the
 * socket was closed before, by this function or by its app.
 *
 * Throws `ERR_INVALID_ARG_TYPE` for anything but a token of `listen`.
 */
export function us_listen_socket_close(token: us_listen_socket): void;

/**
 * Returns the port that a socket listens on, from the listen callback on until the socket is closed; -1 for a Unix
 * socket and for a closed one.
 *
 * Throws `ERR_INVALID_ARG_TYPE` for anything but a token of `listen`.
 */
export function us_socket_local_port(token: us_socket | us_listen_socket): number;

// ------------------------------------------------------------------------------------------------------------ HTTP

/** One field of a form, as {@link getParts} returns it. The texts come from the client: check them before use. */
export interface MultipartField {
  /** The content, in a buffer of its own. */
  data: ArrayBuffer;
  /** The name of the field; several may have the same. Browsers write `"`, CR and LF as `%22`, `%0D` and `%0A`. */
  name: string;
  /** The `Content-Type`; missing if there is none, as with text. */
  type?: string;
  /** The name of the file, which may be empty and may look like a path; missing if it is no file. */
  filename?: string;
}

/**
 * The fields of a form with files (`multipart/form-data`, RFC 7578), in their order. `body` is the whole body, for
 * instance of `collectBody`, and is not changed; `contentType` is the header of the request.
 *
 * Returns `undefined` if `contentType` is not `multipart/…`, and if the body is malformed or incomplete: without a
 * valid boundary, without its last boundary, with a part that has no name or more than 10 headers, with more than
 * 10,000 parts. A client can cause any of these, so check for `undefined`; no other check is needed.
 */
export function getParts(body: RecognizedString, contentType: RecognizedString): MultipartField[] | undefined;

/**
 * A request. May be read until its handler has returned **and** its response is over (ended, aborted, closed or
 * upgraded), so after an `await` too. From then on every method throws `ERR_HTTP_REQUEST_CLOSED`.
 */
export interface HttpRequest {
  /**
   * The first value of a header, without surrounding blanks, decoded as Latin-1; `''` if there is none. The name must
   * be given in lower case. `host` is that of the target, if the target is absolute (RFC 9112 §3.2.2).
   */
  getHeader(lowerCaseKey: RecognizedString): string;
  /**
   * Calls back with every header in the order of arrival, repeated ones repeatedly: name in lower case, value decoded
   * as UTF-8. What the callback throws is thrown by `forEach`. Throws `ERR_INVALID_ARG_TYPE` if it is not a function.
   */
  forEach(callback: (key: string, value: string) => void): void;
  /**
   * The segment of the path that a `:parameter` of the pattern took, by position from 0 or by name (without the
   * colon). Not percent-decoded; `''` if there is no such parameter.
   */
  getParameter(index: number | RecognizedString): string;
  /** The path, without the query, as it arrived. */
  getUrl(): string;
  /** The method in lower case. */
  getMethod(): string;
  /** The method as it arrived. */
  getCaseSensitiveMethod(): string;
  /**
   * Everything after the `?`, as it arrived; `undefined` if there is no `?`. The type leaves `undefined` out, as that
   * of uWebSockets.js does, so that programs written for it compile: `req.getQuery() ?? ''` is safe.
   */
  getQuery(): string;
  /**
   * The first value of a key of the query, decoded (`+` is a blank, `%XX` a byte of UTF-8); `''` if it is empty,
   * `undefined` if there is no such key.
   */
  getQuery(key: RecognizedString): string | undefined;
  /**
   * With `true`, this handler declines the request: once it returns, the next matching route gets it. If there is none,
   * the connection is closed. May be called inside the handler only; afterwards it has no effect. Returns the
   * request.
   */
  setYield(yields: boolean): this;
}

/**
 * The response to one request. Valid until it is over: ended, upgraded, closed, or aborted because the connection went
 * away. From then on every method throws `ERR_HTTP_RESPONSE_CLOSED` and only `aborted` can be read. A response kept
 * too long can never reach a later response on the same connection.
 *
 * The order is: `writeStatus`, `writeHeader`s, then either one `end` or any number of `write`s and an `end`. `Date`,
 * and `Content-Length` or `Transfer-Encoding`, are added. `writeTrailer`s may come anywhere before the `end`.
 */
export interface HttpResponse {
  /**
   * Whether the connection went away, or was closed, before the response was complete. May be read at any time, after
   * the response is over too. Programs written for uWebSockets.js set it in `onAborted`; that is allowed.
   */
  aborted: boolean;

  /**
   * Sets the status, such as `'404 Not Found'`; `'200 OK'` without it. Only the first call counts, and none after a
   * header was written. Returns the response.
   *
   * Throws `ERR_HTTP_INVALID_STATUS`.
   */
  writeStatus(status: RecognizedString): this;
  /**
   * Adds a header. Repeated names are sent repeatedly. Returns the response. A `Connection` of yours is sent as it is;
   * `Connection: close` is added to it only where the client did not ask for the end itself. A `Date` of yours is sent
   * instead of ours.
   *
   * How a body is framed follows from the calls that make it. So `Content-Length` and `Transfer-Encoding` are left out, but
   * where there is no body (HEAD, 304) the first `Content-Length` is sent; one that says something else than what is sent
   * causes a warning (`process.on('warning')`, code `FERROWS_FRAMING_HEADER`), once for each of the two in a process.
   *
   * Throws `ERR_HTTP_INVALID_HEADER`; `ERR_INVALID_STATE` after the first `write` or `tryEnd`.
   */
  writeHeader(key: RecognizedString, value: RecognizedString): this;
  /**
   * Adds a trailer: a field that is sent behind the body, when {@link end} completes it, and so may tell what is known only
   * then. Repeated names are sent repeatedly. Returns the response.
   *
   * A body that trailers follow has no `Content-Length`: over HTTP/1.1 `end` sends it in chunks, and over HTTP/2 the trailers
   * end the stream. They are dropped where no body follows (HEAD, 204, 304) and for clients of HTTP/1.0; if a connection is
   * lost, they never arrive. Clients that want to know of them before may be told by a `Trailer` header of yours.
   *
   * Throws `ERR_HTTP_INVALID_TRAILER` for what is no field, and for names that have to precede the body: those that frame or
   * route a message, say how its body is read, authenticate, or set cookies; `ERR_INVALID_STATE` after `tryEnd`. `tryEnd` and
   * `endWithoutBody` throw `ERR_INVALID_STATE` after it.
   */
  writeTrailer(key: RecognizedString, value: RecognizedString): this;
  /**
   * Sends status and headers now, for a body that will come by `write`. Returns the response.
   *
   * Throws `ERR_INVALID_STATE` after `tryEnd`.
   */
  beginWrite(): this;
  /**
   * Sends a piece of the body with chunked transfer coding; an empty piece sends nothing. The piece is always accepted.
   * Returns whether to continue: after `false`, which means that the system takes no more and 128 KiB to 1 MiB wait for the
   * peer, depending on how it kept up so far, a program should wait for `onWritable`. So it should after some 16 MiB within
   * one handler, however fast the peer is.
   *
   * Throws `ERR_INVALID_STATE` after `tryEnd`.
   */
  write(chunk: RecognizedString): boolean;
  /**
   * Sends a piece of a body of `totalSize` bytes in total, as far as there is room: as much as the system takes, and 128
   * KiB to 1 MiB that wait for the peer, depending on how it kept up so far; some 16 MiB within one handler. The first call
   * announces the size, as `Content-Length`; 0 or nothing means that of the chunk. The piece starts at {@link
   * getWriteOffset}; bytes that were not taken are not kept, and have to be offered again.
   *
   * Returns `[ok, done]`: whether all of the piece was taken, and whether the response is complete, and so over. After
   * `ok === false` an `onWritable` event follows. An empty piece completes nothing but a body of 0 bytes. `end` may
   * complete what `tryEnd` has started; it closes the connection if bytes are missing.
   *
   * Throws `ERR_OUT_OF_RANGE` for a chunk that goes beyond the size and for a size that is negative or no safe integer,
   * `ERR_INVALID_STATE` after `write` and after `writeTrailer`.
   */
  tryEnd(chunk: RecognizedString, totalSize?: number): [ok: boolean, done: boolean];
  /** Bytes of body accepted so far by `write` and `tryEnd`, without chunk framing. */
  getWriteOffset(): number;
  /**
   * Completes the response, with a last (or the only) piece of body. `closeConnection` adds `Connection: close` and
   * closes the connection behind it. Returns the response, which is over.
   */
  end(body?: RecognizedString, closeConnection?: boolean): this;
  /**
   * Completes the response without a body, as for HEAD. `reportedContentLength`, in bytes, is sent as
   * `Content-Length`; without it that header is left out. Returns the response, which is over.
   *
   * Throws `ERR_OUT_OF_RANGE` if the length is negative or no safe integer, `ERR_INVALID_ARG_TYPE` if it is no number,
   * `ERR_INVALID_STATE` after `writeTrailer`.
   */
  endWithoutBody(reportedContentLength?: number | `${number}`, closeConnection?: boolean): this;
  /**
   * Stops reading from the connection until {@link resume}. Pieces of the body that were read before may still be
   * delivered, and output is still sent, `onWritable` included. No timeout for the client's input runs meanwhile. A
   * reset of the connection is detected within seconds, a FIN only after `resume`. However often it is called, one
   * `resume` suffices. The end of the response ends the pause too. Returns the response (for the types of
   * uWebSockets.js, nothing; hence `void`, which does no harm).
   */
  pause(): this & void;
  /** Ends {@link pause}; no effect if the response is not paused. Returns the response. */
  resume(): this & void;
  /**
   * Drops the connection. `onAborted` runs before it returns (cause `CLOSED_BY_APPLICATION`). Returns the response,
   * which is over.
   */
  close(): this;
  /**
   * Runs `callback` at once. Kept for programs written for uWebSockets.js: writes leave together without it. What the
   * callback throws is thrown by `cork`. Returns the response, also if the callback ended it.
   */
  cork(callback: () => void): this;
  /** Another name of {@link cork}. */
  collect(callback: () => void): this;

  /**
   * Registers the handler that is called when there is room again, after `write` returned `false` or `tryEnd` did not take
   * everything, even if that was before the registration. Called with {@link getWriteOffset}, once for each time there was
   * no room. A later registration replaces an earlier one, also from inside the handler. What the handler returns is
   * ignored (uWebSockets.js requires `true` if everything was taken). Returns the response.
   */
  onWritable(handler: (offset: number) => unknown): this;
  /**
   * The same, but the handler also takes the place of `onAborted`, behind which it runs if both are there: it is called
   * with the response and the offset, or with `null` and the offset when the response is aborted. Returns the response.
   */
  onWritableOrAborted(handler: (res: HttpResponse | null, offset: number) => unknown): this;
  /**
   * Registers the handler that is called if the response does not complete. It runs exactly once, and only then; a later
   * registration replaces an earlier one. If it is registered after the abort happened it still runs, asynchronously; that
   * is why this method and `onDataOrAborted` may be called on an aborted response. Required in handlers that do not answer
   * before they return, unless `onDataOrAborted` is used.
   *
   * `reason` describes `info.cause` in words; it is never empty. Returns the response.
   */
  onAborted(handler: (reason: string, info: CloseInfo) => void): this;
  /**
   * Registers the handler of the request body. Called with each piece, the last time with `isLast` set; that one
   * may be empty, and is for a request without a body. `chunk` is detached when the handler returns; if it returned a
   * promise, it stays. Returns the response.
   *
   * These rules hold for this method and for `onDataV2`, `onDataOrAborted` and `collectBody` (docs/request-bodies.md):
   * - The body waits until one of them is called, which may be after an `await`. Of a large body only the start is
   *   buffered here; then TCP flow control stops the client.
   * - A later call of any of them replaces the earlier handler, and the new one gets the pieces that no handler has
   *   got.
   * - No handler is called once the response is over. Up to 256 KiB of body that are still to come are then read and
   *   dropped; if there is more, the connection is closed behind the response.
   * - Chunked bodies come decoded. Trailer fields are checked as header fields are, and dropped.
   */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => unknown): this;
  /**
   * As `onData`, but with the number of bytes that are still to come: `maxRemainingBodyLength` is `0n` with the last piece,
   * 2^64−1 before the end of a chunked body, and otherwise the number of bytes behind this piece. Returns the response.
   */
  onDataV2(handler: (chunk: ArrayBuffer, maxRemainingBodyLength: bigint) => unknown): this;
  /**
   * As `onDataV2`, and the abort handler in one: if the response does not complete, the handler is called a last time,
   * behind that of `onAborted`, with `null` for the response, an empty piece, 2^64−1, and the arguments of `onAborted`.
   * As with `onAborted`, it may be registered on an aborted response, and is then called asynchronously. While it is
   * registered no other abort handler is required. Returns the response.
   */
  onDataOrAborted(
    handler: (
      res: HttpResponse | null,
      chunk: ArrayBuffer,
      maxRemainingBodyLength: bigint,
      reason?: string,
      info?: CloseInfo,
    ) => unknown,
  ): this;
  /**
   * Collects the body, and calls back once: with all of it when it is complete (empty for a request without a body), or
   * with `null` as soon as it is known to have more than `maxSize` bytes, which is before any of them arrives where the
   * request declares its length. Behind `null` what still comes is read and dropped until the response is over.
   * The buffer is detached when the handler returns; if it returned a promise, it stays. Not called if the response is
   * aborted before. Returns the response.
   *
   * Throws `ERR_OUT_OF_RANGE` if `maxSize` is negative or no safe integer. More than 2^31−1 bytes are never collected.
   */
  collectBody(maxSize: number, handler: (body: ArrayBuffer | null) => unknown): this;
  /** Another name of `collectBody`, which some versions of uWebSockets.js have. */
  onFullData(maxSize: number, handler: (body: ArrayBuffer | null) => unknown): this;
  /**
   * The number of bytes of the body that no handler has been given yet: at first the length that the request declares,
   * `0n` at its end or without a body, 2^64−1 before the end of a chunked body.
   */
  maxRemainingBodyLength(): bigint;

  /**
   * Answers a handshake with 101 and makes the connection a WebSocket. Inside the `upgrade` handler or later (then
   * with `onAborted` attached); `open` runs before it returns. The own properties of `userData` are copied onto the
   * WebSocket. `secWebSocketKey` and `secWebSocketExtensions` are the headers of the request; of
   * `secWebSocketProtocol` the part before the first comma is selected, `''` selects none. Headers may be written
   * before (with `writeStatus('101 Switching Protocols')` first). A `Sec-WebSocket-Protocol` among them is sent instead of
   * what `secWebSocketProtocol` selects. What the handshake says itself (`Connection`, `Upgrade`, `Sec-WebSocket-Accept`,
   * `Sec-WebSocket-Extensions`), a second subprotocol, headers that frame a body, and another status are left out, with a
   * warning (`process.on('warning')`, code `FERROWS_HANDSHAKE_HEADER`), once for each in a process. The response is over.
   *
   * Throws `ERR_INVALID_ARG_TYPE` if `context` is not one that an upgrade handler was given, `ERR_INVALID_ARG_VALUE`
   * if the key is not 24 characters of base64, `ERR_INVALID_STATE` after the first `write`, and for a request of HTTP/1.0
   * or with a body, as another route may have got it. A list of protocols whose first is no token (it comes from the
   * client) selects none.
   */
  upgrade<UserData>(
    userData: UserData,
    secWebSocketKey: RecognizedString,
    secWebSocketProtocol: RecognizedString,
    secWebSocketExtensions: RecognizedString,
    context: us_socket_context_t,
  ): void;
  /**
   * The same, of a response that an `upgrade` handler was given, with key, extensions and subprotocols as the client's
   * request has them.
   *
   * Throws `ERR_INVALID_STATE` for the response of another handler, and what the form with five arguments throws;
   * `ERR_INVALID_ARG_VALUE` if `protocol` is no token.
   */
  upgrade<UserData>(userData: UserData, options?: UpgradeOptions | null): void;

  /**
   * The peer's address as people write it: `127.0.0.1`, also on a dual-stack socket, or `2001:db8::1`. `undefined` on a Unix
   * socket, and once the response is over. Behind a proxy it is the proxy's ({@link getProxiedRemoteAddressAsText}).
   * Assigning it replaces the property.
   */
  readonly remoteAddress: string | undefined;
  /**
   * The client's address, in the form of {@link remoteAddress}: what a trusted proxy has reported by the PROXY protocol or in
   * the field that {@link ProxyProtocolOptions.forwarded} names, else the peer's. Addresses in that field are read from the
   * last to the first one that is no trusted proxy's; a hop without an address (`unknown`) ends the search. `undefined` if it
   * is not known, and once the response is over. Assigning it replaces the property.
   */
  readonly clientAddress: string | undefined;
  /** The peer's address: 4 bytes (IPv4) or 16 (IPv6, and IPv4 on a dual-stack socket). Empty on a Unix socket. */
  getRemoteAddress(): ArrayBuffer;
  /** The peer's address as ASCII text: `127.0.0.1`, or IPv6 as eight groups of four digits. Empty on a Unix socket. */
  getRemoteAddressAsText(): ArrayBuffer;
  /** The peer's port; 0 on a Unix socket. */
  getRemotePort(): number;
  /**
   * The certificate of the client, in PEM. It has been verified ({@link TlsOptions.ca_file_name}). Empty if the client has
   * sent none, if none was asked for, and without TLS.
   */
  getX509Certificate(): string;
  /**
   * The client's address as a trusted proxy reported it ({@link AppOptions.proxyProtocol}), in the form of
   * {@link getRemoteAddress}; empty if none did.
   */
  getProxiedRemoteAddress(): ArrayBuffer;
  /** The same as text, in the form of {@link getRemoteAddressAsText}; empty if no proxy reported one. */
  getProxiedRemoteAddressAsText(): ArrayBuffer;
  /** The client's port as a trusted proxy reported it; 0 if none did. */
  getProxiedRemotePort(): number;

  /** A program may add properties of its own to the response. */
  [property: string]: any;
}

/** The response that handlers of `get` with {@link CacheOptions} are given: as any other. */
export interface CachedHttpResponse extends HttpResponse {}

/**
 * Builds a response once. A route then answers with it without calling JavaScript:
 *
 * ```ts
 * app.get('/hello/:name', new DeclarativeResponse()
 *   .writeHeader('Content-Type', 'text/plain')
 *   .write('Hello, ')
 *   .writeParameterValue('name')
 *   .end());
 * ```
 *
 * The body is sent whole, with its `Content-Length`. Values of the request can be put into the body only, and are put
 * there as they are: in HTML, a query value can hold a script. The methods check their arguments at once, are chained,
 * and throw `ERR_OUT_OF_RANGE` where a status, name, key or value of a header exceeds 255 bytes, or a piece of the body
 * 65,535 (write several then), and `ERR_INVALID_STATE` after `end`.
 */
export class DeclarativeResponse {
  /** A response without a status, headers or body: `200 OK`. */
  constructor();
  /** As {@link HttpResponse.writeStatus}. */
  writeStatus(status: RecognizedString): this;
  /** As {@link HttpResponse.writeHeader}, with numbers, too; `ERR_INVALID_STATE` after the first piece of the body. */
  writeHeader(key: RecognizedString, value: RecognizedString | number): this;
  /** Adds a piece of the body. */
  write(chunk: RecognizedString): this;
  /** Does nothing; programs written for uWebSockets.js call it. */
  writeBody(): this;
  /** Adds what {@link HttpRequest.getQuery} gives for this key; nothing where the query does not have it. */
  writeQueryValue(key: RecognizedString): this;
  /** Adds the first value of this header of the request, in whatever case; nothing where it has none. */
  writeHeaderValue(key: RecognizedString): this;
  /** Adds what the `:parameter` of this name took of the path, not percent-decoded; nothing where there is none. */
  writeParameterValue(name: RecognizedString): this;
  /**
   * Adds a last piece of the body and returns the response, for a route. It takes at most 1000 values of the request.
   * Its bytes are checked when it is registered, and are good for this version of Ferrows.
   */
  end(chunk?: RecognizedString): ArrayBuffer;
}

/**
 * One connection, as filters see it: the same object when it opens and when it is over, so it may be the key of a Map. It
 * is no response: there is nothing to answer. Its addresses may be asked for at any time, also when it is over.
 */
export interface HttpConnection {
  /**
   * Drops the connection, at once and without an answer; none of its requests reaches a handler any more. For what is
   * going on there it is the `close` of the {@link HttpResponse} or {@link WebSocket}: `onAborted` or `close` runs before
   * it returns. Filters are called with -1 later. Has no effect if the connection is over. Returns the connection.
   */
  close(): this;
  /** As {@link HttpResponse.getRemoteAddress}. */
  getRemoteAddress(): ArrayBuffer;
  /** As {@link HttpResponse.getRemoteAddressAsText}. */
  getRemoteAddressAsText(): ArrayBuffer;
  /** As {@link HttpResponse.getRemotePort}. */
  getRemotePort(): number;
  /** As {@link HttpResponse.getProxiedRemoteAddress}. */
  getProxiedRemoteAddress(): ArrayBuffer;
  /** As {@link HttpResponse.getProxiedRemoteAddressAsText}. */
  getProxiedRemoteAddressAsText(): ArrayBuffer;
  /** As {@link HttpResponse.getProxiedRemotePort}. */
  getProxiedRemotePort(): number;

  /** A program may add properties of its own to the connection. */
  [property: string]: any;
}

// ------------------------------------------------------------------------------------------------------- WebSocket

/** How {@link HttpResponse.upgrade} answers. A key given as `undefined` means its default. */
export interface UpgradeOptions {
  /**
   * The subprotocol to select; `null` or `''` for none. One that the client does not offer is left out, as the client would
   * have to fail (RFC 6455 §4.1). @default the first that the client offers
   */
  protocol?: string | null | false;
  /** Whether to agree on compression, if route and client have it. @default true */
  compression?: boolean;
}

/** Stands for the `ws` route in `upgrade`; given to its handler, and of no use elsewhere. */
export interface us_socket_context_t {
  /**
   * The `http.IncomingMessage` of a connection that was taken over by {@link TemplatedApp.handleUpgrade}, with whatever a
   * program has put onto it, such as its user; `undefined` for one that came in by itself.
   */
  readonly request?: any;
  readonly [upgradeContext]?: never;
}

/** Result of a send: 1 sent, 0 accepted but buffered until the peer reads (`drain` will follow), 2 dropped. */
export type SendStatus = 0 | 1 | 2;

/**
 * One connection: the same object from `open` to `close`. It is closed before its `close` handler runs; from then on
 * every method but `getUserData` throws `ERR_WEBSOCKET_CLOSED`. The own properties of the `userData` that was given to
 * `upgrade` are copied onto it, and a program may add others. One that is called like a method hides it, and `__proto__` is
 * left out; both with a warning (`process.on('warning')`, code `FERROWS_USER_DATA`), once for each name in a process.
 */
export interface WebSocket<UserData> {
  /**
   * Sends one message. Text that is not given as a string is not checked to be UTF-8. Returns 1 if it was sent, 0 if
   * it was accepted but has to wait for the peer (a `drain` event follows), 2 if it was dropped because more than
   * `maxBackpressure` is waiting already (`dropped` has run). With `compress` the message leaves compressed, unless it
   * is empty or compression was not negotiated with this client.
   *
   * Throws `ERR_INVALID_STATE` between the fragments of another message ({@link sendFirstFragment}).
   */
  send(message: RecognizedString, isBinary?: boolean, compress?: boolean): SendStatus;
  /**
   * Starts a message that is sent in several calls: this, any number of `sendFragment`, and `sendLastFragment`. Returns
   * as `send`.
   *
   * - `maxBackpressure` decides about this first fragment. If it is dropped, so are the others, each with 2 and a
   *   `dropped` of its own; else they are all accepted (unless `closeOnBackpressureLimit` closes the WebSocket). A
   *   program that sends much should wait for `drain` after a result of 0.
   * - Pings may be sent in between, and `end` and `close` may be called. What is published to the WebSocket meanwhile
   *   follows the last fragment; if there never is one, it is not sent.
   *
   * With `compress` the whole message leaves compressed, unless compression was not negotiated with this client. Its
   * fragments are one stream, of which the client can read each as it arrives. The argument `compress` of
   * `sendFragment` and `sendLastFragment` has no effect: RSV1 of the first frame holds for the message (RFC 7692 §6).
   *
   * Throws `ERR_INVALID_STATE` before the last fragment of another message; `send` does, too.
   */
  sendFirstFragment(message: RecognizedString, isBinary?: boolean, compress?: boolean): SendStatus;
  /** Sends a further fragment of a message. Throws `ERR_INVALID_STATE` if none was started. See {@link sendFirstFragment}. */
  sendFragment(message: RecognizedString, compress?: boolean): SendStatus;
  /** Sends the last fragment of a message. Throws `ERR_INVALID_STATE` if none was started. See {@link sendFirstFragment}. */
  sendLastFragment(message: RecognizedString, compress?: boolean): SendStatus;
  /**
   * Sends a ping, of at most 125 bytes. Never dropped. Returns as `send`. Throws `ERR_OUT_OF_RANGE` if it is longer.
   */
  ping(message?: RecognizedString): SendStatus;
  /**
   * Bytes accepted that wait for the peer, without what the system has taken. 0 again after `drain` at the latest.
   *
   * Bytes that one handler sends beyond 16 MiB, with 512 bytes added for each call, count as waiting until the handler
   * returns, even if the system has taken them: so loops that send until something waits end.
   */
  getBufferedAmount(): number;

  /**
   * Starts the closing handshake: sends a Close frame after everything sent so far, then closes the TCP connection.
   * `close` runs before it returns, with this code and text (cause `CLOSED_BY_END`). `code` is 0, the default, or
   * 1000–4999. With a code that must not be in a Close frame (0, 1004–1006, 1015–2999) the frame has none. Any other
   * value is converted to an integer, as by `'4001' | 0`; if the result is no valid code, it counts as 0, with a
   * warning (`FERROWS_CLOSE_CODE`). The peer gets at most 123 bytes of the text, cut between characters.
   *
   * Handlers that run within calls of other handlers are nested at most sixteen deep. A call in the sixteenth, or one
   * that finds too little stack, returns before its handler has run; the handler runs as soon as possible, in order and
   * before any other event. Until then the WebSocket counts as open, but nothing is sent any more (`send` returns 2),
   * and closing, subscribing or unsubscribing it has no effect. The same holds for `onAborted` in `res.close`, `open`
   * in `res.upgrade`, and for `subscription` and `dropped`. An exception of such a handler is reported when the
   * outermost one has returned.
   */
  end(code?: number, shortMessage?: RecognizedString): void;
  /** Drops the connection. `close` runs before it returns, with 1006 (cause `CLOSED_BY_APPLICATION`), as in {@link end}. */
  close(): void;
  /**
   * Runs `callback` at once; all that it sends, also to other peers, leaves together when it returns. Handlers do not
   * need this; it is useful outside of them, after an `await` for instance. What the callback throws is thrown by
   * `cork`, and what it sent before is still sent. Returns the WebSocket, also if the callback closed it.
   */
  cork(callback: () => void): this;

  /** Subscribes to a topic, by its exact name. Returns true; `subscription` has run if it was not subscribed yet. */
  subscribe(topic: RecognizedString): boolean;
  /** Ends a subscription. Returns whether there was one; then `subscription` has run. */
  unsubscribe(topic: RecognizedString): boolean;
  /** Whether it is subscribed to this topic. */
  isSubscribed(topic: RecognizedString): boolean;
  /** The topics it is subscribed to. */
  getTopics(): string[];
  /**
   * Sends a message to every other subscriber of a topic. It need not be subscribed to that topic itself, but to some.
   * Returns whether there was one. See {@link TemplatedApp.publish}.
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary?: boolean, compress?: boolean): boolean;

  /** The WebSocket itself, with the properties copied from `userData`. May be called after it closed. */
  getUserData(): UserData;
  /** As {@link HttpResponse.remoteAddress}; `undefined` once the WebSocket is closed. */
  readonly remoteAddress: string | undefined;
  /** As {@link HttpResponse.getRemoteAddress}. */
  getRemoteAddress(): ArrayBuffer;
  /** As {@link HttpResponse.getRemoteAddressAsText}. */
  getRemoteAddressAsText(): ArrayBuffer;
  /** As {@link HttpResponse.getRemotePort}. */
  getRemotePort(): number;
  /** As {@link HttpResponse.getProxiedRemoteAddress}. */
  getProxiedRemoteAddress(): ArrayBuffer;
  /** As {@link HttpResponse.getProxiedRemoteAddressAsText}. */
  getProxiedRemoteAddressAsText(): ArrayBuffer;
  /** As {@link HttpResponse.getProxiedRemotePort}. */
  getProxiedRemotePort(): number;
}

/** The form in which handlers receive text messages. */
export type TextForm = 'arraybuffer' | 'string';

/** The WebSocket as handlers are given it: with the properties of the user data, which `upgrade` copies onto it. */
export type OpenWebSocket<UserData> = WebSocket<UserData> & UserData;

/** The type of the argument `message`, by the option `text`. */
export type ReceivedMessage<Text extends TextForm = 'arraybuffer'> = Text extends 'string'
  ? string | ArrayBuffer
  : ArrayBuffer;

/** The arguments of `message` with `text: 'string'`: `isBinary` says what the message is. */
export type StringMessageArguments<UserData> =
  | [ws: OpenWebSocket<UserData>, message: string, isBinary: false]
  | [ws: OpenWebSocket<UserData>, message: ArrayBuffer, isBinary: true];

/** A behavior with `text: 'string'` whose `message` takes all of its arguments, so that `isBinary` narrows `message`. */
export type StringBehavior<UserData, Behavior = WebSocketBehavior<UserData, 'string'>> = Omit<Behavior, 'text' | 'message'> & {
  text: 'string';
  message: (...args: StringMessageArguments<UserData>) => unknown;
};

/**
 * Settings and handlers of a `ws` route. All are optional; a key given as `undefined` means its default. They are read
 * once, by `ws`; settings must be integers. Buffers given to `message` and `dropped`, and the reason given to `close`, are
 * detached when the handler returns; if it returned a promise, they stay.
 */
export interface WebSocketBehavior<UserData, Text extends TextForm = 'arraybuffer'> {
  /**
   * Compression of messages (permessage-deflate, RFC 7692): a compressor, a decompressor, or both joined by `|`. Any
   * but `DISABLED` lets clients compress what they send; what is sent to them is compressed where `send` or `publish`
   * asks for it. If only one of the two is given, the other is the shared one. With Safari 15.0–15.3 compression is not
   * negotiated. While it is on, a
   * handshake with a malformed `Sec-WebSocket-Extensions` is answered with 400.
   *
   * Throws `ERR_OUT_OF_RANGE` if it is no combination of the constants.
   * @default DISABLED
   */
  compression?: CompressOptions;
  /**
   * Longest message that a peer may send, in bytes; more than 2^31-1 means 2^31-1. A longer one closes the WebSocket, and
   * the peer gets the code 1009.
   * @default 16384
   */
  maxPayloadLength?: number;
  /**
   * Seconds for which a peer may stay silent, 8–960, or 0 for ever. Any byte from the peer resets the timer; sending does
   * not.
   * @default 120
   */
  idleTimeout?: number;
  /** Minutes after which a connection is closed with the code 1000, 1–240, or 0 for never. @default 0 */
  maxLifetime?: number;
  /**
   * Bytes that may be buffered for a peer before messages to it are dropped; 0 means no limit, more than 2^32-1 means
   * 2^32-1. While no more than this is buffered, a message is accepted, whatever its length. Pings, pongs and the Close
   * frame are never dropped.
   * @default 65536
   */
  maxBackpressure?: number;
  /**
   * Whether a WebSocket is closed when a message to it is dropped (cause `ERR_BACKPRESSURE_LIMIT`). After `dropped`,
   * `close` follows in an event of its own; until then whatever is sent is dropped as well. The peer gets the code
   * 1008 after the output it has not read, if it reads that within 10 seconds.
   * @default false
   */
  closeOnBackpressureLimit?: boolean;
  /**
   * The form in which `message` receives text messages. `'string'` is several times cheaper than an `ArrayBuffer` that is
   * then decoded; binary messages stay what they are. Throws `ERR_INVALID_ARG_VALUE` for anything else, and
   * `ERR_OUT_OF_RANGE` if `maxPayloadLength` exceeds the longest string.
   * @default 'arraybuffer'
   */
  text?: Text;
  /** Whether a silent peer is sent pings, as `pingInterval` says. @default true */
  sendPingsAutomatically?: boolean;
  /**
   * Seconds of silence of the peer after which it is sent a ping, and after each ping that stays without an answer the next
   * one: 0 to 960. 0 is for none. With an `idleTimeout` the first one comes in time for the answer (4 s before, 8 s from 16
   * on, 16 s from 32 on), however large this is. With `idleTimeout: 0` pings go out, but nobody is closed for not answering.
   *
   * Proxies cut a line on which nothing moves, many after 60 s: this has to be less than the shortest such time on the way
   * (docs/load-balancers.md).
   *
   * Throws `ERR_OUT_OF_RANGE` for other values.
   * @default 45, or in time for the answer if that is less; none with `idleTimeout: 0`
   */
  pingInterval?: number;

  /**
   * Accepts or refuses a handshake: calls `res.upgrade`, now or later, or answers otherwise. Without it every handshake is
   * accepted and the first subprotocol offered is selected.
   */
  upgrade?: (res: HttpResponse, req: HttpRequest, context: us_socket_context_t) => unknown;
  /** A WebSocket was opened. First event of a connection. */
  open?: (ws: OpenWebSocket<UserData>) => unknown;
  /**
   * A message arrived. Text (`isBinary` false) is checked to be UTF-8. With `text: 'string'` it is a string, and binary
   * messages are what they always are.
   */
  message?: (ws: OpenWebSocket<UserData>, message: ReceivedMessage<Text>, isBinary: boolean) => unknown;
  /**
   * A message to this peer was dropped because of `maxBackpressure`. Runs inside `send`, and soon after `publish`, once
   * for each subscriber that misses the message.
   *
   * When this thread is so far behind that 4 MiB of events wait for it, published messages are dropped without an event;
   * `unreported` says how many this peer has missed that way since the last event. Else it is 0.
   */
  dropped?: (ws: OpenWebSocket<UserData>, message: ArrayBuffer, isBinary: boolean, unreported: number) => unknown;
  /** The buffered output was sent: follows every `send` that returned 0 and every `getBufferedAmount` above 0. */
  drain?: (ws: OpenWebSocket<UserData>) => unknown;
  /**
   * The WebSocket closed. Last event of a connection, exactly one for each `open`. `code` and `message` are the peer's
   * or those given to `end`; where there are none, `code` is 1005, 1006 or 0 and `message` names the cause. It is
   * UTF-8 and never empty; `info.reason` is the same as a string.
   */
  close?: (ws: OpenWebSocket<UserData>, code: number, message: ArrayBuffer, info: WebSocketCloseInfo) => unknown;
  /** A ping arrived; it is answered already. */
  ping?: (ws: OpenWebSocket<UserData>, message: ArrayBuffer) => unknown;
  /** A pong arrived. */
  pong?: (ws: OpenWebSocket<UserData>, message: ArrayBuffer) => unknown;
  /**
   * The number of subscribers of a topic changed through this WebSocket. Runs inside `subscribe` and `unsubscribe`, and
   * for each topic just before `close`.
   */
  subscription?: (ws: OpenWebSocket<UserData>, topic: ArrayBuffer, newCount: number, oldCount: number) => unknown;
}

// ---------------------------------------------------------------------------------------------------------- Client

/**
 * Opens a WebSocket to a server. The I/O threads do all the work: resolving the name, connecting, TLS, the handshake,
 * masking, compression, pings.
 *
 * ```ts
 * const ws = await connect('ws://localhost:9001/chat', {
 *   message: (ws, message) => console.log(Buffer.from(message).toString()),
 *   close: (ws, code, message, info) => console.log(info.cause),
 * });
 * ws.send('hello');
 * ```
 *
 * The promise resolves with the WebSocket when the server has accepted the upgrade and `open` has run; code that awaits it
 * runs before the first message is handled. If the connect fails, it rejects with a {@link ConnectError}, and no handler
 * runs, not even `close`. Failures are reported in no other way.
 *
 * The WebSocket is the same object with the same events, close causes and reasons as one of a server. What differs:
 * - It belongs to no app: `app.close()` leaves it open, and `subscribe` and `publish` throw `ERR_INVALID_STATE`. It has no
 *   topics.
 * - After the closing handshake the server closes the TCP connection first, as RFC 6455 §7.1.1 recommends; if it does not
 *   within two seconds, this end does.
 * - A server that masks its frames is a cause of its own, `ERR_FRAME_MASKED`.
 *
 * It keeps the process alive until it is closed; with the option `reconnect` it is opened again when its connection ends.
 * Redirects are not followed, and proxy settings of the environment are not used.
 *
 * `url` starts with `ws:` or `wss:` and has no fragment. User and password in it become an `Authorization` header,
 * unless `headers` have one.
 *
 * Rejects, like all promises of this module, for mistakes too: `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` (a url,
 * header or subprotocol that cannot be sent, a handler of servers), `ERR_HTTP_INVALID_HEADER`, `ERR_OUT_OF_RANGE`; for
 * certificates and keys that cannot be used `ERR_TLS_CA`, `ERR_TLS_CERTIFICATE`, `ERR_TLS_KEY`, `ERR_TLS_KEY_MISMATCH`,
 * `ERR_TLS_PASSPHRASE`.
 */
export function connect<UserData = unknown>(
  url: string | { readonly href: string },
  behavior: ClientBehavior<UserData>,
  options?: ConnectOptions<UserData> | null,
): Promise<OpenWebSocket<UserData>>;
export function connect<UserData = unknown>(
  url: string | { readonly href: string },
  behavior: StringBehavior<UserData, ClientBehavior<UserData, 'string'>>,
  options?: ConnectOptions<UserData> | null,
): Promise<OpenWebSocket<UserData>>;
export function connect<UserData = unknown>(
  url: string | { readonly href: string },
  behavior: ClientBehavior<UserData, 'string'> & { text: 'string' },
  options?: ConnectOptions<UserData> | null,
): Promise<OpenWebSocket<UserData>>;

/**
 * Settings and handlers of a WebSocket to a server: those of a `ws` route, with the same defaults. `compression` is what
 * is offered to the server; the compressor is for what this end sends. `upgrade` and `subscription` are for servers
 * (`ERR_INVALID_ARG_VALUE`).
 */
export interface ClientBehavior<UserData = unknown, Text extends TextForm = 'arraybuffer'>
  extends Omit<WebSocketBehavior<UserData, Text>, 'open' | 'upgrade' | 'subscription'> {
  /** The WebSocket is open, as `response` grants it. First event; with `reconnect` the first of each connection. */
  open?: (ws: OpenWebSocket<UserData>, response: ConnectResponse) => unknown;
}

/** Options of {@link connect}. A key given as `undefined` means its default. */
export interface ConnectOptions<UserData = unknown> {
  /**
   * Further header fields of the request, `Origin` and `Cookie` for instance; several of one name as an array. `Host` takes
   * the place of the usual one. Those of the handshake itself cannot be given (`ERR_INVALID_ARG_VALUE`).
   */
  headers?: { readonly [name: string]: string | number | readonly (string | number)[] };
  /** Subprotocols in order of preference. The server must select one of them. */
  protocols?: string | readonly string[];
  /**
   * Milliseconds that the whole connect may take, from resolving the name to the response: 0 – 2^31-1. 0 means the system's
   * timeout for TCP connects, about two minutes on Linux, and no timeout after that.
   * @default 10000
   */
  connectTimeout?: number;
  /**
   * Aborts the connect: the promise then rejects with `signal.reason`. Has no effect once the WebSocket is open; with
   * `reconnect` a WebSocket that is open stays open, and is not opened again.
   */
  signal?: ConnectSignal;
  /**
   * Whether the WebSocket is opened again when its connection ends, and if so when and how often; `true` means the defaults of
   * {@link ReconnectOptions}. docs/connections.md has the whole story.
   *
   * - The object stays the same, with its properties. For each connection `open` runs, and `close` when it has ended. Then
   *   `reconnecting` follows, or the last of all events, `gaveUp`.
   * - The first connect is tried again, too. The promise resolves when the WebSocket opens for the first time, and rejects if
   *   it never does, with the error of the last attempt; then `gaveUp` does not run.
   * - Between two connections nothing is kept to be sent later: `send`, its fragments and `ping` return 2, without `dropped`.
   *   `getBufferedAmount` is 0. What has to arrive is for the program to send again in `open`.
   * - `close()` and `end()` end it for good, also between two connections; `gaveUp` does not run then.
   * - It keeps the process alive, also between two connections, until it has ended.
   *
   * Rejects with `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for options that are not valid; the message names them.
   * @default false
   */
  reconnect?: boolean | ReconnectOptions<UserData> | null;
  /**
   * Its own properties are copied onto the WebSocket before `open`, as those passed to {@link HttpResponse.upgrade}.
   */
  userData?: UserData;

  // With `wss:`; without effect with `ws:`. TLS 1.3 and 1.2, as of a server of Ferrows.

  /**
   * Certificates to trust instead of those of the system, as PEM, one after the other or as an array: authorities, or the
   * certificate of the server itself if it is self-signed, which then has to be valid for its name, now, and for servers.
   * Those of the system are looked for where OpenSSL looks, `SSL_CERT_FILE` and `SSL_CERT_DIR` included; those that come
   * with Node are not used.
   */
  ca?: RecognizedString | readonly RecognizedString[];
  /** A certificate chain as PEM, for servers that ask for one; with `key`. */
  cert?: RecognizedString;
  /** Its private key as PEM. */
  key?: RecognizedString;
  /** The passphrase of an encrypted private key. */
  passphrase?: RecognizedString;
  /** The name that is sent to the server (SNI), and for which its certificate must be valid. @default the host of the url */
  servername?: string;
  /**
   * `false` accepts any certificate, for any name. **Dangerous**: a man in the middle can then read and change everything,
   * unnoticed by both ends; TLS protects only from passive listeners. To connect to a server with a self-signed
   * certificate, pass that as `ca`.
   * @default true
   */
  rejectUnauthorized?: boolean;
}

/**
 * When a WebSocket of {@link connect} is opened again. A key given as `undefined` means its default. The pause before attempt
 * n in a row is a random time between `minDelay` and `minDelay` · `factor` ^ n, but at most `maxDelay`: by default between 0.5 and
 * 1 s, then 2, 4, 8, 16, 30 s.
 */
export interface ReconnectOptions<UserData = unknown> {
  /** Shortest pause before an attempt, in milliseconds, 1 – 2^31-1. @default 500 */
  minDelay?: number;
  /** Longest pause before an attempt, in milliseconds, `minDelay` – 2^31-1. @default 30000, or `minDelay` if that is more */
  maxDelay?: number;
  /** By how much the longest possible pause grows with each attempt, 1–100. With 1 all pauses are `minDelay`. @default 2 */
  factor?: number;
  /** Attempts in a row after which it is given up, an integer from 0 on, or `Infinity`. @default Infinity */
  maxAttempts?: number;
  /**
   * Milliseconds for which a connection has to be open for the attempts to be counted anew, 0 – 2^31-1. So a server that accepts
   * and then closes is not connected to in quick succession. @default 5000
   */
  minUptime?: number;
  /**
   * Decides instead of the usual rule, whose answer is `usual`; anything but `true` ends the attempts. What it throws becomes
   * an 'uncaughtException', and `usual` counts.
   *
   * The usual rule: after a close with 1000 (unless its reason begins with `please reconnect`), 1002, 1003, 1007, 1008, 1009,
   * 1010, 3000, 3003 or 4000 and above there is no further attempt, after any other there is. An attempt that failed is
   * followed by another unless the answer would be the same: `ERR_CONNECT_STATUS` with a status below 500 other than 408, 425 and 429,
   * and `ERR_CONNECT_TLS`, `_RESPONSE`, `_UPGRADE`, `_ACCEPT`, `_EXTENSION`, `_SUBPROTOCOL`.
   */
  shouldReconnect?: (failure: ReconnectFailure, usual: boolean) => boolean;
  /** A pause has begun: after `close`, and after each attempt that failed. The WebSocket may be closed here. */
  reconnecting?: (ws: OpenWebSocket<UserData>, event: ReconnectingEvent) => unknown;
  /** There will be no further attempt. Last event of a WebSocket that was open, unless the program has closed it. */
  gaveUp?: (ws: OpenWebSocket<UserData>, event: GaveUpEvent) => unknown;
}

/** Why there is no connection. */
export interface ReconnectFailure {
  /** The close code of the last connection that was open, as `close` was given it; `undefined` if there was none. */
  readonly code?: number;
  /** What `close` was given with it. */
  readonly info?: WebSocketCloseInfo;
  /** Why the last attempt failed; `undefined` if none was made since the close. */
  readonly error?: ConnectError;
}

/** The argument of `reconnecting`. */
export interface ReconnectingEvent extends ReconnectFailure {
  /** Number of the attempt that will be made, from 1. */
  readonly attempt: number;
  /** Milliseconds until then. */
  readonly delay: number;
}

/** The argument of `gaveUp`. */
export interface GaveUpEvent extends ReconnectFailure {
  /** Attempts that were made in a row. */
  readonly attempts: number;
  /** Which option has decided so: there were `maxAttempts`, or `shouldReconnect`, or the usual rule in its place, is against it. */
  readonly reason: 'maxAttempts' | 'shouldReconnect';
}

/** What {@link connect} needs of an `AbortSignal`. */
export interface ConnectSignal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The server's response to the handshake. */
export interface ConnectResponse {
  /** The subprotocol that it selected; empty if none was offered. */
  readonly protocol: string;
  /** Its `Sec-WebSocket-Extensions`; empty if there is none. */
  readonly extensions: string;
  /** Header fields by name in lower case; several of one name are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** How many connections this WebSocket has had before: always 0 without `reconnect`. */
  readonly reconnects: number;
}

/** Why {@link connect} failed, for programs to compare. docs/close-reasons.md says what to do about each. */
export type ConnectErrorCode =
  /** The host name could not be resolved. */
  | 'ERR_CONNECT_DNS'
  /** The server refused the TCP connection: no socket listens on the port. */
  | 'ERR_CONNECT_REFUSED'
  /** There is no route to the host. */
  | 'ERR_CONNECT_UNREACHABLE'
  /** `connectTimeout` is up; `message` says during which step. Or the system gave up. */
  | 'ERR_CONNECT_TIMEOUT'
  /** The server closed or reset the connection before its response was complete. */
  | 'ERR_CONNECT_ENDED'
  /** No file descriptor is left: `system` is `EMFILE` (of the process) or `ENFILE` (of the machine). */
  | 'ERR_CONNECT_DESCRIPTORS'
  /** The system refused in another way; see `system`. */
  | 'ERR_CONNECT_FAILED'
  /** The TLS handshake failed; `message` says why. */
  | 'ERR_CONNECT_TLS'
  /** The server's answer is not a valid HTTP/1.1 response. */
  | 'ERR_CONNECT_RESPONSE'
  /** The server answered with another status than 101; see `status`, `headers`, `body`. */
  | 'ERR_CONNECT_STATUS'
  /** A 101 without `Upgrade: websocket` and `Connection: Upgrade`. */
  | 'ERR_CONNECT_UPGRADE'
  /** `Sec-WebSocket-Accept` does not match the key of the request. */
  | 'ERR_CONNECT_ACCEPT'
  /** The server uses an extension that was not offered, or not in this way. */
  | 'ERR_CONNECT_EXTENSION'
  /** The server selected a subprotocol that was not offered, or none of those that were. */
  | 'ERR_CONNECT_SUBPROTOCOL';

/** The error with which {@link connect} rejects. */
export interface ConnectError extends Error {
  readonly code: ConnectErrorCode;
  /** The code of the system error that caused it, such as `ECONNREFUSED`, if there was one. */
  readonly system?: string;
  /** The status of the server's response, if there was one. */
  readonly status?: number;
  /** Its header fields, as in {@link ConnectResponse.headers}. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The start of its body as text: at most 4 KiB, and what came within a second. */
  readonly body?: string;
}

// ----------------------------------------------------------------------------------------------------- Compression

/**
 * A compressor, a decompressor, or one of each joined by `|`. The names are those of uWebSockets.js; they say how
 * much memory a connection takes there. The LZ77 window is how far back a message may refer, also into earlier messages.
 */
export type CompressOptions = number;

/** No compression. */
export const DISABLED: 0;
/** No context takeover when sending: a connection keeps no state, and a published message is compressed once. */
export const SHARED_COMPRESSOR: 1;
/** No context takeover when receiving: a connection keeps no state. */
export const SHARED_DECOMPRESSOR: 256;
/** A compressor with a window of 512 bytes, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_3KB: 145;
/** A compressor with a window of 512 bytes, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_4KB: 146;
/** A compressor with a window of 1 KiB, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_8KB: 163;
/** A compressor with a window of 2 KiB, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_16KB: 180;
/** A compressor with a window of 4 KiB, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_32KB: 197;
/** A compressor with a window of 8 KiB, which is what a connection keeps. */
export const DEDICATED_COMPRESSOR_64KB: 214;
/** A compressor with a window of 16 KiB; a connection keeps about 250 KB. */
export const DEDICATED_COMPRESSOR_128KB: 231;
/** A compressor with a window of 32 KiB; a connection keeps about 380 KB. */
export const DEDICATED_COMPRESSOR_256KB: 248;
/** The largest dedicated compressor. */
export const DEDICATED_COMPRESSOR: 248;
/** A decompressor with a window of 512 bytes, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_512B: 2304;
/** A decompressor with a window of 1 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_1KB: 2560;
/** A decompressor with a window of 2 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_2KB: 2816;
/** A decompressor with a window of 4 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_4KB: 3072;
/** A decompressor with a window of 8 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_8KB: 3328;
/** A decompressor with a window of 16 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_16KB: 3584;
/** A decompressor with a window of 32 KiB, which is what a connection keeps. */
export const DEDICATED_DECOMPRESSOR_32KB: 3840;
/** The largest dedicated decompressor. */
export const DEDICATED_DECOMPRESSOR: 3840;

// -------------------------------------------------------------------------------------------------- Key-value store

// Strings and integers by collection and key, shared by all threads of the process (`worker_threads`) that load
// Ferrows from the same files, and kept until the process ends. Every function is atomic: what two threads do at the
// same time happens in one order or the other. Strings and integers are apart: the same key may have both. Keys,
// collections and strings have at most 2^28-16 bytes (`ERR_OUT_OF_RANGE`); nothing bounds their number.

/** The string of a key; `''` if there is none. Data that is not UTF-8 comes back with U+FFFD in it. */
export function getString(key: RecognizedString, collection: RecognizedString): string;
/** Sets the string of a key. Mind the order of arguments: the collection comes last. */
export function setString(key: RecognizedString, value: RecognizedString, collection: RecognizedString): void;
/** Deletes the string of a key, if there is one. */
export function deleteString(key: RecognizedString, collection: RecognizedString): void;
/** Deletes all strings of a collection. */
export function deleteStringCollection(collection: RecognizedString): void;
/** The keys that have a string in this collection, in no particular order. */
export function getStringKeys(collection: RecognizedString): string[];

/** The integer of a key, 0 – 2^32-1; 0 if there is none. */
export function getInteger(key: RecognizedString, collection: RecognizedString): number;
/**
 * Sets the integer of a key, modulo 2^32: -1 is 4294967295. Throws `ERR_OUT_OF_RANGE` for numbers that are no safe
 * integers.
 */
export function setInteger(key: RecognizedString, value: number, collection: RecognizedString): void;
/**
 * Adds to the integer of a key, 0 if there is none, and returns the sum. Modulo 2^32, and throws, as
 * {@link setInteger}.
 */
export function incInteger(key: RecognizedString, change: number, collection: RecognizedString): number;
/** Deletes the integer of a key, if there is one. */
export function deleteInteger(key: RecognizedString, collection: RecognizedString): void;
/** Deletes all integers of a collection. */
export function deleteIntegerCollection(collection: RecognizedString): void;
/** The keys that have an integer in this collection, in no particular order. */
export function getIntegerKeys(collection: RecognizedString): string[];

/**
 * Enters a critical section, which one thread at a time can be in, for operations of several calls of the functions
 * above. Blocks this thread, its event loop included, until the other thread calls {@link unlock}; so keep sections
 * short, without `await`, and leave them in `finally`. Other threads can still call single functions outside of a
 * section. A thread that ends, or is terminated, leaves its section.
 *
 * Throws `ERR_INVALID_STATE` if this thread is in a section already, and `ERR_LOCK_TIMEOUT` if the other thread has not
 * left its own after 5 seconds.
 */
export function lock(): void;
/** Leaves the section that {@link lock} has entered. Throws `ERR_INVALID_STATE` if this thread is in none. */
export function unlock(): void;

// --------------------------------------------------------------------------------------------------------- Process

/**
 * A log level, which includes the levels before it: `error` failures that keep Ferrows from serving, `warn` protocol
 * violations of peers, `info` listening sockets, `debug` transitions of connections, `trace` bytes.
 */
export type LogLevel = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** A log record. */
export interface LogRecord {
  /** Its level. */
  readonly level: Exclude<LogLevel, 'off'>;
  /** The module of Ferrows that logs, such as `ferrows::io::listener`. Modules may move; do not rely on it. */
  readonly target: string;
  /** What happened: a fixed text without data of a peer, such as `connection ended`. */
  readonly message: string;
  /**
   * The details of this record, such as `cause`, and those of the connection it belongs to: `conn`, its name within
   * this thread of Node (a string); `worker`, its I/O thread (a number from 0); `peer`, address and port of the other end
   * (absent on Unix sockets).
   *
   * Texts may come from a peer and hold anything; they are cut at 256 characters.
   */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/**
 * Hands records up to `level` to `listener`, asynchronously, on this thread; the last call wins, also for records that
 * wait. `'off'`, or `null` as listener, ends it. May be called at any time. Off by default, and then free of cost.
 *
 * - The records are those of the apps of this thread: each of `worker_threads` has a listener of its own.
 * - It does not keep the process alive: records that wait when the process ends are not delivered.
 * - At most 10,000 records wait. Then the oldest are lost, and a record of level `error` has their number (`count`).
 * - What the listener throws becomes an `uncaughtException`.
 *
 * The environment variable `FERROWS_LOG` (a level), read when Ferrows is loaded, makes this thread write its records to
 * stderr, one line each, whether or not there is a listener. A separate thread writes them, so a slow reader of stderr
 * delays nothing: up to 10,000 records wait, and beyond that the oldest are lost, and counted. Lines that wait when
 * the process ends are written first, for at most half a second. With `FERROWS_LOG_FORMAT=json` each line is an object with
 * `time`, `level`, `target`, `message` and `fields`, as a listener gets them; the last one that was read holds for all threads
 * of the process.
 *
 * Throws `ERR_INVALID_ARG_VALUE` for unknown levels, and `ERR_INVALID_ARG_TYPE` for levels that are no strings and for
 * listeners that are neither functions nor null; only with `'off'` the listener may be left out.
 */
export function setLogger(level: LogLevel, listener: ((record: LogRecord) => void) | null): void;
export function setLogger(level: 'off', listener?: ((record: LogRecord) => void) | null): void;

/**
 * Kept for programs written for uWebSockets.js; has no effect, as no header advertises this server. (Its `setTimeout`,
 * `clearTimeout` and `arm`, which do nothing there, do not exist here.)
 */
export function _cfg(key: RecognizedString): void;

/**
 * The environment variables of uWebSockets.js. They have no effect here, so both are `undefined` whatever the environment
 * says; the options `maxHeaderSize` and `maxHeadersCount` of an app replace them.
 */
export namespace EnvironmentVariables {
  /** See {@link AppOptions.maxHeaderSize}. */
  const UWS_HTTP_MAX_HEADERS_SIZE: string | undefined;
  /** See {@link AppOptions.maxHeadersCount}. */
  const UWS_HTTP_MAX_HEADERS_COUNT: string | undefined;
}

declare const listenSocket: unique symbol;
declare const upgradeContext: unique symbol;

// Otherwise every declaration of this file would be exported, these two included.
export {};
