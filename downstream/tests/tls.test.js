'use strict';

// The same packages on `SSLApp`.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const https = require('node:https');
const { text } = require('node:stream/consumers');
const { buildSchema } = require('graphql');
const { createClient } = require('graphql-ws');
const { makeBehavior } = require('graphql-ws/use/uWebSockets');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const uWS = require('uWebSockets.js');
const WebSocket = require('ws');

const { certificate } = require('../../__test__/helpers/certificates.js');
const { afterTest, listen, test } = require('../helpers/project.js');
const { TRANSPORTS, upgraded } = require('../helpers/socket-io.js');
const { next } = require('../helpers/waiting.js');

const { ca, key_file_name, cert_file_name } = certificate();

function createSecureApp() {
  const app = uWS.SSLApp({ key_file_name, cert_file_name });
  afterTest(() => app.close());
  return app;
}

/** Status and text of the answer to a GET. */
async function get(port, path) {
  const [response] = await once(https.get({ port, path, host: '127.0.0.1', ca, agent: false }), 'response');
  return [response.statusCode, await text(response)];
}

/** A WebSocket of npm `ws` that is open, and its first message. */
async function openSecure(port, path) {
  const client = new WebSocket(`wss://127.0.0.1:${port}${path}`, { ca });
  afterTest(() => client.terminate());
  const [message] = await once(client, 'message');
  return { client, message: String(message) };
}

for (const transports of TRANSPORTS) {
  test(`Socket.IO over TLS, ${transports.join(', then ')}: messages, binary, broadcasts and the end`, async () => {
    const app = createSecureApp();
    const server = new Server();
    server.attachApp(app);
    afterTest(() => server.close());
    const url = `https://127.0.0.1:${listen(app)}`;
    const connected = next(server, 'connection');
    const client = io(url, { transports, ca, forceNew: true, reconnection: false });
    afterTest(() => client.disconnect());
    const socket = await connected;
    await next(client, 'connect');
    if (transports.length > 1) await upgraded({ client });
    socket.on('echo', (data, acknowledge) => acknowledge(data));
    const bytes = randomBytes(200_000);
    assert.ok(Buffer.from(await client.emitWithAck('echo', bytes)).equals(bytes));
    const news = next(client, 'news');
    server.emit('news', 'é✓');
    assert.equal(await news, 'é✓');
    const ended = next(socket, 'disconnect');
    client.disconnect();
    assert.equal(await ended, 'client namespace disconnect');
  });
}

test('graphql-ws over TLS: queries and subscriptions', async () => {
  const app = createSecureApp();
  const schema = buildSchema('type Query { hello: String } type Subscription { count: Int }');
  const roots = {
    query: { hello: 'you' },
    subscription: {
      async *count() {
        for (let count = 0; count < 100; count++) yield { count };
      },
    },
  };
  app.ws('/graphql', makeBehavior({ schema, roots }));
  class Client extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { ca });
    }
  }
  const client = createClient({ url: `wss://127.0.0.1:${listen(app)}/graphql`, webSocketImpl: Client, retryAttempts: 0 });
  afterTest(() => client.dispose());
  const results = [];
  for await (const { data } of client.iterate({ query: 'subscription { count }' })) results.push(data.count);
  assert.deepEqual(results, [...Array(100).keys()]);
  for await (const { data } of client.iterate({ query: '{ hello }' })) assert.equal(data.hello, 'you');
});

for (const [name, HyperExpress] of [['7', require('hyper-express')], ['6', require('hyper-express-6')]]) {
  test(`hyper-express ${name} over TLS: requests and WebSockets, and a certificate that is not there`, async () => {
    const server = new HyperExpress.Server({ auto_close: false, key_file_name, cert_file_name });
    afterTest(() => (server.force_close ?? server.close).call(server));
    server.get('/', (request, response) => response.send(`secret of ${request.path}`));
    server.ws('/ws', (ws) => ws.send('hello'));
    await server.listen(0, '127.0.0.1');
    assert.deepEqual(await get(server.port, '/'), [200, 'secret of /']);
    assert.equal((await openSecure(server.port, '/ws')).message, 'hello');
    const options = { key_file_name: '/nowhere.key', cert_file_name: '/nowhere.crt' };
    assert.throws(() => new HyperExpress.Server(options), /Failed to create new Server instance/);
  });
}

test('ultimate-express over TLS: requests', async () => {
  const app = require('ultimate-express')({ uwsOptions: { key_file_name, cert_file_name } });
  app.get('/', (req, res) => res.send(`${req.protocol} ${req.secure}`));
  await new Promise((resolve) => {
    app.listen(0, '127.0.0.1', resolve);
  });
  afterTest(() => app.uwsApp.close());
  assert.deepEqual(await get(app.port, '/'), [200, 'https true']);
});
