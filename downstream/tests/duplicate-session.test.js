'use strict';

// A client with a live WebSocket opens a second one with the same session id. Engine.IO up to 6.6.0 closes the response
// and upgrades it all the same; with uWebSockets.js that throws, and so it does here. 6.6.1 does not try any more.

const assert = require('node:assert/strict');
const { dirname } = require('node:path');

const { closeFrame, Program, RawClient, RawWebSocket, test } = require('../helpers/project.js');

const TEXT = 'uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after a successful '
  + 'response. See documentation for uWS.HttpResponse and consult the user manual.';

const OLD = [
  ['Engine.IO 6.6.0', require.resolve('engine.io-6.6.0')],
  ['Engine.IO 6.5, that of Socket.IO 4.7', require.resolve('engine.io', { paths: [dirname(require.resolve('socket.io-4.7'))] })],
];
const NEW = [['Engine.IO', require.resolve('engine.io')]];

/** Echoes messages, counts connections, and says what ends them and which errors nobody caught. */
function serverOf(path) {
  return `
    const { uServer } = require(${JSON.stringify(path)});
    const errors = [];
    process.on('unhandledRejection', (error) => errors.push([error.message, error.code]));
    process.on('uncaughtException', (error) => errors.push(['uncaught: ' + error.message]));
    const engine = new uServer({ upgradeTimeout: 100 });
    engine.on('connection', (socket) => {
      socket.on('message', (text) => {
        if (text === 'report') say({ errors, clients: engine.clientsCount });
        else socket.send(text);
      });
      socket.on('close', (reason) => say({ reason, errors }));
    });
    const app = uWS.App();
    engine.attach(app);
    app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
  `;
}

const PATH = '/engine.io/?EIO=4&transport=';

/** A server in a process of its own, and its port. */
async function start(path) {
  const program = new Program(serverOf(path));
  return { program, port: await program.hear() };
}

/** A session that began by polling and is upgraded. */
async function openUpgraded(port) {
  const polling = await RawClient.connect(port);
  const [, sid] = /"sid":"([^"]+)"/.exec((await polling.get(`${PATH}polling`)).text);
  const raw = await RawWebSocket.open(port, { path: `${PATH}websocket&sid=${sid}` });
  raw.sendText('2probe');
  assert.deepEqual(await raw.frame(), ['text', '3probe']);
  raw.sendText('5');
  await expectEcho(raw, 'upgraded');
  return { raw, sid };
}

/** A session that is a WebSocket from the beginning. */
async function openDirectly(port) {
  const raw = await RawWebSocket.open(port, { path: `${PATH}websocket` });
  const [, sid] = /"sid":"([^"]+)"/.exec((await raw.frame())[1]);
  return { raw, sid };
}

async function expectEcho(raw, text) {
  raw.sendText(`4${text}`);
  assert.deepEqual(await raw.frame(), ['text', `4${text}`]);
}

/** What the server has to report, after it has handled all that came before. */
async function report(program, raw) {
  raw.sendText('4report');
  return program.hear();
}

for (const [name, path] of OLD) {
  test(`${name}: a second WebSocket of an upgraded session throws the text of uWebSockets.js, and the first lives on`, async () => {
    const { program, port } = await start(path);
    const { raw, sid } = await openUpgraded(port);
    for (let count = 1; count <= 3; count++) {
      await assert.rejects(RawWebSocket.open(port, { path: `${PATH}websocket&sid=${sid}` }), /the connection ended/);
      const { errors, clients } = await report(program, raw);
      assert.deepEqual(errors, new Array(count).fill([TEXT, 'ERR_HTTP_RESPONSE_CLOSED']));
      assert.equal(clients, 1);
      await expectEcho(raw, 'still here');
    }
    raw.finish();
    assert.equal((await program.hear()).reason, 'transport close');
    // And the process serves others.
    await expectEcho((await openUpgraded(port)).raw, 'next');
  });
}

for (const [name, path] of NEW) {
  test(`${name}: a second WebSocket of an upgraded session is refused, nothing is thrown, and the first lives on`, async () => {
    const { program, port } = await start(path);
    const { raw, sid } = await openUpgraded(port);
    for (let count = 1; count <= 3; count++) {
      await assert.rejects(RawWebSocket.open(port, { path: `${PATH}websocket&sid=${sid}` }), /the connection ended/);
      assert.deepEqual(await report(program, raw), { errors: [], clients: 1 });
      await expectEcho(raw, 'still here');
    }
    raw.finish();
    assert.deepEqual(await program.hear(), { reason: 'transport close', errors: [] });
  });
}

for (const [name, path] of [...OLD, ...NEW]) {
  test(`${name}: a second WebSocket of a session that was one from the beginning is closed, and the first lives on`, async () => {
    const { program, port } = await start(path);
    const { raw, sid } = await openDirectly(port);
    // Taken for an upgrade that its client does not complete in time.
    const second = await RawWebSocket.open(port, { path: `${PATH}websocket&sid=${sid}` });
    assert.deepEqual(await second.frame(), ['close']);
    second.send(closeFrame(1000));
    assert.deepEqual(await report(program, raw), { errors: [], clients: 1 });
    await expectEcho(raw, 'still here');
    raw.finish();
    assert.deepEqual(await program.hear(), { reason: 'transport close', errors: [] });
  });

  test(`${name}: sessions that are not there are refused with a reason, over both transports`, async () => {
    const { port } = await start(path);
    const polling = await RawClient.connect(port);
    const response = await polling.get(`${PATH}polling&sid=nobody`);
    assert.deepEqual([response.status, JSON.parse(response.text).message], [400, 'Session ID unknown']);
    await assert.rejects(RawWebSocket.open(port, { path: `${PATH}websocket&sid=nobody` }), /400 Bad Request/);
  });
}

test('Engine.IO 6.6.0 kills a process that does not look after rejections, as it does with uWebSockets.js', async () => {
  const source = serverOf(OLD[0][1]).replace(/process\.on\('un.*\n/g, '');
  const program = new Program(source);
  const port = await program.hear();
  const { sid } = await openUpgraded(port);
  await assert.rejects(RawWebSocket.open(port, { path: `${PATH}websocket&sid=${sid}` }));
  const { code, signal, stderr } = await program.end();
  // An ordinary end by an error of JavaScript, with its stack: neither a signal nor an abort.
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /uWS\.HttpResponse must not be accessed[\s\S]*userver\.js/);
});
