'use strict';

// What Socket.IO is used for: messages, acknowledgements, rooms, namespaces, over each transport.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');

const { test } = require('../helpers/project.js');
const { Service, TRANSPORTS, upgraded } = require('../helpers/socket-io.js');
const { next, until } = require('../helpers/waiting.js');

/** Registers the tests of one version, on an app. */
function testBasics(name, Server) {
  testMessages(name, Server, Service);
  testTopics(name, Server);
}

/** Registers those that hold on any server; `Service` makes it. */
function testMessages(name, Server, Service) {
  for (const transports of TRANSPORTS) testTransport(`${name} over ${transports.join(', then ')}`, Server, Service, transports);
  testUpgrade(name, Server, Service);
  testRooms(name, Server, Service);
  testNamespaces(name, Server, Service);
}

function testTransport(name, Server, Service, transports) {
  test(`${name}: messages arrive in order, both ways`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ transports });
    const [up, down] = [[], []];
    socket.on('up', (number) => up.push(number));
    client.on('down', (number) => down.push(number));
    for (let number = 0; number < 200; number++) {
      client.emit('up', number);
      socket.emit('down', number);
    }
    await until(() => up.length === 200 && down.length === 200);
    assert.deepEqual([up, down], [[...Array(200).keys()], [...Array(200).keys()]]);
  });

  test(`${name}: acknowledgements, both ways, and those that never come`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ transports });
    socket.on('double', (number, acknowledge) => acknowledge(number * 2));
    client.on('half', (number, acknowledge) => acknowledge(number / 2));
    assert.equal(await client.emitWithAck('double', 21), 42);
    assert.equal(await socket.emitWithAck('half', 42), 21);
    await assert.rejects(client.timeout(20).emitWithAck('nobody listens'), /timed out/);
    await assert.rejects(socket.timeout(20).emitWithAck('nobody listens'), /timed out/);
    assert.deepEqual(await service.io.timeout(2000).emitWithAck('half', 4), [2]);
  });

  test(`${name}: binary of many lengths, both ways, beside text`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ transports });
    socket.on('echo', (object, acknowledge) => acknowledge(object));
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 300_000]) {
      const bytes = randomBytes(length);
      const answer = await client.emitWithAck('echo', { bytes, text: 'é✓😀' });
      assert.ok(Buffer.from(answer.bytes).equals(bytes));
      assert.equal(answer.text, 'é✓😀');
    }
  });

  test(`${name}: several attachments of one message`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ transports });
    const pieces = [randomBytes(10), randomBytes(70_000), randomBytes(1)];
    client.on('join', (list, acknowledge) => acknowledge(Buffer.concat(list.map(Buffer.from))));
    assert.ok(Buffer.from(await socket.emitWithAck('join', pieces)).equals(Buffer.concat(pieces)));
  });

  test(`${name}: the handshake has the client's headers, query, auth and address`, async () => {
    const service = new Service(Server);
    const options = { transports, query: { room: 'a b' }, auth: { token: 'x' }, extraHeaders: { 'X-Client': 'yes' } };
    const { socket } = await service.connect(options);
    assert.equal(socket.handshake.query.room, 'a b');
    assert.equal(socket.handshake.headers['x-client'], 'yes');
    assert.deepEqual(socket.handshake.auth, { token: 'x' });
    assert.match(socket.handshake.address, /127\.0\.0\.1$|7f00:0001$/);
  });

  test(`${name}: middlewares see the request, and one that refuses is heard of`, async () => {
    const service = new Service(Server);
    service.io.use((socket, proceed) => {
      const { token } = socket.handshake.auth;
      proceed(token === 'good' ? undefined : Object.assign(new Error('not you'), { data: { token } }));
    });
    const refused = service.client({ transports, auth: { token: 'bad' } });
    const error = await next(refused, 'connect_error');
    assert.deepEqual([error.message, error.data], ['not you', { token: 'bad' }]);
    const { client } = await service.connect({ transports, auth: { token: 'good' } });
    assert.ok(client.connected);
  });
}

function testUpgrade(name, Server, Service) {
  test(`${name}: nothing is lost or reordered while polling is upgraded to WebSocket`, async () => {
    const service = new Service(Server);
    const { client, socket } = await service.connect({ transports: ['polling', 'websocket'] });
    assert.equal(socket.conn.transport.name, 'polling');
    const [up, down] = [[], []];
    let isUpgraded = false;
    socket.on('up', (number) => up.push(number));
    client.on('down', (number) => down.push(number));
    socket.conn.once('upgrade', () => {
      isUpgraded = true;
    });
    let sent = 0;
    // Goes on while the transports change, and for a while behind it.
    for (let behind = 0; behind < 20; sent++) {
      client.emit('up', sent);
      socket.emit('down', sent);
      if (isUpgraded) behind++;
      await new Promise(setImmediate);
    }
    await until(() => up.length === sent && down.length === sent);
    assert.deepEqual([up, down], [[...Array(sent).keys()], [...Array(sent).keys()]]);
    assert.equal(socket.conn.transport.name, 'websocket');
  });
}

