'use strict';

/**
 * docs/migrating-from-ws.md shows how something is done with `ws`, and the same with Ferrows. Both are taken from the page
 * and run here, against the same clients: they see no difference.
 */

const { once } = require('node:events');
const http = require('node:http');
const { Readable, Writable, pipeline } = require('node:stream');
const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { readGuide, runBlock } = require('../helpers/guide.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const { WebSocketServer, createWebSocketStream } = WebSocket;

const pairs = new Map([...readGuide('migrating-from-ws.md')].filter(([, blocks]) => blocks.length > 0));

/** What clients of a block see, by heading. */
const proofs = new Map();
const prove = (heading, proof) => proofs.set(heading, proof);

/** Runs a block on a free port of this machine. */
async function serve(code, names, wanted = []) {
  const log = new Mailbox();
  let port;
  /** Those of the block, but known here. */
  class Server extends WebSocketServer {
    constructor(options) {
      super(options);
      afterTest(() => this.clients.forEach((client) => client.terminate()));
      if (options.port !== undefined) afterTest(() => this.close());
    }
  }
  const App = (...args) => {
    const app = uWS.App(...args);
    afterTest(() => app.close());
    const { listen } = app;
    app.listen = (number, callback) => listen.call(app, '127.0.0.1', number, (token, error) => {
      port = uWS.us_socket_local_port(token);
      callback(token, error);
    });
    return app;
  };
  const scope = {
    uWS: { ...uWS, App }, WebSocket, WebSocketServer: Server, createWebSocketStream, http, Writable, pipeline, port: 0,
    log: (value) => log.put(value), ...names,
  };
  const { server, wss, ...defined } = runBlock(code, scope, ['server', 'wss', ...wanted]);
  const node = server ?? wss;
  if (node !== undefined) {
    await once(node, 'listening');
    port = node.address().port;
    afterTest(() => node.close());
  }
  return { port, log, ...defined };
}

/** A client of npm `ws`, whatever the server is. */
async function connect(port, path = '/', ...options) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ...options);
  afterTest(() => socket.terminate());
  const messages = new Mailbox();
  socket.on('message', (data, isBinary) => messages.put(isBinary ? data : String(data)));
  const closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)]);
  await once(socket, 'open');
  return { socket, closed, take: () => messages.take() };
}

/** The status with which a handshake is refused. */
async function refusal(port, path, ...options) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ...options);
  // What is left of the handshake fails when it is given up.
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  socket.terminate();
  return response.statusCode;
}

test('every pair of the page is proved here, and nothing else', () => {
  expect([...pairs.keys()]).toEqual([...proofs.keys()]);
  for (const blocks of pairs.values()) expect(blocks.map(({ kind }) => kind)).toEqual(['ws', 'ferrows']);
});

prove('A server', async (code) => {
  const { port } = await serve(code);
  const { socket, take } = await connect(port, '/path');
  expect(await take()).toBe('welcome to /path');
  for (const message of ['héllo', Buffer.of(0, 255)]) {
    socket.send(message);
    expect(await take()).toEqual(message);
  }
});

prove('Messages', async (code) => {
  const { port, kept } = await serve(code, {}, ['kept']);
  const { socket, take } = await connect(port);
  socket.send(Buffer.of(1, 2));
  socket.send('héllo');
  expect(await take()).toBe('HÉLLO');
  expect(kept).toEqual([Buffer.of(1, 2)]);
});

test('the limits for messages are those that the page names', async () => {
  const limit = async (code) => {
    const { port } = await serve(code);
    const { socket, closed } = await connect(port);
    socket.send(Buffer.alloc(16 * 1024 + 1));
    socket.send('more');
    return Promise.race([closed, once(socket, 'message').then(() => 'more')]);
  };
  const [theirs, ours] = pairs.get('Messages');
  expect(await limit(theirs.code)).toBe('more');
  expect((await limit(ours.code))[0]).toBe(1009);
});

prove('Who may connect', async (code) => {
  const userOf = async (authorization) => (authorization === 'open sesame' ? 'ali' : undefined);
  const { port } = await serve(code, { userOf });
  const { take } = await connect(port, '/', { headers: { authorization: 'open sesame' } });
  expect(await take()).toBe('hello, ali');
  expect(await refusal(port, '/')).toBe(401);
});

prove('Several kinds of WebSockets, beside HTTP', async (code) => {
  const { port } = await serve(code);
  expect(await (await connect(port, '/chat')).take()).toBe('this is the chat');
  expect(await (await connect(port, '/news')).take()).toBe('this is the news');
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('a page');
  expect(await refusal(port, '/other')).toBe(404);
});

prove('Subprotocols', async (code) => {
  const { port } = await serve(code);
  const both = await connect(port, '/', ['v1', 'v2']);
  expect([both.socket.protocol, await both.take()]).toEqual(['v2', 'speaking v2']);
  const none = await connect(port);
  expect([none.socket.protocol, await none.take()]).toEqual(['', 'speaking nothing special']);
});

