'use strict';

// Records of TLS that are allowed and that nobody sends, and those that are not allowed.

const { request } = require('../helpers/raw-http.js');
const { Sealer, TYPES } = require('../helpers/sealed-records.js');
const { listen } = require('../helpers/server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { createSSLApp } = require('../helpers/tls.js');

/** The bytes of a response, until one with this body is complete. */
async function received(socket, body) {
  let text = '';
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    text += data.toString('latin1');
    if (text.endsWith(`\r\n\r\n${body}`)) return text;
  }
  throw new Error(`the connection ended after ${text}`);
}

test('records without content, with padding, and of one byte each make no difference', async () => {
  const port = listen(createSSLApp().get('/', (res) => res.end('served')));
  const client = await Sealer.connect(port);
  const pieces = [...Buffer.from(request('GET', '/'))].flatMap((letter, index) => [
    client.seal([letter], TYPES.data, index * 100), client.seal(''),
  ]);
  client.socket.below.write(Buffer.concat(pieces));
  await received(client.socket, 'served');
});

test('keys are updated as often as the client likes, with data in between', async () => {
  const port = listen(createSSLApp().get('/', (res) => res.end('served')));
  const client = await Sealer.connect(port);
  for (let turn = 0; turn < 40; turn += 1) {
    const answer = received(client.socket, 'served');
    client.socket.below.write(Buffer.concat([client.updateKey(), client.seal(request('GET', '/'))]));
    await answer;
  }
});

describe('a connection ends', () => {
  /** A client whose request waits for an answer, and what becomes of the request. */
  async function serve() {
    const [begins, ends] = [new Mailbox(), new Mailbox()];
    const app = createSSLApp().get('/wait', (res) => {
      res.onAborted((reason, info) => ends.put(info.cause));
      begins.put(res);
    });
    const client = await Sealer.connect(listen(app));
    client.socket.below.write(client.seal(request('GET', '/wait')));
    return { client, ends, response: await begins.take() };
  }

  const keyUpdates = (client) => Buffer.concat(Array.from({ length: 5_000 }, () => client.updateKey()));

  test.each([
    ['more content than a record may have', (client) => client.seal(Buffer.alloc(16_385))],
    ['a record longer than one may be', () => Buffer.concat([Buffer.of(23, 3, 3, 0xff, 0xff), Buffer.alloc(0xffff)])],
    ['a record of an unknown type', (client) => client.seal('?', 99)],
    ['a record of zeros only', (client) => client.seal('', 0, 100)],
    ['a second ClientHello', (client) => client.seal([1, 0, 0, 0], TYPES.handshake)],
    ['a KeyUpdate that asks for neither', (client) => client.seal([24, 0, 0, 1, 2], TYPES.handshake)],
    ['half of an alert', (client) => client.seal([1], TYPES.alert)],
    ['keys that are updated without end', keyUpdates],
    ['records without content and without end', (client) => client.sealTimes(10_000, '')],
    ['pieces of the handshake without content and without end', (client) => client.sealTimes(10_000, '', TYPES.handshake)],
    ['a message of the handshake that never ends', (client) => client.sealTimes(70_000, [1], TYPES.handshake)],
  ])('at %s', async (title, make) => {
    const { client, ends } = await serve();
    client.socket.below.on('error', () => {}).write(make(client));
    expect(await ends.take()).toBe('ERR_TLS_INVALID');
  });

  test('by close_notify, whatever comes behind it', async () => {
    const { client, ends } = await serve();
    client.socket.below.write(Buffer.concat([client.seal([1, 0], TYPES.alert), client.sealTimes(100, 'more')]));
    expect(await ends.take()).toBe('ERR_FIN_BEFORE_RESPONSE');
  });
});
