// The types of `ferrows/ws`: those that programs of `ws` use, and what is added.

import { EventEmitter } from 'node:events';
import { Agent, ClientRequest, ClientRequestArgs, IncomingMessage, OutgoingHttpHeaders, Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import { SecureContextOptions } from 'node:tls';
import { Duplex, DuplexOptions } from 'node:stream';
import { URL } from 'node:url';
import { ZlibOptions } from 'node:zlib';

import type { WebSocketCloseInfo } from './index.js';

/**
 * A WebSocket, of a server or of a client.
 *
 * Its connection belongs to an I/O thread. What is sent before that has it waits, in order; the same counts for a Blob
 * until its bytes are read.
 */
declare class WebSocket extends EventEmitter {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * How binary messages are delivered: as a Buffer, an ArrayBuffer, an array with one Buffer, or a Blob. Text is always a
   * Buffer. Assigning another value has no effect. Default: `'nodebuffer'`.
   */
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments' | 'blob';
  /** Bytes that were sent and that the system has not taken. */
  readonly bufferedAmount: number;
  /** How it ended; `undefined` until then. */
  readonly closeInfo: WebSocket.CloseInfo | undefined;
  /** `'permessage-deflate'`, or empty. */
  readonly extensions: string;
  /** Whether `pause` was called, and not `resume`. */
  readonly isPaused: boolean;
  /** The subprotocol that the server has selected; empty if there is none. */
  readonly protocol: string;
  readonly readyState: 0 | 1 | 2 | 3;
  /** The address of a client, after the last redirect; `undefined` for the WebSockets of a server. */
  readonly url: string;

  onopen: ((event: WebSocket.Event) => void) | null;
  onerror: ((event: WebSocket.ErrorEvent) => void) | null;
  onclose: ((event: WebSocket.CloseEvent) => void) | null;
  onmessage: ((event: WebSocket.MessageEvent) => void) | null;

  /** For classes that extend this one: what a server makes. */
  constructor(address: null);
  /**
   * Connects to a server.
   *
   * @param address `ws:`, `wss:`, `http:` or `https:`; `ws+unix:/socket:/path` for a Unix socket.
   * @throws SyntaxError if the address or a subprotocol is not valid.
   * @throws RangeError if an option is out of range.
   */
  constructor(address: string | URL, options?: WebSocket.ClientOptions | ClientRequestArgs);
  constructor(address: string | URL, protocols?: string | string[], options?: WebSocket.ClientOptions | ClientRequestArgs);

  /**
   * Starts the closing handshake. Messages of the peer are delivered until its Close frame arrives; then `'close'` is
   * emitted. Has no effect while it is closing or closed.
   *
   * @param code 1000–1014 but 1004–1006, or 3000–4999; without it the Close frame is empty.
   * @param data At most 123 bytes.
   * @throws TypeError, RangeError if code or data are not valid.
   */
  close(code?: number, data?: string | Buffer): void;
  /**
   * Sends a Ping of at most 125 bytes.
   *
   * @throws Error while it is connecting; RangeError if there are more bytes.
   */
  ping(data?: any, mask?: boolean, cb?: (err?: Error) => void): void;
  ping(data?: any, cb?: (err?: Error) => void): void;
  ping(cb?: (err?: Error) => void): void;
  /** Sends a Pong of at most 125 bytes; otherwise as `ping`. */
  pong(data?: any, mask?: boolean, cb?: (err?: Error) => void): void;
  pong(data?: any, cb?: (err?: Error) => void): void;
  pong(cb?: (err?: Error) => void): void;
  /**
   * Sends a message. The callback is called once it is written, or with an error.
   *
   * @throws Error while it is connecting; TypeError if `data` is nothing that can be sent.
   */
  send(data: WebSocket.SendData, cb?: (err?: Error) => void): void;
  send(data: WebSocket.SendData, options: WebSocket.SendOptions, cb?: (err?: Error) => void): void;
  /** Drops the connection. `'close'` follows, with 1006. */
  terminate(): void;
  /** Stops reading: TCP slows the peer down. What has been read is still delivered. */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /**
   * Subscribes to a topic of the server (`WebSocketServer.publish`). Has no effect once it is closing.
   *
   * @throws Error with `code: 'ERR_INVALID_STATE'` unless the server has the option `topics`.
   */
  subscribe(topic: string): void;
  /** Ends a subscription, if there is one; otherwise as `subscribe`. */
  unsubscribe(topic: string): void;

  addEventListener<K extends keyof WebSocket.WebSocketEventMap>(
    type: K,
    listener: ((event: WebSocket.WebSocketEventMap[K]) => void) | { handleEvent(event: WebSocket.WebSocketEventMap[K]): void },
    options?: WebSocket.EventListenerOptions,
  ): void;
  removeEventListener<K extends keyof WebSocket.WebSocketEventMap>(
    type: K,
    listener: ((event: WebSocket.WebSocketEventMap[K]) => void) | { handleEvent(event: WebSocket.WebSocketEventMap[K]): void },
  ): void;

  on<K extends keyof WebSocket.Listeners>(event: K, listener: WebSocket.Listeners[K]): this;
  on(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  once<K extends keyof WebSocket.Listeners>(event: K, listener: WebSocket.Listeners[K]): this;
  once(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  off<K extends keyof WebSocket.Listeners>(event: K, listener: WebSocket.Listeners[K]): this;
  off(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  addListener<K extends keyof WebSocket.Listeners>(event: K, listener: WebSocket.Listeners[K]): this;
  addListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  removeListener<K extends keyof WebSocket.Listeners>(event: K, listener: WebSocket.Listeners[K]): this;
  removeListener(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
}

declare namespace WebSocket {
  /** What can be sent. Arrays and other objects are what `Buffer.from` takes. */
  type SendData =
    | string | number | Buffer | Uint8Array | ArrayBuffer | SharedArrayBuffer | DataView | ArrayBufferView | Blob
    | readonly any[] | readonly number[]
    | { valueOf(): ArrayBuffer | SharedArrayBuffer | Uint8Array | readonly number[] | string }
    | { [Symbol.toPrimitive](hint: string): string };

  /** What a `'message'` event delivers. */
  type RawData = Buffer | ArrayBuffer | Buffer[];
  /** What the `data` of a `MessageEvent` is. */
  type Data = string | Buffer | ArrayBuffer | Buffer[];

  interface SendOptions {
    /** Whether it is binary. Default: unless `data` is a string. */
    binary?: boolean | undefined;
    /** Whether to compress it, if that was negotiated. Default: true. */
    compress?: boolean | undefined;
    /** Whether it is the last fragment of a message. Default: true. */
    fin?: boolean | undefined;
    /** Has no effect: clients mask, servers do not (RFC 6455 §5.1). */
    mask?: boolean | undefined;
  }

  /** How a WebSocket ended. Only `cause` to `reason` are there if it was never open, or lost before it was handed over. */
  interface CloseInfo extends Partial<Omit<WebSocketCloseInfo, 'cause' | 'initiator' | 'wasClean' | 'reason'>> {
    /** One of the names in docs/close-reasons.md, or `ERR_CONNECT_FAILED`. */
    cause: string;
    /** Who ended it; `'transport'` if the connection ended or failed without a Close frame. */
    initiator: 'peer' | 'local' | 'transport';
    /** Whether Close frames were exchanged. */
    wasClean: boolean;
    /** The second argument of `'close'`, as text. */
    reason: string;
  }

  /** What a client's certificate says; of no use to servers. */
  type CertMeta = string | string[] | Buffer | Buffer[];

  type VerifyClientCallbackSync<Request extends IncomingMessage = IncomingMessage> = (
    info: { origin: string; secure: boolean; req: Request },
  ) => boolean;
  type VerifyClientCallbackAsync<Request extends IncomingMessage = IncomingMessage> = (
    info: { origin: string; secure: boolean; req: Request },
    callback: (res: boolean, code?: number, message?: string, headers?: OutgoingHttpHeaders) => void,
  ) => void;

  /** Options of permessage-deflate (RFC 7692). What is left out follows the peer. */
  interface PerMessageDeflateOptions {
    serverNoContextTakeover?: boolean | undefined;
    clientNoContextTakeover?: boolean | undefined;
    /** 8–15; `false` refuses the parameter. */
    serverMaxWindowBits?: number | boolean | undefined;
    /** 8–15; `false` refuses the parameter. */
    clientMaxWindowBits?: number | boolean | undefined;
    /** Messages shorter than this are not compressed where context takeover is off. In bytes. Default: 1024. */
    threshold?: number | undefined;
    /** Has no effect: the level follows from the length of the message. */
    zlibDeflateOptions?: ZlibOptions | undefined;
    /** Has no effect. */
    zlibInflateOptions?: ZlibOptions | undefined;
    /** Has no effect: the I/O threads compress. */
    concurrencyLimit?: number | undefined;
  }

  /** Options of servers and clients alike. */
  interface SocketOptions {
    /** Has no effect: promise callbacks run between any two events. */
    allowSynchronousEvents?: boolean | undefined;
    /** Whether Pings are answered. Default: true. */
    autoPong?: boolean | undefined;
    /** How long the peer may take to answer a Close frame. In milliseconds. Default: 30000. */
    closeTimeout?: number | undefined;
    /** Has no effect: input is not kept in pieces. */
    maxBufferedChunks?: number | undefined;
    /** The most fragments of a message; 0 is no limit. Default: 131072. */
    maxFragments?: number | undefined;
    /** The longest message, in bytes; 0 is 2 GiB − 1, the longest possible. Default: 100 MiB. */
    maxPayload?: number | undefined;
    /** Whether text messages may be something else than UTF-8. Default: false. */
    skipUTF8Validation?: boolean | undefined;
  }

  interface ClientOptions extends SocketOptions, SecureContextOptions {
    protocol?: string | undefined;
    followRedirects?: boolean | undefined;
    /** Has no effect: keys are random. */
    generateMask?(mask: Buffer): void;
    /** In milliseconds, for each request. Default: none. */
    handshakeTimeout?: number | undefined;
    /** Default: 10. */
    maxRedirects?: number | undefined;
    /** Default: true. */
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    localAddress?: string | undefined;
    /** 13 or 8. Default: 13. */
    protocolVersion?: number | undefined;
    headers?: { [key: string]: string } | undefined;
    origin?: string | undefined;
    agent?: Agent | undefined;
    host?: string | undefined;
    family?: number | undefined;
    checkServerIdentity?(servername: string, cert: CertMeta): boolean;
    rejectUnauthorized?: boolean | undefined;
    timeout?: number | undefined;
    createConnection?: ClientRequestArgs['createConnection'] | undefined;
    auth?: string | null | undefined;
    servername?: string | undefined;
    /** Called before each request is sent; has to call `request.end()`. */
    finishRequest?(request: ClientRequest, websocket: WebSocket): void;
  }

  interface ServerOptions<
    U extends typeof WebSocket = typeof WebSocket,
    V extends typeof IncomingMessage = typeof IncomingMessage,
  > extends SocketOptions {
    host?: string | undefined;
    port?: number | undefined;
    backlog?: number | undefined;
    server?: HttpServer<V> | HttpsServer<V> | undefined;
    verifyClient?: VerifyClientCallbackAsync<InstanceType<V>> | VerifyClientCallbackSync<InstanceType<V>> | undefined;
    handleProtocols?: ((protocols: Set<string>, request: InstanceType<V>) => string | false) | undefined;
    path?: string | undefined;
    noServer?: boolean | undefined;
    /** Whether `clients` is kept. Default: true. */
    clientTracking?: boolean | undefined;
    /** Default: false. */
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    WebSocket?: U | undefined;
    /** Whether its WebSockets can subscribe to topics. Not in `ws`. Default: false. */
    topics?: boolean | undefined;
  }

  interface AddressInfo {
    address: string;
    family: string;
    port: number;
  }

  /** A server of WebSockets. HTTP is Node's. */
  class WebSocketServer<
    T extends typeof WebSocket = typeof WebSocket,
    U extends typeof IncomingMessage = typeof IncomingMessage,
  > extends EventEmitter {
    options: ServerOptions<T, U>;
    path: string;
    /** The open WebSockets, unless `clientTracking` is off. */
    clients: Set<InstanceType<T>>;

    /**
     * One of `port`, `server` and `noServer` must be given.
     *
     * @param callback A listener of `'listening'`, with `port`.
     * @throws TypeError if it is not one of them; RangeError if an option is out of range.
     */
    constructor(options?: ServerOptions<T, U>, callback?: () => void);

    /** The address of the HTTP server. @throws Error with `noServer`. */
    address(): AddressInfo | string | null;
    /** Takes no further connections; open ones stay open. `'close'` follows when the last one has closed. */
    close(cb?: (err?: Error) => void): void;
    /**
     * Answers the opening handshake of an `'upgrade'` event.
     *
     * @throws Error if the socket was handed over before.
     */
    handleUpgrade(
      request: InstanceType<U>,
      socket: Duplex,
      upgradeHead: Buffer,
      callback: (client: InstanceType<T>, request: InstanceType<U>) => void,
    ): void;
    /** Whether the request is for this server: by its `path`, unless a subclass decides otherwise. */
    shouldHandle(request: InstanceType<U>): boolean | Promise<boolean>;
    /**
     * Sends a message to all of its WebSockets that are subscribed to a topic, at the cost of one per I/O thread.
     * Returns whether there is any.
     *
     * @throws Error with `code: 'ERR_INVALID_STATE'` without the option `topics`.
     */
    publish(topic: string, data: Exclude<SendData, Blob>, options?: Pick<SendOptions, 'binary' | 'compress'>): boolean;

    on<K extends keyof ServerListeners<T, U>>(event: K, listener: ServerListeners<T, U>[K]): this;
    on(event: string | symbol, listener: (this: WebSocketServer<T>, ...args: any[]) => void): this;
    once<K extends keyof ServerListeners<T, U>>(event: K, listener: ServerListeners<T, U>[K]): this;
    once(event: string | symbol, listener: (this: WebSocketServer<T>, ...args: any[]) => void): this;
    off<K extends keyof ServerListeners<T, U>>(event: K, listener: ServerListeners<T, U>[K]): this;
    off(event: string | symbol, listener: (this: WebSocketServer<T>, ...args: any[]) => void): this;
    addListener<K extends keyof ServerListeners<T, U>>(event: K, listener: ServerListeners<T, U>[K]): this;
    addListener(event: string | symbol, listener: (this: WebSocketServer<T>, ...args: any[]) => void): this;
    removeListener<K extends keyof ServerListeners<T, U>>(event: K, listener: ServerListeners<T, U>[K]): this;
    removeListener(event: string | symbol, listener: (this: WebSocketServer<T>, ...args: any[]) => void): this;
  }

  /** The older name of `WebSocketServer`. */
  const Server: typeof WebSocketServer;
  interface Server<
    T extends typeof WebSocket = typeof WebSocket,
    U extends typeof IncomingMessage = typeof IncomingMessage,
  > extends WebSocketServer<T, U> {}

  const WebSocket: typeof WebSocketAlias;
  interface WebSocket extends WebSocketAlias {}

  /**
   * A WebSocket as a stream.
   *
   * @param options Those of `stream.Duplex`.
   */
  function createWebSocketStream(websocket: WebSocketAlias, options?: DuplexOptions): Duplex;

  interface EventListenerOptions {
    once?: boolean | undefined;
  }

  interface Event {
    type: string;
    target: WebSocketAlias;
  }

  interface ErrorEvent extends Event {
    error: any;
    message: string;
  }

  interface CloseEvent extends Event {
    wasClean: boolean;
    code: number;
    reason: string;
  }

  interface MessageEvent extends Event {
    data: Data;
  }

  interface WebSocketEventMap {
    open: Event;
    error: ErrorEvent;
    close: CloseEvent;
    message: MessageEvent;
  }

  /** The events of a WebSocket. */
  interface Listeners {
    /** `reason` has the peer's own words; with 1006, a text that says what happened. */
    close: (this: WebSocketAlias, code: number, reason: Buffer) => void;
    /** `code` is one of those that start with `WS_ERR_` if the peer has broken a rule. */
    error: (this: WebSocketAlias, error: Error) => void;
    upgrade: (this: WebSocketAlias, response: IncomingMessage) => void;
    message: (this: WebSocketAlias, data: RawData, isBinary: boolean) => void;
    open: (this: WebSocketAlias) => void;
    ping: (this: WebSocketAlias, data: Buffer) => void;
    pong: (this: WebSocketAlias, data: Buffer) => void;
    redirect: (this: WebSocketAlias, url: string, request: ClientRequest) => void;
    'unexpected-response': (this: WebSocketAlias, request: ClientRequest, response: IncomingMessage) => void;
  }

  /** The events of a server. */
  interface ServerListeners<T extends typeof WebSocket, U extends typeof IncomingMessage> {
    connection: (this: WebSocketServer<T>, websocket: InstanceType<T>, request: InstanceType<U>) => void;
    error: (this: WebSocketServer<T>, error: Error) => void;
    headers: (this: WebSocketServer<T>, headers: string[], request: InstanceType<U>) => void;
    close: (this: WebSocketServer<T>) => void;
    listening: (this: WebSocketServer<T>) => void;
    wsClientError: (this: WebSocketServer<T>, error: Error, socket: Duplex, request: InstanceType<U>) => void;
  }
}

type WebSocketAlias = WebSocket;
declare const WebSocketAlias: typeof WebSocket;

export = WebSocket;
