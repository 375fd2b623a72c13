// Programs written for uWebSockets.js compile against the types of Ferrows. Its declarations are mirrored here by their
// shape; what Ferrows gives is of these shapes, and what programs give in these shapes Ferrows takes. Never run.

import uWS = require('ferrows');

// ------------------------------------------------------------------------------------------------------------ Shapes

type Text = string | ArrayBuffer | SharedArrayBuffer | ArrayBufferView;
type Later = void | Promise<void>;
interface Opaque {}

interface Request {
  getHeader(name: Text): string;
  getParameter(which: number | Text): string | undefined;
  getUrl(): string;
  getMethod(): string;
  getCaseSensitiveMethod(): string;
  getQuery(): string;
  getQuery(key: string): string | undefined;
  forEach(each: (key: string, value: string) => void): void;
  setYield(yes: boolean): Request;
}

interface Addressed {
  getRemoteAddress(): ArrayBuffer;
  getRemoteAddressAsText(): ArrayBuffer;
  getRemotePort(): number;
}

interface Response extends Addressed {
  writeStatus(status: Text): Response;
  writeHeader(name: Text, value: Text): Response;
  write(piece: Text): boolean;
  end(body?: Text, close?: boolean): Response;
  endWithoutBody(length?: number, close?: boolean): Response;
  tryEnd(piece: Text, total: number): [boolean, boolean];
  close(): Response;
  getWriteOffset(): number;
  onWritable(handler: (offset: number) => boolean): Response;
  onAborted(handler: () => void): Response;
  onData(handler: (piece: ArrayBuffer, isLast: boolean) => void): Response;
  onDataV2(handler: (piece: ArrayBuffer, remaining: bigint) => void): Response;
  collectBody(limit: number, handler: (body: ArrayBuffer | null) => void): Response;
  pause(): void;
  resume(): void;
  getProxiedRemoteAddress(): ArrayBuffer;
  getProxiedRemoteAddressAsText(): ArrayBuffer;
  getProxiedRemotePort(): number;
  cork(callback: () => void): Response;
  upgrade<Data>(data: Data, key: Text, protocol: Text, extensions: Text, context: Opaque): void;
  [own: string]: any;
}

interface Socket<Data> extends Addressed {
  send(message: Text, isBinary?: boolean, compress?: boolean): number;
  sendFirstFragment(message: Text, isBinary?: boolean, compress?: boolean): number;
  sendFragment(message: Text, compress?: boolean): number;
  sendLastFragment(message: Text, compress?: boolean): number;
  ping(message?: Text): number;
  getBufferedAmount(): number;
  end(code?: number, reason?: Text): void;
  close(): void;
  subscribe(topic: Text): boolean;
  unsubscribe(topic: Text): boolean;
  isSubscribed(topic: Text): boolean;
  getTopics(): string[];
  publish(topic: Text, message: Text, isBinary?: boolean, compress?: boolean): boolean;
  cork(callback: () => void): Socket<Data>;
  getUserData(): Data;
}

interface Behavior<Data> {
  maxPayloadLength?: number;
  closeOnBackpressureLimit?: boolean;
  maxLifetime?: number;
  idleTimeout?: number;
  compression?: number;
  maxBackpressure?: number;
  sendPingsAutomatically?: boolean;
  upgrade?: (res: Response, req: Request, context: Opaque) => Later;
  open?: (ws: Socket<Data>) => Later;
  message?: (ws: Socket<Data>, message: ArrayBuffer, isBinary: boolean) => Later;
  dropped?: (ws: Socket<Data>, message: ArrayBuffer, isBinary: boolean) => Later;
  drain?: (ws: Socket<Data>) => void;
  close?: (ws: Socket<Data>, code: number, message: ArrayBuffer) => void;
  ping?: (ws: Socket<Data>, message: ArrayBuffer) => void;
  pong?: (ws: Socket<Data>, message: ArrayBuffer) => void;
  subscription?: (ws: Socket<Data>, topic: ArrayBuffer, now: number, before: number) => void;
}

interface Options {
  key_file_name?: Text;
  cert_file_name?: Text;
  ca_file_name?: Text;
  passphrase?: Text;
  dh_params_file_name?: Text;
  ssl_ciphers?: Text;
  ssl_prefer_low_memory_usage?: boolean;
}

