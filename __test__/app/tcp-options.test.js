'use strict';

// How the system watches over connections: keep-alive and TCP_USER_TIMEOUT. That the options reach the socket as they are
// meant is read back in src/io/transport.rs; here it is seen what the system makes of them.

const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const uWS = require('../..');
const { ClosingServer, closed } = require('../helpers/closing-server.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');
const { RESPONSE_FACTS } = require('../helpers/facts.js');

const onLinux = process.platform === 'linux' ? test : test.skip;
const HOUR = 3600;

/** The server's end of a connection in the list of the system: which timer runs, and for how many seconds more. */
function timerOf(client) {
  const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');
  const [local, remote] = [client.socket.remotePort, client.socket.localPort].map((port) => `0100007F:${hex(port)}`);
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').map((line) => line.trim().split(/\s+/));
  const [, , , , , timer] = rows.find((row) => row[1] === local && row[2] === remote);
  const [kind, ticks] = timer.split(':').map((text) => parseInt(text, 16));
  return { kind, seconds: ticks / 100 };
}

/** A client that was served, and waits. */
async function connect(options) {
  const app = createApp({ threads: 1, ...options }).get('/', (res) => res.end());
  const client = await RawClient.connect(listen(app));
  await client.get('/');
  return client;
}

const KEEP_ALIVE = 2;

onLinux('keepAlive: the system has its timer run, from keepAliveInitialDelay', async () => {
  const { kind, seconds } = timerOf(await connect({ keepAlive: true, keepAliveInitialDelay: HOUR * 1000 }));
  expect(kind).toBe(KEEP_ALIVE);
  expect(seconds).toBeLessThanOrEqual(HOUR);
  expect(seconds).toBeGreaterThan(HOUR / 2);
});

onLinux('keepAlive: without keepAliveInitialDelay the time is that of the system', async () => {
  const system = Number(readFileSync('/proc/sys/net/ipv4/tcp_keepalive_time', 'latin1'));
  const { kind, seconds } = timerOf(await connect({ keepAlive: true }));
  expect(kind).toBe(KEEP_ALIVE);
  expect(seconds).toBeLessThanOrEqual(system);
  expect(seconds).toBeGreaterThan(system / 2);
});

onLinux('keepAlive: off by default, whatever its times are', async () => {
  expect(timerOf(await connect({ keepAliveInitialDelay: 1000 })).kind).not.toBe(KEEP_ALIVE);
});

onLinux('keepAlive holds for WebSockets, on every thread', async () => {
  const opened = new Mailbox();
  const app = createApp({ threads: 2, keepAlive: true }).ws('/*', { open: () => opened.put() });
  const port = listen(app);
  for (let count = 0; count < 2; count++) {
    const client = await RawWebSocket.open(port);
    await opened.take();
    expect(timerOf(client).kind).toBe(KEEP_ALIVE);
  }
});

// No packet need be lost for this: the system also gives up a peer that has closed its window for that long.
onLinux('tcpUserTimeout: a WebSocket whose peer takes nothing ends with ERR_TRANSPORT_TIMED_OUT', async () => {
  const behavior = { idleTimeout: 0, maxBackpressure: 0, open: (ws) => ws.send(Buffer.alloc(50_000_000), true) };
  const app = createApp({ threads: 1, tcpUserTimeout: 500 });
  const server = new ClosingServer(behavior, app);
  const client = await RawWebSocket.open(server.port);
  client.pause();
  const reason = 'Connection timed out: peer stopped acknowledging';
  await server.expectOneClose(closed(1006, reason, 'ERR_TRANSPORT_TIMED_OUT', 'transport', false));
});

onLinux('tcpUserTimeout: a response whose client takes nothing is aborted with ERR_TRANSPORT_TIMED_OUT', async () => {
  const aborts = new Mailbox();
  const app = createApp({ threads: 1, tcpUserTimeout: 500, responseTimeout: 0 }).get('/', (res) => {
    res.onAborted((reason, info) => aborts.put({ reason, info }));
    res.write('x'.repeat(50_000_000));
  });
  const client = await RawClient.connect(listen(app));
  client.pause();
  await client.send(request('GET', '/'));
  expect(await aborts.take()).toEqual({
    reason: 'Connection timed out: peer stopped acknowledging',
    info: { cause: 'ERR_TRANSPORT_TIMED_OUT', initiator: 'transport', wasClean: false, ...RESPONSE_FACTS },
  });
});

describe('a peer that vanishes without a word', () => {
  const NAMESPACE = ['--map-root-user', '--net'];
  /** Taking a peer off the network needs a network of one's own, which not every machine lets one have. */
  const canVanish = spawnSync('unshare', [...NAMESPACE, 'ip', 'link', 'set', 'lo', 'up']).status === 0;
  const onPrivateNetwork = canVanish ? test : test.skip;
  const TIMED_OUT = { code: 1006, reason: 'Connection timed out: peer stopped acknowledging', cause: 'ERR_TRANSPORT_TIMED_OUT' };

  /** What the close handler was told of it; nothing if it was not called for as long as that takes. */
  function lose(options, ...message) {
    const program = join(__dirname, '../fixtures/vanishing-peer.js');
    const command = [...NAMESPACE, process.execPath, program, JSON.stringify(options), ...message];
    const { stdout, stderr } = spawnSync('unshare', command, { timeout: 8000, killSignal: 'SIGKILL', encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout === '' ? undefined : JSON.parse(stdout);
  }

  onPrivateNetwork('tcpUserTimeout: what is sent to it is not waited for any longer', () => {
    expect(lose({ tcpUserTimeout: 1000 }, 'hello')).toEqual(TIMED_OUT);
  });

  onPrivateNetwork('keepAlive: it is missed, although nothing is sent to it', () => {
    expect(lose({ keepAlive: true, keepAliveInitialDelay: 1000, keepAliveInterval: 1000, keepAliveProbes: 2 })).toEqual(TIMED_OUT);
  });

  onPrivateNetwork('with neither of them it is waited for', () => {
    expect(lose({}, 'hello')).toBeUndefined();
  });
});

describe('options', () => {
  const LONGEST = 32_767_000;

  test.each([
    { keepAlive: true, keepAliveInitialDelay: 1, keepAliveInterval: 1, keepAliveProbes: 1, tcpUserTimeout: 1 },
    { keepAlive: false, keepAliveInitialDelay: LONGEST, keepAliveInterval: LONGEST, keepAliveProbes: 127, tcpUserTimeout: 2 ** 31 - 1 },
    { keepAlive: undefined, keepAliveInitialDelay: undefined, keepAliveInterval: 0, keepAliveProbes: 0, tcpUserTimeout: 0 },
  ])('%j are served', async (options) => {
    expect((await connect(options)).socket.readyState).toBe('open');
  });

  test.each([
    ['keepAlive', 1, 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['keepAlive', 'yes', 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['keepAliveInitialDelay', '1000', 'TypeError', 'ERR_INVALID_ARG_TYPE'],
    ['keepAliveInitialDelay', LONGEST + 1, 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['keepAliveInterval', -1, 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['keepAliveProbes', 128, 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['tcpUserTimeout', 0.5, 'RangeError', 'ERR_OUT_OF_RANGE'],
    ['tcpUserTimeout', 2 ** 31, 'RangeError', 'ERR_OUT_OF_RANGE'],
  ])('%s: %p is refused', (name, value, type, code) => {
    const message = expect.stringContaining(name);
    expect(() => uWS.App({ [name]: value })).toThrow(expect.objectContaining({ name: type, code, message }));
  });
});
