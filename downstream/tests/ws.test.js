'use strict';

// Programs and packages that are written for `ws`, unmodified, on `ferrows/ws`.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const express = require('express');
const fastify = require('fastify');
const { buildSchema } = require('graphql');
const { createClient } = require('graphql-ws');
const { useServer } = require('graphql-ws/use/ws');
const ReconnectingWebSocket = require('reconnecting-websocket');
const { WebSocket, WebSocketServer } = require('uWebSockets.js/ws');
const vite = require('vite');

const { requireOnFerrows } = require('../helpers/on-ferrows-ws.js');
const { afterTest, test } = require('../helpers/project.js');
const { next } = require('../helpers/waiting.js');

/** Has a server listen until the test is over. Resolves to its port. */
async function open(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  return server.address().port;
}

/** A server that is closed after the test, with all its clients. */
function serve(options) {
  const wss = new WebSocketServer(options);
  afterTest(() => {
    for (const client of wss.clients) client.terminate();
    wss.close();
  });
  return wss;
}

/** A client that is connected. */
async function connect(port, path = '/', options = {}) {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  afterTest(() => client.terminate());
  await once(client, 'open');
  return client;
}

async function textOf(port, path = '/') {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).text();
}

test('Express with one port: routes, a session of its middleware, and WebSockets', async () => {
  const site = express();
  const session = (request, response, proceed) => {
    request.user = /user=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    proceed();
  };
  site.use(session);
  site.get('/', (request, response) => response.send(`over HTTP to ${request.user}`));
  const server = http.createServer(site);
  const wss = serve({ clientTracking: true, noServer: true });
  server.on('upgrade', (request, socket, head) => {
    const response = new http.ServerResponse(request);
    response.assignSocket(socket);
    session(request, response, () => {
      if (request.user === undefined) {
        socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
        return;
      }
      wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
    });
  });
  wss.on('connection', (ws, request) => {
    ws.on('message', (data, isBinary) => {
      for (const client of wss.clients) {
        if (client !== ws && client.readyState === WebSocket.OPEN) client.send(`${request.user}: ${data}`, { binary: isBinary });
      }
    });
  });
  const port = await open(server);
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((user) => connect(port, '/', { headers: { cookie: `user=${user}` } })));
  const heard = next(bob, 'message');
  ann.send('hello');
  assert.equal(String(await heard), 'ann: hello');
  const refused = new WebSocket(`ws://127.0.0.1:${port}/`);
  assert.match((await next(refused, 'error')).message, /^Unexpected server response: 401$/);
  assert.match(await textOf(port), /^over HTTP to undefined$/);
});

test('graphql-ws: queries, subscriptions, and closes with its codes', async () => {
  const server = http.createServer();
  const wss = serve({ server, path: '/graphql' });
  const roots = {
    query: { hello: ({ name }) => `hello ${name}` },
    subscription: {
      async *count({ to }) {
        for (let count = 0; count < to; count++) yield { count };
      },
    },
  };
  const schema = buildSchema('type Query { hello(name: String): String } type Subscription { count(to: Int!): Int }');
  useServer({ schema, roots, onConnect: ({ connectionParams }) => connectionParams?.token !== 'bad' }, wss, 60_000);
  const port = await open(server);
  const url = `ws://127.0.0.1:${port}/graphql`;
  const client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, lazy: false });
  afterTest(() => client.dispose());
  const results = async (query, variables) => {
    const list = [];
    for await (const { data } of client.iterate({ query, variables })) list.push(data);
    return list;
  };
  const [[{ hello }], counts] = await Promise.all([
    results('query ($name: String) { hello(name: $name) }', { name: 'é✓😀' }), results('subscription { count(to: 500) }'),
  ]);
  assert.equal(hello, 'hello é✓😀');
  assert.deepEqual(counts.map(({ count }) => count), [...Array(500).keys()]);
  const closes = async (protocol, message) => {
    const raw = new WebSocket(url, protocol);
    raw.on('open', () => raw.send(message));
    const [code, reason] = await once(raw, 'close');
    return [code, String(reason)];
  };
  assert.deepEqual(await closes('graphql-transport-ws', '{"type":"connection_init","payload":{"token":"bad"}}'), [4403, 'Forbidden']);
  assert.deepEqual(await closes('graphql-transport-ws', 'nonsense'), [4400, 'Invalid message received']);
});

