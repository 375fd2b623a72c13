'use strict';

// `res.clientAddress`: what trusted proxies have noted. How the fields are read is tested in
// src/protocol/http/forwarded.rs.

const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const TRUST = ['127.0.0.0/8', '10.0.0.0/8', 'unix'];
const FIELDS = ['X-Forwarded-For: 6.6.6.6, 192.0.2.1', 'x-forwarded-for: 10.0.0.2', 'Forwarded: for=192.0.2.9'];

/** An app that answers with the address of its client. */
function echo(proxyProtocol) {
  return createApp({ threads: 1, proxyProtocol }).any('/*', (res) => res.end(`${res.clientAddress}`));
}

test.each([
  ['without the option', undefined, '127.0.0.1'],
  ['without a field that is believed', { trust: TRUST }, '127.0.0.1'],
  ['by X-Forwarded-For', { trust: TRUST, forwarded: 'x-forwarded-for' }, '192.0.2.1'],
  ['by Forwarded', { trust: TRUST, forwarded: 'forwarded' }, '192.0.2.9'],
  ['from a peer that is not trusted', { trust: ['10.0.0.0/8'], forwarded: 'x-forwarded-for' }, '127.0.0.1'],
])('%s', async (title, proxyProtocol, expected) => {
  const client = await RawClient.connect(listen(echo(proxyProtocol)));
  expect((await client.get('/', ...FIELDS)).text).toBe(expected);
  expect((await client.get('/')).text).toBe('127.0.0.1');
});

test('of a dual-stack socket an IPv4 peer is meant by its IPv4 address', async () => {
  const client = await RawClient.connect(listen(echo({ trust: ['127.0.0.1'], forwarded: 'x-forwarded-for' }), 0));
  expect((await client.get('/', 'X-Forwarded-For: 192.0.2.1')).text).toBe('192.0.2.1');
});

test('by the PROXY protocol, whose client may be a proxy itself', async () => {
  const port = listen(echo({ trust: TRUST, forwarded: 'x-forwarded-for' }));
  for (const [ip, expected] of [['203.0.113.7', '203.0.113.7'], ['10.0.0.9', '192.0.2.1']]) {
    const client = await RawClient.connect(port);
    await client.send(Buffer.concat([proxyHeader({ ip, port: 1 }), Buffer.from(request('GET', '/', FIELDS))]));
    expect((await client.response()).text).toBe(expected);
  }
});

(process.platform === 'win32' ? test.skip : test)('over a Unix socket, whose peer has no address', async () => {
  const path = join(tmpdir(), `ferrows-client-${process.pid}.sock`);
  const app = echo({ trust: ['unix'], forwarded: 'x-forwarded-for' });
  await new Promise((resolve, reject) => {
    app.listen_unix((token, error) => (token ? resolve() : reject(error)), path);
  });
  const client = await RawClient.connect({ path });
  expect((await client.get('/', 'X-Forwarded-For: 6.6.6.6, 192.0.2.1')).text).toBe('192.0.2.1');
  expect((await client.get('/')).text).toBe('undefined');
});

test('is read in upgrade and after an await, and is gone with the response', async () => {
  const told = new Mailbox();
  const app = createApp({ threads: 1, proxyProtocol: { trust: TRUST, forwarded: 'x-forwarded-for' } })
    .get('/*', async (res) => {
      res.onAborted(() => {});
      await new Promise(setImmediate);
      const address = res.clientAddress;
      res.end();
      told.put([address, res.clientAddress]);
    })
    .ws('/*', {
      upgrade: (res) => res.upgrade({ clientAddress: res.clientAddress }),
      open: (ws) => told.put(ws.clientAddress),
    });
  const port = listen(app);
  await (await RawClient.connect(port)).get('/', ...FIELDS);
  expect(await told.take()).toEqual(['192.0.2.1', undefined]);
  await RawWebSocket.open(port, { fields: FIELDS });
  expect(await told.take()).toBe('192.0.2.1');
});

test.each([
  ['X-Forwarded-For', 'ERR_INVALID_ARG_VALUE'],
  ['x-real-ip', 'ERR_INVALID_ARG_VALUE'],
  [true, 'ERR_INVALID_ARG_TYPE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
])('forwarded: %j is refused', (forwarded, code) => {
  const failure = failureOf(() => afterTest(uWS.App({ proxyProtocol: { trust: TRUST, forwarded } }).close));
  expect([failure.code, failure.message.startsWith('proxyProtocol.forwarded must be')]).toEqual([code, true]);
});
