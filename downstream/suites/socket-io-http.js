'use strict';

// What Socket.IO does over HTTP beside messages: CORS, the client's script, compression, refusals.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { gunzipSync, inflateSync } = require('node:zlib');

const { RawClient, RawWebSocket, test } = require('../helpers/project.js');
const { Service } = require('../helpers/socket-io.js');

/** Registers the tests of one version; `module` is its entry file. */
function testHttp(name, Server, module) {
  testClientScript(name, Server, join(dirname(module), '..', 'client-dist'));
  testCors(name, Server);
  testCompression(name, Server);
  testRefusals(name, Server);
}

const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

function testClientScript(name, Server, folder) {
  test(`${name}: serveClient: the scripts are served whole, several at once, and not twice`, async () => {
    const service = new Service(Server);
    const names = ['socket.io.js', 'socket.io.min.js', 'socket.io.js.map', 'socket.io.msgpack.min.js'];
    await Promise.all(names.map(async (file) => {
      const response = await fetch(service.url(`/socket.io/${file}`));
      const expected = readFileSync(join(folder, file));
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type'), file.endsWith('.map') ? /json/ : /javascript/);
      assert.equal(response.headers.get('content-length'), String(expected.length));
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(expected));
      const again = await fetch(service.url(`/socket.io/${file}`), { headers: { 'If-None-Match': response.headers.get('etag') } });
      assert.equal(again.status, 304);
    }));
    assert.equal((await fetch(service.url('/socket.io/other.js'))).status, 404);
  });

  test(`${name}: serveClient: a reader that is slow gets the whole script`, async () => {
    const service = new Service(Server);
    const expected = readFileSync(join(folder, 'socket.io.js.map'));
    const client = await RawClient.connect(service.port);
    client.pause();
    const paths = new Array(20).fill('/socket.io/socket.io.js.map');
    for (const path of paths) client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await new Promise(setImmediate);
    client.resume();
    for (const _ of paths) assert.ok((await client.response()).body.equals(expected));
  });

  test(`${name}: serveClient: false serves no script`, async () => {
    const service = new Service(Server, { serveClient: false });
    assert.equal((await fetch(service.url('/socket.io/socket.io.js'))).status, 404);
  });
}

function testCors(name, Server) {
  const options = { cors: { origin: 'https://a.test', methods: ['GET', 'POST'], credentials: true, allowedHeaders: ['x-one'] } };

  test(`${name}: CORS: a preflight request is answered`, async () => {
    const service = new Service(Server, options);
    const { status, headers } = await fetch(service.url(HANDSHAKE), {
      method: 'OPTIONS',
      headers: { Origin: 'https://a.test', 'Access-Control-Request-Method': 'POST' },
    });
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-allow-origin'), 'https://a.test');
    assert.equal(headers.get('access-control-allow-methods'), 'GET,POST');
    assert.equal(headers.get('access-control-allow-headers'), 'x-one');
    assert.equal(headers.get('access-control-allow-credentials'), 'true');
  });

  test(`${name}: CORS: requests of both transports are allowed`, async () => {
    const service = new Service(Server, options);
    const { headers } = await fetch(service.url(HANDSHAKE), { headers: { Origin: 'https://a.test' } });
    assert.equal(headers.get('access-control-allow-origin'), 'https://a.test');
    const path = '/socket.io/?EIO=4&transport=websocket';
    const raw = await RawWebSocket.open(service.port, { path, fields: ['Origin: https://a.test'] });
    assert.match(raw.head, /access-control-allow-origin: https:\/\/a\.test/i);
  });

  test(`${name}: without CORS nothing is allowed`, async () => {
    const service = new Service(Server);
    const { status, headers } = await fetch(service.url(HANDSHAKE), { headers: { Origin: 'https://a.test' } });
    assert.deepEqual([status, headers.get('access-control-allow-origin')], [200, null]);
  });
}

function testCompression(name, Server) {
  for (const [encoding, inflate] of [['gzip', gunzipSync], ['deflate', inflateSync]]) {
    test(`${name}: what is polled is compressed by ${encoding}`, async () => {
      const service = new Service(Server, { httpCompression: { threshold: 100 } });
      const raw = await RawClient.connect(service.port);
      const [, sid] = /"sid":"([^"]+)"/.exec((await raw.get(HANDSHAKE)).text);
      const session = `${HANDSHAKE}&sid=${sid}`;
      service.io.on('connection', (socket) => socket.emit('long', 'x'.repeat(1000)));
      await raw.send(`POST ${session} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40`);
      assert.equal((await raw.response()).text, 'ok');
      const response = await raw.get(session, `Accept-Encoding: ${encoding}`);
      assert.deepEqual(response.values('content-encoding'), [encoding]);
      assert.match(inflate(response.body).toString(), /42\["long","x{1000}"\]$/);
    });
  }

  test(`${name}: WebSockets are compressed where both want it`, async () => {
    const { SHARED_COMPRESSOR } = require('uWebSockets.js');
    const service = new Service(Server, { perMessageDeflate: { threshold: 100 } }, { compression: SHARED_COMPRESSOR });
    const { client, socket } = await service.connect({ transports: ['websocket'], perMessageDeflate: {} });
    assert.match(client.io.engine.transport.ws.extensions, /permessage-deflate/);
    const text = 'x'.repeat(100_000);
    socket.on('echo', (it, acknowledge) => acknowledge(it));
    const before = client.io.engine.transport.ws._socket.bytesRead;
    assert.equal(await client.emitWithAck('echo', text), text);
    assert.ok(client.io.engine.transport.ws._socket.bytesRead - before < 10_000);
  });
}

function testRefusals(name, Server) {
  const CASES = [
    ['an unknown transport', '/socket.io/?EIO=4&transport=pigeon', 400, { code: 0, message: 'Transport unknown' }],
    ['an unknown session', `${HANDSHAKE}&sid=nobody`, 400, { code: 1, message: 'Session ID unknown' }],
    ['an old protocol', '/socket.io/?EIO=3&transport=polling', 400, { code: 5, message: 'Unsupported protocol version' }],
  ];
  for (const [what, path, status, body] of CASES) {
    test(`${name}: ${what} is refused with a reason`, async () => {
      const service = new Service(Server);
      const response = await fetch(service.url(path));
      assert.deepEqual([response.status, await response.json()], [status, body]);
    });
  }

  test(`${name}: allowRequest refuses, on both transports`, async () => {
    const service = new Service(Server, { allowRequest: (request, decide) => decide(`no ${request.headers['x-who']}`, false) });
    const response = await fetch(service.url(HANDSHAKE), { headers: { 'X-Who': 'you' } });
    assert.deepEqual([response.status, await response.json()], [403, { code: 4, message: 'no you' }]);
    const path = '/socket.io/?EIO=4&transport=websocket';
    await assert.rejects(RawWebSocket.open(service.port, { path }), /403 Forbidden/);
  });

  test(`${name}: a POST that is too long is refused, and ends the session`, async () => {
    const service = new Service(Server, { maxHttpBufferSize: 1000 });
    const raw = await RawClient.connect(service.port);
    const [, sid] = /"sid":"([^"]+)"/.exec((await raw.get(HANDSHAKE)).text);
    await raw.send(`POST ${HANDSHAKE}&sid=${sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n${'4'.repeat(2000)}`);
    assert.equal((await raw.response()).status, 413);
    assert.equal(service.io.engine.clientsCount, 0);
  });
}

module.exports = { testHttp };
