'use strict';

// What filters are told: every connection once when it opens and once when it is over, and when that is.

const { once } = require('node:events');
const WebSocket = require('ws');

const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const GET = request('GET', '/');

/** An app that answers, and a mailbox of what happens there: counts of a filter as numbers, everything else as text. */
function observe(options) {
  const events = new Mailbox();
  const connections = [];
  const app = createApp(options)
    .filter((connection, count) => {
      if (count === 1) connections.push(connection);
      events.put(count);
    })
    .any('/*', (res) => {
      events.put('request');
      res.end('answer');
    });
  return { app, events, connections };
}

/** The next events of a mailbox. */
async function take(events, count) {
  const taken = [];
  while (taken.length < count) taken.push(await events.take());
  return taken;
}

describe('counts', () => {
  test('1 comes before the first request of the connection, -1 when it is over', async () => {
    const { app, events } = observe();
    const client = await RawClient.connect(listen(app));
    await client.send(GET + GET);
    expect(await take(events, 3)).toEqual([1, 'request', 'request']);
    expect(events.size).toBe(0);
    client.reset();
    expect(await events.take()).toBe(-1);
  });

  test('1 comes without any request', async () => {
    const { app, events } = observe();
    const client = await RawClient.connect(listen(app));
    expect(await events.take()).toBe(1);
    client.finish();
    expect(await events.take()).toBe(-1);
  });

  test('a WebSocket counts until it closes, and -1 comes behind its close handler', async () => {
    const { app, events } = observe();
    app.ws('/ws', { open: () => events.put('open'), close: () => events.put('close') });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/ws`);
    await once(client, 'open');
    expect(await take(events, 2)).toEqual([1, 'open']);
    expect(events.size).toBe(0);
    client.close();
    expect(await take(events, 2)).toEqual(['close', -1]);
  });

  test('-1 comes behind onAborted', async () => {
    const { app, events } = observe();
    app.get('/pending', (res) => {
      res.onAborted(() => events.put('aborted'));
      events.put('pending');
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/pending'));
    expect(await take(events, 2)).toEqual([1, 'pending']);
    client.reset();
    expect(await take(events, 2)).toEqual(['aborted', -1]);
  });

  test('the sum is the number of open connections, whatever becomes of them', async () => {
    const { app, events } = observe({ threads: 2 });
    app
      .get('/close', (res) => res.close())
      .get('/last', (res) => res.end('', true))
      .ws('/ws', { open: (ws) => ws.end(1000), idleTimeout: 8 });
    const port = listen(app);
    const ends = {
      garbage: (client) => client.send('\0'),
      closed: (client) => client.send(request('GET', '/close')),
      last: (client) => client.send(request('GET', '/last')),
      http10: (client) => client.send('GET / HTTP/1.0\r\n\r\n'),
      fin: async (client) => client.finish(),
      reset: async (client) => client.reset(),
    };
    for (const end of Object.values(ends)) {
      for (let count = 0; count < 5; count++) {
        const client = await RawClient.connect(port);
        // Otherwise a reset might come before the accept.
        await client.get('/');
        await end(client);
        await client.over();
        client.finish();
      }
    }
    for (let count = 0; count < 5; count++) await once(new WebSocket(`ws://127.0.0.1:${port}/ws`), 'close');
    const counts = [];
    while (counts.filter((count) => count === -1).length < 35) counts.push(await events.take());
    const numbers = counts.filter((count) => typeof count === 'number');
    expect(numbers.reduce((sum, count) => sum + count)).toBe(0);
    expect(numbers.length).toBe(70);
  });

  test('app.close() tells -1 behind all other handlers, before it returns, and once', async () => {
    const { app, events } = observe();
    app
      .get('/pending', (res) => {
        res.onAborted(() => events.put('aborted'));
        events.put('pending');
      })
      .ws('/ws', { open: () => events.put('open'), close: () => events.put('close') });
    const port = listen(app);
    const clients = [await RawClient.connect(port), await RawClient.connect(port)];
    expect(await take(events, 2)).toEqual([1, 1]);
    await clients[0].send(request('GET', '/pending'));
    expect(await events.take()).toBe('pending');
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    expect(await take(events, 2)).toEqual([1, 'open']);
    app.close();
    expect(events.size).toBe(5);
    expect(await take(events, 5)).toEqual(['aborted', 'close', -1, -1, -1]);
    await Promise.all([...clients.map((client) => client.over()), once(socket, 'close')]);
    const next = await RawClient.connect(listen(app));
    await next.get('/');
    expect(await take(events, 2)).toEqual([1, 'request']);
    expect(events.size).toBe(0);
  });
});

