'use strict';

// A private cluster of Redis servers for one test.

const { freePort } = require('./broker.js');
const { RedisServer } = require('./redis-server.js');

const pause = () => new Promise((resolve) => { setTimeout(resolve, 50); });
const LAST_SLOT = 16383;

/** The slot of a key without braces: CRC16 (XMODEM), by the specification. */
function slotOf(key) {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  }
  return crc & LAST_SLOT;
}

/** Arguments of a node that meets no others. Its second port would be that of clients plus 10,000, which may be too large. */
const clusterArgs = async () => ['--cluster-enabled', 'yes', '--cluster-port', await freePort()];

/** Masters that share the slots evenly; with `replicas`, each has one. */
class RedisCluster {
  /** Starts one with so many masters. */
  static async start({ masters = 3, replicas = false, args = [] } = {}) {
    const cluster = new RedisCluster();
    const run = async () => {
      const own = await clusterArgs();
      return Object.assign(await RedisServer.start(...own, '--cluster-node-timeout', 1000, ...args), { clusterPort: own.at(-1) });
    };
    cluster.masters = [];
    cluster.replicas = [];
    for (let index = 0; index < masters; index++) cluster.masters.push(await run());
    if (replicas) for (let index = 0; index < masters; index++) cluster.replicas.push(await run());
    await cluster.#join();
    return cluster;
  }

  get #servers() {
    return [...this.masters, ...this.replicas];
  }

  async #join() {
    const { masters, replicas } = this;
    const first = (index) => Math.ceil((index * (LAST_SLOT + 1)) / masters.length);
    for (const [index, master] of masters.entries()) {
      await master.command('CLUSTER', 'ADDSLOTSRANGE', first(index), first(index + 1) - 1);
      // Each has an epoch of its own, as `redis-cli --cluster create` has it.
      await master.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    }
    const [{ port, clusterPort }] = masters;
    for (const server of this.#servers.slice(1)) await server.command('CLUSTER', 'MEET', '127.0.0.1', port, clusterPort);
    const knowsAll = async (server) => {
      const info = await server.command('CLUSTER', 'INFO');
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${this.#servers.length}`);
    };
    await this.#all(knowsAll);
    for (const [index, replica] of replicas.entries()) {
      await replica.command('CLUSTER', 'REPLICATE', await id(masters[index]));
    }
    for (const replica of replicas) {
      while (!(await replica.command('INFO', 'replication')).includes('master_link_status:up')) await pause();
    }
    // A node tells its clients of replicas once it has heard of them.
    const count = this.#servers.length;
    await this.#all(async (server) => (await server.command('CLUSTER', 'SLOTS')).split('127.0.0.1').length - 1 === count);
  }

  async #all(holds, servers = this.#servers) {
    for (const server of servers) while (!await holds(server)) await pause();
  }

  get url() {
    return `redis-cluster://127.0.0.1:${this.masters[0].port}`;
  }

  /** Topics of a name, one for each master. */
  topics(name) {
    const { masters } = this;
    return masters.map((_, index) => {
      for (let number = 0; ; number++) {
        if (Math.floor((slotOf(`${name}:topic-${number}`) * masters.length) / (LAST_SLOT + 1)) === index) return `topic-${number}`;
      }
    });
  }

  /** Moves a slot, as `redis-cli --cluster reshard` does. */
  async move(slot, from, to) {
    const [source, target] = [await id(from), await id(to)];
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target);
    await to.command('CLUSTER', 'SETSLOT', slot, 'NODE', target);
    await from.command('CLUSTER', 'SETSLOT', slot, 'NODE', target);
    for (const master of this.masters) {
      if (master !== from && master !== to) await master.command('CLUSTER', 'SETSLOT', slot, 'NODE', target);
    }
  }

  /** Waits until these nodes say that a server is master. */
  async promoted(server) {
    while (!(await server.command('ROLE')).includes('master')) await pause();
  }
}

async function id(server) {
  return (await server.command('CLUSTER', 'MYID')).split('\r\n')[1];
}

module.exports = { RedisCluster, clusterArgs, slotOf };
