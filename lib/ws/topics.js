'use strict';

// The topics of one server. Subscriptions are the addon's; those of WebSockets that are still being handed over are here.

const { native, readable } = require('../runtime/border.js');

/** How many servers have topics. */
let count = 0;

class Topics {
  /** What the addon's names begin with, so that they are no other server's. */
  #prefix;
  /** By topic: who will be subscribed once it is handed over. */
  #waiting = new Map();

  constructor() {
    count += 1;
    this.#prefix = `${count}:`;
  }

  /** The addon's name of a topic. */
  nameOf(topic) {
    if (typeof topic === 'string') return this.#prefix + topic;
    throw Object.assign(new TypeError('topic must be a string'), { code: 'ERR_INVALID_ARG_TYPE' });
  }

  /** `ws` has a call of `subscribe` in its queue. */
  addWaiting(topic, ws) {
    if (!this.#waiting.has(topic)) this.#waiting.set(topic, new Set());
    this.#waiting.get(topic).add(ws);
  }

  /** That was run, or taken back. */
  removeWaiting(topic, ws) {
    const waiting = this.#waiting.get(topic);
    if (waiting?.delete(ws) && waiting.size === 0) this.#waiting.delete(topic);
  }

  /** Returns whether anybody is subscribed. */
  publish(topic, payload, binary, compress) {
    const isHeard = native.wsBroadcast(undefined, this.nameOf(topic), readable(payload), binary, compress);
    const waiting = this.#waiting.get(topic);
    for (const ws of waiting ?? []) ws.send(payload, { binary, compress });
    return isHeard || waiting !== undefined;
  }
}

module.exports = { Topics };
