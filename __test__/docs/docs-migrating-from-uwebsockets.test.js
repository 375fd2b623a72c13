'use strict';

/**
 * docs/migrating-from-uwebsockets.md shows, for each difference, code for uWebSockets.js and code for Ferrows. Both are
 * taken from the page and run here, on Ferrows: what is said about them is true.
 */

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const WebSocket = require('ws');

const uWS = require('../..');
const { version } = require('../../package.json');
const { afterTest } = require('../helpers/cleanup.js');
const { readGuide, runBlock } = require('../helpers/guide.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { proxyHeader } = require('../helpers/proxy-header.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { KEY, RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen, listenToken } = require('../helpers/server.js');

const sections = readGuide('migrating-from-uwebsockets.md');
const pairs = new Map([...sections].filter(([, blocks]) => blocks.some(({ kind }) => kind !== undefined)));

/** What to do to both sides of a pair, by heading. */
const proofs = new Map();
const prove = (heading, proof) => proofs.set(heading, proof);

/** Runs a block that makes, or adds to, an app; tells what it logs, and which WebSockets opened and closed. */
function run(code, names = {}, wanted = []) {
  const log = new Mailbox();
  const opened = new Mailbox();
  const closed = new Mailbox();
  const app = /^const app\b/m.test(code) ? undefined : createApp();
  if (app !== undefined) {
    const { ws } = app;
    app.ws = (pattern, behavior) => ws.call(app, pattern, {
      ...behavior,
      open: (socket) => [behavior.open?.(socket), opened.put(socket)],
      close: (...args) => [behavior.close?.(...args), closed.put(args.slice(1))],
    });
  }
  const scope = { uWS, log: (value) => log.put(value), ...(app && { app }), ...names };
  const defined = runBlock(code, scope, ['app', ...wanted]);
  afterTest(() => defined.app.close());
  return { ...defined, log, opened, closed };
}

/** The same, listening. */
function serve(...args) {
  const served = run(...args);
  return { ...served, port: listen(served.app) };
}

async function connect(port, options) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, options);
  afterTest(() => socket.terminate());
  const messages = new Mailbox();
  socket.on('message', (data) => messages.put(String(data)));
  const closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)]);
  await once(socket, 'open');
  return { socket, closed, take: () => messages.take() };
}

const turn = () => new Promise(setImmediate);

test('every pair of the page is proved here, and nothing else', () => {
  expect([...pairs.keys()]).toEqual([...proofs.keys()]);
  for (const blocks of pairs.values()) expect(blocks.map(({ kind }) => kind)).toEqual(['before', 'after']);
});

