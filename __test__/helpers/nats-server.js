'use strict';

// A private NATS server for one test, and a client that speaks to it by hand.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { freePort } = require('./broker.js');
const { afterTest } = require('./cleanup.js');

/** Debian has it in /usr/sbin, which is not in everybody's PATH. */
const PROGRAM = ['nats-server', '/usr/sbin/nats-server'].find((program) => spawnSync(program, ['--version']).status === 0);
if (PROGRAM === undefined && process.env.FERROWS_BROKERS === 'required') throw new Error('there is no nats-server');
if (PROGRAM === undefined) process.stderr.write('There is no nats-server here: the tests that need it are skipped.\n');

/** `describe` of tests that need a server. */
const describeWithNats = PROGRAM === undefined ? describe.skip : describe;

class NatsServer {
  #config;
  #child;
  #folder = mkdtempSync(join(tmpdir(), 'ferrows-nats-'));

  /** Starts one on a free port of 127.0.0.1; `config` are further lines of its configuration. */
  static async start(...config) {
    const server = new NatsServer();
    server.port = await freePort();
    server.#config = config;
    afterTest(() => server.#discard());
    await server.run();
    return server;
  }

  /** Starts several that know each other. */
  static async cluster(count, ...config) {
    const ports = [];
    while (ports.length < count) ports.push(await freePort());
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`);
    const servers = await Promise.all(ports.map((port) => NatsServer.start(
      `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }`, ...config,
    )));
    for (const server of servers) await server.#joined(count);
    return servers;
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Runs it, again after {@link kill}. */
  async run() {
    const file = join(this.#folder, 'config');
    writeFileSync(file, [`listen: "127.0.0.1:${this.port}"`, ...this.#config].join('\n'));
    this.#child = spawn(PROGRAM, ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    for await (const text of this.#child.stderr.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      log += text;
      if (log.includes('Server is ready')) break;
    }
    if (!log.includes('Server is ready')) throw new Error(log);
    this.#child.stderr.resume();
  }

  /** Waits until a client is told of all servers of the cluster. */
  async #joined(count) {
    for (;;) {
      const socket = net.connect(this.port, '127.0.0.1').setEncoding('utf8');
      const [info] = await once(socket, 'data');
      socket.destroy();
      if (JSON.parse(info.slice('INFO '.length)).connect_urls?.length === count) return;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }

  /** Ends it at once. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Tells it to send its clients away (lame duck mode). */
  drain() {
    const { status, stderr } = spawnSync(PROGRAM, ['--signal', `ldm=${this.#child.pid}`]);
    if (status !== 0) throw new Error(stderr.toString());
  }

  /** Stops it, until {@link thaw}. */
  freeze() {
    this.#child.kill('SIGSTOP');
  }

  thaw() {
    this.#child.kill('SIGCONT');
  }

  /** A client that has said who it is (`options` of CONNECT). */
  async client(options = {}) {
    const client = new NatsClient(net.connect(this.port, '127.0.0.1'), options);
    await client.settled();
    return client;
  }

  async #discard() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Speaks by hand. */
class NatsClient {
  #socket;
  #received = '';

  constructor(socket, options) {
    afterTest(() => socket.destroy());
    this.#socket = socket.on('error', () => {});
    socket.on('data', (data) => { this.#received += data.toString('latin1'); });
    this.send(`CONNECT ${JSON.stringify({ verbose: false, headers: true, protocol: 1, ...options })}\r\n`);
  }

  send(...pieces) {
    this.#socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
  }

  publish(subject, payload) {
    const bytes = Buffer.from(payload);
    this.send(`PUB ${subject} ${bytes.length}\r\n`, bytes, '\r\n');
  }

  /** The server has handled everything. Returns what it has sent so far, as latin1. */
  async settled() {
    const before = this.#received.split('PONG\r\n').length;
    this.send('PING\r\n');
    while (this.#received.split('PONG\r\n').length === before) await once(this.#socket, 'data');
    return this.#received;
  }

  /** Waits until it has received a text. Returns everything so far, as latin1. */
  async received(text) {
    while (!this.#received.includes(text)) await once(this.#socket, 'data');
    return this.#received;
  }
}

module.exports = { NatsServer, describeWithNats };
