// The types of `require`: everything that index.d.ts declares, used as a program would, and misused as one might.
// Checked by `npm run test:types`; never run.

import uWS = require('ferrows');

// ------------------------------------------------------------------------------------------------------------- App

const app: uWS.TemplatedApp = uWS.App();
uWS.App({});
uWS.App(null);
uWS.App({ threads: 2, key_file_name: 'key.pem', ssl_prefer_low_memory_usage: true });
uWS.App({ proxyProtocol: { trust: ['10.0.0.0/8', '::1', 'unix'], required: true } });
uWS.App({ proxyProtocol: null });
uWS.App({ proxyProtocol: { trust: ['unix'], forwarded: 'x-forwarded-for' } })
  .get('/', (res) => res.end(res.clientAddress satisfies string | undefined));
// @ts-expect-error names of fields are in lower case
uWS.App({ proxyProtocol: { trust: ['unix'], forwarded: 'Forwarded' } });
// @ts-expect-error nobody is trusted by default
uWS.App({ proxyProtocol: {} });
// @ts-expect-error the list holds text
uWS.App({ proxyProtocol: { trust: [10] } });
uWS.App({ keepAlive: true, keepAliveInitialDelay: 60_000, keepAliveInterval: 10_000, keepAliveProbes: 3, tcpUserTimeout: 30_000 });
uWS.App({ broker: { name: 'chat' } });
uWS.App({ broker: null });
app.shutdown({ delay: 5_000, spread: 2_000, timeout: 10_000 }).then(({ forced }) => forced satisfies number);
if (app.isShuttingDown) app.close();
// @ts-expect-error a broker has a name
uWS.App({ broker: {} });
// @ts-expect-error keepAlive is a boolean
uWS.App({ keepAlive: 60_000 });
// @ts-expect-error threads is a number
uWS.App({ threads: '2' });
uWS.App({
  maxHeaderSize: 16_384, maxHeadersCount: 100, maxBodySize: 0, headersTimeout: 10_000, requestTimeout: 0,
  keepAliveTimeout: 10_000, bodyTimeout: 10_000, minBodyRate: 16_384, responseTimeout: 10_000, minResponseRate: 1_024,
  maxDiscardedBody: 262_144, maxPipelinedBytes: undefined,
  maxBufferedOutput: 2 ** 30,
});
// @ts-expect-error a limit is a number
uWS.App({ maxBodySize: '1 MB' });
// @ts-expect-error no such option
uWS.App({ thread: 2 });
// @ts-expect-error options are an object
uWS.App('options');

const answer: uWS.HttpHandler = (res) => res.end('ok');

const chained: uWS.TemplatedApp = app
  .get('/', answer)
  .post('/', async (res, req) => {
    res.onAborted(() => {});
    await Promise.resolve();
    if (!res.aborted) res.end(req.getUrl());
  })
  .options('/', answer)
  .del('/', answer)
  .patch('/', answer)
  .put('/', answer)
  .head('/', (res) => res.endWithoutBody(0))
  .connect('/', answer)
  .trace('/', answer)
  .any(Buffer.from('/*'), answer)
  .get('/', null)
  .get('/declared', new uWS.DeclarativeResponse().end('ok'));
// @ts-expect-error a route needs a handler
chained.get('/');
// @ts-expect-error a pattern is text
chained.get(/path/, answer);
// @ts-expect-error a handler is a function or null
chained.get('/', 'handler');

app
  .get('/kept', (res: uWS.CachedHttpResponse, req) => res.end(req.getUrl()), { lowerExpiry: 0.5, upperExpiry: 5 })
  .get('/kept', null, {})
  .get('/kept', answer, 5)
  .get('/kept', answer, undefined);
// @ts-expect-error options are an object or a number
app.get('/kept', answer, '5');
// @ts-expect-error only answers to GET are kept
app.post('/kept', answer, { lowerExpiry: 1 });

