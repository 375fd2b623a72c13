'use strict';

/**
 * `uWS.connect` against servers that answer the handshake at byte level: every way to answer wrongly has its code, and no
 * byte behind a right answer is lost.
 */

const { afterTest } = require('../helpers/cleanup.js');
const { failure, open } = require('../helpers/client.js');
const { RawServer, acceptOf, field, granted, serverFrame } = require('../helpers/raw-server.js');

const uWS = require('../..');

describe('the request', () => {
  test('is a handshake as RFC 6455 §4.1 has it, with a new key each time', async () => {
    const server = await RawServer.start(granted);
    const keys = [];
    for (let count = 0; count < 3; count++) {
      await open(`${server.url}/chat?a=b`);
      const request = await (await server.peer()).request();
      expect(request.split('\r\n')[0]).toBe('GET /chat?a=b HTTP/1.1');
      expect(field(request, 'Host')).toBe(server.url.slice('ws://'.length));
      expect(field(request, 'Upgrade')).toBe('websocket');
      expect(field(request, 'Connection')).toBe('Upgrade');
      expect(field(request, 'Sec-WebSocket-Version')).toBe('13');
      for (const name of ['Protocol', 'Extensions']) expect(field(request, `Sec-WebSocket-${name}`)).toBeUndefined();
      keys.push(field(request, 'Sec-WebSocket-Key'));
    }
    expect(keys.every((key) => Buffer.from(key, 'base64').length === 16)).toBe(true);
    expect(new Set(keys).size).toBe(3);
  });

  test('offers what was asked for', async () => {
    const server = await RawServer.start((request) => granted(request, ['Sec-WebSocket-Protocol: b']));
    const compression = uWS.DEDICATED_COMPRESSOR_4KB | uWS.DEDICATED_DECOMPRESSOR_1KB;
    await open(server.url, { compression }, { protocols: ['a', 'b'] });
    const request = await (await server.peer()).request();
    expect(field(request, 'Sec-WebSocket-Protocol')).toBe('a, b');
    expect(field(request, 'Sec-WebSocket-Extensions'))
      .toBe('permessage-deflate; server_max_window_bits=10; client_max_window_bits=9');
  });
});

describe('a right answer', () => {
  test('may come in pieces of any size, with frames behind it in the same write', async () => {
    const frames = Buffer.concat([serverFrame(1, 'one'), serverFrame(2, 'two'), serverFrame(9, 'three')]);
    for (const size of [1, 2, 7, 50, 1000]) {
      const server = await RawServer.start();
      const opening = open(server.url);
      const peer = await server.peer();
      const bytes = Buffer.concat([Buffer.from(granted(await peer.request())), frames]);
      for (let start = 0; start < bytes.length; start += size) {
        peer.send(bytes.subarray(start, start + size));
        await new Promise(setImmediate);
      }
      const { received } = await opening;
      const events = [];
      for (let count = 0; count < 4; count++) events.push(await received.take());
      expect(events.slice(1)).toEqual([['text', 'one'], ['binary', Buffer.from('two')], ['ping', 'three']]);
      expect((await peer.frame()).slice(0, 2)).toEqual(['pong', Buffer.from('three')]);
    }
  });

  test('may have a Close frame behind it: open and close both run', async () => {
    const server = await RawServer.start((request) => {
      return Buffer.concat([Buffer.from(granted(request)), serverFrame(8, Buffer.from('\x03\xf3no room', 'latin1'))]);
    });
    const { received } = await open(server.url);
    expect((await received.take())[0]).toBe('open');
    expect(await received.take()).toEqual(['close', 1011, 'no room', 'CLOSED_BY_PEER']);
  });

  test('may be written in any way that HTTP allows, and follow interim responses', async () => {
    const server = await RawServer.start((request) => [
      'HTTP/1.1 100 Continue', '', 'HTTP/1.1 103 Early Hints', 'Link: x', '',
      'HTTP/1.1 101 Whatever', 'upgrade: WEBSOCKET', 'connection: keep-alive, uPGRADE', `SEC-WEBSOCKET-ACCEPT:  ${acceptOf(request)} `,
      '', '',
    ].join('\r\n'));
    const { received } = await open(server.url);
    expect((await received.take())[0]).toBe('open');
  });
});

