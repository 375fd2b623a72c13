'use strict';

/** WebSockets in streams of HTTP/3 (RFC 9220). */

const { once } = require('node:events');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { CODE, FRAME, Http3Client, describeWithHttp3, frame, http3Options, openWebSocket, section } = require('../helpers/http3.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

/** An app of HTTP/3 alone, closed after the test. */
function createApp(options) {
  const app = uWS.H3App(http3Options(options));
  afterTest(() => app.close());
  return app;
}

describeWithHttp3('a WebSocket over HTTP/3', () => {
  test('opens, exchanges messages and closes', async () => {
    const closes = new Mailbox();
    const app = createApp().ws('/echo', {
      message: (ws, message, isBinary) => ws.send(message, isBinary),
      close: (ws, code, reason, info) => closes.put([code, info.cause, info.messages]),
    });
    const client = await Http3Client.connect(listen(app));
    const { socket, headers } = await openWebSocket(client, '/echo', { 'sec-websocket-protocol': 'a, b' });
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

  test('has an upgrade handler, whose headers go out', async () => {
    const app = createApp().ws('/rooms/:room', {
      upgrade(res, req, context) {
        res.writeStatus('101 Switching Protocols').writeHeader('X-Room', req.getParameter('room'));
        res.upgrade(
          { room: req.getParameter('room'), method: req.getMethod() }, req.getHeader('sec-websocket-key'),
          req.getHeader('sec-websocket-protocol'), req.getHeader('sec-websocket-extensions'), context,
        );
      },
      open: (ws) => ws.send(JSON.stringify(ws.getUserData())),
    });
    const { socket, headers } = await openWebSocket(await Http3Client.connect(listen(app)), '/rooms/7');
    expect(headers['x-room']).toBe('7');
    expect(JSON.parse((await once(socket, 'message'))[0])).toEqual({ room: '7', method: 'get' });
  });

  test('shares its connection with others and with requests, and topics reach all', async () => {
    const app = createApp().get('/', (res) => res.end('beside')).ws('/*', {
      open: (ws) => ws.subscribe('all'),
      message: (ws, message, isBinary) => app.publish('all', message, isBinary),
    });
    const client = await Http3Client.connect(listen(app));
    const opened = await Promise.all(Array.from({ length: 10 }, () => openWebSocket(client, '/')));
    const received = opened.map(({ socket }) => once(socket, 'message'));
    opened[3].socket.send('to all');
    expect((await Promise.all(received)).map(([message]) => message.toString())).toEqual(Array(10).fill('to all'));
    await expect(client.request('/')).resolves.toMatchObject({ text: 'beside' });
    expect(app.numSubscribers('all')).toBe(10);
  });

  test('carries long messages both ways, and its back-pressure is that of its stream', async () => {
    const drains = new Mailbox();
    const long = Buffer.alloc(2_000_000, 'x');
    const app = createApp().ws('/*', {
      maxPayloadLength: long.length, maxBackpressure: 2 * long.length,
      message(ws, message) {
        drains.put([message.byteLength, ws.send(message, true), ws.getBufferedAmount() > 0]);
      },
      drain: (ws) => drains.put(ws.getBufferedAmount()),
    });
    const { socket } = await openWebSocket(await Http3Client.connect(listen(app)), '/');
    const echoed = once(socket, 'message');
    socket.send(long);
    expect(await drains.take()).toEqual([long.length, 0, true]);
    expect((await echoed)[0].equals(long)).toBe(true);
    expect(await drains.take()).toBe(0);
  });

  test('ends with its stream: a reset is told with its code, an end without Close as such', async () => {
    const closes = new Mailbox();
    const app = createApp().ws('/*', { close: (ws, code, reason, info) => closes.put([code, info.cause, info.reason]) });
    const client = await Http3Client.connect(listen(app));
    const [first, second] = [await openWebSocket(client, '/'), await openWebSocket(client, '/')];
    await first.stream.abandon();
    expect(await closes.take()).toEqual([1006, 'ERR_HTTP3_STREAM_RESET', 'Peer reset the stream: H3_REQUEST_CANCELLED (0x10c)']);
    await second.stream.end();
    expect((await closes.take()).slice(0, 2)).toEqual([1006, 'ERR_FIN_WITHOUT_CLOSE']);
  });

  test('ends with its connection, if the client breaks a rule there', async () => {
    const closes = new Mailbox();
    const app = createApp().ws('/*', { close: (ws, code, reason, info) => closes.put([code, info.cause]) });
    const client = await Http3Client.connect(listen(app));
    await openWebSocket(client, '/');
    await client.control(frame(FRAME.DATA, 'x'));
    expect(await closes.take()).toEqual([1006, 'ERR_HTTP3_INVALID']);
    expect(await client.closed).toMatchObject({ code: CODE.FRAME_UNEXPECTED });
  });

  test('is told of a shutdown', async () => {
    const closes = new Mailbox();
    const app = createApp().ws('/*', { close: (ws, code, reason, info) => closes.put([code, info.cause]) });
    const { socket } = await openWebSocket(await Http3Client.connect(listen(app)), '/');
    const closed = once(socket, 'close');
    const done = app.shutdown();
    expect(await closes.take()).toEqual([1001, 'CLOSED_BY_SHUTDOWN']);
    expect((await closed)[0]).toBe(1001);
    expect(await done).toEqual({ forced: 0 });
  });

  test('ends by ws.end and ws.close, and its connection goes on', async () => {
    const app = createApp().get('/', (res) => res.end('fine')).ws('/*', {
      message(ws, message) {
        if (Buffer.from(message).toString() === 'end') ws.end(4000, 'bye');
        else ws.close();
      },
    });
    const client = await Http3Client.connect(listen(app));
    const { socket } = await openWebSocket(client, '/');
    socket.send('end');
    const [code, reason] = await once(socket, 'close');
    expect([code, reason.toString()]).toEqual([4000, 'bye']);
    const { socket: other } = await openWebSocket(client, '/');
    other.send('close');
    expect((await once(other, 'close'))[0]).toBe(1006);
    await expect(client.request('/')).resolves.toMatchObject({ text: 'fine' });
  });

  test('is refused where there is no route for it, and its protocol has to be websocket', async () => {
    const app = createApp().ws('/ws', {});
    const client = await Http3Client.connect(listen(app));
    await openWebSocket(client, '/ws');
    await expect(openWebSocket(client, '/none')).rejects.toThrow('refused with 404');
    const other = await client.open('request', frame(FRAME.HEADERS, section({
      ':method': 'CONNECT', ':protocol': 'connect-udp', ':scheme': 'https', ':authority': 'localhost', ':path': '/ws',
    })));
    await expect(other.head()).resolves.toMatchObject({ status: 501 });
  });
});
