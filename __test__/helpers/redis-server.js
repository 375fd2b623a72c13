'use strict';

// A private Redis server for one test, and a client that speaks to it by hand.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { freePort } = require('./broker.js');
const { afterTest } = require('./cleanup.js');

/** Whether there is a server to start. CI has one, and says that it must be there. */
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis && process.env.FERROWS_BROKERS === 'required') throw new Error('there is no redis-server');
if (!hasRedis) process.stderr.write('There is no redis-server here: the tests that need it are skipped.\n');

/** `describe` of tests that need a server. */
const describeWithRedis = hasRedis ? describe : describe.skip;

/** Sends commands to the server at a port of 127.0.0.1, each when the one before is answered; the last raw answer. */
async function exchange(port, ...commands) {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let answer;
  for (const words of commands) {
    const parts = words.map((word) => Buffer.from(typeof word === 'number' ? String(word) : word));
    socket.write(Buffer.concat([`*${parts.length}\r\n`, ...parts.flatMap((part) => [`$${part.length}\r\n`, part, '\r\n'])]
      .map((piece) => Buffer.from(piece))));
    [answer] = await once(socket, 'data');
  }
  socket.destroy();
  return answer.toString();
}

class RedisServer {
  #args;
  #child;
  #folder = mkdtempSync(join(tmpdir(), 'ferrows-redis-'));

  /** Starts one on a free port of 127.0.0.1 and on a Unix socket; `args` are further ones of the command. */
  static async start(...args) {
    const server = new RedisServer();
    server.port = await freePort();
    server.#args = args;
    afterTest(() => server.#discard());
    await server.run();
    return server;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  get socket() {
    return join(this.#folder, 'redis.sock');
  }

  /** Runs it, again after {@link kill}. */
  async run() {
    const own = ['--port', this.port, '--bind', '127.0.0.1', '--unixsocket', this.socket, '--save', '', '--appendonly', 'no'];
    this.#child = spawn('redis-server', [...own, '--dir', this.#folder, ...this.#args].map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
    let log = '';
    for await (const text of this.#child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      log += text;
      if (log.includes('Ready to accept connections')) break;
    }
    this.#child.stdout.resume();
  }

  /** Ends it at once. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Stops it, until {@link thaw}. */
  freeze() {
    this.#child.kill('SIGSTOP');
  }

  thaw() {
    this.#child.kill('SIGCONT');
  }

  /** Sends one command and returns the raw answer. */
  command(...words) {
    return exchange(this.port, words);
  }

  async #discard() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

module.exports = { RedisServer, describeWithRedis, exchange, hasRedis };