const declared: ArrayBuffer = new uWS.DeclarativeResponse()
  .writeStatus('200 OK')
  .writeHeader('Age', 5)
  .write(new Uint8Array(3))
  .writeBody()
  .writeQueryValue('key')
  .writeHeaderValue('accept')
  .writeParameterValue('id')
  .end();
app.post('/', declared).any('/*', declared);
// @ts-expect-error its end comes last
new uWS.DeclarativeResponse().end().write('x');
// @ts-expect-error the response is what `end` returns
app.get('/', new uWS.DeclarativeResponse());
// @ts-expect-error text or data
new uWS.DeclarativeResponse().write(5);

const text: string = uWS.getString('key', Buffer.from('collection'));
const sum: number = uWS.incInteger('key', uWS.getInteger('key', 'collection'), 'collection');
const keys: string[] = [...uWS.getStringKeys('collection'), ...uWS.getIntegerKeys('collection')];
uWS.lock();
uWS.setString('key', new ArrayBuffer(1), 'collection');
uWS.setInteger('key', 5, 'collection');
uWS.deleteString('key', 'collection');
uWS.deleteInteger('key', 'collection');
uWS.deleteStringCollection('collection');
uWS.deleteIntegerCollection('collection');
uWS.unlock();
// @ts-expect-error an integer is a number
uWS.setInteger('key', '5', 'collection');
// @ts-expect-error a key is in a collection
uWS.getString('key');
void [text, sum, keys];

const files: uWS.ServeFilesOptions = {
  index: false,
  fallback: 'app.html',
  cacheControl: (path: string) => (path.endsWith('.html') ? null : 'max-age=60'),
  headers: { 'X-Content-Type-Options': 'nosniff' },
  contentTypes: { gcode: 'text/x.gcode' },
  dotFiles: true,
  followSymlinks: true,
};
app.serveFiles('/files/*', 'public').serveFiles('/*', 'site', files).serveFiles('/more/*', 'more', null);
// @ts-expect-error a directory is needed
app.serveFiles('/files/*');
// @ts-expect-error index is a name or false
app.serveFiles('/files/*', 'public', { index: true });

const summary: Promise<uWS.ShutdownSummary> = app.shutdown();
summary.then(({ forced }: { forced: number }) => forced);
const patience: uWS.ShutdownOptions = { timeout: 8000, code: 1012, reason: Buffer.from('restart') };
app.shutdown(patience);
app.shutdown(null);
app.shutdown({ timeout: undefined });
// @ts-expect-error a timeout is a number
app.shutdown({ timeout: '10s' });
// @ts-expect-error no such option
app.shutdown({ grace: 10 });

const exclusive: uWS.ListenOptions = uWS.LIBUS_LISTEN_EXCLUSIVE_PORT;
const listening = (token: uWS.ListenSocket | false, error?: uWS.ListenError): void => {
  if (!token) {
    const code: uWS.ListenErrorCode | undefined = error?.code;
    // @ts-expect-error no such code
    if (error?.code === 'EADDRESS') return;
    throw new Error(code);
  }
  const same: uWS.us_listen_socket = token;
  const port: number = uWS.us_socket_local_port(same);
  const closed: void = uWS.us_listen_socket_close(token);
  void [port, closed];
};
app
  .listen(0, listening)
  .listen(0, exclusive, listening)
  .listen(0, undefined, listening)
  .listen('127.0.0.1', 0, listening)
  .listen('127.0.0.1', 0, uWS.LIBUS_LISTEN_DEFAULT, listening)
  .listen_unix(listening, '/run/ferrows.sock')
  .listen(9001, uWS.ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT, listening)
  .listen_unix(listening, '/run/ferrows.sock', { mode: 0o660, group: 'www-data' })
  .listen({ fd: 3 }, listening)
  .listen(0, (token) => {
    // @ts-expect-error the token may be false
    uWS.us_socket_local_port(token);
  })
  .close();
