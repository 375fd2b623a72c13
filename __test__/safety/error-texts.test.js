'use strict';

// Programs compare the texts of errors. Those that uWebSockets.js has are the same here, to the letter; what a text of ours
// adds stands behind them (docs/migrating-from-uwebsockets.md).

const uWS = require('../..');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');
const { openWebSocket } = require('../helpers/websocket-server.js');

const TEXT_OR_DATA = 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.';
const NO_FUNCTION = 'Passed callback is not a valid function.';
const CLOSED_RESPONSE = 'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful '
  + 'response. See documentation for uWS.HttpResponse and consult the user manual.';
const CLOSED_REQUEST = 'uWS.HttpRequest must not be accessed after await or route handler return. See documentation for '
  + 'uWS.HttpRequest and consult the user manual.';
const CLOSED_WEBSOCKET = 'Invalid access of closed uWS.WebSocket/SSLWebSocket.';
const atLeast = (count) => `Function requires at least ${count} arguments.`;

const ROUTES = ['get', 'post', 'options', 'del', 'patch', 'put', 'head', 'connect', 'trace', 'any'];

test.each([
  ['App(5)', () => uWS.App(5), 'Options must be an object.'],
  ['SSLApp(true)', () => uWS.SSLApp(true), 'Options must be an object.'],
  ...ROUTES.map((name) => [`app.${name}('/x')`, () => createApp()[name]('/x'), NO_FUNCTION]),
  ...ROUTES.map((name) => [`app.${name}()`, () => createApp()[name](), NO_FUNCTION]),
  ...ROUTES.map((name) => [`app.${name}('/x', {})`, () => createApp()[name]('/x', {}), NO_FUNCTION]),
  ...ROUTES.map((name) => [`app.${name}(5, () => {})`, () => createApp()[name](5, () => {}), TEXT_OR_DATA]),
  ['app.filter()', () => createApp().filter(), NO_FUNCTION],
  ['app.filter(5)', () => createApp().filter(5), NO_FUNCTION],
  ['app.ws()', () => createApp().ws('/x'), atLeast(2)],
  ['app.listen()', () => createApp().listen(), atLeast(2)],
  ['app.listen(() => {})', () => createApp().listen(() => {}), atLeast(2)],
  ['app.listen_unix()', () => createApp().listen_unix(() => {}), atLeast(2)],
  ['app.publish()', () => createApp().publish('topic'), atLeast(2)],
  ['app.publish(5)', () => createApp().ws('/*', {}).publish(5, 'message'), TEXT_OR_DATA],
  ['app.domain()', () => createApp().domain(), atLeast(1)],
  ['app.numSubscribers()', () => createApp().numSubscribers(), atLeast(1)],
  ['app.numSubscribers(null)', () => createApp().numSubscribers(null), TEXT_OR_DATA],
  ['a status of 256 bytes', () => new uWS.DeclarativeResponse().writeStatus('x'.repeat(256)), 'Data length exceeds 255'],
  ['a body of 64 KiB', () => new uWS.DeclarativeResponse().end('x'.repeat(65_536)), 'Data length exceeds 65535'],
])('%s', (_, call, text) => {
  expect(failureOf(call).message).toBe(text);
});

test.each([
  ['no options', undefined],
  ['no key', {}],
  ['a file that is not there', { key_file_name: '/nowhere', cert_file_name: '/nowhere' }],
  ['a key that is none', { key: 'x', cert: 'x' }],
  ['a name of the wrong type', { key_file_name: 5 }],
  ['a key twice', { key: 'x', key_file_name: 'x' }],
])('SSLApp with %s begins with what uWebSockets.js says, and goes on with the option', (_, options) => {
  expect(failureOf(() => uWS.SSLApp(options)).message).toMatch(/^App construction failed: .*(key|cert)/);
});

describe('objects that are closed: whatever a method is given', () => {
  const ARGUMENTS = [[], [null], [{}, {}], [Symbol('s')], [5, 5], ['x'.repeat(200), 'x'.repeat(200)], [() => {}]];

  /** The texts of what all methods throw, but some. */
  function textsOf(object, except = []) {
    const names = [];
    // The classes of SSLApp have one prototype more.
    for (let it = Object.getPrototypeOf(object); it !== Object.prototype; it = Object.getPrototypeOf(it)) {
      const properties = Object.entries(Object.getOwnPropertyDescriptors(it));
      names.push(...properties.filter(([, { value }]) => typeof value === 'function').map(([name]) => name));
    }
    const methods = names.filter((name) => !['constructor', ...except].includes(name));
    expect(methods.length).toBeGreaterThan(5);
    const texts = methods.flatMap((name) => ARGUMENTS.map((args) => failureOf(() => object[name](...args)).message));
    return [...new Set(texts)];
  }

  test('a WebSocket', async () => {
    const { ws } = await openWebSocket({});
    ws.end(1000);
    expect(textsOf(ws, ['getUserData'])).toEqual([CLOSED_WEBSOCKET]);
    expect(ws.getUserData()).toBe(ws);
  });

  test('a WebSocket, within its close handler', async () => {
    const texts = new Mailbox();
    const { ws } = await openWebSocket({ close: (closing) => texts.put(textsOf(closing, ['getUserData'])) });
    ws.close();
    expect(await texts.take()).toEqual([CLOSED_WEBSOCKET]);
  });

  test('a response and its request', async () => {
    const arrived = new Mailbox();
    const app = createApp().any('/*', (res, req) => {
      res.onAborted(() => {});
      arrived.put({ res, req });
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/'));
    const { res, req } = await arrived.take();
    res.end();
    expect((await client.response()).status).toBe(200);
    expect(textsOf(res)).toEqual([CLOSED_RESPONSE]);
    expect(textsOf(req)).toEqual([CLOSED_REQUEST]);
  });
});

test('an open WebSocket and an unanswered response name what they cannot take', async () => {
  const { ws } = await openWebSocket({});
  for (const call of [
    () => ws.send(null), () => ws.send({}), () => ws.ping(5), () => ws.subscribe({}), () => ws.publish({}, 'x'), () => ws.end(1000, 5),
  ]) expect(failureOf(call).message).toBe(TEXT_OR_DATA);
  expect(failureOf(() => ws.publish('topic')).message).toBe(atLeast(2));

  const failures = new Mailbox();
  const app = createApp().any('/*', (res) => {
    const calls = [
      () => res.writeHeader('a', 1), () => res.writeHeader(1, 'a'), () => res.writeStatus(200), () => res.write({}), () => res.end(5),
    ];
    failures.put(calls.map((call) => failureOf(call).message));
    res.end();
  });
  const client = await RawClient.connect(listen(app));
  expect((await client.get('/')).status).toBe(200);
  expect(new Set(await failures.take())).toEqual(new Set([TEXT_OR_DATA]));
});
