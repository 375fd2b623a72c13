'use strict';

// A private Redis master with a replica, and the sentinels that decide which is which.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { freePort } = require('./broker.js');
const { afterTest } = require('./cleanup.js');
const { RedisServer, exchange } = require('./redis-server.js');

const pause = () => new Promise((resolve) => { setTimeout(resolve, 50); });

/** Sentinels of the master `mymaster`. */
class SentinelSite {
  #folder = mkdtempSync(join(tmpdir(), 'ferrows-sentinel-'));
  #password;
  #tls;
  #sentinels = [];

  /**
   * Starts two servers, with further arguments, and three sentinels that know of each other, with further lines of their
   * file, and the password that these set. With `tls`, which has names of files, they speak TLS with each other, and have a
   * port for others that do.
   */
  static async start({ args = [], directives = [], password, tls } = {}) {
    const site = new SentinelSite();
    site.#password = password;
    site.#tls = tls;
    afterTest(() => site.#discard());
    const master = await site.#serve(...args);
    const replica = await site.#serve(...args, '--replicaof', `127.0.0.1 ${master.watched}`, '--repl-diskless-sync-delay', 0);
    site.servers = [master, replica];
    for (let index = 0; index < 3; index++) await site.#watch(master.watched, directives);
    await site.#settle();
    return site;
  }

  async #serve(...args) {
    const port = this.#tls && await freePort();
    const server = await RedisServer.start(...args, ...this.#secure(port).flatMap(([name, value]) => [`--${name}`, value]));
    // Where sentinels and replicas find it.
    server.watched = port ?? server.port;
    return server;
  }

  /** What a server or a sentinel needs in order to speak TLS on a port. */
  #secure(port) {
    if (this.#tls === undefined) return [];
    const { cert_file_name, key_file_name, ca_file_name } = this.#tls;
    return [
      ['tls-port', port], ['tls-replication', 'yes'], ['tls-auth-clients', 'no'],
      ['tls-cert-file', cert_file_name], ['tls-key-file', key_file_name], ['tls-ca-cert-file', ca_file_name],
    ];
  }

  async #watch(master, directives) {
    const port = await freePort();
    const named = this.#tls ? await freePort() : port;
    const file = join(this.#folder, `${port}.conf`);
    writeFileSync(file, [
      `port ${port}`, 'bind 127.0.0.1', `dir ${this.#folder}`, ...this.#secure(named).map((words) => words.join(' ')),
      `sentinel monitor mymaster 127.0.0.1 ${master} 2`, 'sentinel down-after-milliseconds mymaster 500',
      'sentinel failover-timeout mymaster 2000', ...directives, '',
    ].join('\n'));
    const child = spawn('redis-server', [file, '--sentinel'], { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#sentinels.push({ port, named, child });
  }

  /** Waits until the sentinels know each other, and the replica. */
  async #settle() {
    for (const { port } of this.#sentinels) {
      for (;;) {
        const answer = await this.#ask(port, 'SENTINEL', 'MASTER', 'mymaster').catch(() => '');
        const fields = answer.split('\r\n');
        const value = (name) => fields[fields.indexOf(name) + 2];
        if (value('num-slaves') === '1' && value('num-other-sentinels') === '2') break;
        await pause();
      }
    }
  }

  /** The url; `first` is a sentinel that is named before the others. */
  url(first) {
    const own = this.#sentinels.map(({ named }) => `${this.#tls ? 'localhost' : '127.0.0.1'}:${named}`);
    return `${this.#tls ? 'rediss' : 'redis'}-sentinel://${[...(first === undefined ? [] : [first]), ...own].join(',')}/mymaster`;
  }

  /** Sends a command to the last sentinel. */
  command(...words) {
    return this.#ask(this.#sentinels.at(-1).port, ...words);
  }

  #ask(port, ...words) {
    return exchange(port, ...(this.#password === undefined ? [] : [['AUTH', this.#password]]), words);
  }

  /** The server that the sentinels call the master. */
  async master() {
    const answer = await this.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
    const port = Number(answer.split('\r\n')[4]);
    return this.servers.find((server) => server.watched === port);
  }

  /** Waits until another server than this is the master. */
  async failover(old) {
    while (await this.master() === old) await pause();
  }

  /** Ends a sentinel at once. */
  async end(index) {
    const { child } = this.#sentinels[index];
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async #discard() {
    for (const index of this.#sentinels.keys()) await this.end(index);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

module.exports = { SentinelSite };
