'use strict';

// A process that is stopped for a while (a paused container, a virtual machine that moves, a laptop) takes the time in which
// it did not look for nobody's silence. What the clocks do is simulated in src/io/watch.rs and in the tests of the sessions.

const { once } = require('events');
const net = require('net');
const tls = require('tls');

const { certificate } = require('../helpers/certificates.js');
const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawServer, granted, serverFrame } = require('../helpers/raw-server.js');
const { RawWebSocket, closeFrame, frame } = require('../helpers/raw-websocket.js');

/** Longer, in milliseconds, than all the times that the program gives. Those are long because a busy machine takes seconds to connect all. */
const FROZEN = 14_000;

/** Serves, and connects to `talking` and `silent`; whatever ends too early is said. */
const source = (talking, silent) => `
  const times = ['headersTimeout', 'keepAliveTimeout', 'bodyTimeout', 'responseTimeout', 'handshakeTimeout'];
  const options = { threads: 1, ...Object.fromEntries(times.map((name) => [name, 10_000])) };
  const { key_file_name, cert_file_name } = ${JSON.stringify(certificate())};
  const apps = [uWS.App(options), uWS.App(options), uWS.SSLApp({ ...options, key_file_name, cert_file_name })];

  const onAborted = (cause) => say('aborted: ' + cause);
  const close = (ws, code, reason, { cause }) => say('closed: ' + cause);
  const echo = (ws, message) => ws.send(message, true);
  const listen = (app) => new Promise((resolve) => {
    app.get('/', (res) => { res.end('served'); });
    app.get('/large', (res) => { res.onAborted(onAborted).end(Buffer.alloc(32 << 20)); });
    app.get('/begin', (res) => { begin().then(() => res.end('begun')); res.onAborted(onAborted); });
    app.post('/', (res) => {
      let length = 0;
      res.onAborted(onAborted).onData((chunk, isLast) => {
        length += chunk.byteLength;
        if (length === 10) say('begun');
        if (isLast) res.end(String(length));
      });
    });
    app.ws('/pinged', { idleTimeout: 12, message: echo, close });
    app.ws('/unasked', { idleTimeout: 12, sendPingsAutomatically: false, message: echo, close });
    app.ws('/ended', { message: (ws) => ws.end(4000, 'bye') });
    app.listen('127.0.0.1', 0, (token) => resolve(uWS.us_socket_local_port(token)));
  });
  const begin = async () => {
    const settings = { idleTimeout: 12, sendPingsAutomatically: false, message: (ws, message) => say(Buffer.from(message) + ''), close };
    uWS.connect('${silent.url}', settings, { connectTimeout: 10_000 }).then(() => say('connected'), (error) => say(error.message));
    await uWS.connect('${talking.url}', settings);
    apps[1].shutdown({ timeout: 10_000 }).then(({ forced }) => say(forced + ' forced'));
  };
  Promise.all(apps.map(listen)).then(say);
`;

const unlessWindows = process.platform === 'win32' ? test.skip : test;

unlessWindows('a process that was stopped ends nobody for what it could not hear', async () => {
  const [talking, silent] = [await RawServer.start(granted), await RawServer.start()];
  const program = new Program(source(talking, silent));
  const [port, ending, secure] = await program.hear();

  const [late, halfHead, kept, upload, large, last] = await Promise.all(
    [port, port, port, port, port, ending].map((where) => RawClient.connect(where)),
  );
  const secured = net.connect(secure, '127.0.0.1');
  afterTest(() => secured.destroy());
  await once(secured, 'connect');
  const webSockets = ['/pinged', '/unasked', '/pinged', '/ended'].map((path) => RawWebSocket.open(port, { path }));
  const [talker, unasked, quiet, ended] = await Promise.all(webSockets);
  large.pause();
  large.send(request('GET', '/large'));
  await kept.get('/');
  for (const client of [upload, last]) {
    await client.send(`${request('POST', '/', ['Content-Length: 20000']).split('\r\n\r\n')[0]}\r\n\r\n${'x'.repeat(10)}`);
    expect(await program.hear()).toBe('begun');
  }
  await halfHead.send('GET / HTTP/1.1\r\nHo');
  ended.sendText('now');
  expect(await ended.frame()).toEqual(['close', 4000, 'bye']);
  expect((await kept.get('/begin')).text).toBe('begun');
  const [peer, waiting] = await Promise.all([talking.peer(), silent.peer()]);
  const upgrade = await waiting.request();

  let handshake;
  await program.freeze(FROZEN, async () => {
    await late.send(request('GET', '/'));
    await halfHead.send('st: x\r\n\r\n');
    await kept.send(request('GET', '/'));
    for (const client of [upload, last]) await client.send('x'.repeat(19_990));
    large.resume();
    handshake = tls.connect({ socket: secured, ca: certificate().ca, servername: 'localhost' });
    for (const client of [talker, unasked]) client.sendText('alive');
    ended.send(closeFrame(4000, 'bye'));
    waiting.send(granted(upgrade));
    peer.send(serverFrame(1, 'alive, too'));
  });

  await once(handshake, 'secureConnect');
  for (const client of [late, halfHead, kept]) expect((await client.response()).text).toBe('served');
  for (const client of [upload, last]) expect((await client.response('POST')).text).toBe('20000');
  expect((await large.response()).body.length).toBe(32 << 20);
  for (const client of [talker, unasked]) expect(await client.frame()).toEqual(['binary', Buffer.from('alive')]);
  expect(await ended.rest()).toEqual({ frames: [], end: 'FIN' });
  // It could not be asked while the process was stopped.
  expect(await quiet.frame()).toEqual(['ping', '']);
  quiet.send(frame('pong'));
  const said = [await program.hear(), await program.hear(), await program.hear()];
  expect(said.sort()).toEqual(['0 forced', 'alive, too', 'connected']);
});