describe('filters', () => {
  test('several are told in order, each of the connections since its registration', async () => {
    const told = new Mailbox();
    const app = createApp().any('/*', (res) => res.end());
    const port = listen(app);
    const clients = [];
    const connect = async () => {
      clients.push(await RawClient.connect(port));
      await clients.at(-1).get('/');
    };
    await connect();
    for (const name of ['first', 'second']) {
      app.filter((connection, count) => told.put(`${name} ${count}`));
      await connect();
    }
    clients.forEach((client) => client.reset());
    const all = await take(told, 6);
    expect(all.slice(0, 3)).toEqual(['first 1', 'first 1', 'second 1']);
    expect(all.slice(3).sort()).toEqual(['first -1', 'first -1', 'second -1']);
    expect(told.size).toBe(0);
  });

  test('microtasks run between the filter and the first request', async () => {
    const events = new Mailbox();
    const app = createApp()
      .filter(async (connection, count) => {
        if (count < 0) return;
        await null;
        events.put('filter, after await');
      })
      .any('/*', (res) => {
        events.put('request');
        res.end();
      });
    const client = await RawClient.connect(listen(app));
    await client.get('/');
    expect(await take(events, 2)).toEqual(['filter, after await', 'request']);
  });

  test('one that throws raises uncaughtException, and the next one and the request are served', async () => {
    const program = new Program(`
      process.on('uncaughtException', ({ message }) => say(message));
      const app = uWS.App()
        .filter(() => { throw new Error('thrown by a filter'); })
        .filter((connection, count) => say(count))
        .get('/', (res) => res.end('answer', true));
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const client = await RawClient.connect(await program.hear());
    expect((await client.get('/')).text).toBe('answer');
    for (const expected of ['thrown by a filter', 1, 'thrown by a filter', -1]) {
      expect(await program.hear()).toBe(expected);
    }
  });

  test('must be functions', () => {
    for (const handler of [undefined, null, 'filter', {}]) {
      expect(failureOf(() => createApp().filter(handler))).toMatchObject({
        name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: 'Passed callback is not a valid function.',
      });
    }
  });

  test('do not keep the process alive once all is closed, and -1 is told before it ends', async () => {
    const program = new Program(`
      let token;
      uWS.App()
        .filter((connection, count) => {
          say(count);
          if (count === 1) uWS.us_listen_socket_close(token);
        })
        .listen('127.0.0.1', 0, (listening) => {
          token = listening;
          say(uWS.us_socket_local_port(token));
        });
    `);
    const client = await RawClient.connect(await program.hear());
    expect(await program.hear()).toBe(1);
    client.finish();
    expect(await program.hear()).toBe(-1);
    expect(await program.end()).toMatchObject({ code: 0 });
  });
});

describe('the connection', () => {
  test('is one object, with the addresses of the peer, also when it is over', async () => {
    const seen = new Mailbox();
    const app = createApp().filter((connection) => seen.put(connection));
    const client = await RawClient.connect(listen(app));
    const connection = await seen.take();
    const { localPort } = client.socket;
    client.finish();
    expect(await seen.take()).toBe(connection);
    expect(Buffer.from(connection.getRemoteAddress())).toEqual(Buffer.from([127, 0, 0, 1]));
    expect(Buffer.from(connection.getRemoteAddressAsText()).toString()).toBe('127.0.0.1');
    expect(connection.getRemotePort()).toBe(localPort);
    expect(connection.getProxiedRemoteAddress().byteLength).toBe(0);
    expect(connection.getProxiedRemoteAddressAsText().byteLength).toBe(0);
    expect(connection.getProxiedRemotePort()).toBe(0);
    structuredClone(null, { transfer: [connection.getRemoteAddress()] });
    expect(connection.getRemoteAddress().byteLength).toBe(4);
    expect(connection.close()).toBe(connection);
  });

  test('of a trusted proxy is told once its header is there, with the client', async () => {
    const { app, events, connections } = observe({ threads: 1, proxyProtocol: { trust: ['127.0.0.1'] } });
    const port = listen(app);
    const header = proxyHeader({ ip: '203.0.113.7', port: 51966 });
    const early = await RawClient.connect(port);
    await early.send(header.subarray(0, 20));
    const client = await RawClient.connect(port);
    await client.send(header);
    expect(await events.take()).toBe(1);
    expect(Buffer.from(connections[0].getProxiedRemoteAddressAsText()).toString()).toBe('203.0.113.7');
    expect(connections[0].getProxiedRemotePort()).toBe(51966);
    await client.get('/');
    expect(await events.take()).toBe('request');
    early.reset();
    client.reset();
    // The other one was never told, so neither is its end.
    expect(await events.take()).toBe(-1);
    expect(await (await RawClient.connect(port)).get('/')).toMatchObject({ status: 200 });
    expect(await take(events, 2)).toEqual([1, 'request']);
    expect(events.size).toBe(0);
  });

  test('close() in the filter drops it: no request reaches a handler', async () => {
    const { app, events } = observe();
    app.filter((connection, count) => {
      if (count === 1) connection.close();
    });
    const client = await RawClient.connect(listen(app));
    await client.send(GET).catch(() => {});
    await client.over();
    expect(await take(events, 2)).toEqual([1, -1]);
    expect(events.size).toBe(0);
  });

  test('close() aborts a response that is owed, inside the call', async () => {
    const { app, events, connections } = observe();
    app.get('/pending', (res) => {
      res.onAborted((reason, info) => events.put(info.cause));
      events.put('pending');
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/pending'));
    expect(await take(events, 2)).toEqual([1, 'pending']);
    connections[0].close();
    expect(events.size).toBe(1);
    expect(await take(events, 2)).toEqual(['CLOSED_BY_APPLICATION', -1]);
    await client.over();
  });

  test('close() closes a WebSocket, inside the call, and may be repeated', async () => {
    const { app, events, connections } = observe();
    app.ws('/ws', { open: () => events.put('open'), close: (ws, code, message, info) => events.put(info.cause) });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/ws`);
    expect(await take(events, 2)).toEqual([1, 'open']);
    const closed = once(client, 'close');
    connections[0].close().close();
    expect(events.size).toBe(1);
    expect(await take(events, 2)).toEqual(['CLOSED_BY_APPLICATION', -1]);
    await closed;
    connections[0].close();
    expect(events.size).toBe(0);
  });

  test('cannot be made or borrowed', async () => {
    const { app, events, connections } = observe();
    await RawClient.connect(listen(app));
    await events.take();
    const [connection] = connections;
    expect(failureOf(() => new connection.constructor())).toMatchObject({ code: 'ERR_ILLEGAL_CONSTRUCTOR' });
    for (const method of ['close', 'getRemoteAddress', 'getProxiedRemotePort']) {
      expect(failureOf(() => connection[method].call({}))).toMatchObject({ code: 'ERR_INVALID_THIS' });
    }
  });
});