app
  .filter((connection, change) => {
    const step: 1 | -1 = change;
    if (connection.getProxiedRemotePort() + connection.getRemotePort() > step) connection.close().seenBefore = true;
    // @ts-expect-error addresses are bytes
    const address: string = connection.getRemoteAddressAsText();
    return address;
  })
  // As for uWebSockets.js.
  .filter(async (res: uWS.HttpResponse, change: number) => void [res.getRemoteAddress(), change]);
app.adoptSocket(3).adoptSocket(4, '192.0.2.1').adoptSocket(5, new Uint8Array(4));
// @ts-expect-error a descriptor is a number
app.adoptSocket('3');
const descriptor: number = app.getDescriptor();
app.addChildAppDescriptor(descriptor).removeChildAppDescriptor(descriptor);
// @ts-expect-error a child is named by its descriptor
app.addChildAppDescriptor(app);
// @ts-expect-error a filter is a function
app.filter(null);
app.listen(9001).then(uWS.us_listen_socket_close, (error: uWS.ListenError) => error.code);
app.listen('127.0.0.1', 9001, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT).then((token: uWS.ListenSocket) => token);
app.listen({ fd: 3 }).then(uWS.us_socket_local_port);
// @ts-expect-error without a callback it returns no app
app.listen(9001).get('/', null);
// @ts-expect-error the callback of listen_unix comes first
app.listen_unix('/run/ferrows.sock', listening);
// @ts-expect-error a token is made by listen only
uWS.us_listen_socket_close(5);

app.addServerName('a.test', { key_file_name: 'key.pem', cert_file_name: Buffer.from('cert.pem') })
  .missingServerName((hostname: string) => app.addServerName(hostname, { key: 'PEM', cert: new Uint8Array(1) }))
  .missingServerName(async () => {})
  .domain('a.test').get('/', answer).domain('')
  .setCertificate({ key: '', cert: '', passphrase: 'secret' })
  .setCertificate('a.test', { ca: '', requireClientCertificate: true, ssl_ciphers: 'HIGH' })
  .removeServerName('a.test');
const tlsOptions: uWS.TlsOptions = { dh_params_file_name: 'dh.pem', ssl_prefer_low_memory_usage: true };
const appOptions: uWS.AppOptions = { threads: 1, ...tlsOptions };
const secured: uWS.TemplatedApp = uWS.SSLApp(appOptions);
uWS.SSLApp({ ...tlsOptions, handshakeTimeout: 5_000, maxHandshakes: 100 });
// @ts-expect-error options are an object
secured.setCertificate('key.pem');
// @ts-expect-error whether one is required is a boolean
uWS.SSLApp({ requireClientCertificate: 'yes' });
// @ts-expect-error a handler is a function
app.missingServerName('a.test');
// @ts-expect-error only handshakes have such a limit
app.setCertificate({ handshakeTimeout: 5 });

const heard: boolean = app.publish('topic', new Uint8Array(1), true, false);
app.addServerName('a.test', {}).removeServerName('a.test').missingServerName((hostname: string) => void hostname);
const count: number = app.numSubscribers(new ArrayBuffer(1));
app.countSubscribers('news', { timeout: 500 }).then((everywhere: number) => everywhere);
// @ts-expect-error timeout is a number
app.countSubscribers('news', { timeout: '500' });
// @ts-expect-error publish needs a message
app.publish('topic');

// ------------------------------------------------------------------------------------------------------------ HTTP

