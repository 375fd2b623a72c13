/**
 * A WebSocket for pages that comes back, and what close codes mean: `import { ReconnectingWebSocket } from 'ferrows/browser'`, or
 * the file browser.mjs in a `<script type="module">`. It uses nothing but what browsers have, and works with any server. It
 * also runs in Node.js and other runtimes that have a WebSocket. docs/browser.md has examples.
 */

/** Options. A key given as `undefined` means its default. */
export interface ReconnectingWebSocketOptions {
  /** Shortest pause before an attempt, in milliseconds, 1 – 2^31-1. @default 500 */
  minDelay?: number;
  /** Longest pause before an attempt, in milliseconds, `minDelay` – 2^31-1. @default 30000, or `minDelay` if that is more */
  maxDelay?: number;
  /**
   * By how much the longest possible pause grows with each attempt, 1–100. The pause before attempt n in a row is a random time
   * between `minDelay` and `minDelay` · `factor` ^ n, at most `maxDelay`. @default 2
   */
  factor?: number;
  /** Attempts in a row after which it is given up, an integer from 0 on, or `Infinity`. @default Infinity */
  maxAttempts?: number;
  /** Milliseconds for which a connection has to be open for the attempts to be counted anew, 0 – 2^31-1. @default 5000 */
  minUptime?: number;
  /**
   * Decides instead of the usual rule, whose answer is `usual`; anything but `true` ends the attempts. By the usual rule there
   * is no further attempt after a close with 1000 (unless its reason begins with `please reconnect`), 1002, 1003, 1007, 1008,
   * 1009, 1010, 3000, 3003, or 4000 and above.
   */
  shouldReconnect?: (failure: ConnectionFailure, usual: boolean) => boolean;
  /** Milliseconds that a connection may take to open, 0 – 2^31-1; 0 is for no limit. @default 10000 */
  connectTimeout?: number;
  /**
   * Returns a message that the server answers, to see whether a connection is still there: sent when the page is shown again,
   * or the network is back. Without an answer (any message) in time the connection is given up, with 1006, and opened again.
   * Browsers give pages no other way to find out. `undefined` sends nothing.
   */
  probe?: () => SocketData | undefined;
  /** Milliseconds that the answer may take, 0 – 2^31-1; 0 is for no limit. @default 4000 */
  probeTimeout?: number;
  /** Makes the WebSockets, where the runtime has none: `WebSocket` of `ws`, for instance. @default globalThis.WebSocket */
  WebSocket?: new (url: string | URL, protocols?: string[]) => any;
}

/** What a WebSocket can send. */
export type SocketData = string | ArrayBuffer | ArrayBufferView | Blob;

/** Why there is no connection: one of the two is there. */
export interface ConnectionFailure {
  /** The connection, or the attempt, ended so. An attempt that failed is always 1006 without a reason: browsers tell pages no more. */
  readonly close?: ConnectionClose;
  /** What the function `url` has thrown. */
  readonly error?: unknown;
}

/** How a connection ended. */
export interface ConnectionClose {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** For how long it was open, in milliseconds; `undefined` if it never was. */
  readonly openFor?: number;
  /** For how long no message had come, in milliseconds. If it is the same again and again, something on the way cuts silent lines. */
  readonly silentFor?: number;
  readonly explanation: Explanation;
}

/** What docs/close-reasons.md says about a close code and its reason. */
export interface Explanation {
  readonly code: number;
  /** The name of the code, such as `Abnormal Closure`; `undefined` if it has none. */
  readonly name: string | undefined;
  /** What the code means, of either side. */
  readonly meaning: string | undefined;
  /** What it means in a browser, and what to do about it. */
  readonly advice: string | undefined;
  /** What the server calls it, `ERR_FRAME_TOO_BIG` for instance, if the reason is one of those that Ferrows sends. */
  readonly cause: string | undefined;
}

/** What a close code and a reason mean. */
export function explain(code: number, reason?: string): Explanation;

