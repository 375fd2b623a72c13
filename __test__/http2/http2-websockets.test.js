'use strict';

/** WebSockets in streams of HTTP/2 (RFC 8441). */

const { once } = require('node:events');

const uWS = require('../..');
const { RawHttp2, ask, connectHttp2, frameOf, headersFrame, numbers, openWebSocket } = require('../helpers/http2-client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { createApp, listen } = require('../helpers/server.js');
const { createSSLApp } = require('../helpers/tls.js');

const CANCEL = 8;

const OPTIONS = { threads: 1, http2: true };

/** HEADERS of an extended CONNECT for a WebSocket. */
const connect = (stream, path) => headersFrame(stream, {
  end: false, fields: { ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13' },
});

test.each([['http', createApp, false], ['https', createSSLApp, true]])('one over %s opens, exchanges messages and closes', async (scheme, create, isSecure) => {
  const closes = new Mailbox();
  const app = create(OPTIONS).ws('/echo', {
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    close: (ws, code, reason, info) => closes.put([code, info.cause, info.messages]),
  });
  const { socket, headers } = await openWebSocket(await connectHttp2(listen(app), { isSecure }), '/echo', { 'sec-websocket-protocol': 'a, b' });
  expect(headers['sec-websocket-protocol']).toBe('a');
  expect(headers).not.toHaveProperty('sec-websocket-accept');
  const messages = ['text', Buffer.alloc(5), 'last'];
  const received = new Mailbox();
  socket.on('message', (message) => received.put(message.toString()));
  for (const message of messages) socket.send(message);
  for (const message of messages) expect(await received.take()).toBe(message.toString());
  socket.close(1000, 'done');
  expect(await closes.take()).toEqual([1000, 'CLOSED_BY_PEER', { received: 3, sent: 3 }]);
  await once(socket, 'close');
});

test('an upgrade handler gets the handshake, and its headers go out', async () => {
  const app = createApp(OPTIONS).ws('/rooms/:room', {
    upgrade(res, req, context) {
      res.writeStatus('101 Switching Protocols').writeHeader('X-Room', req.getParameter('room'));
      res.upgrade(
        { room: req.getParameter('room'), method: req.getMethod() }, req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'), req.getHeader('sec-websocket-extensions'), context,
      );
    },
    open: (ws) => ws.send(JSON.stringify(ws.getUserData())),
  });
  const { socket, headers } = await openWebSocket(await connectHttp2(listen(app)), '/rooms/7');
  expect(headers['x-room']).toBe('7');
  expect(JSON.parse((await once(socket, 'message'))[0])).toEqual({ room: '7', method: 'get' });
});

test('a key that a proxy has passed on from HTTP/1.1 has no meaning', async () => {
  const keys = new Mailbox();
  const app = createApp(OPTIONS).ws('/*', {
    upgrade(res, req, context) {
      const key = req.getHeader('sec-websocket-key');
      keys.put(key);
      res.upgrade({}, key, req.getHeader('sec-websocket-protocol'), req.getHeader('sec-websocket-extensions'), context);
    },
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  const { socket } = await openWebSocket(await connectHttp2(listen(app)), '/', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' });
  socket.send('echo');
  expect(String((await once(socket, 'message'))[0])).toBe('echo');
  expect(await keys.take()).toBe('AAAAAAAAAAAAAAAAAAAAAA==');
});

test('many share a connection with requests, and topics reach those of HTTP/1.1, too', async () => {
  const WebSocket = require('ws');
  const app = createApp(OPTIONS).get('/', (res) => res.end('beside')).ws('/*', {
    open: (ws) => ws.subscribe('all'),
    message: (ws, message, isBinary) => app.publish('all', message, isBinary),
  });
  const port = listen(app);
  const session = await connectHttp2(port);
  const opened = await Promise.all(Array.from({ length: 20 }, () => openWebSocket(session, '/')));
  const other = new WebSocket(`ws://127.0.0.1:${port}`);
  await once(other, 'open');
  const sockets = [...opened.map(({ socket }) => socket), other];
  const received = sockets.map((socket) => once(socket, 'message'));
  opened[3].socket.send('to all');
  expect((await Promise.all(received)).map(([message]) => message.toString())).toEqual(Array(21).fill('to all'));
  expect(await ask(session, { ':path': '/' })).toMatchObject({ text: 'beside' });
  expect(app.numSubscribers('all')).toBe(21);
  other.terminate();
});

test('long messages go both ways, and back-pressure is that of the stream', async () => {
  const drains = new Mailbox();
  const long = Buffer.alloc(4_000_000, 'x');
  const app = createApp(OPTIONS).ws('/*', {
    maxPayloadLength: long.length, maxBackpressure: 2 * long.length,
    message(ws, message) {
      drains.put([message.byteLength, ws.send(message, true), ws.getBufferedAmount() > 0]);
    },
    drain: (ws) => drains.put(ws.getBufferedAmount()),
  });
  const { socket } = await openWebSocket(await connectHttp2(listen(app)), '/');
  const echoed = once(socket, 'message');
  socket.send(long);
  expect(await drains.take()).toEqual([long.length, 0, true]);
  expect((await echoed)[0].equals(long)).toBe(true);
  expect(await drains.take()).toBe(0);
});

test('a stream that is reset is told with its code, and ends nothing else', async () => {
  const closes = new Mailbox();
  const app = createApp(OPTIONS).get('/', (res) => res.end('fine')).ws('/*', {
    close: (ws, code, reason, info) => closes.put([code, info.cause, info.reason]),
  });
  const client = await RawHttp2.connect(listen(app));
  client.send(connect(1, '/'), connect(3, '/'));
  for (let count = 0; count < 2; count++) await client.next('HEADERS');
  client.send(frameOf('RST_STREAM', { stream: 1, payload: numbers(CANCEL) }));
  expect(await closes.take()).toEqual([1006, 'ERR_HTTP2_STREAM_RESET', 'Peer reset the stream: CANCEL (8)']);
  client.send(headersFrame(5));
  await client.next('HEADERS', 5);
  client.send(frameOf('PING', { stream: 3, payload: Buffer.alloc(8) }));
  expect(await closes.take()).toEqual([1006, 'ERR_HTTP2_INVALID', 'Received invalid HTTP/2']);
});

test('the ends of stream, connection and app have the causes that they have on a socket', async () => {
  const closes = new Mailbox();
  const behavior = { close: (ws, code, reason, info) => closes.put([code, info.cause]) };
  const app = createApp(OPTIONS).ws('/*', behavior);
  const port = listen(app);
  const session = await connectHttp2(port);
  const ended = await openWebSocket(session, '/');
  ended.stream.end();
  expect(await closes.take()).toEqual([1006, 'ERR_FIN_WITHOUT_CLOSE']);
  const lost = await RawHttp2.connect(port);
  lost.send(connect(1, '/'));
  await lost.next('HEADERS');
  lost.socket.end();
  expect(await closes.take()).toEqual([1006, 'ERR_FIN_WITHOUT_CLOSE']);
  const { socket } = await openWebSocket(session, '/');
  const closed = once(socket, 'close');
  const done = app.shutdown();
  expect(await closes.take()).toEqual([1001, 'CLOSED_BY_SHUTDOWN']);
  expect((await closed)[0]).toBe(1001);
  expect(await done).toEqual({ forced: 0 });
});

test('ws.end and ws.close end the stream, not the connection', async () => {
  const app = createApp(OPTIONS).get('/', (res) => res.end('fine')).ws('/*', {
    message(ws, message) {
      if (Buffer.from(message).toString() === 'end') ws.end(4000, 'bye');
      else ws.close();
    },
  });
  const session = await connectHttp2(listen(app));
  const { socket } = await openWebSocket(session, '/');
  socket.send('end');
  const [code, reason] = await once(socket, 'close');
  expect([code, reason.toString()]).toEqual([4000, 'bye']);
  const { socket: other } = await openWebSocket(session, '/');
  other.send('close');
  expect((await once(other, 'close'))[0]).toBe(1006);
  expect(await ask(session, { ':path': '/' })).toMatchObject({ text: 'fine' });
});

test('one that a peer stops reading is ended by its idle timeout or limit, as on a socket', async () => {
  const closes = new Mailbox();
  const app = createApp(OPTIONS).ws('/*', {
    maxBackpressure: 1000, closeOnBackpressureLimit: true,
    open(ws) {
      while (ws.send(Buffer.alloc(100_000)) !== 2);
    },
    close: (ws, code, reason, info) => closes.put(info.cause),
  });
  const session = await connectHttp2(listen(app));
  const { stream } = await openWebSocket(session, '/');
  stream.pause();
  expect(await closes.take()).toBe('ERR_BACKPRESSURE_LIMIT');
});

test('an extended CONNECT to a route without WebSockets is a request, and other requests cannot be upgraded', async () => {
  const thrown = new Mailbox();
  let context;
  const app = createApp(OPTIONS).ws('/ws', {
    upgrade(res, req, its) {
      context = its;
      res.upgrade({}, { protocol: '' });
    },
  }).get('/get', (res) => {
    try {
      res.upgrade({}, 'AAAAAAAAAAAAAAAAAAAAAA==', '', '', context);
    } catch (error) {
      thrown.put([error.code, error.message]);
      res.end();
    }
  });
  const session = await connectHttp2(listen(app));
  await openWebSocket(session, '/ws');
  await expect(openWebSocket(session, '/none')).rejects.toThrow('refused with 404');
  await ask(session, { ':path': '/get' });
  expect(await thrown.take()).toEqual(['ERR_INVALID_STATE', expect.stringContaining('RFC 8441')]);
});

test('is compressed where that was agreed', async () => {
  const app = createApp(OPTIONS).ws('/*', {
    compression: uWS.SHARED_COMPRESSOR,
    message: (ws, message, isBinary) => ws.send(message, isBinary, true),
  });
  const offer = { 'sec-websocket-extensions': 'permessage-deflate; client_no_context_takeover; server_no_context_takeover' };
  const { socket, stream, headers } = await openWebSocket(await connectHttp2(listen(app)), '/', offer);
  expect(headers['sec-websocket-extensions']).toContain('permessage-deflate');
  let received = 0;
  stream.on('data', (bytes) => {
    received += bytes.length;
  });
  socket.send('x'.repeat(10_000));
  const failure = await new Promise((resolve) => socket.once('error', resolve));
  expect(failure.message).toContain('RSV1');
  // The client of this test cannot inflate: it closes at the first bit that says so.
  expect(received).toBeLessThan(1000);
});
