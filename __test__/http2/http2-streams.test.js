'use strict';

// What belongs to one stream of a connection, and to no other: its end, its flow control, its place in the order.

const { once } = require('node:events');

const { afterTest } = require('../helpers/cleanup.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');
const {
  END_STREAM, RawHttp2, answerTo, ask, connectHttp2, createHttp2App, dataFrame, frameOf, headersFrame, numbers, serveHttp2,
} = require('../helpers/http2-client.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { listen } = require('../helpers/server.js');

const WINDOW = 65_535;

/** An app whose route /wait is never answered, and tells its aborts; `begun` gets its responses. Any other path is answered. */
function serveWaiting(options, act = () => {}) {
  const [aborts, begun] = [new Mailbox(), new Mailbox()];
  const app = createHttp2App(options);
  app.any('/wait', (res) => {
    res.onAborted((reason, info) => aborts.put({ reason, info }));
    begun.put(res);
    act(res);
  });
  app.any('/*', (res) => res.end('answered'));
  return { app, aborts, begun, port: listen(app) };
}

const aborted = (reason, cause, initiator) => ({ reason, info: { cause, initiator, wasClean: false, ...RESPONSE_FACTS } });

/** That the one abort is this, and that the connection still serves. */
async function expectOneAbort({ aborts }, session, expected) {
  expect(await aborts.take()).toStrictEqual(expected);
  await expect(ask(session)).resolves.toMatchObject({ text: 'answered' });
  expect(aborts.size).toBe(0);
}

describe('onAborted is called once, with the cause', () => {
  test.each([
    ['before the response', () => {}],
    ['inside of the response', (res) => res.write('begun')],
    ['while the request is paused', (res) => res.pause()],
  ])('RST_STREAM %s', async (title, act) => {
    const server = serveWaiting(true, act);
    const session = await connectHttp2(server.port);
    const stream = session.request({ ':path': '/wait', ':method': 'POST' });
    stream.on('error', () => {});
    const res = await server.begun.take();
    stream.close(8);
    await expectOneAbort(server, session, aborted('Peer reset the stream: CANCEL (8)', 'ERR_HTTP2_STREAM_RESET', 'peer'));
    expect(res.aborted).toBe(true);
    expect(() => res.end('late')).toThrow(expect.objectContaining({ code: 'ERR_HTTP_RESPONSE_CLOSED' }));
  });

  test.each([
    ['FIN', (socket) => socket.end(), aborted('Received TCP FIN before the response was complete', 'ERR_FIN_BEFORE_RESPONSE', 'transport')],
    ['RST', (socket) => socket.resetAndDestroy(), aborted('Connection reset by peer', 'ERR_CONNECTION_RESET', 'transport')],
  ])('%s of the connection aborts all of its streams', async (title, end, expected) => {
    const server = serveWaiting(true);
    const client = await RawHttp2.connect(server.port);
    client.send(...[1, 3, 5].map((stream) => headersFrame(stream, { fields: { ':path': '/wait' } })));
    for (let count = 0; count < 3; count++) await server.begun.take();
    end(client.socket);
    for (let count = 0; count < 3; count++) expect(await server.aborts.take()).toStrictEqual(expected);
    await ask(await connectHttp2(server.port));
    expect(server.aborts.size).toBe(0);
  });

  test('a body that is longer than it may be', async () => {
    const aborts = new Mailbox();
    const app = createHttp2App(true, { maxBodySize: 1000 });
    app.post('/*', (res) => {
      res.onAborted((reason, { cause }) => aborts.put(cause));
      res.onData(() => {});
    });
    app.get('/*', (res) => res.end('answered'));
    const session = await connectHttp2(listen(app));
    const stream = session.request({ ':method': 'POST' });
    stream.write('x'.repeat(1001));
    await expect(answerTo(stream)).resolves.toMatchObject({ status: 413 });
    expect(await aborts.take()).toBe('ERR_HTTP_BODY_TOO_LARGE');
    await expect(ask(session)).resolves.toMatchObject({ text: 'answered' });
  });

  test('a body whose length is not what was announced', async () => {
    const server = serveWaiting(true);
    const client = await RawHttp2.connect(server.port);
    client.send(headersFrame(1, { end: false, fields: { ':path': '/wait', ':method': 'POST', 'content-length': '5' } }));
    await server.begun.take();
    client.send(dataFrame(1, 'four', { end: true }));
    expect(await client.reset(1)).toBe('PROTOCOL_ERROR');
    expect((await server.aborts.take()).info.cause).toMatch(/^ERR_HTTP2/);
    client.send(headersFrame(3));
    await client.next('HEADERS', 3);
  });

  test('res.close() resets the stream, and leaves the connection', async () => {
    const session = await serveHttp2((res, req) => (req.getUrl() === '/closed' ? res.close() : res.end('answered')));
    await expect(ask(session, { ':path': '/closed' })).rejects.toMatchObject({ reset: 'CANCEL' });
    await expect(ask(session)).resolves.toMatchObject({ text: 'answered' });
  });

  test('an answer to a request whose body is still coming asks its client to stop', async () => {
    const session = await serveHttp2((res) => res.end('early'));
    const stream = session.request({ ':method': 'POST' });
    stream.write('x');
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    stream.resume();
    await once(stream, 'close');
    expect(stream.rstCode).toBe(0);
  });

  test('tryEnd that announced more than it sent resets the stream', async () => {
    const session = await serveHttp2((res) => {
      res.onAborted(() => {});
      res.tryEnd('half', 8);
      res.end();
    });
    await expect(ask(session)).rejects.toMatchObject({ reset: 'INTERNAL_ERROR' });
  });
});

describe('flow control', () => {
  test('a body that its handler does not read stops its sender, and nobody else', async () => {
    const begun = new Mailbox();
    const app = createHttp2App({ initialWindowSize: 20_000, connectionWindowSize: 65_535 });
    app.post('/paused', (res) => {
      let length = 0;
      res.onAborted(() => {});
      res.pause();
      res.onData((piece, isLast) => {
        length += piece.byteLength;
        if (isLast) res.end(String(length));
      });
      begun.put(res);
    });
    app.post('/*', (res) => {
      res.onAborted(() => {});
      res.collectBody(1 << 20, (body) => res.end(String(body.byteLength)));
    });
    const session = await connectHttp2(listen(app));
    const paused = Array.from({ length: 5 }, () => ask(session, { ':path': '/paused', ':method': 'POST' }, Buffer.alloc(100_000)));
    const responses = [];
    for (let count = 0; count < 5; count++) responses.push(await begun.take());
    // More than the window of the connection: it is given back although nobody reads those five.
    await expect(ask(session, { ':method': 'POST' }, Buffer.alloc(500_000))).resolves.toMatchObject({ text: '500000' });
    responses.forEach((res) => res.resume());
    for (const answer of await Promise.all(paused)) expect(answer.text).toBe('100000');
  });

  test('a client without window gets nothing, and the next one everything', async () => {
    const written = new Mailbox();
    const app = createHttp2App();
    app.get('/big', (res) => {
      res.onAborted(() => {});
      const oks = [];
      while (oks.at(-1) !== false && oks.length < 1000) oks.push(res.write('x'.repeat(10_000)));
      written.put(oks.length);
      res.onWritable(() => {
        res.end('.');
        return true;
      });
    });
    app.get('/*', (res) => res.end('answered'));
    const client = await RawHttp2.connect(listen(app), { settings: frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(0)]) }) });
    client.send(headersFrame(1, { fields: { ':path': '/big' } }));
    await client.next('HEADERS', 1);
    const pieces = await written.take();
    expect(pieces).toBeLessThan(1000);
    // Stream 3 gets a window, and is served although stream 1 waits.
    client.send(headersFrame(3), frameOf('WINDOW_UPDATE', { stream: 3, payload: numbers(100) }));
    await client.next('HEADERS', 3);
    let frame = await client.next('DATA');
    expect([frame.stream, frame.payload.toString()]).toStrictEqual([3, 'answered']);
    client.send(frameOf('WINDOW_UPDATE', { stream: 1, payload: numbers(1 << 30) }), frameOf('WINDOW_UPDATE', { payload: numbers(1 << 30) }));
    let length = 0;
    do {
      frame = await client.next('DATA', 1);
      length += frame.payload.length;
    } while ((frame.flags & END_STREAM) === 0);
    expect(length).toBe(10_000 * pieces + 1);
  });

  test('no more is sent than the window of the connection lets through', async () => {
    const client = await RawHttp2.connect(listen(createHttp2App().get('/*', (res) => {
      res.onAborted(() => {});
      res.end('x'.repeat(100_000));
    })));
    client.send(headersFrame(1));
    let length = 0;
    while (length < WINDOW) length += (await client.next('DATA', 1)).payload.length;
    expect(length).toBe(WINDOW);
    client.send(frameOf('PING', { payload: Buffer.from('nothing?') }));
    for (let frame = await client.frame(); ; frame = await client.frame()) {
      if (frame.type === 'PING') break;
      expect(frame.type).not.toBe('DATA');
    }
    client.send(frameOf('WINDOW_UPDATE', { payload: numbers(40_000) }), frameOf('WINDOW_UPDATE', { stream: 1, payload: numbers(40_000) }));
    let frame;
    do {
      frame = await client.next('DATA', 1);
      length += frame.payload.length;
    } while ((frame.flags & END_STREAM) === 0);
    expect(length).toBe(100_000);
  });

  test('a slow reader holds up itself: the handler is told when there is room again', async () => {
    const [written, total] = [new Mailbox(), 8 << 20];
    const session = await serveHttp2((res) => {
      res.onAborted(() => {});
      let offset = 0;
      const write = () => {
        while (offset < total) {
          const piece = Buffer.alloc(Math.min(65_536, total - offset), 'x');
          offset += piece.length;
          if (!res.write(piece)) return false;
        }
        res.end();
        return true;
      };
      if (!write()) res.onWritable(write);
      written.put(offset);
    });
    const stream = session.request({ ':path': '/' });
    stream.pause();
    await once(stream, 'response');
    expect(await written.take()).toBeLessThan(total);
    let length = 0;
    stream.on('data', (data) => {
      length += data.length;
    });
    stream.resume();
    await once(stream, 'end');
    expect(length).toBe(total);
  });
});