app.any('/:name/*', (res, req) => {
  const texts: string[] = [req.getHeader('host'), req.getUrl(), req.getMethod(), req.getCaseSensitiveMethod()];
  texts.push(req.getParameter(0), req.getParameter('name'), req.getParameter(new DataView(new ArrayBuffer(1))));
  const query: string = req.getQuery() ?? '';
  const value: string | undefined = req.getQuery('key');
  // @ts-expect-error there may be no such key
  const always: string = req.getQuery('key');
  const looped: void = req.forEach((key: string, header: string) => texts.push(key, header));
  const sameRequest: uWS.HttpRequest = req.setYield(false);
  // @ts-expect-error no such method
  req.getBody();
  // @ts-expect-error a name is text
  req.getHeader(1);
  void [query, value, always, looped, sameRequest];

  const same: uWS.HttpResponse = res
    .writeStatus('200 OK')
    .writeHeader('Content-Type', 'text/plain')
    .writeHeader(Buffer.from('X'), new SharedArrayBuffer(1))
    .onAborted((reason, info) => {
      const text: string = reason;
      const told: uWS.CloseInfo = info;
      void [text, told];
    })
    .onData((chunk, isLast) => {
      const bytes: ArrayBuffer = chunk;
      const last: boolean = isLast;
      void [bytes, last];
    })
    .onDataV2((chunk, maxRemainingBodyLength) => {
      const bytes: ArrayBuffer = chunk;
      const remaining: bigint = maxRemainingBodyLength;
      void [bytes, remaining];
    })
    .onDataOrAborted((sameOrNull, chunk, maxRemainingBodyLength, reason, info) => {
      const response: uWS.HttpResponse | null = sameOrNull;
      const bytes: ArrayBuffer = chunk;
      const remaining: bigint = maxRemainingBodyLength;
      const why: [string | undefined, uWS.CloseInfo | undefined] = [reason, info];
      // @ts-expect-error the response may be null
      sameOrNull.end();
      void [response, bytes, remaining, why];
    })
    .collectBody(1024, async (body) => {
      const bytes: ArrayBuffer | null = body;
      // @ts-expect-error the body may be too long
      void body.byteLength;
      if (body === null) return;
      const fields: uWS.MultipartField[] | undefined = uWS.getParts(body, Buffer.from('multipart/form-data'));
      // @ts-expect-error it may be no form
      void fields.length;
      for (const { name, type, filename, data } of uWS.getParts(Buffer.from(body), 'type') ?? []) {
        const texts: [string, string | undefined, string | undefined] = [name, type, filename];
        const content: ArrayBuffer = data;
        void [texts, content];
      }
      void bytes;
    })
    .onFullData(1024, (body) => body?.byteLength)
    .cork(() => {
      const flowing: boolean = res.write('chunk');
      void flowing;
    })
    .collect(() => {})
    .onWritable((offset) => offset > 5)
    .onWritableOrAborted((response, offset) => {
      const whole: uWS.HttpResponse | null = response;
      const taken: number = offset;
      void [whole, taken];
    })
    .pause()
    .resume()
    .beginWrite();
  const [ok, done]: [boolean, boolean] = res.tryEnd('chunk', 5);
  const offset: number = res.getWriteOffset();
  res.tryEnd(new Uint8Array(1));
  void [ok, done, offset];
  const left: bigint = res.maxRemainingBodyLength();
  // @ts-expect-error a body is collected up to a limit
  res.collectBody((body) => body);
  // @ts-expect-error a limit is a number
  res.collectBody('1024', () => {});
  // @ts-expect-error a form has a content type
  uWS.getParts('body');
  void left;
  res.writeHeader('Age', '5').writeTrailer('Server-Timing', new Uint8Array(1)).writeTrailer('X', '');
  // @ts-expect-error a value is text or data
  res.writeHeader('X', 5);
  // @ts-expect-error a value is text or data
  res.writeTrailer('X', 5);
  // @ts-expect-error a body is text or data
  res.end({ json: true });
  // @ts-expect-error a handler is a function
  res.onData('handler');
  res.end().end('body').end(new Uint8Array(2).buffer, true).endWithoutBody().endWithoutBody(2, true);
  res.endWithoutBody('2').close();
  // @ts-expect-error a length is a number
  res.endWithoutBody('two');

  const addresses: ArrayBuffer[] = [
    res.getRemoteAddress(),
    res.getRemoteAddressAsText(),
    res.getProxiedRemoteAddress(),
    res.getProxiedRemoteAddressAsText(),
  ];
  const ports: number[] = [res.getRemotePort(), res.getProxiedRemotePort()];
  const certificate: string = res.getX509Certificate();
  // As programs do: the flag of uWebSockets.js idiom, and properties of their own.
  res.aborted = true;
  res.user = { id: 1 };
  void [same, addresses, ports, certificate];
});