type Verb = 'get' | 'post' | 'options' | 'del' | 'patch' | 'put' | 'head' | 'connect' | 'trace' | 'any';
type Routes = { [verb in Verb]: (pattern: Text, handler: (res: Response, req: Request) => Later) => Application };
type Listening = (token: Opaque | false) => Later;

interface Application extends Routes {
  listen(host: Text, port: number, listening: Listening): Application;
  listen(host: Text, port: number, options: uWS.ListenOptions, listening: Listening): Application;
  listen(port: number, listening: Listening): Application;
  listen(port: number, options: uWS.ListenOptions, listening: Listening): Application;
  listen_unix(listening: (token: Opaque) => Later, path: Text): Application;
  ws<Data>(pattern: Text, behavior: Behavior<Data>): Application;
  publish(topic: Text, message: Text, isBinary?: boolean, compress?: boolean): boolean;
  numSubscribers(topic: Text): number;
  addServerName(name: string, options: Options): Application;
  domain(name: string): Application;
  removeServerName(name: string): Application;
  missingServerName(handler: (name: string) => void): Application;
  filter(handler: (res: Response, count: Number) => Later): Application;
  close(): Application;
  getDescriptor(): Opaque;
  addChildAppDescriptor(descriptor: Opaque): void;
  removeChildAppDescriptor(descriptor: Opaque): void;
}

interface Field {
  data: ArrayBuffer;
  name: string;
  type?: string;
  filename?: string;
}

interface Module {
  App(options?: Options): Application;
  SSLApp(options: Options): Application;
  us_listen_socket_close(token: Opaque): void;
  us_socket_local_port(token: Opaque): number;
  getParts(body: Text, type: Text): Field[] | undefined;
  ListenOptions: { LIBUS_LISTEN_DEFAULT: uWS.ListenOptions; LIBUS_LISTEN_EXCLUSIVE_PORT: uWS.ListenOptions };
  EnvironmentVariables: {
    readonly UWS_HTTP_MAX_HEADERS_SIZE: string | undefined;
    readonly UWS_HTTP_MAX_HEADERS_COUNT: string | undefined;
  };
  DISABLED: number;
  SHARED_COMPRESSOR: number;
  DEDICATED_COMPRESSOR_256KB: number;
  DEDICATED_DECOMPRESSOR: number;
}

// ----------------------------------------------------------------------------------------------------- Both ways

/** Compiles if everything of the second type is of the first. */
type Takes<Target, Source extends Target> = [Target, Source];
interface Data {
  name: string;
}

type FerrowsGives = [
  Takes<Module, typeof uWS>,
  Takes<Application, uWS.TemplatedApp>,
  Takes<Request, uWS.HttpRequest>,
  Takes<Response, uWS.HttpResponse>,
  Takes<Response, uWS.CachedHttpResponse>,
  Takes<Socket<Data>, uWS.WebSocket<Data>>,
  Takes<Options, uWS.AppOptions>,
  Takes<Field, uWS.MultipartField>,
  Takes<Opaque, uWS.us_socket | uWS.us_listen_socket | uWS.us_socket_context_t | uWS.AppDescriptor>,
];

type FerrowsTakes = [
  Takes<uWS.WebSocketBehavior<Data>, Behavior<Data>>,
  Takes<uWS.AppOptions, Options>,
  Takes<uWS.SSLAppOptions, Options>,
  Takes<uWS.TlsOptions, Options>,
  Takes<uWS.HttpHandler, (res: Response, req: Request) => Later>,
  Takes<uWS.RecognizedString, Text>,
  Takes<uWS.MultipartField, Field>,
  Takes<uWS.us_listen_socket, Opaque>,
  Takes<uWS.us_socket_context_t, Opaque>,
  Takes<uWS.ListenCallback, Listening>,
];

// ------------------------------------------------------------------------------------------------------------ Programs

/** What tokens are kept in, and how they are used. */
class Server {
  private token: uWS.us_listen_socket | null = null;
  private readonly app: uWS.TemplatedApp = uWS.SSLApp({ key_file_name: 'key.pem', cert_file_name: 'cert.pem', passphrase: '1' });

  listen(port: number, options: uWS.ListenOptions): Promise<number> {
    return new Promise((resolve, reject) => {
      this.app.listen(port, options, (token) => {
        if (!token) return reject(new Error(`cannot listen on ${port}`));
        this.token = token;
        resolve(uWS.us_socket_local_port(token));
      });
    });
  }