describe('priorities (RFC 9218)', () => {
  /** The order in which the responses of these requests end; all are written before any of them has a window. */
  async function orderOf(priorities, behind = []) {
    const client = await RawHttp2.connect(listen(createHttp2App().get('/*', (res) => {
      res.onAborted(() => {});
      res.end('x'.repeat(30_000));
    })));
    client.send(frameOf('WINDOW_UPDATE', { payload: numbers(1 << 20) }), dataOff());
    client.send(...priorities.map((priority, index) => headersFrame(2 * index + 1, { fields: priority === undefined ? {} : { priority } })), ...behind);
    for (let count = 0; count < priorities.length; count++) await client.next('HEADERS');
    client.send(frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(1 << 20)]) }));
    const ended = [];
    while (ended.length < priorities.length) {
      const frame = await client.next('DATA');
      if ((frame.flags & END_STREAM) !== 0) ended.push(frame.stream);
    }
    return ended;
  }

  /** SETTINGS that give streams no window at first. */
  const dataOff = () => frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(0)]) });

  test('what is more urgent goes first', async () => {
    expect(await orderOf(['u=5', 'u=1', 'u=3', 'u=0'])).toStrictEqual([7, 3, 5, 1]);
  });

  test('of the same urgency, one goes after the other', async () => {
    expect(await orderOf(['u=3', 'u=3', 'u=3'])).toStrictEqual([1, 3, 5]);
  });

  test('PRIORITY_UPDATE changes it', async () => {
    const update = frameOf(0x10, { payload: Buffer.concat([numbers(5), Buffer.from('u=0')]) });
    expect(await orderOf(['u=3', 'u=3', 'u=3'], [update])).toStrictEqual([5, 1, 3]);
  });

  test('incremental ones take turns', async () => {
    const client = await RawHttp2.connect(listen(createHttp2App().get('/*', (res) => {
      res.onAborted(() => {});
      res.end('x'.repeat(60_000));
    })));
    client.send(dataOff(), frameOf('WINDOW_UPDATE', { payload: numbers(1 << 20) }));
    client.send(headersFrame(1, { fields: { priority: 'u=3, i' } }), headersFrame(3, { fields: { priority: 'u=3, i' } }));
    await client.next('HEADERS');
    await client.next('HEADERS');
    client.send(frameOf('SETTINGS', { payload: Buffer.concat([Buffer.of(0, 4), numbers(1 << 20)]) }));
    const turns = [];
    for (let ends = 0; ends < 2;) {
      const { stream, flags } = await client.next('DATA');
      turns.push(stream);
      if ((flags & END_STREAM) !== 0) ends++;
    }
    expect(turns.lastIndexOf(1)).toBeGreaterThan(turns.indexOf(3));
    expect(turns.lastIndexOf(3)).toBeGreaterThan(turns.indexOf(1));
  });
});

test('a name of a stream that has ended is used by nobody else', async () => {
  const kept = [];
  const session = await serveHttp2((res) => {
    res.onAborted(() => {});
    kept.push(res);
    res.end('answered');
  });
  for (let count = 0; count < 200; count++) await ask(session);
  for (const res of kept) expect(() => res.end('again')).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_/) }));
  await expect(ask(session)).resolves.toMatchObject({ text: 'answered' });
  afterTest(() => kept.splice(0));
});