// ------------------------------------------------------------------------------------------------------- WebSocket

interface Visitor {
  name: string;
}

const behavior: uWS.WebSocketBehavior<Visitor> = {
  compression: uWS.SHARED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR_4KB,
  maxPayloadLength: 16 * 1024,
  idleTimeout: 120,
  maxLifetime: 0,
  maxBackpressure: undefined,
  closeOnBackpressureLimit: false,
  sendPingsAutomatically: true,
  pingInterval: 25,
  upgrade(res, req, context: uWS.us_socket_context_t) {
    const key = req.getHeader('sec-websocket-key');
    res.upgrade<Visitor>({ name: 'ali' }, key, new Uint8Array(), '', context);
    // @ts-expect-error upgrade needs its context
    res.upgrade({}, key, '', '');
    // @ts-expect-error the user data is not of the type that was promised
    res.upgrade<Visitor>({ nick: 'ali' }, key, '', '', context);
  },
  open(ws) {
    const visitor: Visitor = ws.getUserData();
    const subscribed: boolean = ws.subscribe('topic');
    void [visitor, subscribed];
  },
  async message(ws, message, isBinary) {
    const status: uWS.SendStatus = ws.send(message, isBinary, false);
    // @ts-expect-error status is 0, 1 or 2
    if (status === 3) return;
    const begun: uWS.SendStatus = ws.sendFirstFragment('a', true, true);
    const going: uWS.SendStatus = ws.sendFragment(new Uint8Array(1), false);
    const done: uWS.SendStatus = ws.sendLastFragment('');
    // @ts-expect-error what a message is was said by its first fragment
    ws.sendLastFragment('', true, true);
    void [begun, going, done];
    const pinged: uWS.SendStatus = ws.ping();
    ws.ping(Buffer.from('?'));
    const waiting: number = ws.getBufferedAmount();
    const published: boolean = ws.publish('topic', message, isBinary, true);
    const state: boolean[] = [ws.isSubscribed('topic'), ws.unsubscribe('topic')];
    const topics: string[] = ws.getTopics();
    const same: uWS.WebSocket<Visitor> = ws.cork(() => ws.end(1000, 'bye'));
    const ended: void = ws.end();
    const closed: void = ws.close();
    const addresses: ArrayBuffer[] = [ws.getRemoteAddress(), ws.getRemoteAddressAsText()];
    const port: number = ws.getRemotePort();
    const address: string | undefined = ws.remoteAddress;
    // @ts-expect-error a message is text or data
    ws.send({ json: true });
    // @ts-expect-error a code is a number
    ws.end('bye');
    void [pinged, waiting, published, state, topics, same, ended, closed, addresses, port, address];
  },
  dropped: (ws, message: ArrayBuffer, isBinary: boolean, unreported: number) => [ws, message, isBinary, unreported],
  drain: (ws) => ws.getBufferedAmount(),
  close(ws, code: number, message: ArrayBuffer, info) {
    const initiator: 'peer' | 'local' | 'transport' = info.initiator;
    const clean: boolean = info.wasClean;
    const silent: number = info.silentFor + info.quietFor + info.openFor + info.unansweredPings;
    const roundTrip: number | undefined = info.roundTrip;
    const counts: number = info.bytes.received + info.bytes.sent + info.messages.received + info.messages.sent;
    if (info.cause === 'ERR_FRAME_FRAGMENTED_CONTROL') return;
    // @ts-expect-error no such cause
    if (info.cause === 'ERR_FRAME') return;
    // @ts-expect-error read-only
    info.wasClean = true;
    void [ws.getUserData().name, code, message, initiator, clean, silent, roundTrip, counts];
  },
  ping: (ws, message: ArrayBuffer) => [ws, message],
  pong: (ws, message: ArrayBuffer) => [ws, message],
  subscription: (ws, topic: ArrayBuffer, newCount: number, oldCount: number) => [ws, topic, newCount - oldCount],
};
app.ws('/room', behavior).ws('/echo', {}).ws<Visitor>('/typed', { open: (ws) => ws.send(ws.getUserData().name) });

