'use strict';

// A limit that refuses the newcomer is a switch with which whoever fills it first locks everybody out. Who has to go instead is
// told in src/io/room.rs; with thousands of connections it is measured by __test__/soak/newcomers.mjs.

const { connectClient, connectPlain, createSSLApp } = require('../helpers/tls.js');
const { listen } = require('../helpers/server.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');

test.each([
  ['say nothing', Buffer.alloc(0)],
  ['begin and go no further', Buffer.of(22, 3, 1)],
])('handshakes of honest clients succeed among many times maxHandshakes of those that %s', async (_, bytes) => {
  const port = listen(createSSLApp({ maxHandshakes: 16 }).get('/', (res) => res.end('served')));
  for (let round = 0; round < 20; round++) {
    for (let count = 0; count < 8; count++) await (await connectPlain(port)).send(bytes);
    expect((await (await connectClient(port)).get('/')).text).toBe('served');
  }
});

const unlessWindows = process.platform === 'win32' ? describe.skip : describe;

unlessWindows('with all descriptors taken by clients', () => {
  /** A server with hardly any descriptors, and what must not suffer. */
  async function start() {
    const program = new Program(`
      let answer;
      const app = uWS.App({ threads: 1, headersTimeout: 0, keepAliveTimeout: 0 });
      app.get('/', (res) => { res.end('served'); });
      app.get('/wait', (res) => { res.onAborted(() => say('aborted')); answer = () => res.end('waited'); say('asked'); });
      app.get('/answer', (res) => { answer(); res.end('done'); });
      app.ws('/*', { message: (ws, message) => ws.send(message, true), close: () => say('closed') });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { descriptors: 150 });
    const port = await program.hear();
    const [webSocket, waiting] = [await RawWebSocket.open(port), await RawClient.connect(port)];
    waiting.send(request('GET', '/wait'));
    expect(await program.hear()).toBe('asked');
    return { port, program, webSocket, waiting };
  }

  /** Connects more clients than there are descriptors, each of which sends `bytes`. In between honest ones are served. */
  async function flood(port, bytes) {
    const clients = [];
    for (let round = 0; round < 10; round++) {
      for (let count = 0; count < 40; count++) {
        const client = await RawClient.connect(port);
        if (bytes !== '') await client.send(bytes);
        clients.push(client);
      }
      expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
    }
    return clients;
  }

  test.each([
    ['say nothing', ''],
    ['have been served', request('GET', '/')],
    ['do not come to the end of a head', 'GET / HTTP/1.1\r\nHo'],
  ])('that %s, newcomers are served, and what is under way goes on', async (_, bytes) => {
    const { port, webSocket, waiting } = await start();
    const [first] = await flood(port, bytes);
    await first.over();
    expect((await (await RawClient.connect(port)).get('/answer')).text).toBe('done');
    expect((await waiting.response()).text).toBe('waited');
    webSocket.sendText('still here');
    expect(await webSocket.frame()).toEqual(['binary', Buffer.from('still here')]);
  });

  test('whose requests have arrived but were not read, all are served', async () => {
    const { port, program } = await start();
    const clients = [];
    await program.freeze(100, async () => {
      for (let count = 0; count < 300; count++) {
        const client = await RawClient.connect(port);
        await client.send(request('GET', '/'));
        clients.push(client);
      }
    });
    for (const client of clients) expect((await client.response()).text).toBe('served');
  });

  test('silent ones go before those that wait for their next request', async () => {
    const { port } = await start();
    const kept = await RawClient.connect(port);
    for (let round = 0; round < 3; round++) {
      expect((await kept.get('/')).text).toBe('served');
      await flood(port, '');
    }
    expect((await kept.get('/')).text).toBe('served');
  });
});
