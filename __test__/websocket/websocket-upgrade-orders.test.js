'use strict';

// Every order in which a handshake can be upgraded, answered, aborted and left by its client: one of these comes first and
// is what counts, and the others are refused or without effect. What a single upgrade does is in websocket-upgrade.test.js.

const { passBarrier } = require('../helpers/closing-server.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { KEY, RawWebSocket, closeFrame, handshake } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const OVER = { code: 'ERR_HTTP_RESPONSE_CLOSED' };
const aborted = (cause) => ['aborted', cause];

/** A server whose upgrade handler does `act`, and then leaves it to the test what to do with `res` and `context`. */
class WaitingServer {
  /** What handlers were told, in order. */
  events = new Mailbox();
  /** `{ res, req, context, upgrade }` of handshakes that wait. */
  waiting = new Mailbox();

  constructor(act = () => {}) {
    this.app = createApp();
    this.app.get('/barrier', (res) => res.end());
    this.app.ws('/ws', {
      upgrade: (res, req, context) => {
        res.onAborted((reason, { cause }) => this.events.put(aborted(cause)));
        const upgrade = (userData = {}) => res.upgrade(userData, KEY, '', '', context);
        act({ res, req, context, upgrade });
        this.waiting.put({ res, req, context, upgrade });
      },
      open: () => this.events.put('open'),
      message: (ws, message) => ws.send(message),
      close: (ws, code, message, { cause }) => this.events.put(['close', cause]),
    });
    this.port = listen(this.app);
  }

  /** A client that has sent its handshake, and what waits for it. */
  async shakeHands() {
    const client = await RawClient.connect(this.port);
    await client.send(handshake('/ws'));
    return { client, ...await this.waiting.take() };
  }

  /** Everything that handlers were told up to now, once nothing more is under way. */
  async told() {
    await passBarrier(this.port);
    const events = [];
    while (this.events.size > 0) events.push(await this.events.take());
    return events;
  }
}

/** An echo proves that the WebSocket of a raw client is alive. */
async function expectAlive(client) {
  expect((await client.response()).status).toBe(101);
  await client.send(Buffer.from('818200000000 6869'.replaceAll(' ', ''), 'hex'));
  expect(await client.bytes(4)).toBe('\x81\x02hi');
}

describe('the client leaves first', () => {
  test.each([
    ['FIN', (client) => client.finish(), 'ERR_FIN_BEFORE_RESPONSE'],
    ['RST', (client) => client.reset(), 'ERR_CONNECTION_RESET'],
  ])('%s, heard: onAborted once, upgrade throws, nothing opens', async (how, leave, cause) => {
    const server = new WaitingServer();
    const { client, res, upgrade } = await server.shakeHands();
    leave(client);
    expect(await server.events.take()).toEqual(aborted(cause));
    expect(res.aborted).toBe(true);
    expect(failureOf(upgrade)).toMatchObject(OVER);
    expect(await server.told()).toEqual([]);
  });

  test('upgrade inside onAborted throws', async () => {
    const failures = new Mailbox();
    const server = new WaitingServer(({ res, upgrade }) => {
      res.onAborted(() => failures.put(failureOf(upgrade)));
    });
    const { client } = await server.shakeHands();
    client.finish();
    expect(await failures.take()).toMatchObject(OVER);
    expect(await server.told()).toEqual([]);
  });

  test('behind the upgrade: the WebSocket is closed, and onAborted does not run', async () => {
    const server = new WaitingServer();
    const { client, upgrade } = await server.shakeHands();
    upgrade();
    await expectAlive(client);
    client.finish();
    expect(await client.rest()).toBe('');
    expect(await server.told()).toEqual(['open', ['close', 'ERR_FIN_WITHOUT_CLOSE']]);
  });
});

describe('the application closes or answers first', () => {
  test.each([
    ['res.close()', ({ res }) => res.close(), [aborted('CLOSED_BY_APPLICATION')]],
    ['app.close()', ({ app }) => app.close(), [aborted('CLOSED_BY_APP_CLOSE')]],
  ])('%s later: onAborted inside the call, then upgrade throws, and the client gets no answer', async (title, close, expected) => {
    const server = new WaitingServer();
    const { client, res, upgrade } = await server.shakeHands();
    close({ res, app: server.app });
    expect(server.events.size).toBe(1);
    expect(failureOf(upgrade)).toMatchObject(OVER);
    await client.over();
    await expect(client.bytes(1)).rejects.toThrow();
    server.port = listen(server.app);
    expect(await server.told()).toEqual(expected);
  });

  test('res.close() inside the handler', async () => {
    const failures = [];
    const server = new WaitingServer(({ res, upgrade }) => {
      res.close();
      failures.push(failureOf(upgrade));
    });
    const { client } = await server.shakeHands();
    expect(failures).toEqual([expect.objectContaining(OVER)]);
    await client.over();
    expect(await server.told()).toEqual([aborted('CLOSED_BY_APPLICATION')]);
  });

  test.each([
    ['end', (res) => res.writeStatus('403 Forbidden').end('no')],
    ['tryEnd', (res) => res.writeStatus('403 Forbidden').tryEnd('no', 2)],
    ['write and end', (res) => res.writeStatus('403 Forbidden').write('no') && res.end()],
    ['endWithoutBody', (res) => res.writeStatus('403 Forbidden').endWithoutBody(0)],
  ])('%s: upgrade throws, the client has the answer, and the connection serves on', async (title, answer) => {
    const server = new WaitingServer();
    const { client, res, upgrade } = await server.shakeHands();
    answer(res);
    expect(failureOf(upgrade)).toMatchObject(OVER);
    expect((await client.response()).status).toBe(403);
    await client.send(handshake('/ws'));
    (await server.waiting.take()).upgrade();
    await expectAlive(client);
    expect(await server.told()).toEqual(['open']);
  });

  test('a response that has begun can no longer be upgraded, but be completed', async () => {
    const server = new WaitingServer();
    const { client, res, upgrade } = await server.shakeHands();
    res.write('begun');
    expect(failureOf(upgrade)).toMatchObject({ code: 'ERR_INVALID_STATE', message: 'upgrade must come before the first write' });
    res.end();
    expect((await client.response()).text).toBe('begun');
    expect(await server.told()).toEqual([]);
  });

  test('app.shutdown(): an upgrade that comes then opens, and is told after open', async () => {
    const server = new WaitingServer();
    const { client, upgrade } = await server.shakeHands();
    const done = server.app.shutdown({ reason: 'restarting' });
    upgrade();
    expect((await client.response()).status).toBe(101);
    expect(await client.bytes(14)).toBe(`\x88\x0c\x03\xe9${'restarting'}`);
    await client.send(closeFrame(1001));
    client.finish();
    expect(await done).toEqual({ forced: 0 });
    expect([await server.events.take(), await server.events.take()]).toEqual(['open', ['close', 'CLOSED_BY_SHUTDOWN']]);
  });
});

describe('twice', () => {
  test.each([
    ['in the handler', true],
    ['later', false],
  ])('%s: the second upgrade throws, and the WebSocket of the first lives', async (title, isSync) => {
    const failures = [];
    const twice = ({ upgrade }) => {
      upgrade({ first: true });
      failures.push(failureOf(() => upgrade({ second: true })));
    };
    const server = new WaitingServer(isSync ? twice : undefined);
    const { client, upgrade } = await server.shakeHands();
    if (!isSync) twice({ upgrade });
    await expectAlive(client);
    expect(failures).toEqual([expect.objectContaining(OVER)]);
    expect(await server.told()).toEqual(['open']);
  });

  test('inside open of the first', async () => {
    const failures = new Mailbox();
    const app = createApp();
    app.ws('/ws', {
      upgrade(res, req, context) {
        const upgrade = () => res.upgrade({ again: upgrade }, KEY, '', '', context);
        upgrade();
      },
      open: (ws) => failures.put(failureOf(ws.again)),
      message: (ws, message) => ws.send(message),
    });
    const client = await RawClient.connect(listen(app));
    await client.send(handshake('/ws'));
    await expectAlive(client);
    expect(await failures.take()).toMatchObject(OVER);
  });

  test('after a first one that failed: it counts as none', async () => {
    const server = new WaitingServer();
    const { client, res, context, upgrade } = await server.shakeHands();
    expect(failureOf(() => res.upgrade({}, 'no key', '', '', context))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    upgrade();
    await expectAlive(client);
    expect(await server.told()).toEqual(['open']);
  });
});

describe('from another handler', () => {
  test('of a request', async () => {
    const server = new WaitingServer();
    const { client, upgrade } = await server.shakeHands();
    server.app.post('/admit', (res) => {
      upgrade({ admitted: true });
      res.end('admitted');
    });
    const admin = await RawClient.connect(server.port);
    await admin.send(request('POST', '/admit'));
    expect((await admin.response()).text).toBe('admitted');
    await expectAlive(client);
  });

  test('of a WebSocket, and in the order of the calls', async () => {
    const server = new WaitingServer();
    const [first, second] = [await server.shakeHands(), await server.shakeHands()];
    server.app.ws('/admin', {
      message: (ws, message) => {
        for (const { upgrade } of [second, first]) upgrade();
        ws.send(message);
      },
    });
    const admin = await RawWebSocket.open(server.port, { path: '/admin' });
    admin.sendText('let them in');
    expect(await admin.frame()).toEqual(['text', 'let them in']);
    await Promise.all([first, second].map(({ client }) => expectAlive(client)));
    expect(await server.told()).toEqual(['open', 'open']);
  });

  test('with the context of another route: it opens there', async () => {
    const server = new WaitingServer();
    const { client, res } = await server.shakeHands();
    const contexts = new Mailbox();
    server.app.ws('/other', {
      upgrade(other, req, context) {
        contexts.put(context);
        other.end();
      },
      open: (ws) => ws.send('other'),
    });
    const visitor = await RawClient.connect(server.port);
    await visitor.send(handshake('/other'));
    res.upgrade({}, KEY, '', '', await contexts.take());
    expect((await client.response()).status).toBe(101);
    expect(await client.bytes(7)).toBe('\x81\x05other');
    expect(await server.told()).toEqual([]);
  });

  test('of a handshake that came to a route for requests', async () => {
    const server = new WaitingServer();
    const { context } = await server.shakeHands();
    server.app.any('/plain', (res) => res.upgrade({}, KEY, '', '', context));
    const client = await RawClient.connect(server.port);
    await client.send(handshake('/plain'));
    await expectAlive(client);
    expect(await server.told()).toEqual(['open']);
  });

  test.each([
    ['a request with a body', request('POST', '/plain', [], 'hello'), /^a handshake must have no body/],
    ['a request of HTTP/1.0', request('GET', '/plain').replace('1.1', '1.0'), /^a handshake must be a request of HTTP\/1\.1$/],
  ])('%s cannot be upgraded, but be answered', async (title, text, fault) => {
    const server = new WaitingServer();
    const { context } = await server.shakeHands();
    const failures = new Mailbox();
    server.app.any('/plain', (res) => {
      failures.put(failureOf(() => res.upgrade({}, KEY, '', '', context)));
      res.end('not upgraded');
    });
    const client = await RawClient.connect(server.port);
    await client.send(text);
    expect(await failures.take()).toMatchObject({ code: 'ERR_INVALID_STATE', message: expect.stringMatching(fault) });
    expect((await client.response()).text).toBe('not upgraded');
    expect(await server.told()).toEqual([]);
  });
});

test('what a client sent behind its handshake waits for the upgrade, however late that comes', async () => {
  const server = new WaitingServer();
  const client = await RawClient.connect(server.port);
  await client.send(Buffer.concat([Buffer.from(handshake('/ws')), Buffer.from('81820000000068698880 00000000'.replace(' ', ''), 'hex')]));
  const { upgrade } = await server.waiting.take();
  await passBarrier(server.port);
  upgrade();
  expect((await client.response()).status).toBe(101);
  expect(await client.rest()).toBe('\x81\x02hi\x88\x00');
  expect(await server.told()).toEqual(['open', ['close', 'CLOSED_BY_PEER_WITHOUT_CODE']]);
});
