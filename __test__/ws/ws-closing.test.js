'use strict';

// How WebSockets of `ferrows/ws` end.

const { once } = require('node:events');

const { RawWebSocket, closeFrame, frame, header } = require('../helpers/raw-websocket.js');
const { WebSocket, closeOf, messageOf, pair, serve } = require('../helpers/ws.js');

/** A server, its end of a connection, and a client of bytes. */
async function openRaw(options, behind = '') {
  const server = await serve(options);
  const connection = once(server, 'connection');
  const raw = await RawWebSocket.open(server.port, { behind });
  const [ws] = await connection;
  return { server, ws, raw };
}

describe('close', () => {
  test.each([
    ['without a code', [], [1005, '']], ['with a code', [1000], [1000, '']], ['with a reason', [4321, 'grüße'], [4321, 'grüße']],
    ['with bytes as a reason', [3000, Buffer.from('bytes')], [3000, 'bytes']],
  ])('%s: both ends say the same', async (_, args, expected) => {
    const [server, client] = await pair(await serve());
    const both = [closeOf(server), closeOf(client)];
    client.close(...args);
    expect(client.readyState).toBe(WebSocket.CLOSING);
    expect(await Promise.all(both)).toEqual([expected, expected]);
    expect([server.readyState, client.readyState]).toEqual([WebSocket.CLOSED, WebSocket.CLOSED]);
    expect(client.closeInfo).toMatchObject({ cause: 'CLOSED_BY_END', initiator: 'local', wasClean: true, reason: expected[1] });
    expect(server.closeInfo).toMatchObject({ initiator: 'peer', wasClean: true, reason: expected[1], openFor: expect.any(Number) });
  });

  test('what the peer sent before its Close frame still arrives', async () => {
    const { ws, raw } = await openRaw();
    const events = [];
    ws.on('message', (data) => events.push(String(data))).on('ping', (data) => events.push(`ping ${data}`));
    ws.close(1001, 'restart');
    expect(await raw.frame()).toEqual(['close', 1001, 'restart']);
    raw.send(frame('text', 'still here'), frame('ping', 'p'), closeFrame(1001, 'ok'));
    expect(await closeOf(ws)).toEqual([1001, 'ok']);
    expect(events).toEqual(['still here', 'ping p']);
    // The ping was not answered, because nothing follows a Close frame.
    expect(await raw.rest()).toEqual({ frames: [], end: 'FIN' });
  });

  test('what was sent before it goes out first, and what comes later does not', async () => {
    const [server, client] = await pair(await serve());
    const messages = [];
    client.on('message', (data) => messages.push(String(data)));
    const closed = closeOf(client);
    server.send('before');
    server.close();
    server.send('after');
    server.close(4000);
    expect(await closed).toEqual([1005, '']);
    expect(messages).toEqual(['before']);
  });

  test('a peer that does not answer is dropped after closeTimeout', async () => {
    const { ws, raw } = await openRaw({ closeTimeout: 50 });
    ws.close();
    const [code, reason] = await closeOf(ws);
    expect([code, ws.closeInfo.cause]).toEqual([1006, 'ERR_CLOSE_TIMEOUT']);
    expect(reason).toContain('timed out');
    expect((await raw.rest()).frames).toEqual([['close']]);
  });

  test.each([[999], [1004], [1005], [1006], [1015], [2999], [5000], [1000.5], ['1000'], [null]])('the code %p is refused', async (code) => {
    const [, client] = await pair(await serve());
    expect(() => client.close(code)).toThrow(new TypeError('First argument must be a valid error code number'));
    expect(client.readyState).toBe(WebSocket.OPEN);
  });

  test('a reason has at most 123 bytes', async () => {
    const [server, client] = await pair(await serve());
    expect(() => client.close(1000, 'x'.repeat(124))).toThrow(new RangeError('The message must not be greater than 123 bytes'));
    const closed = closeOf(server);
    client.close(1000, 'x'.repeat(123));
    expect(await closed).toEqual([1000, 'x'.repeat(123)]);
  });

  test('before the hand-over: at once after the handshake', async () => {
    const server = await serve();
    server.on('connection', (ws) => {
      ws.send('hello');
      ws.close(1008, 'no');
    });
    const raw = await RawWebSocket.open(server.port);
    expect([await raw.frame(), await raw.frame()]).toEqual([['text', 'hello'], ['close', 1008, 'no']]);
  });
});

describe('terminate', () => {
  test('drops the connection; both ends say 1006 and why', async () => {
    const [server, client] = await pair(await serve());
    const both = [closeOf(server), closeOf(client)];
    let hasClosed = false;
    client.on('close', () => { hasClosed = true; });
    client.terminate();
    expect([client.readyState, hasClosed]).toEqual([WebSocket.CLOSING, false]);
    const [ofServer, ofClient] = await Promise.all(both);
    expect(ofClient).toEqual([1006, 'Application called terminate()']);
    expect(ofServer[0]).toBe(1006);
    expect(ofServer[1]).not.toBe('');
    expect(client.closeInfo).toMatchObject({ cause: 'CLOSED_BY_APPLICATION', initiator: 'local', wasClean: false });
  });

  test('before the hand-over', async () => {
    const server = await serve();
    const closed = new Promise((resolve) => {
      server.on('connection', (ws) => {
        ws.on('close', (code, reason) => resolve([code, String(reason), ws.closeInfo.initiator, server.clients.size]));
        ws.terminate();
      });
    });
    new WebSocket(`ws://127.0.0.1:${server.port}`).on('error', () => {});
    expect(await closed).toEqual([1006, 'Application called terminate()', 'local', 0]);
  });

  test.each(['message', 'ping', 'pong'])('in the handler of %s: nothing more is delivered', async (event) => {
    const { ws, raw } = await openRaw();
    const seen = [];
    for (const name of ['message', 'ping', 'pong']) ws.on(name, (data) => seen.push([name, String(data)]));
    ws.on(event, () => ws.terminate());
    const names = { message: 'text', ping: 'ping', pong: 'pong' };
    raw.send(frame(names[event], 'a'), frame('text', 'b'), frame('ping', 'c'));
    expect((await closeOf(ws))[0]).toBe(1006);
    expect(seen).toEqual([[event, 'a']]);
  });

  test('in the handlers of close and error it does nothing', async () => {
    const { ws, raw } = await openRaw();
    const events = [];
    ws.on('error', () => events.push('error') && ws.terminate()).on('close', () => events.push('close') && ws.terminate());
    raw.send('ff');
    while (events.length < 2) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(events).toEqual(['error', 'close']);
  });

  test('in the callback of send', async () => {
    const [, client] = await pair(await serve());
    client.send('x', () => client.terminate());
    expect((await closeOf(client))[0]).toBe(1006);
  });
});

