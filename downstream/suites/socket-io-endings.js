'use strict';

// How connections end, what Socket.IO says of it (https://socket.io/docs/v4/server-socket-instance/#disconnect), and what
// becomes of clients that come back.

const assert = require('node:assert/strict');

const { frame, Mailbox, RawClient, RawWebSocket, test } = require('../helpers/project.js');
const { Service, TRANSPORTS, upgraded } = require('../helpers/socket-io.js');
const { next, until } = require('../helpers/waiting.js');

/** Registers the tests of one version. */
function testEndings(name, Server) {
  for (const transports of TRANSPORTS) testReasons(`${name} over ${transports.join(', then ')}`, Server, transports);
  testBrokenClients(name, Server);
  testRecovery(name, Server);
  testCrowd(name, Server);
}

/** What ends a connection; the reason that the server's socket gets, and the one that the client gets. */
const ENDINGS = [
  ['socket.disconnect()', ({ socket }) => socket.disconnect(), 'server namespace disconnect', 'io server disconnect'],
  ['socket.disconnect(true)', ({ socket }) => socket.disconnect(true), 'server namespace disconnect', 'io server disconnect'],
  ['io.disconnectSockets()', ({ service }) => service.io.disconnectSockets(), 'server namespace disconnect', 'io server disconnect'],
  ['disconnect of the client', ({ client }) => client.disconnect(), 'client namespace disconnect', 'io client disconnect'],
  ['io.close()', ({ service }) => service.io.close(), 'server shutting down', 'transport close'],
  ['the end of the client\'s engine', ({ client }) => client.io.engine.close(), 'transport close', 'forced close'],
  ['socket.conn.close()', ({ socket }) => socket.conn.close(), 'forced close', 'transport close'],
];

function testReasons(name, Server, transports) {
  for (const [what, end, there, here] of ENDINGS) {
    test(`${name}: ${what} is a ${there}, and for the client a ${here}`, async () => {
      const service = new Service(Server);
      const peer = { service, ...await service.connect({ transports }) };
      if (transports.length > 1) {
        await upgraded(peer);
        await until(() => peer.socket.conn.transport.name === 'websocket');
      }
      const reasons = Promise.all([next(peer.socket, 'disconnect'), next(peer.client, 'disconnect')]);
      end(peer);
      const [atServer, atClient] = await reasons;
      // Over HTTP the client may learn of the end from its own next request.
      const atClients = transports.includes('websocket') ? [here] : [here, 'transport close', 'transport error'];
      assert.equal(atServer, there);
      assert.ok(atClients.includes(atClient), atClient);
      await until(() => service.io.of('/').sockets.size === 0 && service.app.numSubscribers('/') === 0);
    });
  }
}