prove('Broadcast', async (code) => {
  const { port } = await serve(code);
  const [sender, ...others] = [await connect(port), await connect(port), await connect(port)];
  sender.socket.send('one');
  others[0].socket.send('two');
  expect(await sender.take()).toBe('two');
  expect((await Promise.all(others.map(({ take }) => take())))[0]).toBe('one');
  expect(await others[1].take()).toBe('two');
});

prove('Ping and heartbeat', async (code) => {
  const timers = new Mailbox();
  const { port } = await serve(code, { setInterval: (callback) => timers.put(callback) });
  const { socket, closed } = await connect(port, '/', { autoPong: false });
  // With a clock of its own it is tested in src/protocol/websocket/session/tests/timers.rs.
  if (code.includes('idleTimeout')) return;
  const beat = await timers.take();
  const pinged = once(socket, 'ping');
  beat();
  await pinged;
  beat();
  expect((await closed)[0]).toBe(1006);
});

prove('Compression', async (code) => {
  const { port } = await serve(code);
  const { socket, take } = await connect(port);
  expect(socket.extensions).toBe('permessage-deflate');
  const { head } = await RawWebSocket.open(port, { fields: ['Sec-WebSocket-Extensions: permessage-deflate'] });
  expect(head).toMatch(/server_no_context_takeover/);
  for (const text of ['short', 'long'.repeat(1000)]) {
    const before = socket._socket.bytesRead;
    socket.send(text);
    expect(await take()).toBe(text);
    expect(socket._socket.bytesRead - before).toBeLessThan(100);
  }
});

prove('Closing', async (code) => {
  const { port, log } = await serve(code);
  const polite = await connect(port);
  polite.socket.send('bye');
  expect(await polite.closed).toEqual([4001, 'see you']);
  expect(await log.take()).toBe('4001 see you');
  const rude = await connect(port);
  rude.socket.send('something else');
  expect((await rude.closed)[0]).toBe(1006);
  expect(await log.take()).toMatch(code.includes('uWS') ? /^1006 .+/ : /^1006 $/);
});

prove('Errors', async (code) => {
  const { port, log } = await serve(code);
  (await RawWebSocket.open(port)).send('8100'); // not masked
  expect(await log.take()).toBe(code.includes('uWS') ? 'ERR_FRAME_UNMASKED' : 'WS_ERR_EXPECTED_MASK');
});

prove('Back-pressure and streams', async (code) => {
  const CHUNKS = 400;
  let taken = 0;
  const source = () => Readable.from((function* chunks() {
    for (let number = 0; number < CHUNKS; number += 1) {
      taken += 1;
      yield Buffer.alloc(65536, number);
    }
  })());
  const { port, log } = await serve(code, { source });
  const { socket, take, closed } = await connect(port);
  socket.pause();
  // What the systems buffer is far less than 25 MiB. Nothing tells that the server waits: it would not get this far.
  for (let turns = 0; turns < 1000; turns += 1) await new Promise(setImmediate);
  expect(taken).toBeLessThan(CHUNKS);
  socket.resume();
  for (let number = 0; number < CHUNKS; number += 1) {
    const data = await take();
    expect(data.equals(Buffer.alloc(65536, number))).toBe(true);
  }
  expect(await log.take()).toBe('sent');
  socket.close();
  await closed;

  const impatient = await connect(port);
  impatient.socket.terminate();
  expect(await log.take()).toBe('cut short');
});

prove('Shutting down', async (code) => {
  const { port, log, shutDown } = await serve(code, {}, ['shutDown']);
  const { closed } = await connect(port);
  shutDown();
  expect(await closed).toEqual([1001, 'restarting']);
  expect(await log.take()).toBe('done');
});

prove('A client', async (code) => {
  const offers = [];
  const app = createApp().ws('/*', {
    upgrade(res, req, context) {
      const header = (name) => req.getHeader(`sec-websocket-${name}`);
      offers.push([header('protocol'), req.getHeader('authorization')]);
      res.upgrade({}, header('key'), header('protocol'), header('extensions'), context);
    },
    message: (ws, message, isBinary) => ws.send(message, isBinary),
  });
  const port = listen(app);
  const { log } = await serve(code, { url: `ws://127.0.0.1:${port}/` });
  expect([await log.take(), await log.take()]).toEqual(['hello', '1000 thanks']);
  expect(offers).toEqual([['chat', 'let me in']]);

  app.close();
  const refused = await serve(code, { url: `ws://127.0.0.1:${port}/` });
  expect(await refused.log.take()).toBe(code.includes('uWS') ? 'ERR_CONNECT_REFUSED' : 'ECONNREFUSED');
});

describe.each([...proofs])('%s', (heading, proof) => {
  test.each(['ws', 'ferrows'])('%s', async (side) => {
    await proof(pairs.get(heading).find(({ kind }) => kind === side).code);
  });
});
