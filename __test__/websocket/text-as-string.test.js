'use strict';

// The option `text` of a WebSocket route: text messages as JavaScript strings.

const { constants } = require('node:buffer');
const fc = require('fast-check');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** Opens a WebSocket to a route that tells what it receives. */
async function open(behavior) {
  const received = new Mailbox();
  const app = createApp();
  app.ws('/*', {
    maxPayloadLength: 2 ** 20,
    message: (ws, message, isBinary) => received.put([message, isBinary]),
    ping: (ws, message) => received.put(['ping', message.byteLength]),
    ...behavior,
  });
  return { client: await RawWebSocket.open(listen(app)), received };
}

test.each([
  ['a word', 'hello'],
  ['nothing', ''],
  ['all of Unicode', 'é ß 漢字 \u{1f600} \u0000 \ufeff \u{10ffff}'],
  ['much', 'ü'.repeat(400_000)],
])("text: 'string' gives text as a string: %s", async (title, text) => {
  const { client, received } = await open({ text: 'string' });
  client.sendText(text);
  expect(await received.take()).toEqual([text, false]);
});

test("text: 'string' leaves binary messages and pings what they are", async () => {
  const kept = [];
  const { client, received } = await open({
    text: 'string',
    message(ws, message, isBinary) {
      kept.push(message);
      received.put([typeof message === 'string' ? message : [...new Uint8Array(message)], isBinary]);
    },
  });
  client.send(frame('binary', Buffer.of(1, 2)), frame('ping', 'abc'), frame('text', 'last'));
  expect(await received.take()).toEqual([[1, 2], true]);
  expect(await received.take()).toEqual(['ping', 3]);
  expect(await received.take()).toEqual(['last', false]);
  expect(kept[0].byteLength).toBe(0);
});

test("text: 'string': any string comes back as it is, however it is fragmented", async () => {
  const { client } = await open({ text: 'string', message: (ws, message, isBinary) => ws.send(message, isBinary) });
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), fc.nat(), async (text, seed) => {
    const bytes = Buffer.from(text);
    const cut = bytes.length === 0 ? 0 : seed % bytes.length;
    client.send(frame('text', bytes.subarray(0, cut), { fin: false }), frame('continuation', bytes.subarray(cut)));
    expect(await client.frame()).toEqual(['text', text]);
  }), { numRuns: 200 });
});

test.each([['arraybuffer', 'arraybuffer'], ['undefined', undefined]])('text: %s gives ArrayBuffers', async (title, text) => {
  const { client, received } = await open({
    text,
    message: (ws, message, isBinary) => received.put([Buffer.from(message.slice(0)).toString(), isBinary]),
  });
  client.sendText('grüße');
  expect(await received.take()).toEqual(['grüße', false]);
});

test('routes decide for themselves', async () => {
  const kinds = new Mailbox();
  const app = createApp();
  const message = (ws, received) => kinds.put(typeof received);
  app.ws('/string', { text: 'string', message }).ws('/buffer', { message });
  const port = listen(app);
  for (const [path, kind] of [['/string', 'string'], ['/buffer', 'object']]) {
    (await RawWebSocket.open(port, { path })).sendText('x');
    expect(await kinds.take()).toBe(kind);
  }
});

test.each([
  ['TypeError', 'ERR_INVALID_ARG_VALUE', { text: 'utf8' }],
  ['TypeError', 'ERR_INVALID_ARG_TYPE', { text: true }],
  ['TypeError', 'ERR_INVALID_ARG_TYPE', { text: null }],
  ['RangeError', 'ERR_OUT_OF_RANGE', { text: 'string', maxPayloadLength: constants.MAX_STRING_LENGTH + 1 }],
])('%s %s for %p', (name, code, behavior) => {
  expect(failureOf(() => createApp().ws('/*', behavior))).toMatchObject({ name, code });
});

test('the longest string is allowed', () => {
  createApp().ws('/*', { text: 'string', maxPayloadLength: constants.MAX_STRING_LENGTH });
});