  listenUnix(path: string): void {
    this.app.listen_unix((token) => { this.token = token; }, path);
    this.app.listen_unix((token: uWS.us_listen_socket) => { this.token = token; }, path);
    this.app.listen_unix((token) => uWS.us_listen_socket_close(token), path);
  }

  close(): void {
    if (this.token) uWS.us_listen_socket_close(this.token);
    this.token = null;
  }
}
void new Server().listen(9001, uWS.ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT);
const names: Record<uWS.ListenOptions, string> = {
  [uWS.ListenOptions.LIBUS_LISTEN_DEFAULT]: 'default',
  [uWS.ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT]: 'exclusive',
};
const port = (socket: uWS.us_socket | uWS.us_listen_socket): number => uWS.us_socket_local_port(socket);

/** Acceptor and children. */
function adopt(acceptor: uWS.TemplatedApp, worker: { once(event: 'message', listener: (value: any) => void): void }): Promise<void> {
  return new Promise((resolve) => {
    worker.once('message', (descriptor: uWS.AppDescriptor) => resolve(acceptor.addChildAppDescriptor(descriptor)));
  });
}
const descriptor: uWS.AppDescriptor = uWS.App().getDescriptor();
const removed: void = uWS.App().removeChildAppDescriptor(descriptor);

/** Handlers with the types written out. */
const route = async (res: uWS.HttpResponse, req: uWS.HttpRequest): Promise<void> => {
  const query: string = req.getQuery();
  const id: string | undefined = req.getParameter(0);
  const page: string = req.getQuery('page') ?? '1';
  res.onAborted(() => { res.aborted = true; });
  const paused: void = res.pause();
  await new Promise<void>((resolve) => resolve(res.resume()));
  if (!res.aborted) res.cork(() => { res.writeStatus('200 OK').writeHeader('X', query).end(`${id}${page}${paused}`); });
};
const read = (res: uWS.HttpResponse, done: (body: Buffer) => void): void => {
  let buffer: Buffer | undefined;
  res.onData((chunk: ArrayBuffer, isLast: boolean) => {
    buffer = Buffer.concat([buffer ?? Buffer.alloc(0), Buffer.from(chunk)]);
    if (isLast) done(buffer);
  });
};

interface Player {
  id: number;
  rooms?: string[];
}
const players = new Map<number, uWS.WebSocket<Player>>();
const rooms: uWS.WebSocketBehavior<Player> = {
  compression: uWS.SHARED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR_32KB,
  upgrade: (res: uWS.HttpResponse, req: uWS.HttpRequest, context: uWS.us_socket_context_t): void => {
    const [key, protocol] = [req.getHeader('sec-websocket-key'), req.getHeader('sec-websocket-protocol')];
    res.upgrade<Player>({ id: 1 }, key, protocol, req.getHeader('sec-websocket-extensions'), context);
  },
  open: (ws: uWS.WebSocket<Player>): void => { players.set(ws.getUserData().id, ws); },
  message: (ws: uWS.WebSocket<Player>, message: ArrayBuffer, isBinary: boolean): void => {
    const status: number = ws.send(message, isBinary);
    if (status === 2) ws.close();
  },
  drain: (ws) => { while (ws.getBufferedAmount() === 0 && ws.send('more') === 1); },
  close: (ws, code: number, message: ArrayBuffer): void => { players.delete(ws.getUserData().id); void [code, message]; },
};

const app: uWS.TemplatedApp = uWS.App()
  .get('/', route)
  .post('/', (res, req) => { read(res, (body) => { res.end(body); }); void req; })
  .ws<Player>('/*', rooms)
  .filter((res: uWS.HttpResponse, count: Number) => { void [res.getRemoteAddressAsText(), count]; })
  .filter((_res, count) => { const change: Number = count; void change; })
  .missingServerName((name: string): void => { app.addServerName(name, { key_file_name: '', cert_file_name: '' }).domain(name); });

/** Frameworks that are given an app, or make a behavior, of the types of uWebSockets.js. */
declare function attach(application: Application): void;
declare function makeBehavior(): Behavior<Record<PropertyKey, never>>;
attach(app);
app.ws('/graphql', makeBehavior());

const size: string | undefined = uWS.EnvironmentVariables.UWS_HTTP_MAX_HEADERS_SIZE;

export type { FerrowsGives, FerrowsTakes };
void [names, port, adopt, removed, size];
