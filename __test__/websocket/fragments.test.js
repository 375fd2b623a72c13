'use strict';

// Messages that go out in fragments: their bytes, what may stand between them, and that a message is lost as a whole or
// not at all.

const { once } = require('node:events');
const WebSocket = require('ws');

const { passBarrier, textOf } = require('../helpers/closing-server.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient } = require('../helpers/raw-http.js');
const { handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const [QUEUED, SENT, DROPPED] = [0, 1, 2];
const IN_BETWEEN = {
  name: 'Error',
  code: 'ERR_INVALID_STATE',
  message: 'a message is being sent in fragments: sendLastFragment must come before the next message',
};
const NOT_BEGUN = { ...IN_BETWEEN, message: 'no message is being sent: sendFirstFragment must come first' };

/** A client that sees bytes, and the server's WebSocket. */
async function open(behavior = {}) {
  const opened = new Mailbox();
  const app = createApp();
  app.get('/barrier', (res) => res.end());
  app.ws('/*', { ...behavior, open: (ws) => opened.put(ws) });
  const port = listen(app);
  const client = await RawClient.connect(port);
  await client.send(handshake());
  expect((await client.response()).status).toBe(101);
  return { app, client, port, ws: await opened.take() };
}

/** The frame of a server, as Latin-1. */
function frame(first, payload) {
  const { length } = payload;
  const size = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : undefined;
  const long = size ?? [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (length >> shift) & 255)];
  return String.fromCharCode(first, ...long) + payload;
}

/** The next bytes are these frames. */
async function expectFrames(client, ...frames) {
  const expected = frames.join('');
  const bytes = await client.bytes(expected.length);
  // Not `toBe`, which would print them all.
  expect(bytes === expected).toBe(true);
}

const [TEXT, BINARY, MIDDLE, LAST, WHOLE_TEXT, CLOSE, PING] = [0x01, 0x02, 0x00, 0x80, 0x81, 0x88, 0x89];

/** Sends until the system takes no more and more than `limit` waits. Returns the frames that were accepted. */
function choke(ws, length = 64 * 1024) {
  const frames = [];
  for (;;) {
    const payload = `${frames.length}`.padEnd(length, '.');
    if (ws.send(payload) === DROPPED) return frames;
    frames.push(frame(WHOLE_TEXT, payload));
  }
}

describe('on the wire', () => {
  test.each([
    ['text', false, ['a', 'b', 'c']],
    ['binary', true, ['\0', '', '\xff']],
    ['two fragments', false, ['first', 'last']],
    ['nothing at all', true, ['', '']],
    ['lengths of every form', true, ['x'.repeat(125), 'y'.repeat(126), 'z'.repeat(65_535), 'a'.repeat(65_536), '']],
  ])('%s', async (title, isBinary, pieces) => {
    const { client, ws } = await open({ maxBackpressure: 0 });
    const bytes = pieces.map((piece) => Buffer.from(piece, 'latin1'));
    const results = [ws.sendFirstFragment(bytes[0], isBinary)];
    bytes.slice(1, -1).forEach((piece) => results.push(ws.sendFragment(piece)));
    results.push(ws.sendLastFragment(bytes.at(-1)));
    ws.send('next');
    expect(results).toEqual(pieces.map(() => SENT));
    await expectFrames(
      client,
      frame(isBinary ? BINARY : TEXT, pieces[0]),
      ...pieces.slice(1, -1).map((piece) => frame(MIDDLE, piece)),
      frame(LAST, pieces.at(-1)),
      frame(WHOLE_TEXT, 'next'),
    );
  });

  test('another library puts them together', async () => {
    const received = new Mailbox();
    const app = createApp();
    app.ws('/*', {
      open(ws) {
        ws.sendFirstFragment('grü');
        ws.sendFragment('ß');
        ws.sendLastFragment('e');
        ws.sendFirstFragment(Buffer.of(1), true);
        ws.sendLastFragment(new Uint8Array([2, 3]).buffer);
      },
    });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/`);
    client.on('message', (data, isBinary) => received.put([data, isBinary]));
    expect(await received.take()).toEqual([Buffer.from('grüße'), false]);
    expect(await received.take()).toEqual([Buffer.of(1, 2, 3), true]);
    client.terminate();
    await once(client, 'close');
  });

  test('pings and the Close frame may stand between them', async () => {
    const { client, ws } = await open();
    ws.sendFirstFragment('a');
    ws.ping('?');
    ws.sendFragment('b');
    ws.end(4000, 'c');
    const close = frame(CLOSE, '\x0f\xa0c');
    await expectFrames(client, frame(TEXT, 'a'), frame(PING, '?'), frame(MIDDLE, 'b'), close);
  });
});

describe('messages in between', () => {
  test('send and a second first fragment throw, and so does a fragment of nothing; nothing of them leaves', async () => {
    const { client, ws } = await open();
    const begin = () => [() => ws.send('no'), () => ws.sendFirstFragment('no')].map(failureOf);
    const goOn = () => [() => ws.sendFragment('no'), () => ws.sendLastFragment('no')].map(failureOf);
    expect(goOn()).toEqual([NOT_BEGUN, NOT_BEGUN]);
    ws.sendFirstFragment('1');
    expect(begin()).toEqual([IN_BETWEEN, IN_BETWEEN]);
    ws.sendFragment('2');
    expect(begin()).toEqual([IN_BETWEEN, IN_BETWEEN]);
    ws.sendLastFragment('3');
    expect(goOn()).toEqual([NOT_BEGUN, NOT_BEGUN]);
    ws.send('4');
    expect(goOn()).toEqual([NOT_BEGUN, NOT_BEGUN]);
    await expectFrames(client, frame(TEXT, '1'), frame(MIDDLE, '2'), frame(LAST, '3'), frame(WHOLE_TEXT, '4'));
  });

  test('a call that throws for its argument begins and ends nothing', async () => {
    const { client, ws } = await open();
    expect(failureOf(() => ws.sendFirstFragment(5)).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(ws.send('whole')).toBe(SENT);
    ws.sendFirstFragment('a');
    expect(failureOf(() => ws.sendFragment(null)).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(failureOf(() => ws.sendLastFragment({})).code).toBe('ERR_INVALID_ARG_TYPE');
    ws.sendLastFragment('b');
    await expectFrames(client, frame(WHOLE_TEXT, 'whole'), frame(TEXT, 'a'), frame(LAST, 'b'));
  });

  test('what is published meanwhile follows the last fragment, in its order', async () => {
    const { app, client, ws } = await open({ maxBackpressure: 0 });
    ws.subscribe('news');
    const published = ['x', 'y'.repeat(5000), 'z', 'w'.repeat(70_000)];
    app.publish('news', 'before');
    ws.sendFirstFragment('1');
    app.publish('news', published[0]);
    app.publish('news', published[1]);
    ws.sendFragment('2');
    app.publish('news', published[2]);
    ws.ping();
    app.publish('news', published[3]);
    ws.sendLastFragment('3');
    app.publish('news', 'after');
    ws.send('own');
    await expectFrames(
      client,
      frame(WHOLE_TEXT, 'before'), frame(TEXT, '1'), frame(MIDDLE, '2'), frame(PING, ''), frame(LAST, '3'),
      ...published.map((message) => frame(WHOLE_TEXT, message)), frame(WHOLE_TEXT, 'after'), frame(WHOLE_TEXT, 'own'),
    );
  });

  test('what is published meanwhile counts towards maxBackpressure', async () => {
    const dropped = new Mailbox();
    const { app, client, ws } = await open({
      maxBackpressure: 10_000,
      dropped: (socket, message) => dropped.put(textOf(message)),
    });
    ws.subscribe('news');
    ws.sendFirstFragment('1');
    const messages = Array.from({ length: 6 }, (_, number) => `${number}`.repeat(4000));
    messages.forEach((message) => app.publish('news', message));
    // Three of them make more than the limit.
    expect([await dropped.take(), await dropped.take(), await dropped.take()]).toEqual(messages.slice(3));
    ws.sendLastFragment('2');
    const sent = messages.slice(0, 3).map((message) => frame(WHOLE_TEXT, message));
    await expectFrames(client, frame(TEXT, '1'), frame(LAST, '2'), ...sent);
  });

  test('drain does not wait for what is published meanwhile', async () => {
    const drained = new Mailbox();
    const { app, client, ws } = await open({ maxBackpressure: 0, drain: (socket) => drained.put(socket.getBufferedAmount()) });
    ws.subscribe('news');
    client.pause();
    const expected = [frame(TEXT, '')];
    let status = ws.sendFirstFragment('');
    for (let number = 0; number < 400; number++) {
      const payload = 'x'.repeat(64 * 1024);
      status = ws.sendFragment(payload);
      expected.push(frame(MIDDLE, payload));
    }
    expect(status).toBe(QUEUED);
    app.publish('news', 'waits');
    client.resume();
    expect(await drained.take()).toBe(0);
    ws.sendLastFragment('');
    await expectFrames(client, ...expected, frame(LAST, ''), frame(WHOLE_TEXT, 'waits'));
  });
});

describe('back-pressure', () => {
  test('a message whose first fragment is dropped is dropped as a whole, each fragment with its event', async () => {
    const dropped = [];
    const { client, port, ws } = await open({
      dropped: (socket, message, isBinary) => dropped.push([textOf(message), isBinary]),
    });
    client.pause();
    const accepted = choke(ws);
    dropped.length = 0;
    expect([ws.sendFirstFragment('a', true), ws.sendFragment('b')]).toEqual([DROPPED, DROPPED]);
    client.resume();
    await expectFrames(client, ...accepted);
    await passBarrier(port);
    expect(ws.getBufferedAmount()).toBe(0);
    expect(failureOf(() => ws.send('x'))).toEqual(IN_BETWEEN);
    expect(ws.sendLastFragment('c')).toBe(DROPPED);
    expect(dropped).toEqual([['a', true], ['b', true], ['c', true]]);
    expect([ws.sendFirstFragment('d'), ws.sendLastFragment('e')]).toEqual([SENT, SENT]);
    await expectFrames(client, frame(TEXT, 'd'), frame(LAST, 'e'));
  });

  test('a message that has begun is sent to its end, whatever waits', async () => {
    const dropped = [];
    const { client, ws } = await open({ dropped: () => dropped.push('dropped') });
    client.pause();
    const expected = [frame(TEXT, 'begin')];
    ws.sendFirstFragment('begin');
    let status;
    for (let number = 0; number < 200; number++) {
      const payload = `${number}`.padEnd(64 * 1024, '.');
      status = ws.sendFragment(payload);
      expected.push(frame(MIDDLE, payload));
    }
    expect(status).toBe(QUEUED);
    expect(ws.sendLastFragment('end')).toBe(QUEUED);
    expect(ws.send('too much')).toBe(DROPPED);
    expect(dropped).toEqual(['dropped']);
    client.resume();
    await expectFrames(client, ...expected, frame(LAST, 'end'));
  });

  test('closeOnBackpressureLimit closes in the middle of a message, too', async () => {
    const events = new Mailbox();
    const { client, ws } = await open({
      closeOnBackpressureLimit: true,
      dropped: () => events.put('dropped'),
      close: (socket, code, message, { cause }) => events.put(cause),
    });
    client.pause();
    ws.sendFirstFragment('begin');
    while (ws.sendFragment('x'.repeat(64 * 1024)) !== DROPPED);
    expect([ws.sendLastFragment('end'), ws.send('late')]).toEqual([DROPPED, DROPPED]);
    const told = [];
    while (told.at(-1) !== 'ERR_BACKPRESSURE_LIMIT') told.push(await events.take());
    expect(told).toEqual(['dropped', 'dropped', 'dropped', 'ERR_BACKPRESSURE_LIMIT']);
  });
});
