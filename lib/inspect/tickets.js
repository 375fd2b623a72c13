'use strict';

const { crypto: { randomBytes } } = require('../loading/builtins.js');

/** How long a ticket is good for, in milliseconds. */
const LIFETIME = 30_000;
/** Tickets that nobody has used yet. */
const MAX = 100;

/**
 * Tickets for the WebSocket of the page: handed out to who may look, good once. A page of another site, from which a
 * browser connects as well, has none.
 */
class Tickets {
  /** When each expires, oldest first. */
  #expiry = new Map();

  issue() {
    const ticket = randomBytes(18).toString('base64url');
    if (this.#expiry.size >= MAX) this.#expiry.delete(this.#expiry.keys().next().value);
    this.#expiry.set(ticket, performance.now() + LIFETIME);
    return ticket;
  }

  /** Whether it is good; it is not from then on. */
  redeem(ticket) {
    const expiry = this.#expiry.get(ticket);
    this.#expiry.delete(ticket);
    return expiry !== undefined && performance.now() < expiry;
  }
}

module.exports = { Tickets };
