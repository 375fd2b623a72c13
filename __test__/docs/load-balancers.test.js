'use strict';

// What docs/load-balancers.md promises about proxies that cut connections on which nothing moves.

const uWS = require('../..');
const { ClosingServer, closed } = require('../helpers/closing-server.js');
const { CuttingProxy } = require('../helpers/cutting-proxy.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');

/** For cuts that are to come, in milliseconds. */
const SOON = 200;
/** Longer than the 4 s of silence after which a WebSocket with `idleTimeout: 8` is pinged, shorter than twice as long. */
const LIMIT = 7000;
const PINGS = 3;

const FIN = closed(1006, 'Received TCP FIN before WebSocket close frame', 'ERR_FIN_WITHOUT_CLOSE', 'transport', false);
const RESET = closed(1006, 'Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport', false);
const IDLE = closed(1006, 'WebSocket timed out from inactivity', 'ERR_IDLE_TIMEOUT', 'local', false);

// Most of these take seconds of silence, so all connections are opened first and waited for together.
const steps = [];
const scenes = {};

beforeAll(async () => {
  const begin = async (name, how, limit, behavior) => {
    const app = uWS.App({ threads: 1 });
    steps.push(() => app.close());
    const server = new ClosingServer(behavior, app);
    const proxy = await CuttingProxy.start(server.port, how, limit);
    steps.push(() => proxy.close());
    const client = await RawWebSocket.open(proxy.port, { closeLater: (step) => steps.push(step) });
    client.sendText('hello');
    expect(await client.frame()).toEqual(['text', 'hello']);
    scenes[name] = { server, proxy, client };
  };
  await begin('fin', 'fin', SOON, { idleTimeout: 120 });
  await begin('rst', 'rst', SOON, { idleTimeout: 120 });
  await begin('silent', 'silent', SOON, { idleTimeout: 8 });
  await begin('pinged', 'fin', LIMIT, { idleTimeout: 8 });
  await begin('apart', 'fin', LIMIT, { pingInterval: 4 });
  await begin('endless', 'fin', LIMIT, { pingInterval: 4, idleTimeout: 0 });
  await begin('unpinged', 'fin', LIMIT, { idleTimeout: 60, sendPingsAutomatically: false });
  for (const name of ['pinged', 'apart', 'endless']) scenes[name].survived = answerPings(scenes[name].client);
});

afterAll(() => {
  while (steps.length > 0) steps.pop()();
});

/** Answers as browsers do, for longer than the proxy would have waited. */
async function answerPings(client) {
  for (let count = 0; count < PINGS; count++) {
    expect(await client.frame()).toEqual(['ping', '']);
    client.send(frame('pong'));
  }
  client.sendText('still here');
  return client.frame();
}

test.each([
  ['fin', 'closes both sides (ALB, nginx, HAProxy, Cloudflare)', FIN, 'FIN'],
  ['rst', 'resets both sides (Azure with TCP reset, firewalls)', RESET, 'RST'],
])('%s: a proxy that %s', async (name, title, expected, end) => {
  const { server, proxy, client } = scenes[name];
  await proxy.cuts.take();
  await server.expectOneClose(expected);
  expect(await client.rest()).toEqual({ frames: [], end });
});

test('silent: of a proxy that forgets the connection the application hears when idleTimeout is up', async () => {
  const { server, proxy, client } = scenes.silent;
  await proxy.cuts.take();
  await server.expectOneClose(IDLE);
  // Neither the ping nor the Close frame came through: the client has to find out by itself.
  client.sendText('is anybody there?');
  expect(client.socket.readyState).toBe('open');
  client.socket.destroy();
  expect(await client.rest()).toEqual({ frames: [], end: 'closed here' });
});

test('automatic pings below the limit of the proxy keep the connection', async () => {
  const { server, proxy, survived } = scenes.pinged;
  expect(await survived).toEqual(['text', 'still here']);
  expect([proxy.cuts.size, server.closes.size]).toEqual([0, 0]);
});

test('without pings the same proxy cuts it', async () => {
  const { server, proxy } = scenes.unpinged;
  await proxy.cuts.take();
  await server.expectOneClose(FIN);
});