describe('a peer that breaks a rule', () => {
  const payload = (bytes) => frame('close', Buffer.from(bytes));
  test.each([
    ['a reserved opcode', '85 80 00000000', 'WS_ERR_INVALID_OPCODE', 1002],
    ['a continuation of nothing', frame('continuation', 'x'), 'WS_ERR_INVALID_OPCODE', 1002],
    ['a message within another', Buffer.concat([frame('text', 'x', { fin: false }), frame('text', 'y')]), 'WS_ERR_INVALID_OPCODE', 1002],
    ['compression that was not negotiated', frame('text', 'x', { rsv: 4 }), 'WS_ERR_UNEXPECTED_RSV_1', 1002],
    ['a control frame in fragments', frame('ping', '', { fin: false }), 'WS_ERR_EXPECTED_FIN', 1002],
    ['a long control frame', '89 fe 00ff', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 1002],
    ['no mask', '81 01 78', 'WS_ERR_EXPECTED_MASK', 1002],
    ['half a close code', payload([3]), 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 1002],
    ['a close code that means nothing', payload([0x03, 0xee]), 'WS_ERR_INVALID_CLOSE_CODE', 1002],
    ['a reason that is no UTF-8', payload([0x03, 0xe8, 0xff]), 'WS_ERR_INVALID_UTF8', 1007],
    ['text that is no UTF-8', frame('text', Buffer.of(0xff)), 'WS_ERR_INVALID_UTF8', 1007],
    ['a length beyond 2^63', '82 ff ffffffffffffffff', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 1002],
    ['a message that is too long', header('binary', 11), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 1009],
    ['too many fragments', Buffer.concat(['text', 'continuation', 'continuation'].map((name) => frame(name, '', { fin: false }))), 'WS_ERR_TOO_MANY_BUFFERED_PARTS', 1008],
  ])('%s', async (_, bytes, code, wireCode) => {
    const { ws, raw } = await openRaw({ maxPayload: 10, maxFragments: 2 });
    const events = [];
    ws.on('error', (error) => events.push(['error', error.code, ws.readyState]));
    ws.on('close', (closeCode, reason) => events.push(['close', closeCode, reason.length > 0]));
    raw.send(bytes);
    expect(await raw.frame()).toEqual(['close', wireCode, expect.any(String)]);
    while (events.length < 2) await new Promise(setImmediate);
    expect(events).toEqual([['error', code, WebSocket.CLOSING], ['close', 1006, true]]);
    expect(ws.closeInfo).toMatchObject({ initiator: 'peer', wasClean: false });
  });

  test('in its first frame, which came with the handshake', async () => {
    const server = await serve();
    const failed = new Promise((resolve) => { server.on('connection', (ws) => ws.on('error', resolve)); });
    const raw = await RawWebSocket.open(server.port, { behind: '81 01 78' });
    const error = await failed;
    expect(error.code).toBe('WS_ERR_EXPECTED_MASK');
    expect(await raw.frame()).toEqual(['close', 1002, expect.any(String)]);
  });

  test('text may be anything with skipUTF8Validation', async () => {
    const { ws, raw } = await openRaw({ skipUTF8Validation: true });
    raw.send(frame('text', Buffer.of(0xff)));
    expect((await once(ws, 'message'))[0]).toEqual(Buffer.of(0xff));
  });
});

describe('a peer that is gone', () => {
  test.each([['finish', 'ERR_FIN_WITHOUT_CLOSE'], ['reset', 'ERR_CONNECTION_RESET']])('%s', async (how, cause) => {
    const { ws, raw } = await openRaw();
    ws.on('error', () => { throw new Error('transport errors are no errors of a WebSocket'); });
    // The connection is an I/O thread's.
    raw.sendText('x');
    expect(await messageOf(ws)).toEqual(['x']);
    raw[how]();
    const [code, reason] = await closeOf(ws);
    expect([code, ws.closeInfo.cause]).toEqual([1006, cause]);
    expect(reason).not.toBe('');
  });

  test('while it is handed over', async () => {
    const server = await serve();
    let open = 0;
    let closed = 0;
    server.on('connection', (ws) => {
      open += 1;
      ws.send('x');
      ws.on('close', () => { closed += 1; });
    });
    for (let round = 0; round < 30; round++) {
      const raw = await RawWebSocket.open(server.port);
      raw.reset();
    }
    while (closed < 30) await new Promise(setImmediate);
    expect([open, server.clients.size]).toEqual([30, 0]);
  });
});
