'use strict';

// `app.inspect`: who may look, and what a page is told. The page itself is tested in a browser (`npm run test:browser`).

const { once } = require('node:events');
const http = require('node:http');
const WebSocket = require('ws');

const uWS = require('../..');
const { cutOffs } = require('../../lib/knowledge/cut-offs.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** Sends a request and resolves to `{ status, headers, body }`. */
async function ask(port, path, { method = 'GET', headers = {}, host = '127.0.0.1' } = {}) {
  const request = http.request({ host, port, path, method, headers, agent: false });
  request.end();
  const [response] = await once(request, 'response');
  let body = '';
  for await (const text of response.setEncoding('utf8')) body += text;
  return { status: response.statusCode, headers: response.headers, body };
}

async function ticketOf(port) {
  const { status, body } = await ask(port, '/_ferrows/ticket', { method: 'POST' });
  expect(status).toBe(200);
  return JSON.parse(body).ticket;
}

/** The WebSocket of a page. */
class Viewer {
  #heard = new Mailbox();

  static async open(port) {
    const viewer = new Viewer();
    viewer.socket = new WebSocket(`ws://127.0.0.1:${port}/_ferrows/live?ticket=${await ticketOf(port)}`);
    afterTest(() => viewer.socket.terminate());
    viewer.closed = once(viewer.socket, 'close');
    viewer.socket.on('message', (data) => viewer.#heard.put(JSON.parse(data)));
    await once(viewer.socket, 'open');
    return viewer;
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** The next message of this type that is as wanted; others are passed over. */
  async hear(type, isWanted = () => true) {
    for (;;) {
      const message = await this.#heard.take();
      if (message.type === type && isWanted(message)) return message;
    }
  }
}

const AS_A_PROXY = ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP'];

describe('who may look', () => {
  test('without authorize: programs on this machine', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const { status, headers, body } = await ask(port, '/_ferrows/');
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toContain('<title>Ferrows inspector</title>');
    for (const host of ['localhost', 'app.localhost:1', '127.0.0.2', '[::1]:80']) {
      expect((await ask(port, '/_ferrows/', { headers: { Host: host } })).status).toBe(200);
    }
  });

  test('without authorize: nobody whom another page, or a proxy, sends', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const others = [
      ...['example.com', 'localhost.example.com', '10.0.0.1'].map((host) => ({ Host: host })),
      ...AS_A_PROXY.map((name) => ({ [name]: '203.0.113.7' })),
    ];
    for (const headers of others) {
      for (const [method, path] of [['GET', '/_ferrows'], ['GET', '/_ferrows/'], ['GET', '/_ferrows/page.js'], ['GET', '/_ferrows/docs/limits'], ['POST', '/_ferrows/ticket']]) {
        const { status, body } = await ask(port, path, { method, headers });
        expect([headers, path, status]).toEqual([headers, path, 403]);
        expect(body).toContain('docs/inspect.md');
      }
    }
  });

  test('without authorize: not who comes from elsewhere, by what a trusted proxy says', async () => {
    const app = createApp({ threads: 1, proxyProtocol: { trust: ['127.0.0.1'] } }).inspect('/_ferrows');
    const port = listen(app);
    const get = async (header) => {
      const socket = require('node:net').connect(port, '127.0.0.1');
      afterTest(() => socket.destroy());
      socket.write(`${header}GET /_ferrows/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      let text = '';
      for await (const data of socket.setEncoding('latin1')) text += data;
      return text.split('\r\n')[0];
    };
    expect(await get('PROXY TCP4 203.0.113.9 127.0.0.1 5000 80\r\n')).toBe('HTTP/1.1 403 Forbidden');
    expect(await get('PROXY TCP4 127.0.0.1 127.0.0.1 5000 80\r\n')).toBe('HTTP/1.1 200 OK');
  });

  test('authorize decides alone, and only true is a yes', async () => {
    const seen = [];
    const outcomes = new Map([
      ['yes', true], ['later', Promise.resolve(true)], ['no', false], ['truthy', 1], ['object', {}], ['never', Promise.resolve(undefined)],
    ]);
    const port = listen(createApp().inspect('/_ferrows', {
      authorize(request, client) {
        seen.push(client);
        return outcomes.get(request.getHeader('x-outcome'));
      },
    }));
    const statusFor = async (outcome) => (await ask(port, '/_ferrows/', { headers: { 'X-Outcome': outcome, Via: 'a proxy', Host: 'example.com' } })).status;
    expect(await Promise.all([...outcomes.keys()].map(statusFor))).toEqual([200, 200, 401, 401, 401, 401]);
    expect((await ask(port, '/_ferrows/ticket', { method: 'POST' })).headers['www-authenticate']).toMatch(/^Basic /);
    expect(seen[0]).toEqual({ remoteAddress: '127.0.0.1' });
  });

  test('what authorize throws or rejects with is reported, and is no yes', async () => {
    const { Program } = require('../helpers/program.js');
    const program = new Program(`
      process.on('uncaughtException', (error) => say(error.message));
      const app = uWS.App().inspect('/_ferrows', {
        authorize(request) {
          if (request.getQuery('how') === 'throw') throw new Error('thrown');
          return Promise.reject(new Error('rejected'));
        },
      });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    for (const [how, message] of [['throw', 'thrown'], ['reject', 'rejected']]) {
      const [{ status }, said] = await Promise.all([ask(port, `/_ferrows/?how=${how}`), program.hear()]);
      expect([status, said]).toEqual([500, message]);
    }
  });

  test('the WebSocket wants a ticket, which is good once', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const statusWith = async (ticket) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/_ferrows/live?ticket=${ticket}`);
      afterTest(() => socket.terminate());
      const opened = once(socket, 'open').then(() => 101, () => undefined);
      const refused = once(socket, 'unexpected-response').then(([, response]) => response.statusCode, () => undefined);
      socket.on('error', () => {});
      return Promise.race([opened, refused]);
    };
    const ticket = await ticketOf(port);
    expect(ticket).toMatch(/^[\w-]{24}$/);
    expect([await statusWith(''), await statusWith('guessed'), await statusWith(ticket), await statusWith(ticket)]).toEqual([403, 403, 101, 403]);
  });

  test('no more than sixteen pages are open', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    for (let count = 0; count < 16; count++) await (await Viewer.open(port)).hear('hello');
    const socket = new WebSocket(`ws://127.0.0.1:${port}/_ferrows/live?ticket=${await ticketOf(port)}`);
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    expect(response.statusCode).toBe(503);
  });
});

describe('what is served', () => {
  test('the address without a slash leads to that with one, wherever a proxy has put it', async () => {
    const port = listen(createApp().inspect('/admin/look/'));
    expect(await ask(port, '/admin/look')).toMatchObject({ status: 308, headers: { location: 'look/' } });
    expect((await ask(port, '/admin/look/')).status).toBe(200);
  });

  test('everything that the page names, and nothing from elsewhere', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const seen = new Set(['']);
    for (const path of seen) {
      const { status, headers, body } = await ask(port, `/_ferrows/${path}`);
      expect([path, status]).toEqual([path, 200]);
      // The pages of docs may lead elsewhere.
      if (headers['content-type'].startsWith('image/') || path.startsWith('docs/')) continue;
      const named = [...body.matchAll(/(?:src|href)="([^"#]+)"|from '\.\/([^']+)'/g)].map(([, attribute, module]) => attribute ?? module);
      for (const target of named) {
        expect(target).not.toMatch(/^(?:\/|[a-z]+:)/);
        seen.add(target);
      }
    }
    expect([...seen]).toEqual(expect.arrayContaining(['page.js', 'style.css', 'live.js', 'charts.js', 'docs/close-reasons']));
  });

  test('the pages of docs, whose links lead to pages and headings that are there', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const pages = new Map();
    const load = async (name) => {
      if (!pages.has(name)) pages.set(name, await ask(port, `/_ferrows/docs/${name}`));
      return pages.get(name);
    };
    for (const name of ['close-reasons', 'load-balancers', 'inspect', 'limits', 'observability', 'tls', 'probe']) {
      const { status, body } = await load(name);
      expect([name, status]).toEqual([name, 200]);
      expect(body).not.toMatch(/\*\*|\]\(|^\||\ue000/m);
      for (const [, target] of body.matchAll(/href="([^"]+)"/g)) {
        if (/^https:|^\.\.\//.test(target)) continue;
        const [page, anchor] = target.split('#');
        const linked = page === '' ? { status, body } : await load(page);
        expect([name, target, linked.status]).toEqual([name, target, 200]);
        if (anchor !== undefined) expect([name, target, linked.body.includes(`id="${anchor}"`)]).toEqual([name, target, true]);
      }
    }
    for (const name of ['..%2fREADME', '%2e%2e', 'nothing', 'decisions']) expect((await ask(port, `/_ferrows/docs/${name}`)).status).toBe(404);
  });

  test('bad arguments are refused, and add no route', async () => {
    const app = createApp();
    for (const pattern of ['_ferrows', '/', '', '/a/:b', '/a/*', '/a?b', '/a b', '//a']) {
      expect(failureOf(() => app.inspect(pattern))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    }
    expect(failureOf(() => app.inspect())).toMatchObject({ code: 'ERR_MISSING_ARGS' });
    expect(failureOf(() => app.inspect(5))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(failureOf(() => app.inspect('/a', 5))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(failureOf(() => app.inspect('/a', { authorize: true }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect((await ask(listen(app), '/a/')).status).toBe(404);
  });
});

describe('what a page is told', () => {
  test('who serves, and numbers', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const viewer = await Viewer.open(port);
    const hello = await viewer.hear('hello');
    expect(hello).toMatchObject({ version: require('../../package.json').version, node: process.version, pid: process.pid, closes: [] });
    expect(hello.cutOffs.map(({ seconds }) => seconds)).toEqual(cutOffs().map(({ seconds }) => seconds).filter((seconds) => seconds !== undefined));
    const tick = await viewer.hear('tick', ({ closed }) => closed !== undefined);
    expect(tick.stats.connections.webSocket.open).toBe(1);
    expect(tick.busy).toBeGreaterThanOrEqual(0);
    expect(tick.delay.max).toBeGreaterThanOrEqual(tick.delay.mean);
  });

  test('the WebSockets of the app, sorted, searched and in pages', async () => {
    const opened = new Mailbox();
    const app = createApp()
      .ws('/chat/*', { open: (ws) => opened.put(ws) })
      .ws('/echo', { open: (ws) => opened.put(ws), message: (ws, message) => ws.send(message) })
      .inspect('/_ferrows');
    const other = createApp().ws('/*', { open: (ws) => opened.put(ws) });
    const port = listen(app);
    await RawWebSocket.open(listen(other));
    const clients = [];
    for (const path of ['/chat/a', '/chat/b', '/echo', '/chat/c']) {
      clients.push(await RawWebSocket.open(port, { path }));
      await opened.take();
    }
    await opened.take();
    clients[2].sendText('hello');
    await clients[2].frame();
    const viewer = await Viewer.open(port);
    const ask = async (query) => {
      viewer.send({ type: 'query', ...query });
      // A report that was under way may come first.
      return viewer.hear('rows', ({ rows, offset }) => offset === (query.offset ?? 0) && rows.length <= (query.limit ?? 50));
    };
    const all = await viewer.hear('rows');
    expect([all.total, all.matching, all.rows.length]).toEqual([5, 5, 5]);
    expect(all.rows.map(({ route }) => route).sort()).toEqual(['/_ferrows/live', '/chat/*', '/chat/*', '/chat/*', '/echo']);
    for (const { address, age, silence } of all.rows) {
      expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
      expect(silence).toBeLessThanOrEqual(age);
    }

    const byMessages = await ask({ sort: 'messagesSent', limit: 2 });
    expect(byMessages.rows.map(({ route }) => route)).toEqual(expect.arrayContaining(['/echo']));
    const [echo] = (await ask({ search: 'ECHO', limit: 1 })).rows;
    expect(echo).toMatchObject({ route: '/echo', received: 11, sent: 7, messagesReceived: 1, messagesSent: 1, backlog: 0, unansweredPings: 0 });
    expect(echo.roundTrip).toBeUndefined();

    const addresses = clients.map(({ socket }) => `127.0.0.1:${socket.localPort}`);
    const [found] = (await ask({ search: addresses[1], limit: 1 })).rows;
    expect([found.address, found.route]).toEqual([addresses[1], '/chat/*']);

    const pages = [];
    for (const offset of [0, 2, 4]) pages.push(...(await ask({ sort: 'address', isDescending: false, search: '127.0.0.1', offset, limit: 2 })).rows);
    const ports = pages.map(({ address }) => Number(address.split(':')[1]));
    expect(ports).toHaveLength(5);
    expect(ports).toEqual([...ports].sort((a, b) => a - b));
    expect((await ask({ search: 'nobody', limit: 3 })).rows).toEqual([]);
    expect((await ask({ offset: 1000, limit: 4 })).rows).toEqual([]);
  });

  test('closes as they happen, with cause, reason, times and route, and their silence', async () => {
    const opened = new Mailbox();
    const app = createApp().ws('/chat', { open: (ws) => opened.put(ws) }).inspect('/_ferrows');
    const port = listen(app);
    const viewer = await Viewer.open(port);
    await viewer.hear('hello');
    const [first, second] = [await RawWebSocket.open(port, { path: '/chat' }), await RawWebSocket.open(port, { path: '/chat' })];
    await opened.take();
    (await opened.take()).end(4001, 'enough');
    first.socket.end();
    expect(await second.frame()).toEqual(['close', 4001, 'enough']);
    const closes = [];
    let silence;
    while (closes.length < 2) {
      const tick = await viewer.hear('tick', ({ closed }) => closed !== undefined);
      closes.push(...tick.closed.closes);
      ({ silence } = tick);
    }
    expect(closes).toEqual(expect.arrayContaining([
      expect.objectContaining({ cause: 'CLOSED_BY_END', code: 4001, reason: 'enough', initiator: 'local', route: '/chat' }),
      expect.objectContaining({
        cause: 'ERR_FIN_WITHOUT_CLOSE', code: 1006, initiator: 'transport', route: '/chat', openFor: expect.any(Number), silentFor: expect.any(Number),
      }),
    ]));
    const totals = silence.map(({ initiator, counts }) => [initiator, counts.reduce((sum, count) => sum + count)]);
    expect(Object.fromEntries(totals)).toMatchObject({ transport: 1, local: 1 });
    // Who comes later is told of them, too.
    expect((await (await Viewer.open(port)).hear('hello')).closes).toHaveLength(2);
  });

  test('nothing while it has asked for a pause', async () => {
    const port = listen(createApp().inspect('/_ferrows'));
    const [paused, other] = [await Viewer.open(port), await Viewer.open(port)];
    paused.send({ type: 'pause', isPaused: true });
    // An answer, behind which the pause holds.
    paused.send({ type: 'query', limit: 7, offset: 3 });
    await paused.hear('rows', ({ offset }) => offset === 3);
    const ticks = [];
    paused.socket.on('message', (data) => ticks.push(JSON.parse(data).type));
    for (let count = 0; count < 2; count++) await other.hear('tick', ({ closed }) => closed !== undefined);
    expect(ticks).toEqual([]);
    paused.send({ type: 'pause', isPaused: false });
    await paused.hear('tick');
  });

  test.each([
    'no JSON', '5', 'null', '{}', '{"type":"query","sort":"password"}', '{"type":"query","limit":100000}', '{"type":"query","offset":-1}',
    '{"type":"query","search":5}', '{"type":"query","limit":1.5}',
  ])('%s is refused with 1008', async (text) => {
    const port = listen(createApp().inspect('/_ferrows'));
    const viewer = await Viewer.open(port);
    viewer.socket.send(text);
    expect((await viewer.closed)[0]).toBe(1008);
  });

  test('an app that closes, or shuts down, takes its pages along', async () => {
    for (const end of [(app) => app.close(), (app) => app.shutdown()]) {
      const app = createApp().inspect('/_ferrows');
      const viewer = await Viewer.open(listen(app));
      await viewer.hear('hello');
      end(app);
      expect((await viewer.closed)[0]).toBe(1001);
    }
  });

  test('while nobody looks nothing is subscribed to', async () => {
    const { hasSubscribers } = require('node:diagnostics_channel');
    const port = listen(createApp().inspect('/_ferrows'));
    expect(hasSubscribers('ferrows:websocket:close')).toBe(false);
    const viewer = await Viewer.open(port);
    await viewer.hear('hello');
    expect(hasSubscribers('ferrows:websocket:close')).toBe(true);
    viewer.socket.close();
    await viewer.closed;
    expect(hasSubscribers('ferrows:websocket:close')).toBe(false);
  });
});

test('over TLS the page asks for its WebSocket in the same way', async () => {
  const { certificate } = require('../helpers/certificates.js');
  const app = uWS.SSLApp({ threads: 1, ...certificate() }).inspect('/_ferrows');
  afterTest(() => app.close());
  const port = listen(app);
  const { ca } = certificate();
  const request = require('node:https').request({ host: '127.0.0.1', port, path: '/_ferrows/ticket', method: 'POST', ca, agent: false });
  request.end();
  const [response] = await once(request, 'response');
  const [body] = await once(response.setEncoding('utf8'), 'data');
  const socket = new WebSocket(`wss://127.0.0.1:${port}/_ferrows/live?ticket=${JSON.parse(body).ticket}`, { ca });
  afterTest(() => socket.terminate());
  const [data] = await once(socket, 'message');
  expect(JSON.parse(data).type).toBe('hello');
});
