'use strict';

// The facts that come with the end of a WebSocket or a response.

const { subscribe, unsubscribe } = require('node:diagnostics_channel');

const { afterTest } = require('../helpers/cleanup.js');
const { CuttingProxy } = require('../helpers/cutting-proxy.js');
const { RESPONSE_FACTS, WEBSOCKET_FACTS } = require('../helpers/facts.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** An app whose WebSockets are echoed, and the facts of each close. */
function serve(behavior) {
  const closes = new Mailbox();
  const app = createApp().ws('/*', {
    message: (ws, message, isBinary) => ws.send(message, isBinary),
    close: (ws, code, reason, info) => closes.put(info),
    ...behavior,
  });
  return { app, closes, port: listen(app) };
}

describe('of a WebSocket', () => {
  test('bytes are those of frames, messages are whole ones, each way', async () => {
    const { closes, port } = serve();
    const client = await RawWebSocket.open(port);
    const sent = [frame('text', 'one'), frame('text', 'tw', { fin: false }), frame('continuation', 'o'), frame('ping', 'p')];
    client.send(...sent);
    expect([await client.frame(), await client.frame(), await client.frame()])
      .toEqual([['pong', 'p'], ['text', 'one'], ['text', 'two']]);
    client.send(closeFrame(1000));
    const info = await closes.take();
    expect(info).toMatchObject(WEBSOCKET_FACTS);
    expect(info.messages).toEqual({ received: 2, sent: 2 });
    expect(info.bytes).toEqual({ received: Buffer.concat([...sent, closeFrame(1000)].map(bytesOf)).length, sent: 5 + 5 + 3 });
    expect([info.unansweredPings, info.roundTrip]).toEqual([0, undefined]);
  });

  test('nothing has moved on one that is closed at once', async () => {
    const { closes, port } = serve({ open: (ws) => ws.close() });
    await RawWebSocket.open(port).catch(() => {});
    const { bytes, messages, silentFor, quietFor, openFor } = await closes.take();
    expect({ bytes, messages }).toEqual({ bytes: { received: 0, sent: 0 }, messages: { received: 0, sent: 0 } });
    expect(Math.max(silentFor, quietFor)).toBeLessThanOrEqual(openFor);
  });

  test('published messages count', async () => {
    const { app, closes, port } = serve({ open: (ws) => ws.subscribe('news') });
    const client = await RawWebSocket.open(port);
    client.send(frame('text', 'x'));
    await client.frame();
    app.publish('news', 'all');
    await client.frame();
    client.finish();
    expect((await closes.take()).messages).toEqual({ received: 1, sent: 2 });
  });

  test('a line that was cut for its silence has been silent for that long', async () => {
    const { closes, port } = serve();
    const proxy = await CuttingProxy.start(port, 'fin', 300);
    afterTest(() => proxy.close());
    const client = await RawWebSocket.open(proxy.port);
    client.send(frame('text', 'last words'));
    await client.frame();
    const { cause, silentFor, quietFor, openFor } = await closes.take();
    expect(cause).toBe('ERR_FIN_WITHOUT_CLOSE');
    // The proxy's clock may round differently.
    expect(Math.min(silentFor, quietFor)).toBeGreaterThanOrEqual(295);
    expect(Math.max(silentFor, quietFor)).toBeLessThanOrEqual(openFor);
  });

  test('pings count until a Pong comes, whose time is told', async () => {
    const asked = new Mailbox();
    const { closes, port } = serve({
      message: (ws) => asked.put([ws.ping(), ws.ping()]),
      pong: (ws) => ws.ping(),
    });
    const [answering, mute] = [await RawWebSocket.open(port), await RawWebSocket.open(port)];
    for (const client of [answering, mute]) {
      client.send(frame('text', 'ask'));
      await asked.take();
      expect([await client.frame(), await client.frame()]).toEqual([['ping', ''], ['ping', '']]);
    }
    answering.send(frame('pong', ''));
    expect(await answering.frame()).toEqual(['ping', '']);
    answering.finish();
    expect(await closes.take()).toMatchObject({ unansweredPings: 1, roundTrip: WEBSOCKET_FACTS.openFor });
    mute.finish();
    expect(await closes.take()).toMatchObject({ unansweredPings: 2, roundTrip: undefined });
  });

  test('subscribers of the channel get a copy of them, and may spoil it', async () => {
    const spoil = ({ info }) => { Object.assign(info.bytes, { received: -1 }); Object.assign(info.messages, { sent: -1 }); };
    subscribe('ferrows:websocket:close', spoil);
    afterTest(() => unsubscribe('ferrows:websocket:close', spoil));
    const { closes, port } = serve();
    (await RawWebSocket.open(port)).finish();
    expect(await closes.take()).toMatchObject(WEBSOCKET_FACTS);
  });
});

describe('of a response', () => {
  test('bytes are those of the two bodies', async () => {
    const aborts = new Mailbox();
    const app = createApp().post('/*', (res) => {
      res.onAborted((reason, info) => aborts.put(info));
      res.onData((chunk) => { if (chunk.byteLength === 5) res.write('x'.repeat(1000)); });
    });
    const client = await RawClient.connect(listen(app));
    await client.send(Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello'));
    await client.bytes(1000);
    client.reset();
    const info = await aborts.take();
    expect(info).toMatchObject(RESPONSE_FACTS);
    expect(info.bytes).toEqual({ received: 5, sent: 1000 });
  });

  test('they are there when its own program closes it, and for a handler that comes late', async () => {
    const aborts = new Mailbox();
    const app = createApp().get('/*', (res) => {
      res.close();
      res.onAborted((reason, info) => aborts.put(info));
    });
    await (await RawClient.connect(listen(app))).send(request('GET', '/'));
    expect(await aborts.take()).toMatchObject({ cause: 'CLOSED_BY_APPLICATION', bytes: { received: 0, sent: 0 }, ...RESPONSE_FACTS });
  });
});

describe('remoteAddress', () => {
  test('is the address as people write it, on a dual-stack socket too, until the end', async () => {
    const seen = new Mailbox();
    const app = createApp()
      .get('/*', (res) => {
        const before = res.remoteAddress;
        res.end();
        seen.put([before, res.remoteAddress]);
      })
      .ws('/*', { open: (ws) => seen.put([ws.remoteAddress]), close: (ws) => seen.put([ws.remoteAddress]) });
    const port = listen(app, 0);
    await (await RawClient.connect(port)).get('/');
    expect(await seen.take()).toEqual(['127.0.0.1', undefined]);
    (await RawWebSocket.open(port)).finish();
    expect([await seen.take(), await seen.take()]).toEqual([['127.0.0.1'], [undefined]]);
  });

  test('a program may have its own', async () => {
    const seen = new Mailbox();
    const app = createApp().ws('/*', {
      upgrade: (res) => {
        res.remoteAddress = 'mine';
        seen.put(res.remoteAddress);
        res.upgrade({ remoteAddress: 'theirs' });
      },
      open: (ws) => seen.put(ws.remoteAddress),
    });
    await RawWebSocket.open(listen(app));
    expect([await seen.take(), await seen.take()]).toEqual(['mine', 'theirs']);
  });
});

/** Bytes that are given as such or in hexadecimal digits. */
function bytesOf(piece) {
  return typeof piece === 'string' ? Buffer.from(piece.replaceAll(' ', ''), 'hex') : piece;
}
