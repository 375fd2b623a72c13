'use strict';

// What a client may cost over HTTP/3: each limit ends the stream or the connection that exceeds it, with its name, and nobody
// else notices.

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { CODE, FRAME, Http3Client, describeWithHttp3, frame, headersFrame, http3Options, section, varint } = require('../helpers/http3.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

/** An app that answers all but /wait, a client of it, and somebody else's connection to it. */
async function serve(http3, options) {
  const aborts = new Mailbox();
  const app = uWS.H3App(http3Options({ http3, ...options }));
  afterTest(() => app.close());
  app.any('/wait', (res) => res.onAborted((reason, { cause }) => aborts.put(cause)));
  app.any('/*', (res) => res.end('answered'));
  const port = listen(app);
  return { app, aborts, port, client: await Http3Client.connect(port), bystander: await Http3Client.connect(port) };
}

/** That the connection of the client ends by this rule, which is counted, and that the bystander's does not. */
async function expectEnd({ app, client, bystander }, name, code = CODE.EXCESSIVE_LOAD) {
  const end = await client.closed;
  expect([end.code, end.reason.split(':')[0]]).toStrictEqual([code, name]);
  await expect(bystander.request('/')).resolves.toMatchObject({ text: 'answered' });
  expect(app.getStats().closes.refused).toMatchObject({ [name]: 1 });
}

describeWithHttp3('floods', () => {
  test('rapid reset (CVE-2023-44487): streams that are opened and reset', async () => {
    const server = await serve({ streamResetBurst: 50, streamResetRate: 0 });
    for (let count = 0; count < 60; count++) {
      const stream = await server.client.open('request', headersFrame({ ':path': '/wait' }));
      await stream.abandon();
    }
    await expectEnd(server, 'ERR_HTTP3_TOO_MANY_RESETS');
  });

  test('made you reset (CVE-2025-8671): streams that are opened and broken', async () => {
    const server = await serve({ streamResetBurst: 50, streamResetRate: 0 });
    for (let count = 0; count < 60; count++) await server.client.open('request', headersFrame({ te: 'gzip' }), { end: true });
    await expectEnd(server, 'ERR_HTTP3_TOO_MANY_RESETS');
  });

  test.each([
    ['frames of unknown types', (client) => client.control(frame(FRAME.GREASE))],
    ['MAX_PUSH_ID', (client) => client.control(frame(FRAME.MAX_PUSH_ID, [10]))],
    ['PRIORITY_UPDATE', (client) => client.control(frame(FRAME.PRIORITY_UPDATE, [0]))],
    ['changes of the size of the dynamic table', async (client) => {
      const { encoder } = await client.command('streams');
      await client.stream(encoder).send([0x20]);
    }],
    ['cancellations of streams', async (client) => {
      const { decoder } = await client.command('streams');
      await client.stream(decoder).send([0x40]);
    }],
  ])('%s, which ask for nothing', async (what, act) => {
    const server = await serve({ idleFrameBurst: 50, idleFrameRate: 0 });
    await server.client.settings;
    for (let count = 0; count < 60; count++) await act(server.client);
    await expectEnd(server, 'ERR_HTTP3_TOO_MANY_IDLE_FRAMES');
  });

  test('DATA without data', async () => {
    const server = await serve({ idleFrameBurst: 50, idleFrameRate: 0 });
    await server.client.open('request', Buffer.concat([headersFrame({ ':path': '/wait', ':method': 'POST' }), ...Array(60).fill(frame(FRAME.DATA))]));
    await expectEnd(server, 'ERR_HTTP3_TOO_MANY_IDLE_FRAMES');
    expect(await server.aborts.take()).toBe('ERR_HTTP3_INVALID');
  });
});

describeWithHttp3('sizes', () => {
  test('a head that is too long is answered, whether it arrives or not', async () => {
    const { client } = await serve(true, { maxHeaderSize: 4096 });
    await expect(client.request({ long: 'x'.repeat(5000) })).resolves.toMatchObject({ status: 431 });
    const stream = await client.open('request', Buffer.concat([varint(FRAME.HEADERS), varint(2 ** 40)]));
    await expect(stream.response()).resolves.toMatchObject({ status: 431 });
    expect(await stream.stopped).toBe(CODE.NO_ERROR);
    await expect(client.request('/')).resolves.toMatchObject({ text: 'answered' });
  });

  test('a small section that stands for a large head (a QPACK bomb) is one that is too long', async () => {
    const { port, bystander } = await serve(true, { maxHeaderSize: 4096 });
    // aioquic would take offence at the acknowledgement of a section that it has not made.
    const client = await Http3Client.connect(port, { raw: true });
    await client.open('uni', Buffer.concat([varint(0), frame(FRAME.SETTINGS)]));
    // An entry of 3,000 bytes, which each further byte of the section stands for.
    const entry = Buffer.concat([Buffer.from([0x02, 0x3f, 0xe1, 0x1f, 0x41]), Buffer.from('a'), Buffer.from([0x7f, 0xb9, 0x16]), Buffer.alloc(3000, 'x')]);
    await client.open('uni', entry);
    const fields = section({ ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': '/' }).subarray(2);
    const bomb = Buffer.concat([Buffer.of(2, 0), fields, Buffer.alloc(1000, 0x80)]);
    const stream = await client.open('request', frame(FRAME.HEADERS, bomb), { end: true });
    await stream.ended();
    expect(stream.received.toString()).toContain('ERR_HTTP_HEAD_TOO_LONG');
    await expect(bystander.request('/')).resolves.toMatchObject({ text: 'answered' });
  });

  test('more streams that wait for the dynamic table than may', async () => {
    const server = await serve({ blockedStreams: 2 });
    const fields = section({ ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': '/' }).subarray(2);
    const dependent = frame(FRAME.HEADERS, Buffer.concat([Buffer.of(2, 0), fields, Buffer.of(0x80)]));
    for (let count = 0; count < 3; count++) await server.client.open('request', dependent);
    await expectEnd(server, 'ERR_HTTP3_TOO_MANY_BLOCKED_STREAMS', CODE.QPACK_DECOMPRESSION_FAILED);
  });

  test('a body that is longer than it may be', async () => {
    const aborts = new Mailbox();
    const { app, client } = await serve(true, { maxBodySize: 1000 });
    app.post('/read', (res) => {
      res.onAborted((reason, { cause }) => aborts.put(cause));
      res.onData(() => {});
    });
    const stream = await client.start('/read', null);
    await stream.write('x'.repeat(1001));
    await expect(stream.response()).resolves.toMatchObject({ status: 413 });
    expect(await aborts.take()).toBe('ERR_HTTP_BODY_TOO_LARGE');
    await expect(client.request({ ':path': '/read', ':method': 'POST', 'content-length': '1001' })).resolves.toMatchObject({ status: 400 });
    await expect(client.request('/')).resolves.toMatchObject({ text: 'answered' });
  });
});