/** The events of a {@link ReconnectingWebSocket}. */
export interface ReconnectingWebSocketEventMap {
  /** An attempt begins. Nobody can listen to that of the constructor. */
  connecting: Event;
  /** A connection is open. For each connection. */
  open: Event;
  /** A message has arrived: text is a string, binary data what `binaryType` says. */
  message: Event & { readonly data: any };
  /** A connection that was open has ended. */
  close: Event & ConnectionClose;
  /** A pause of `delay` milliseconds has begun, after which attempt number `attempt` (from 1) is made. */
  reconnecting: Event & ConnectionFailure & { readonly attempt: number; readonly delay: number };
  /**
   * There will be no further attempt, unless {@link ReconnectingWebSocket.connect} is called. `reason` is the option that has decided so
   * (`shouldReconnect` also if it was the usual rule), `attempts` how many were made in a row. Not after `close()`.
   */
  gaveup: Event & ConnectionFailure & { readonly attempts: number; readonly reason: 'maxAttempts' | 'shouldReconnect' };
}

type Handler<Type extends keyof ReconnectingWebSocketEventMap> =
  | ((this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[Type]) => unknown)
  | null;

/** A WebSocket that is opened again when its connection ends. It has the members of a WebSocket, with these differences. */
export class ReconnectingWebSocket extends EventTarget {
  /**
   * Connects. `url` may be relative to the page, and a function that returns one or a promise of it, called before each
   * attempt: for a token that is good once, for instance. What it throws counts as an attempt that failed.
   *
   * Throws a TypeError (`code` is `ERR_INVALID_ARG_TYPE`) or RangeError (`ERR_OUT_OF_RANGE`) for arguments that are not valid, and
   * what the platform throws for an url or subprotocols that it does not take (SyntaxError).
   */
  constructor(url: string | URL | (() => string | URL | Promise<string | URL>), options?: ReconnectingWebSocketOptions);
  constructor(
    url: string | URL | (() => string | URL | Promise<string | URL>),
    protocols: string | readonly string[] | undefined,
    options?: ReconnectingWebSocketOptions,
  );

  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /** The address of the connection; `''` before a function `url` has returned one. */
  readonly url: string;
  /** 0 while it connects or waits to, 1 open, 2 while it closes for good, 3 when it is over. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The subprotocol that the server has selected. */
  readonly protocol: string;
  /** The extensions that are in use. */
  readonly extensions: string;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Kept for all connections. @default 'blob' */
  binaryType: 'blob' | 'arraybuffer';
  /** Attempts in a row so far. */
  readonly attempts: number;
  /** Milliseconds since the last message, or since it opened; `undefined` while it is not open. Pings are invisible to pages. */
  readonly silentFor: number | undefined;

  /**
   * Sends a message. Returns whether there was a connection to send it on; without one nothing is kept, and nothing is
   * thrown. What was sent just before a connection ended may not have arrived, so only the program knows what to send again.
   */
  send(data: SocketData): boolean;
  /**
   * Closes it for good, or ends the pause. `close` follows if it was open. Throws a RangeError (`ERR_OUT_OF_RANGE`) if `code` is
   * neither 1000 nor 3000–4999, or `reason` longer than 123 bytes.
   */
  close(code?: number, reason?: string): void;
  /** Connects now: ends a pause, or begins anew after `gaveup` or `close()`. No effect if there is a connection. */
  connect(): void;

  onconnecting: Handler<'connecting'>;
  onopen: Handler<'open'>;
  onmessage: Handler<'message'>;
  onclose: Handler<'close'>;
  onreconnecting: Handler<'reconnecting'>;
  ongaveup: Handler<'gaveup'>;

  addEventListener<Type extends keyof ReconnectingWebSocketEventMap>(
    type: Type,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[Type]) => unknown,
    options?: boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal },
  ): void;
  removeEventListener<Type extends keyof ReconnectingWebSocketEventMap>(
    type: Type,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[Type]) => unknown,
    options?: boolean | { capture?: boolean },
  ): void;
}
