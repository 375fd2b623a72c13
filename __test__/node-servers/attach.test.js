'use strict';

// `attach`: a server of Node's gives an app the upgrades that one of its routes takes, and no others.

const { EventEmitter, once } = require('node:events');
const http = require('node:http');
const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { open } = require('../helpers/node-server.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, handshake } = require('../helpers/raw-websocket.js');
const { createApp } = require('../helpers/server.js');

/** An app whose route `path` says `word`. */
const saying = (path, word) => createApp().ws(path, { open: (ws) => ws.send(word) });

async function heard(port, path) {
  const client = await RawWebSocket.open(port, { path });
  const [, word] = await client.frame();
  client.socket.destroy();
  return word;
}

async function statusOf(port, path) {
  const client = await RawClient.connect(port);
  await client.send(handshake(path));
  return (await client.response()).status;
}

/** A server that says `node` to requests, and its port. */
async function createServer() {
  const server = http.createServer((req, res) => res.end('node'));
  return { server, port: await open(server) };
}

describe('attach', () => {
  test('gives the app its routes; without other listeners everything else is refused with 404', async () => {
    const { server, port } = await createServer();
    uWS.attach(server, saying('/chat', 'ours'));
    expect(await heard(port, '/chat')).toBe('ours');
    expect(await statusOf(port, '/other')).toBe(404);
    expect((await (await RawClient.connect(port)).get('/chat')).text).toBe('node');
  });

  test.each(['before', 'after'])('a server of ws that was attached %s has what no route takes, and sees nothing else', async (when) => {
    const { server, port } = await createServer();
    const sockets = new WebSocket.Server({ noServer: true });
    const seen = [];
    const others = () => server.on('upgrade', (req, socket, head) => {
      seen.push(req.url);
      sockets.handleUpgrade(req, socket, head, (ws) => ws.send('theirs'));
    });
    if (when === 'before') others();
    uWS.attach(server, saying('/chat', 'ours'));
    if (when === 'after') others();
    expect(await heard(port, '/chat')).toBe('ours');
    expect(await heard(port, '/other')).toBe('theirs');
    expect(await heard(port, '/chat')).toBe('ours');
    expect(seen).toEqual(['/other']);
  });

  test('a server of ws that refuses every path but its own harms none of ours', async () => {
    const { server, port } = await createServer();
    new WebSocket.Server({ server, path: '/theirs' }).on('connection', (ws) => ws.send('theirs'));
    uWS.attach(server, saying('/chat', 'ours'));
    expect([await heard(port, '/chat'), await heard(port, '/theirs')]).toEqual(['ours', 'theirs']);
    expect(await statusOf(port, '/other')).toBe(400);
  });

  test('several apps: the first that has a route takes it; each may go', async () => {
    const { server, port } = await createServer();
    const emit = server.emit;
    const detachers = [
      uWS.attach(server, saying('/a', 'first')), uWS.attach(server, saying('/*', 'second')), uWS.attach(server, saying('/a', 'third')),
    ];
    expect([await heard(port, '/a'), await heard(port, '/b')]).toEqual(['first', 'second']);
    detachers[0]();
    detachers[0]();
    expect(await heard(port, '/a')).toBe('second');
    detachers[1]();
    expect([await heard(port, '/a'), await statusOf(port, '/b')]).toEqual(['third', 404]);
    detachers[2]();
    expect([server.emit, Object.hasOwn(server, 'emit'), server.listenerCount('upgrade')]).toEqual([emit, false, 0]);
    // Without listeners, Node takes it for a request.
    expect(await statusOf(port, '/a')).toBe(200);
    uWS.attach(server, saying('/a', 'again'));
    expect(await heard(port, '/a')).toBe('again');
  });

  test('one app on several servers', async () => {
    const app = saying('/*', 'ours');
    const servers = [await createServer(), await createServer()];
    for (const { server } of servers) uWS.attach(server, app);
    for (const { port } of servers) expect(await heard(port, '/')).toBe('ours');
  });

  test.each([
    ['close', (app) => app.close()],
    ['shutdown', (app) => app.shutdown()],
  ])('app.%s() ends it, for new connections', async (_, end) => {
    const { server, port } = await createServer();
    const app = saying('/*', 'ours');
    const other = uWS.attach(server, saying('/other', 'other'));
    const detach = uWS.attach(server, app);
    expect(await heard(port, '/')).toBe('ours');
    await end(app);
    expect([await statusOf(port, '/'), await heard(port, '/other')]).toEqual([404, 'other']);
    detach();
    other();
    expect(server.listenerCount('upgrade')).toBe(0);
    uWS.attach(server, app);
    expect(await heard(port, '/')).toBe('ours');
  });

  test('whoever replaces emit, too, goes on working, also behind the end of the attachment', async () => {
    const { server, port } = await createServer();
    const events = [];
    const detach = uWS.attach(server, saying('/*', 'ours'));
    const inner = server.emit;
    server.emit = (...args) => {
      events.push(args[0]);
      return inner(...args);
    };
    expect(await heard(port, '/')).toBe('ours');
    expect(events).toContain('upgrade');
    detach();
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('node');
    expect(events.at(-1)).toBe('request');
  });

  test('a server with an emit of its own has it back', () => {
    const server = Object.assign(new EventEmitter(), { emit: EventEmitter.prototype.emit });
    uWS.attach(server, createApp())();
    expect(server.emit).toBe(EventEmitter.prototype.emit);
    expect(Object.hasOwn(server, 'emit')).toBe(true);
  });

  test('other events have their arguments, their order and their result', () => {
    const server = http.createServer();
    const seen = [];
    uWS.attach(server, createApp());
    server.on('thing', function (...args) { seen.push(this, args); });
    expect([server.emit('thing', 1, 2), server.emit('nothing')]).toEqual([true, false]);
    expect(seen).toEqual([server, [1, 2]]);
    expect(failureOf(() => server.emit('error', new TypeError('unheard'))).message).toContain('unheard');
  });

  test.each([
    undefined, null, 5, {}, { on() {} }, Object.assign(() => {}, EventEmitter.prototype), createServer,
  ])('%p is no server', (server) => {
    const failure = failureOf(() => uWS.attach(server, createApp()));
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    expect(failure.message).toMatch(/^server must be an http.Server/);
  });

  test.each([undefined, null, {}, () => {}])('%p is no app', (app) => {
    const server = http.createServer();
    expect(failureOf(() => uWS.attach(server, app)).code).toBe('ERR_INVALID_THIS');
    expect(server.listenerCount('upgrade')).toBe(0);
  });
});

test('a heartbeat over all clients of an app, as with ws', async () => {
  const { server, port } = await createServer();
  const app = createApp().ws('/*', {
    open: (ws) => { ws.isAlive = true; }, pong: (ws) => { ws.isAlive = true; }, sendPingsAutomatically: false,
  });
  uWS.attach(server, app);
  const pings = new Mailbox();
  const clients = ['/a', '/b'].map((path) => new WebSocket(`ws://127.0.0.1:${port}${path}`, { autoPong: path === '/a' }));
  for (const client of clients) {
    afterTest(() => client.terminate());
    client.on('ping', () => pings.put());
    await once(client, 'open');
  }
  const beat = () => {
    for (const ws of app.webSockets) {
      if (!ws.isAlive) ws.close();
      ws.isAlive = false;
      if (app.webSockets.size > 0 && [...app.webSockets].includes(ws)) ws.ping();
    }
  };
  while (app.webSockets.size < 2) await new Promise(setImmediate);
  beat();
  await pings.take();
  await pings.take();
  while ([...app.webSockets].every((ws) => !ws.isAlive)) await new Promise(setImmediate);
  beat();
  await once(clients[1], 'close');
  expect(clients[0].readyState).toBe(WebSocket.OPEN);
});
