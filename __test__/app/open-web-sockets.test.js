'use strict';

// `app.webSockets`.

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** An app, a function that opens a WebSocket of it, and a mailbox of what has been closed. */
function createServer(behavior = {}) {
  const [opened, closed] = [new Mailbox(), new Mailbox()];
  const app = createApp().ws('/*', {
    ...behavior,
    open: (ws) => {
      behavior.open?.(ws);
      opened.put(ws);
    },
    close: (ws, ...args) => {
      behavior.close?.(ws, ...args);
      closed.put(ws);
    },
  });
  const port = listen(app);
  const openOne = async () => ({ client: await RawWebSocket.open(port), ws: await opened.take() });
  return { app, openOne, closed };
}

test('holds those that are open, each once, and nothing of other apps or of clients', async () => {
  const [one, other] = [createServer(), createServer()];
  expect([[...one.app.webSockets], one.app.webSockets.size]).toEqual([[], 0]);
  const first = await one.openOne();
  const second = await one.openOne();
  const third = await other.openOne();
  const token = await one.app.listen('127.0.0.1', 0);
  const client = await uWS.connect(`ws://127.0.0.1:${uWS.us_socket_local_port(token)}/`, {});
  afterTest(() => client.close());
  expect(new Set(other.app.webSockets)).toEqual(new Set([third.ws]));
  expect([...one.app.webSockets]).toHaveLength(3);
  expect([...one.app.webSockets]).toEqual(expect.arrayContaining([first.ws, second.ws]));
  expect([...one.app.webSockets]).not.toContain(client);
  first.client.finish();
  await one.closed.take();
  expect([...one.app.webSockets]).not.toContain(first.ws);
  expect(one.app.webSockets.size).toBe(2);
});

test('has a WebSocket from its open handler on, and not in its close handler', async () => {
  const seen = [];
  const { app, openOne, closed } = createServer({
    open: () => seen.push(app.webSockets.size),
    close: () => seen.push(app.webSockets.size),
  });
  const { ws } = await openOne();
  ws.close();
  await closed.take();
  expect(seen).toEqual([1, 0]);
});

test('a walk may close what it meets, and what it does not', async () => {
  const { app, openOne, closed } = createServer();
  for (let count = 0; count < 10; count++) await openOne();
  let met = 0;
  for (const ws of app.webSockets) {
    met += 1;
    ws.end(1001, 'all');
    for (const other of app.webSockets) {
      if (other !== ws && met === 1) other.close();
    }
  }
  expect([met, app.webSockets.size]).toEqual([1, 0]);
  for (let count = 0; count < 10; count++) await closed.take();
});

test('a WebSocket that ended a moment ago is not met, though its handler has not run', async () => {
  const depths = [];
  const { app, openOne, closed } = createServer({
    close: () => {
      // Handlers within each other wait at some depth; whoever was closed is not open, all the same.
      const [next] = app.webSockets;
      depths.push(app.webSockets.size);
      next?.close();
    },
  });
  for (let count = 0; count < 40; count++) await openOne();
  const [first] = app.webSockets;
  first.close();
  for (let count = 0; count < 40; count++) await closed.take();
  expect(depths).toHaveLength(40);
  expect(app.webSockets.size).toBe(0);
});

test('is for the app, and made by nobody else', () => {
  const app = createApp();
  const List = app.webSockets.constructor;
  expect(() => new List()).toThrow('Illegal constructor');
  const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(app), 'webSockets');
  expect(() => get.call({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_THIS' }));
  expect(() => { app.webSockets = []; }).toThrow(TypeError);
});