/** Opens a session over a WebSocket by hand, and joins the main namespace. */
async function openSession(service) {
  const connected = next(service.io, 'connection');
  const raw = await RawWebSocket.open(service.port, { path: '/socket.io/?EIO=4&transport=websocket' });
  assert.match((await raw.frame())[1], /^0\{"sid":/);
  raw.sendText('40');
  assert.match((await raw.frame())[1], /^40\{"sid":/);
  return { raw, socket: await connected };
}

function testBrokenClients(name, Server) {
  test(`${name}: a client that answers no ping is a ping timeout`, async () => {
    const service = new Service(Server, { pingInterval: 250, pingTimeout: 250 });
    const { raw, socket } = await openSession(service);
    assert.equal(await next(socket, 'disconnect'), 'ping timeout');
    assert.deepEqual(await raw.frame(), ['text', '2']);
    assert.equal(service.io.engine.clientsCount, 0);
  });

  test(`${name}: clients that answer pings stay, on each transport`, async () => {
    const service = new Service(Server, { pingInterval: 30, pingTimeout: 5000 });
    for (const transports of TRANSPORTS) {
      const { client, socket } = await service.connect({ transports });
      for (let count = 0; count < 3; count++) await next(socket.conn, 'heartbeat');
      assert.ok(client.connected && socket.connected);
    }
  });

  const BREAKS = [
    ['a TCP connection that ends without a Close frame', ({ raw }) => raw.finish(), 'transport close'],
    ['a reset TCP connection', ({ raw }) => raw.reset(), 'transport close'],
    ['a Close frame', ({ raw }) => raw.send(frame('close', Buffer.from([0x03, 0xe8]))), 'transport close'],
    ['a frame that breaks the protocol', ({ raw }) => raw.send('f180', '00000000'), 'transport close'],
    ['a message beyond maxHttpBufferSize', ({ raw }) => raw.sendText('4'.padEnd(2000, 'x')), 'transport close'],
    ['a packet that is none of Socket.IO', ({ raw }) => raw.sendText('4nonsense'), 'forced close'],
    ['a packet that is none of Engine.IO', ({ raw }) => raw.sendText('nonsense'), 'parse error'],
  ];
  for (const [what, end, reason] of BREAKS) {
    test(`${name}: ${what} is a ${reason}`, async () => {
      const service = new Service(Server, { maxHttpBufferSize: 1000 });
      const session = await openSession(service);
      const ended = next(session.socket, 'disconnect');
      end(session);
      assert.equal(await ended, reason);
      await until(() => service.io.engine.clientsCount === 0);
    });
  }

  test(`${name}: a polling request that is cut off is a transport error`, async () => {
    const service = new Service(Server);
    const connected = next(service.io, 'connection');
    const raw = await RawClient.connect(service.port);
    const [, sid] = /"sid":"([^"]+)"/.exec((await raw.get(POLLING)).text);
    await raw.send(`POST ${POLLING}&sid=${sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40`);
    assert.equal((await raw.response()).text, 'ok');
    assert.match((await raw.get(`${POLLING}&sid=${sid}`)).text, /^40\{/);
    const socket = await connected;
    const ended = next(socket, 'disconnect');
    await raw.send(`GET ${POLLING}&sid=${sid} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => socket.conn.transport.writable);
    raw.reset();
    assert.equal(await ended, 'transport error');
  });
}

const POLLING = '/socket.io/?EIO=4&transport=polling';

function testRecovery(name, Server) {
  test(`${name}: connection state recovery: a client that comes back gets what it missed, and is what it was`, async () => {
    const service = new Service(Server, { connectionStateRecovery: {} });
    const { client, socket } = await service.connect({ transports: ['websocket'], reconnection: true, reconnectionDelay: 20 });
    const got = new Mailbox();
    client.on('news', (text) => got.put(text));
    socket.join('room');
    socket.data.name = 'first';
    // The first packet gives the client an offset to come back with.
    service.io.emit('news', 'one');
    assert.equal(await got.take(), 'one');
    const { id } = client;
    const gone = next(socket, 'disconnect');
    client.io.engine.close();
    await gone;
    service.io.to('room').emit('news', 'two');
    service.io.emit('news', 'three');
    const again = await next(service.io, 'connection');
    assert.deepEqual([await got.take(), await got.take()], ['two', 'three']);
    assert.deepEqual([client.recovered, client.id, again.recovered], [true, id, true]);
    assert.deepEqual([again.data, again.rooms.has('room')], [{ name: 'first' }, true]);
    // To itself: Socket.IO subscribes no recovered socket to its topics, so that broadcasts miss it on uWebSockets.js too.
    again.emit('news', 'four');
    assert.equal(await got.take(), 'four');
  });

  test(`${name}: a client comes back by itself after the server dropped its transport`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ reconnection: true, reconnectionDelay: 10 });
    socket.conn.close();
    assert.equal(await next(client, 'disconnect'), 'transport close');
    await next(client, 'connect');
    assert.ok(!client.recovered);
  });
}

const CROWD = 200;

function testCrowd(name, Server) {
  test(`${name}: ${CROWD} clients come and go, and nothing is left of them`, async () => {
    const service = new Service(Server);
    const reasons = new Map();
    service.io.on('connection', (socket) => {
      socket.join(`room-${service.io.engine.clientsCount % 5}`);
      socket.on('disconnect', (reason) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1));
    });
    let heard = 0;
    const peers = [];
    for (let wave = 0; wave < 10; wave++) {
      const joining = Array.from({ length: CROWD / 10 }, (_, index) => service.connect({ transports: TRANSPORTS[index % 3] }));
      const arrived = await Promise.all(joining);
      for (const { client } of arrived) client.on('all', () => heard++);
      peers.push(...arrived);
    }
    // An upgrade moves a client from one way of being broadcast to into the other.
    await Promise.all(peers.map(({ client }, index) => (index % 20 % 3 === 2 ? upgraded({ client }) : undefined)));
    await until(() => peers.every(({ client, socket }) => socket.conn.transport.name === client.io.engine.transport.name));
    assert.equal(service.io.engine.clientsCount, CROWD);
    service.io.emit('all');
    await until(() => heard === CROWD);

    const endings = [
      ({ client }) => client.disconnect(),
      ({ socket }) => socket.disconnect(true),
      ({ client }) => client.io.engine.close(),
      ({ socket }) => socket.conn.close(),
    ];
    peers.forEach((peer, index) => endings[index % endings.length](peer));
    await until(() => service.io.engine.clientsCount === 0);
    assert.deepEqual([...reasons].sort(), [
      ['client namespace disconnect', CROWD / 4],
      ['forced close', CROWD / 4],
      ['server namespace disconnect', CROWD / 4],
      ['transport close', CROWD / 4],
    ]);
    assert.equal(service.io.of('/').sockets.size, 0);
    await until(() => service.app.numSubscribers('/') === 0);
  });
}

module.exports = { testEndings };