const asStrings: uWS.WebSocketBehavior<Visitor, 'string'> & { text: 'string' } = {
  text: 'string',
  message(ws, message, isBinary) {
    const either: uWS.ReceivedMessage<'string'> = message;
    const name: string = ws.getUserData().name;
    if (typeof message === 'string') void message.toUpperCase();
    else void message.byteLength;
    ws.send(message, isBinary);
    // @ts-expect-error it may be binary
    message.toUpperCase();
    void [either, name];
  },
};
app.ws('/strings', asStrings).ws<Visitor>('/strings', {
  text: 'string',
  message: (ws, message, isBinary) => ws.send(typeof message === 'string' ? message.trim() : message, isBinary),
  dropped: (ws, message) => message.byteLength,
});
app.ws('/buffers', { text: 'arraybuffer', message: (ws, message) => ws.send(new Uint8Array(message)) });
app.ws('/buffers', { text: undefined, message: (ws, message) => ws.send(new Uint8Array(message)) });
// @ts-expect-error text comes as a buffer unless it is asked for as a string
app.ws('/', { message: (ws, message) => ws.send(message.trim()) });
// @ts-expect-error no such form
app.ws('/', { text: 'utf8' });
const forgotten: uWS.WebSocketBehavior<Visitor, 'string'> = { message: (ws, message) => ws.send(message) };
// @ts-expect-error `text` is missing
app.ws('/', forgotten);
// @ts-expect-error no such key
app.ws('/', { onmessage() {} });
// @ts-expect-error a limit is a number
app.ws('/', { maxPayloadLength: '16k' });
// @ts-expect-error no such property of the user data
app.ws<Visitor>('/', { open: (ws) => ws.getUserData().nick });

// User data are properties of the WebSocket.
interface Guarded {
  user: { id: number };
  isAlive: boolean;
}
const guarded = new Set<uWS.WebSocket<Guarded>>();
app.ws<Guarded>('/guarded', {
  upgrade: (res, req, context) => res.upgrade<Guarded>({ user: { id: 1 }, isAlive: true }, '', '', '', context),
  open: (ws) => guarded.add(ws),
  pong(ws) {
    ws.isAlive = true;
    const id: number = ws.user.id;
    // @ts-expect-error no such property
    void [id, ws.nick];
  },
  close: (ws) => guarded.delete(ws),
});
function store<Data extends object>(behavior: uWS.WebSocketBehavior<Data>): uWS.WebSocketBehavior<Data> {
  return { ...behavior, open: (ws) => behavior.open?.(ws) };
}
app.ws('/stored', store<Guarded>({ open: (ws) => ws.send(String(ws.isAlive)) }));

// With strings, `isBinary` says what a message is.
app.ws<Guarded>('/narrowed', {
  text: 'string',
  message(ws, message, isBinary) {
    if (isBinary) void message.byteLength;
    else ws.send(message.trim(), ws.isAlive);
    // @ts-expect-error it may be binary
    message.trim();
    // @ts-expect-error it may be text
    void message.byteLength;
  },
});
app.ws('/narrowed', { text: 'string', message: async (ws, message, isBinary) => !isBinary && ws.send(message.trim()) });
app.ws('/fewer', { text: 'string', message: (ws, message) => ws.send(message) }).ws('/fewer', { text: 'string', message() {} });
const narrowed: uWS.StringBehavior<Guarded> = {
  text: 'string',
  idleTimeout: 60,
  message: (ws, message, isBinary) => (isBinary ? message.byteLength : message.length),
};
app.ws('/narrowed', narrowed);

