'use strict';

// listen_unix with permissions, and listen on sockets that somebody else has bound: what docs/deployment.md builds on.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const isWindows = process.platform === 'win32';
const root = join(__dirname, '..', '..');

/** A folder that is removed after the test. */
function freshFolder() {
  const folder = fs.mkdtempSync(join(tmpdir(), 'ferrows-listen-'));
  afterTest(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** How `listen` or `listen_unix` went. */
function attempt(app, method, ...args) {
  let outcome;
  app[method](...(method === 'listen' ? [...args, callback] : [callback, ...args]));
  return outcome;

  function callback(token, error) {
    outcome = { token, error };
  }
}

(isWindows ? describe.skip : describe)('listen_unix: who may connect', () => {
  const { gid } = fs.statSync(freshTemporary());

  function freshTemporary() {
    const folder = fs.mkdtempSync(join(tmpdir(), 'ferrows-group-'));
    afterAll(() => fs.rmdirSync(folder));
    return folder;
  }

  test.each([
    [undefined, 0o700],
    [null, 0o700],
    [{}, 0o700],
    [{ mode: 0o660 }, 0o660],
    [{ mode: 0o777, group: gid }, 0o777],
    [{ mode: 0 }, 0],
  ])('%j: permissions and group are those, whatever the umask is, and nothing else lies there', async (options, mode) => {
    const folder = freshFolder();
    const path = join(folder, 'socket');
    const before = process.umask(0o077);
    const { token } = attempt(createApp().get('/', (res) => res.end('served')), 'listen_unix', path, options);
    process.umask(before);
    expect(token).not.toBe(false);
    const stats = fs.statSync(path);
    expect([stats.isSocket(), stats.mode & 0o777]).toEqual([true, mode]);
    if (options?.group !== undefined) expect(stats.gid).toBe(gid);
    expect(fs.readdirSync(folder)).toEqual(['socket']);
    if ((mode & 0o200) !== 0) expect((await (await RawClient.connect({ path })).get('/')).text).toBe('served');
    uWS.us_listen_socket_close(token);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test('a group by its name', () => {
    let name;
    try {
      name = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
    } catch {
      return; // The group has no name here.
    }
    const path = join(freshFolder(), 'socket');
    expect(attempt(createApp(), 'listen_unix', path, { mode: 0o660, group: name }).token).not.toBe(false);
    expect(fs.statSync(path).gid).toBe(process.getgid());
  });

  test('an unknown group is a failure, and leaves nothing behind', () => {
    const folder = freshFolder();
    const { token, error } = attempt(createApp(), 'listen_unix', join(folder, 'socket'), { group: 'no such group' });
    expect([token, error.code, error.message]).toEqual([false, 'EINVAL', expect.stringContaining('"no such group"')]);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  test.each([
    [5, 'ERR_INVALID_ARG_TYPE', 'options'],
    [{ mode: '0660' }, 'ERR_INVALID_ARG_TYPE', 'mode'],
    // Decimal, by mistake.
    [{ mode: 660 }, 'ERR_OUT_OF_RANGE', 'mode'],
    [{ mode: -1 }, 'ERR_OUT_OF_RANGE', 'mode'],
    [{ group: true }, 'ERR_INVALID_ARG_TYPE', 'group'],
    [{ group: -1 }, 'ERR_OUT_OF_RANGE', 'group'],
    [{ group: 2 ** 32 - 1 }, 'ERR_OUT_OF_RANGE', 'group'],
  ])('%j throws %s', (options, code, name) => {
    const failure = failureOf(() => createApp().listen_unix(() => {}, join(freshFolder(), 'socket'), options));
    expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(name)]);
  });
});

(isWindows ? describe.skip : describe)('listen({ fd })', () => {
  /** A socket that Node listens on, and its descriptor. */
  async function bound(...where) {
    const server = net.createServer().listen(...where);
    afterTest(() => server.close());
    await once(server, 'listening');
    return { server, fd: server._handle.fd };
  }

  const answering = (text) => createApp().get('/', (res) => res.end(text));

  test('accepts on a TCP socket that somebody else has bound', async () => {
    const { server, fd } = await bound(0, '127.0.0.1');
    const { port } = server.address();
    const { token } = attempt(answering('taken over'), 'listen', { fd });
    expect(uWS.us_socket_local_port(token)).toBe(port);
    // Both accept. Who is not served by us is not served at all.
    server.on('connection', (socket) => socket.destroy());
    server.unref();
    const texts = await Promise.allSettled(Array.from({ length: 50 }, async () => (await (await RawClient.connect(port)).get('/')).text));
    expect(new Set(texts.map(({ value }) => value))).toContain('taken over');
  });

  test('accepts on a Unix socket, whose file stays when it closes', async () => {
    const path = join(freshFolder(), 'socket');
    const { fd } = await bound(path);
    const { token } = attempt(answering('x'), 'listen', { fd });
    expect(uWS.us_socket_local_port(token)).toBe(-1);
    uWS.us_listen_socket_close(token);
    expect(fs.existsSync(path)).toBe(true);
  });

  test('a copy: the descriptor stays open, and may be closed', async () => {
    const program = new Program(`
      const fs = require('node:fs');
      const app = uWS.App({ threads: 1 }).get('/', (res) => res.end('served'));
      const server = require('net').createServer().listen(0, '127.0.0.1', () => {
        const { fd } = server._handle;
        app.listen({ fd }, (token) => {
          say(uWS.us_socket_local_port(token));
          server.close(() => say('closed'));
        });
      });
    `);
    const port = await program.hear();
    expect(await program.hear()).toBe('closed');
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
  });

  test.each([
    ['a number that names nothing', () => 1_000_000, 'EBADF'],
    ['a file', () => openFile(), 'ENOTSOCK'],
  ])('%s is a failure', (_, descriptor, code) => {
    const { token, error } = attempt(createApp(), 'listen', { fd: descriptor() });
    expect([token, error.code, error.syscall]).toEqual([false, code, 'listen']);
  });

  test('a connection is a failure', async () => {
    const port = listen(createApp());
    const client = await RawClient.connect(port);
    const { token, error } = attempt(createApp(), 'listen', { fd: client.socket._handle.fd });
    expect([token, error.code]).toEqual([false, 'EINVAL']);
  });

  function openFile() {
    const fd = fs.openSync(__filename);
    afterTest(() => fs.closeSync(fd));
    return fd;
  }

  test.each([
    [{}, 'ERR_INVALID_ARG_TYPE'],
    [{ fd: '3' }, 'ERR_INVALID_ARG_TYPE'],
    [{ fd: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ fd: 1.5 }, 'ERR_OUT_OF_RANGE'],
  ])('%j throws %s', (options, code) => {
    expect(failureOf(() => createApp().listen(options, () => {})).code).toBe(code);
  });

  const activate = '/usr/bin/systemd-socket-activate';
  (fs.existsSync(activate) ? test : test.skip)('serves the sockets that systemd passes', async () => {
    const path = join(freshFolder(), 'socket');
    const port = await freePort();
    const source = `
      const uWS = require(${JSON.stringify(root)});
      const passed = Number(process.env.LISTEN_PID) === process.pid ? Number(process.env.LISTEN_FDS) : 0;
      const app = uWS.App({ threads: 1 }).get('/', (res) => res.end('activated ' + passed));
      for (let fd = 3; fd < 3 + passed; fd++) app.listen({ fd }, (token, error) => { if (!token) throw error; });
    `;
    const child = spawn(activate, ['-l', `127.0.0.1:${port}`, '-l', path, process.execPath, '--eval', source]);
    afterTest(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
    // It listens by then.
    while (!said.includes(`${path} as 4`)) await once(child.stderr, 'data');
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('activated 2');
    expect((await (await RawClient.connect({ path })).get('/')).text).toBe('activated 2');
  });

  async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    await new Promise((resolve) => { server.close(resolve); });
    return port;
  }
});

test('a worker of node:cluster ends after shutdown once its channel is closed', async () => {
  const program = new Program(`
    const cluster = require('cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary({ execArgv: [], exec: ${JSON.stringify(join(__dirname, '../fixtures/cluster-worker.js'))} });
      const worker = cluster.fork();
      worker.on('message', (message) => { say(message); worker.process.kill('SIGTERM'); });
      worker.on('exit', (code, signal) => say({ code, signal }));
    }
  `);
  expect(await program.hear()).toBe('ready');
  expect(await program.hear()).toEqual({ code: 0, signal: null });
});
