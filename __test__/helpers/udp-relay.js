'use strict';

// A relay of datagrams between clients and a port of 127.0.0.1, which loses, doubles and delays them, or forgets from which
// port it has sent, as a NAT does.

const dgram = require('node:dgram');
const { once } = require('node:events');

const { afterTest } = require('./cleanup.js');

class UdpRelay {
  #inside = dgram.createSocket('udp4');
  #outside = new Map();
  #random;
  #held = [];
  #awaited;
  #isClosed = false;
  /** Chance that a datagram is lost, that it comes twice, and that it is held until another one has passed. */
  loss = 0;
  doubling = 0;
  reordering = 0;
  /** Chance that a byte of a datagram is changed. */
  corruption = 0;
  /** Milliseconds that each datagram takes. */
  delay = 0;
  /** Address from which the server is spoken to, from the next {@link rebind} on. */
  address = '127.0.0.1';
  /** Datagrams that went each way, and how many of all were lost, doubled, held or changed. */
  counts = { sent: 0, received: 0, lost: 0, doubled: 0, held: 0, corrupted: 0 };

  /** The first datagram of a client. */
  first = once(this.#inside, 'message').then(([datagram]) => datagram);

  constructor(seed) {
    this.#random = generator(seed);
  }

  /** A relay to this port, whose moods follow from `seed`. Closed after the test. */
  static async start(server, seed = 1) {
    const relay = new UdpRelay(seed);
    relay.#inside.bind(0, '127.0.0.1');
    await once(relay.#inside, 'listening');
    relay.#inside.on('message', (datagram, { port }) => {
      relay.counts.sent += 1;
      relay.#pass(datagram, (it) => relay.#socketOf(port).send(it, server, '127.0.0.1'));
    });
    afterTest(() => relay.#close());
    return relay;
  }

  /** The port for clients. */
  get port() {
    return this.#inside.address().port;
  }

  /** The next datagram of the server. */
  next() {
    return new Promise((resolve) => {
      this.#awaited = resolve;
    });
  }

  /** Goes on from new ports. What the server sends to the old ones is lost. */
  rebind() {
    for (const socket of this.#outside.values()) socket.close();
    this.#outside.clear();
  }

  /** The socket towards the server for a client, which is known by its port. */
  #socketOf(client) {
    if (!this.#outside.has(client)) {
      const socket = dgram.createSocket('udp4');
      if (this.address !== '127.0.0.1') socket.bind(0, this.address);
      socket.on('error', () => {});
      socket.on('message', (datagram) => {
        this.counts.received += 1;
        this.#awaited?.(datagram);
        this.#pass(datagram, (it) => this.#inside.send(it, client, '127.0.0.1'));
      });
      this.#outside.set(client, socket);
    }
    return this.#outside.get(client);
  }

  #pass(datagram, send) {
    if (this.delay === 0) this.#passNow(datagram, send);
    else setTimeout(() => this.#passNow(datagram, send), this.delay);
  }

  #passNow(datagram, send) {
    if (this.#isClosed) return;
    if (this.#random() < this.loss) {
      this.counts.lost += 1;
      return;
    }
    if (this.#random() < this.reordering && this.#held.length < 4) {
      this.counts.held += 1;
      this.#held.push(() => send(datagram));
      return;
    }
    if (this.#random() < this.corruption) {
      this.counts.corrupted += 1;
      datagram[Math.floor(this.#random() * datagram.length)] ^= 0x5a;
    }
    send(datagram);
    if (this.#random() < this.doubling) {
      this.counts.doubled += 1;
      send(datagram);
    }
    for (const late of this.#held.splice(0)) late();
  }

  #close() {
    this.#isClosed = true;
    this.#inside.close();
    this.rebind();
    this.#held = [];
  }
}

/** Numbers from 0 to 1 that follow from `seed` (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

module.exports = { UdpRelay };