// ----------------------------------------------------------------------------------------------------- Observability

app.inspect('/_ferrows').inspect('/_ferrows', {
  authorize: async (request, { remoteAddress }) => request.getHeader('authorization') === 'secret' && remoteAddress !== undefined,
});
// @ts-expect-error: a decision has to be made.
app.inspect('/_ferrows', { authorize: () => 'yes' });
const stats: uWS.AppStats = app.getStats();
(stats.broker?.apps ?? 0).toFixed();
const idle: number = stats.connections.http.open - stats.connections.webSocket.total + stats.handshakeFailures.tls;
const resets: number | undefined = stats.closes.webSocket.ERR_CONNECTION_RESET ?? stats.closes.refused.ERR_HTTP_METHOD;
const busy: number = stats.workers.reduce((sum, { name, cpu }) => sum + (cpu ?? name.length), stats.queues.backpressure);
// @ts-expect-error no such cause
void stats.closes.aborted.ERR_WHATEVER;
// @ts-expect-error not on every system
const seconds: number = stats.workers[0]!.cpu;

import { channel } from 'node:diagnostics_channel';

channel('ferrows:websocket:close').subscribe((message) => {
  const { ws, code, reason, info } = message as uWS.DiagnosticsMessages['ferrows:websocket:close'];
  void [ws.getUserData(), code.toFixed(), reason.trim(), info.wasClean];
});
void [idle, resets, busy, seconds];

// ---------------------------------------------------------------------------------------------------------- Client

const opening: Promise<uWS.WebSocket<Visitor>> = uWS.connect<Visitor>('ws://localhost/', {
  compression: uWS.SHARED_COMPRESSOR,
  open(ws, response) {
    const words: string[] = [response.protocol, response.extensions, response.headers['x-server']];
    ws.send(ws.getUserData().name);
    void words;
  },
  message: (ws, message, isBinary) => ws.send(message, isBinary),
  close: (ws, code, message, info) => [code, message.byteLength, info.cause],
}, {
  headers: { Origin: 'http://a', Cookie: ['a=b', 'c=d'], 'X-Count': 5 },
  protocols: ['a', 'b'],
  connectTimeout: 1000,
  signal: AbortSignal.timeout(1000),
  userData: { name: 'visitor' },
  ca: ['authority', Buffer.from('another')],
  cert: 'certificate',
  key: Buffer.from('key'),
  passphrase: 'secret',
  servername: 'localhost',
  rejectUnauthorized: true,
});
uWS.connect<Visitor>('ws://localhost', {
  text: 'string',
  message: (ws, message, isBinary) => ws.send(isBinary ? ws.name : message.trim()),
}).then((ws) => {
  const visitor: [string, string] = [ws.name, ws.getUserData().name];
  return visitor;
});
const others: Promise<uWS.WebSocket<unknown>>[] = [
  uWS.connect(new URL('ws://localhost'), {}),
  uWS.connect('ws://localhost', { text: 'string', message: (ws, message) => ws.send(message) }, { protocols: 'a' }),
  uWS.connect('ws://localhost', {}, null),
];
opening.catch((error: uWS.ConnectError) => {
  const code: uWS.ConnectErrorCode = error.code;
  const details: (string | number | undefined)[] = [error.system, error.status, error.headers?.location, error.body];
  // @ts-expect-error no such code
  if (error.code === 'ECONNREFUSED') return;
  void [code, details];
});
uWS.connect<{ name: string }>('ws://localhost', { open: (ws, { reconnects }) => ws.send(`${ws.name} ${reconnects satisfies number}`) }, {
  userData: { name: 'a' },
  reconnect: {
    minDelay: 100, maxDelay: 5_000, factor: 1.5, maxAttempts: Infinity, minUptime: 0,
    shouldReconnect: ({ code, info, error }, usual) => usual || code === 4001 || info?.cause === 'CLOSED_BY_PEER' || error?.status === 404,
    reconnecting: (ws, { attempt, delay, error }) => console.log(ws.name, attempt + delay, error?.code satisfies uWS.ConnectErrorCode | undefined),
    gaveUp: (ws, { attempts, reason }) => console.log(ws.name, attempts, reason satisfies 'maxAttempts' | 'shouldReconnect'),
  },
});
uWS.connect('ws://localhost', {}, { reconnect: true });
uWS.connect('ws://localhost', {}, { reconnect: null });
// @ts-expect-error a pause is a number of milliseconds
uWS.connect('ws://localhost', {}, { reconnect: { minDelay: '1s' } });
// @ts-expect-error no such option
uWS.connect('ws://localhost', {}, { reconnect: { retries: 3 } });
// @ts-expect-error the answer is needed at once
uWS.connect('ws://localhost', {}, { reconnect: { shouldReconnect: async () => true } });
// @ts-expect-error a handler of servers
uWS.connect('ws://localhost', { upgrade() {} });
// @ts-expect-error text comes as a buffer unless it is asked for as a string
uWS.connect('ws://localhost', { message: (ws, message) => ws.send(message.trim()) });
// @ts-expect-error no such option
uWS.connect('ws://localhost', {}, { timeout: 5 });
// @ts-expect-error the user data is that of the WebSocket
uWS.connect<Visitor>('ws://localhost', {}, { userData: { nick: '' } });
void others;