describe('One line', () => {
  const [install, line, dependencies, overrides] = sections.get('One line');

  test('the new name, and the old one, are the whole change', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ferrows-'));
    afterTest(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['ferrows', 'uWebSockets.js']) symlinkSync(join(__dirname, '..', '..'), join(folder, 'node_modules', name));
    const evaluate = (...args) => String(execFileSync(process.execPath, args, { cwd: folder }));
    expect(install.code).toBe('npm install ferrows\n');
    for (const code of [line.code, line.code.replace("'ferrows'", "'uWebSockets.js'")]) {
      expect(evaluate('--eval', `${code}console.log(uWS.App().constructor.name)`)).toBe('uWS.App\n');
    }
    const module = "import { App } from 'uWebSockets.js'; console.log(App().constructor.name)";
    expect(evaluate('--input-type=module', '--eval', module)).toBe('uWS.App\n');
  });

  test('package.json names this version', () => {
    const alias = { 'uWebSockets.js': `npm:ferrows@^${version}` };
    expect(JSON.parse(dependencies.code)).toEqual({ dependencies: alias });
    expect(JSON.parse(overrides.code)).toEqual({ overrides: alias });
  });

  test('what the page says is missing is missing', () => {
    const page = readFileSync(join(__dirname, '../../docs/migrating-from-uwebsockets.md'), 'utf8');
    const [sentence] = page.match(/^\*\*Not there:\*\*[^(]*/m);
    const names = [...sentence.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(names).toEqual(['setTimeout', 'clearTimeout', 'arm']);
    expect(names.filter((name) => name in uWS)).toEqual([]);
  });
});

prove('The reason of a close is never empty', async (before, after) => {
  for (const [code, expected] of [[before, 0], [after, 1]]) {
    const { port, log, closed } = serve(code);
    (await RawWebSocket.open(port)).reset();
    expect((await closed.take())[0]).toBe(1006);
    expect(log.size).toBe(expected);
  }
});

prove('The reason goes on behind the known text', async (before, after) => {
  for (const [code, expected] of [[before, 0], [after, 1]]) {
    const { port, log, closed } = serve(code);
    (await RawWebSocket.open(port)).send('8100'); // not masked
    const [status, , info] = await closed.take();
    expect([status, info.cause]).toEqual([1006, 'ERR_FRAME_UNMASKED']);
    expect(log.size).toBe(expected);
  }
});

prove('Clients are told why', async (before, after) => {
  for (const [code, expected] of [[before, []], [after, ['the message was too big: it would be again', 'try again']]]) {
    const seen = [];
    const app = createApp().ws('/*', { maxPayloadLength: 10, close: (ws, status) => seen.push(status) });
    const port = listen(app);
    const heard = [];
    const clients = [await connect(port), await connect(port)];
    for (const { socket } of clients) runBlock(code, { socket, log: (text) => heard.push(text) });
    clients[0].socket.send('more than ten bytes');
    expect((await clients[0].closed)[0]).toBe(1009);
    app.close();
    expect((await clients[1].closed)[0]).toBe(1001);
    expect(seen).toEqual([1006, 1006]);
    expect(heard).toEqual(expected);
  }
});

prove('Close codes of peers: 1012–1014 and 3000–3999', async (before, after) => {
  for (const [code, moved] of [[before, 'closed with 3001'], [after, 'the client moved on']]) {
    const { port, log } = serve(code);
    for (const [status, text] of [[3001, moved], [1013, 'closed with 1013'], [3999, 'closed with 3999']]) {
      (await RawWebSocket.open(port)).send(closeFrame(status));
      expect(await log.take()).toBe(text);
    }
  }
});

prove('Handshakes and frames are checked', async (before, after) => {
  const port = listen(createApp().ws('/*', {}));
  for (const [code, isServed] of [[before, false], [after, true]]) {
    const client = await RawClient.connect(port);
    runBlock(code, { socket: client.socket });
    const { status } = await client.response();
    expect([status === 101, status >= 400]).toEqual([isServed, !isServed]);
  }
  expect(after).toContain(KEY);
});

prove('Requests are checked before a handler runs', async (before, after) => {
  for (const [code, status] of [[before, 200], [after, 431]]) {
    const { app, port } = serve(code);
    let count = 0;
    app.any('/*', (res) => {
      count += 1;
      res.end();
    });
    const ask = async (...fields) => (await (await RawClient.connect(port)).get('/', ...fields)).status;
    expect([await ask(`X: ${'x'.repeat(7000)}`), await ask(`X: ${'x'.repeat(9000)}`)]).toEqual([200, status]);
    const served = count;
    expect(await ask('Content-Length: 5', 'Transfer-Encoding: chunked')).toBe(400);
    expect(count).toBe(served);
  }
});

prove('Bodies end with the response', async (before, after) => {
  for (const [code, isRead] of [[before, false], [after, true]]) {
    const { app, port, log } = serve(code);
    app.get('/barrier', (res) => res.end());
    const client = await RawClient.connect(port);
    await client.send(`${request('POST', '/upload', ['Content-Length: 10'])}01234`);
    if (!isRead) expect((await client.response()).text).toBe('thanks');
    await client.send('56789');
    if (isRead) expect((await client.response()).text).toBe('thanks');
    // The same connection: it has gone on behind the body.
    expect((await client.get('/barrier')).status).toBe(200);
    expect(log.size).toBe(isRead ? 1 : 0);
    if (isRead) expect(await log.take()).toBe('10 bytes');
  }
});

prove('What you write is checked', async (before, after) => {
  for (const [code, status] of [[before, 200], [after, 400]]) {
    const client = await RawClient.connect(serve(code).port);
    const answer = await client.get('/download?name=a%0d%0aSet-Cookie:x');
    expect([answer.status, answer.values('set-cookie')]).toEqual([status, []]);
    if (status === 400) expect(answer.text).toBe('ERR_HTTP_INVALID_HEADER');
    expect((await client.get('/download?name=a')).values('content-disposition')).toEqual(['attachment; filename=a']);
  }
});

prove('The order of fragments is checked', async (before, after) => {
  for (const [code, expected] of [[before, ['ERR_INVALID_STATE']], [after, ['a long story', 'by the way']]]) {
    // A process of its own, because the handler of the first one throws.
    const program = new Program(`
      process.on('uncaughtException', (error) => say(error.code));
      const app = uWS.App();
      ${code}
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const { socket, take } = await connect(await program.hear());
    socket.send('tell me');
    const heard = [];
    for (const {} of expected) heard.push(await (code === before ? program.hear() : take()));
    expect(heard).toEqual(expected);
  }
});

prove('Errors where the process ended', async (before, after) => {
  const guarded = serve(before, { seconds: 5 });
  await connect(guarded.port);
  expect(guarded.log.size).toBe(0);
  for (const [seconds, codes] of [[5, ['ERR_OUT_OF_RANGE']], [961, ['ERR_OUT_OF_RANGE']], [8, []]]) {
    const { log } = run(after, { seconds });
    expect(log.size).toBe(codes.length);
    for (const code of codes) expect(await log.take()).toBe(code);
  }
  expect(() => uWS.us_listen_socket_close({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
});

prove('Handlers that do not answer', async (before, after) => {
  for (const [code, text] of [[before, 'too late: the process is gone'], [after, 'in time']]) {
    const client = await RawClient.connect(serve(code, { later: setImmediate }).port);
    expect((await client.get('/forgotten')).text).toBe(text);
  }
});

prove('Counting connections', async (before, after) => {
  for (const [code, counts] of [[before, [0, -1]], [after, [1, 0, 1, 0]]]) {
    const { port, log } = serve(code);
    const heard = [];
    for (let time = 0; time < 2; time += 1) {
      const { socket } = await connect(port);
      socket.close();
      for (let count = 0; count < counts.length / 2; count += 1) heard.push(await log.take());
    }
    expect(heard).toEqual(counts);
  }
});

prove('Behind a proxy', async (before, after) => {
  for (const [code, status] of [[before, 400], [after, 200]]) {
    const client = await RawClient.connect(serve(code).port);
    await client.send(proxyHeader({ ip: '203.0.113.7', port: 51966 }));
    const answer = await client.get('/');
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.text).toBe('203.0.113.7 51966');
  }
});

prove('Is it still there?', async (before, after) => {
  for (const code of [before, after]) {
    const queries = new Mailbox();
    const slowQuery = () => new Promise((resolve) => queries.put(resolve));
    const { port, log } = serve(code, { slowQuery });
    const [patient, impatient] = [await RawClient.connect(port), await RawClient.connect(port)];
    await impatient.send(request('GET', '/report'));
    const answerImpatient = await queries.take();
    impatient.reset();
    if (code === after) expect(await log.take()).toBe('ERR_CONNECTION_RESET');
    await patient.send(request('GET', '/report'));
    const answerPatient = await queries.take();
    answerImpatient('nobody reads this');
    answerPatient('the report');
    expect((await patient.response()).text).toBe('the report');
  }
});

prove('The request after an `await`', async (before, after) => {
  for (const code of [before, after]) {
    const client = await RawClient.connect(serve(code, { slowQuery: turn }).port);
    expect((await client.get('/greet?name=Zo%C3%AB')).text).toBe('Hello, Zoë');
  }
});

prove('The body after an `await`', async (before, after) => {
  for (const code of [before, after]) {
    const client = await RawClient.connect(serve(code, { slowQuery: turn }).port);
    await client.send(request('POST', '/notes', [], 'milk'));
    expect((await client.response()).text).toBe('noted: milk');
    await client.send(request('POST', '/notes', [], 'x'.repeat(65537)));
    expect((await client.response()).status).toBe(code === after ? 413 : 200);
  }
});

prove('Pings, pongs and Close frames always get through', async (before, after) => {
  for (const [code, expected] of [[before, [1006, '']], [after, [4001, 'enough']]]) {
    const { port, closed } = serve(code);
    const client = await connect(port);
    client.socket.send('go');
    client.socket.pause();
    await closed.take();
    client.socket.resume();
    expect(await client.closed).toEqual(expected);
  }
});

prove('Slow subscribers', async (before, after) => {
  for (const code of [before, after]) {
    const { app, port, log, opened, isBehind } = serve(code, {}, ['isBehind']);
    const { socket } = await connect(port);
    const ws = await opened.take();
    socket.pause();
    const isLate = () => (code === before ? isBehind(ws) : log.size > 0);
    while (!isLate()) {
      app.publish('news', 'x'.repeat(65536));
      await turn();
    }
    if (code === after) expect(await log.take()).toBe('missed 65536 bytes');
  }
});

// That nothing is ever due then is tested with a clock, in src/protocol/websocket/session/tests/timers.rs.
prove('No idle timeout', async (before, after) => {
  for (const code of [before, after]) {
    const { port, opened } = serve(code);
    await connect(port);
    await opened.take();
  }
});

// When pings go out is tested there, too.
prove('Pings apart from the idle timeout', async (before, after) => {
  for (const code of [before, after]) {
    const { port, opened } = serve(code);
    await connect(port);
    await opened.take();
  }
});

prove('Why `listen` failed', async (before, after) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  afterTest(() => server.close());
  await once(server, 'listening');
  for (const [code, text] of [[before, 'cannot listen'], [after, 'EADDRINUSE']]) {
    expect(await run(code, { port: server.address().port }).log.take()).toBe(text);
  }
});

prove('Text messages', async (before, after) => {
  for (const code of [before, after]) {
    const { socket, take } = await connect(serve(code).port);
    socket.send(Buffer.of(1));
    socket.send('héllo');
    expect(await take()).toBe('HÉLLO');
  }
});

prove('What is going on', async (before, after) => {
  for (const code of [before, after]) {
    const { port, received, closed } = serve(code, {}, ['received']);
    const { socket } = await connect(port);
    for (const text of ['one', 'two', 'three']) socket.send(text);
    socket.close();
    await closed.take();
    expect(received()).toBe(3);
  }
});

prove('Graceful shutdown', async (before, after) => {
  for (const code of [before, after]) {
    const patience = { setTimeout: () => ({ unref() {} }), process: { exit() {} } };
    const { app, log, shutDown } = run(code, patience, ['shutDown']);
    const token = listenToken(app);
    const client = await connect(uWS.us_socket_local_port(token));
    shutDown(token);
    expect(await client.closed).toEqual([1001, 'restarting']);
    if (code === after) expect(await log.take()).toBe('0 connections were cut off');
    expect(uWS.us_socket_local_port(token)).toBe(-1);
  }
});

test.each([...proofs])('%s', async (heading, proof) => {
  const blocks = pairs.get(heading);
  const codeOf = (kind) => blocks.find((block) => block.kind === kind).code;
  await proof(codeOf('before'), codeOf('after'));
});