describe('a wrong answer', () => {
  const grant = (...lines) => (request) => granted(request, lines);
  const DEFLATE = { compression: uWS.SHARED_COMPRESSOR };

  test.each([
    ['no Upgrade', grant('Upgrade: h2c'), 'ERR_CONNECT_UPGRADE', /Upgrade must be websocket/],
    ['no Connection: Upgrade', grant('Connection: close'), 'ERR_CONNECT_UPGRADE', /Connection must contain Upgrade/],
    ['no Sec-WebSocket-Accept', grant('Sec-WebSocket-Accept:'), 'ERR_CONNECT_ACCEPT', /there is none/],
    ['that of another key', grant('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='), 'ERR_CONNECT_ACCEPT', /another key/],
    ['a subprotocol that nobody asked for', grant('Sec-WebSocket-Protocol: chat'), 'ERR_CONNECT_SUBPROTOCOL', /"chat"/],
    ['an extension that nobody offered', grant('Sec-WebSocket-Extensions: permessage-deflate'), 'ERR_CONNECT_EXTENSION',
      /permessage-deflate was not offered/],
  ])('%s', async (_, answer, code, message) => {
    const server = await RawServer.start(answer);
    const error = await failure(server.url);
    expect(error).toMatchObject({ code, status: 101, message: expect.stringMatching(message), body: '' });
    expect(await (await server.peer()).frame()).toBe('FIN');
  });

  test.each([
    ['x-webkit-deflate-frame', /x-webkit-deflate-frame was not offered/],
    ['permessage-deflate; server_max_window_bits=16', /do not fit the offer/],
    ['permessage-deflate; nonsense', /do not fit the offer/],
    ['permessage-deflate, permessage-deflate', /twice/],
    ['permessage-deflate;;', /list of extensions/],
  ])('the extensions %s', async (value, message) => {
    const server = await RawServer.start(grant(`Sec-WebSocket-Extensions: ${value}`));
    const error = await failure(server.url, DEFLATE);
    expect(error).toMatchObject({ code: 'ERR_CONNECT_EXTENSION', message: expect.stringMatching(message) });
  });

  test.each([[[]], [['Sec-WebSocket-Protocol: c']], [['Sec-WebSocket-Protocol: a, b']]])('the subprotocol %j', async (lines) => {
    const server = await RawServer.start(grant(...lines));
    expect((await failure(server.url, {}, { protocols: ['a', 'b'] })).code).toBe('ERR_CONNECT_SUBPROTOCOL');
  });

  test.each([
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a TLS alert', Buffer.from('15030100020246', 'hex')],
    ['HTTP/1.0', 'HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
    ['HTTP/2', Buffer.from('000000040000000000', 'hex')],
    ['a status that is none', 'HTTP/1.1 1O1 Switching Protocols\r\n\r\n'],
    ['a line that is no field', 'HTTP/1.1 101 Switching Protocols\r\nno field\r\n\r\n'],
    ['a head without end', `HTTP/1.1 101 Switching Protocols\r\nX: ${'x'.repeat(70_000)}`],
    ['interim responses without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(10_000)],
  ])('%s is no HTTP/1.1 response', async (_, bytes) => {
    const server = await RawServer.start(() => bytes);
    const error = await failure(server.url);
    expect(error.code).toBe('ERR_CONNECT_RESPONSE');
    expect(error.message).toMatch(/^Server answered with no HTTP\/1\.1 response: ./);
  });

  test('another status: the start of its body is at hand, however it is framed', async () => {
    const long = 'y'.repeat(10_000);
    for (const [lines, raw, body, end] of [
      [['Content-Length: 4'], 'nope and more', 'nope', false],
      [['Transfer-Encoding: chunked'], '2\r\nno\r\n2;x\r\npe\r\n0\r\n\r\n', 'nope', false],
      [['Connection: close'], 'nope', 'nope', true],
      [['Connection: close'], long, long.slice(0, 4096), false],
      [['Content-Length: 0'], '', '', false],
      [['Content-Length: 9'], 'nope', 'nope', true],
    ]) {
      const server = await RawServer.start();
      const attempt = failure(server.url);
      const peer = await server.peer();
      await peer.request();
      peer.send(['HTTP/1.1 503 Service Unavailable', ...lines, '', raw].join('\r\n'));
      if (end) peer.finish();
      expect(await attempt).toMatchObject({ code: 'ERR_CONNECT_STATUS', status: 503, body });
    }
  });

  test('a body that does not come is done without', async () => {
    const server = await RawServer.start(() => 'HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno');
    expect(await failure(server.url)).toMatchObject({ code: 'ERR_CONNECT_STATUS', status: 403, body: 'no' });
  });

  test('redirects are not followed', async () => {
    const server = await RawServer.start(() => 'HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n');
    const error = await failure(server.url);
    expect(error).toMatchObject({ code: 'ERR_CONNECT_STATUS', status: 302, headers: { location: 'ws://127.0.0.1:1/' } });
  });
});

describe('no answer', () => {
  test('FIN before and within the response', async () => {
    for (const [bytes, message] of [['', /nothing came/], ['HTTP/1.1 101 Swi', /incomplete/]]) {
      const server = await RawServer.start();
      const attempt = failure(server.url);
      const peer = await server.peer();
      await peer.request();
      peer.send(bytes);
      peer.finish();
      expect(await attempt).toMatchObject({ code: 'ERR_CONNECT_ENDED', message: expect.stringMatching(message) });
    }
  });

  test('RST', async () => {
    const server = await RawServer.start();
    const attempt = failure(server.url);
    const peer = await server.peer();
    await peer.request();
    peer.reset();
    expect(await attempt).toMatchObject({ code: 'ERR_CONNECT_ENDED', system: 'ECONNRESET' });
  });

  test('silence, before and within the response', async () => {
    for (const bytes of ['', 'HTTP/1.1 101 Switching']) {
      const server = await RawServer.start(() => bytes);
      const error = await failure(server.url, {}, { connectTimeout: 100 });
      expect(error).toMatchObject({
        code: 'ERR_CONNECT_TIMEOUT', message: 'Connecting timed out: connectTimeout is up while waiting for the response',
      });
      expect(await (await server.peer()).frame()).toBe('FIN');
    }
  });

  test('a response that goes on and on is given up when the time is up', async () => {
    const server = await RawServer.start(() => 'HTTP/1.1 101 Switching Protocols\r\n');
    const attempt = failure(server.url, {}, { connectTimeout: 200 });
    const peer = await server.peer();
    const drip = setInterval(() => peer.send('X: y\r\n'), 10);
    afterTest(() => clearInterval(drip));
    expect((await attempt).code).toBe('ERR_CONNECT_TIMEOUT');
  });
});