function testRooms(name, Server, Service) {
  test(`${name}: broadcasts reach the room, whatever the transports, and nobody else`, async () => {
    const service = new Service(Server);
    const peers = [];
    for (const transports of [...TRANSPORTS, ...TRANSPORTS]) {
      const peer = await service.connect({ transports });
      if (transports.length > 1) await upgraded(peer);
      peer.got = [];
      peer.client.on('news', (text) => peer.got.push(text));
      peers.push(peer);
    }
    // The first three are in the room `a`, the odd ones in `b`.
    peers.forEach(({ socket }, index) => socket.join([...(index < 3 ? ['a'] : []), ...(index % 2 === 1 ? ['b'] : [])]));
    service.io.emit('news', 'all');
    service.io.to('a').emit('news', 'a');
    service.io.to('a').to('b').emit('news', 'a or b');
    service.io.to('a').except('b').emit('news', 'a not b');
    peers[0].socket.to('a').emit('news', 'a but the first');
    peers[0].socket.broadcast.emit('news', 'all but the first');
    peers[1].socket.leave('a');
    service.io.to('a').emit('news', 'a without the second');
    service.io.emit('news', 'end');
    await until(() => peers.every(({ got }) => got.at(-1) === 'end'));
    assert.deepEqual(peers.map(({ got }) => got), [
      ['all', 'a', 'a or b', 'a not b', 'a without the second', 'end'],
      ['all', 'a', 'a or b', 'a but the first', 'all but the first', 'end'],
      ['all', 'a', 'a or b', 'a not b', 'a but the first', 'all but the first', 'a without the second', 'end'],
      ['all', 'a or b', 'all but the first', 'end'],
      ['all', 'all but the first', 'end'],
      ['all', 'a or b', 'all but the first', 'end'],
    ]);
  });
}

function testTopics(name, Server) {
  test(`${name}: rooms of WebSocket clients are topics of the app, and end with them`, async () => {
    const service = new Service(Server);
    const topic = '/\x1froom';
    const first = await service.connect({ transports: ['websocket'] });
    const second = await service.connect({ transports: ['websocket'] });
    const polling = await service.connect({ transports: ['polling'] });
    [first, second, polling].forEach(({ socket }) => socket.join('room'));
    assert.deepEqual([service.app.numSubscribers('/'), service.app.numSubscribers(topic)], [2, 2]);
    const heard = [first, second, polling].map(({ client }) => next(client, 'bytes'));
    service.io.to('room').emit('bytes', Buffer.from('over a topic'));
    assert.deepEqual((await Promise.all(heard)).map(String), new Array(3).fill('over a topic'));
    first.socket.leave('room');
    assert.equal(service.app.numSubscribers(topic), 1);
    second.client.disconnect();
    await next(second.socket, 'disconnect');
    await until(() => service.app.numSubscribers('/') === 1);
    assert.equal(service.app.numSubscribers(topic), 0);
  });

  test(`${name}: a client that was upgraded is subscribed to what it had joined before`, async () => {
    const service = new Service(Server);
    service.io.on('connection', (socket) => socket.join('early'));
    const peer = await service.connect({ transports: ['polling', 'websocket'] });
    await until(() => peer.socket.conn.transport.name === 'websocket');
    assert.equal(service.app.numSubscribers('/\x1fearly'), 1);
    service.io.to('early').emit('news', 'yes');
    assert.equal(await next(peer.client, 'news'), 'yes');
  });
}

function testNamespaces(name, Server, Service) {
  test(`${name}: namespaces share a connection and keep apart`, async () => {
    const service = new Service(Server);
    service.io.of('/admin').on('connection', (socket) => socket.emit('hello', 'admin'));
    service.io.of(/^\/dynamic-\d+$/).on('connection', (socket) => socket.emit('hello', socket.nsp.name));
    const { client } = await service.connect({ transports: ['websocket'] });
    const admin = client.io.socket('/admin');
    const dynamic = client.io.socket('/dynamic-7');
    const hellos = [next(admin, 'hello'), next(dynamic, 'hello')];
    assert.deepEqual(await Promise.all(hellos), ['admin', '/dynamic-7']);
    assert.equal(service.io.engine.clientsCount, 1);
    const heard = [];
    client.onAny((event) => heard.push(`/ ${event}`));
    admin.onAny((event) => heard.push(`/admin ${event}`));
    service.io.of('/admin').emit('secret');
    service.io.emit('end');
    await until(() => heard.length === 2);
    assert.deepEqual(heard.sort(), ['/ end', '/admin secret']);
    admin.disconnect();
    await until(() => service.io.of('/admin').sockets.size === 0);
    assert.ok(client.connected);
    const unknown = client.io.socket('/unknown');
    const refusal = next(unknown, 'connect_error');
    assert.equal((await refusal).message, 'Invalid namespace');
  });
}

module.exports = { testBasics, testMessages };