// --------------------------------------------------------------------------------------------------------- Process

const level: uWS.LogLevel = 'debug';
uWS.setLogger(level, (record: uWS.LogRecord) => {
  const words: string[] = [record.level, record.target, record.message];
  const field: string | number | boolean | undefined = record.fields.peer;
  void [words, field];
});
uWS.setLogger('off');
uWS.setLogger('off', null);
// @ts-expect-error no such level
uWS.setLogger('verbose', () => {});
// @ts-expect-error who listens?
uWS.setLogger('debug');
uWS._cfg('silent');

const isClosed = (error: { code?: uWS.ErrorCode }): boolean => error.code === 'ERR_WEBSOCKET_CLOSED';
const recognized: uWS.RecognizedString[] = ['', new ArrayBuffer(1), new SharedArrayBuffer(1), Buffer.from('')];

const compression: uWS.CompressOptions[] = [
  uWS.DISABLED,
  uWS.SHARED_COMPRESSOR,
  uWS.SHARED_DECOMPRESSOR,
  uWS.DEDICATED_COMPRESSOR,
  uWS.DEDICATED_COMPRESSOR_3KB,
  uWS.DEDICATED_COMPRESSOR_4KB,
  uWS.DEDICATED_COMPRESSOR_8KB,
  uWS.DEDICATED_COMPRESSOR_16KB,
  uWS.DEDICATED_COMPRESSOR_32KB,
  uWS.DEDICATED_COMPRESSOR_64KB,
  uWS.DEDICATED_COMPRESSOR_128KB,
  uWS.DEDICATED_COMPRESSOR_256KB,
  uWS.DEDICATED_DECOMPRESSOR,
  uWS.DEDICATED_DECOMPRESSOR_512B,
  uWS.DEDICATED_DECOMPRESSOR_1KB,
  uWS.DEDICATED_DECOMPRESSOR_2KB,
  uWS.DEDICATED_DECOMPRESSOR_4KB,
  uWS.DEDICATED_DECOMPRESSOR_8KB,
  uWS.DEDICATED_DECOMPRESSOR_16KB,
  uWS.DEDICATED_DECOMPRESSOR_32KB,
];
// @ts-expect-error constants cannot be assigned
uWS.DISABLED = 1;
// @ts-expect-error a helper of the declarations, not an export
void uWS.listenSocket;

void [heard, count, isClosed, recognized, compression];