test('@fastify/websocket: routes with hooks, its errors, injectWS, and the end of the server', async () => {
  const site = fastify();
  await site.register(requireOnFerrows('@fastify/websocket'), { options: { maxPayload: 100 } });
  const hooks = [];
  site.addHook('onRequest', async (request) => { hooks.push(request.url); });
  await site.register(async (routes) => {
    routes.get('/echo/:name', { websocket: true }, (socket, request) => {
      assert.ok(socket instanceof WebSocket);
      socket.send(`hello ${request.params.name}`);
      socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
    });
  });
  site.get('/', async () => 'over HTTP');
  await site.listen({ port: 0, host: '127.0.0.1' });
  const { port } = site.server.address();
  const client = new WebSocket(`ws://127.0.0.1:${port}/echo/ann`);
  assert.equal(String(await next(client, 'message')), 'hello ann');
  const bytes = Buffer.from([0, 1, 255]);
  client.send(bytes);
  assert.deepEqual(await once(client, 'message'), [bytes, true]);
  assert.equal(await textOf(port), 'over HTTP');
  assert.deepEqual(hooks, ['/echo/ann', '/']);
  const greedy = await connect(port, '/echo/bob');
  greedy.send('x'.repeat(101));
  assert.equal((await once(greedy, 'close'))[0], 1009);
  const inner = await new Promise((resolve) => {
    site.injectWS('/echo/eve', {}, { onInit: (ws) => ws.once('message', (message) => resolve([ws, message])) });
  });
  assert.equal(String(inner[1]), 'hello eve');
  inner[0].send('back');
  assert.equal(String(await next(inner[0], 'message')), 'back');
  const closed = once(client, 'close');
  await site.close();
  assert.equal((await closed)[0], 1005);
});

test('Vite in middleware mode: its live reload and WebSockets of the program on one port', async () => {
  const site = express();
  const server = http.createServer(site);
  const wss = serve({ noServer: true });
  wss.on('connection', (ws) => ws.send('ours'));
  const tools = await vite.createServer({
    configFile: false, root: __dirname, logLevel: 'silent', appType: 'custom',
    server: { middlewareMode: true, ws: { server }, hmr: { server }, watch: null },
  });
  afterTest(() => tools.close());
  site.use(tools.middlewares);
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/chat') wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request));
  });
  const port = await open(server);
  const ours = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  assert.equal(String(await next(ours, 'message')), 'ours');
  const token = /wsToken = "([^"]+)"/.exec(await textOf(port, '/@vite/client'))?.[1];
  const reload = new WebSocket(`ws://127.0.0.1:${port}/?token=${token}`, 'vite-hmr');
  afterTest(() => reload.terminate());
  assert.deepEqual(JSON.parse(await next(reload, 'message')), { type: 'connected' });
});

test('reconnecting-websocket: comes back by itself, with what it had to send', async () => {
  const server = http.createServer();
  const wss = serve({ server });
  const port = await open(server);
  const heard = [];
  const arrived = new Promise((resolve) => {
    wss.on('connection', (ws) => {
      ws.on('message', (message) => {
        heard.push(String(message));
        if (heard.length === 1) ws.terminate();
        else if (heard.length === 3) resolve();
      });
    });
  });
  const options = { WebSocket, minReconnectionDelay: 1, maxReconnectionDelay: 5, minUptime: 1 };
  const client = new ReconnectingWebSocket(`ws://127.0.0.1:${port}/`, [], options);
  afterTest(() => client.close());
  let opened = 0;
  client.addEventListener('open', () => {
    opened += 1;
    client.send(`open ${opened}`);
  });
  client.addEventListener('close', () => client.send('while it was closed'));
  await arrived;
  assert.deepEqual([opened, heard[0], heard.slice(1).sort()], [2, 'open 1', ['open 2', 'while it was closed']]);
});
