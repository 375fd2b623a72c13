'use strict';

// What the pages that are open are told: numbers once a second, closes as they happen, and the connections that each of them
// shows. While no page is open there is no timer, no subscription, and nothing is kept but the last closes.

const { perf_hooks: { monitorEventLoopDelay, performance } } = require('../loading/builtins.js');

const { watchCloses } = require('../runtime/channels.js');
const { histogramsOf, statsOf } = require('../app/stats.js');
const { behaviorOf } = require('../websocket/websocket.js');
const { Closes } = require('./closes.js');
const { listWebSockets, readQuery } = require('./connections.js');
const { cutOffs } = require('../knowledge/cut-offs.js');

/** Between two reports, in milliseconds. */
const INTERVAL = 1000;
/** The event loop is looked at this often, in milliseconds. */
const RESOLUTION = 10;
const MAX_VIEWERS = 16;
const NANOSECONDS = 1e6;

class Feed {
  #app;
  #owner;
  #closes = new Closes();
  /** `{ query, isPaused }` by the WebSocket of the page. */
  #viewers = new Map();
  #timer;
  #unwatch;
  #delay;
  #utilization;

  #version;

  /** `app` is the number of the app, `owner` its handlers, `version` that of the package. */
  constructor(app, owner, version) {
    this.#version = version;
    this.#app = app;
    this.#owner = owner;
  }

  get isFull() {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  open(ws) {
    if (this.#viewers.size === 0) this.#start();
    this.#viewers.set(ws, { query: readQuery({}), isPaused: false });
    send(ws, { type: 'hello', version: this.#version, node: process.version, pid: process.pid, closes: this.#closes.kept, cutOffs: knownCutOffs() });
    this.#report(ws, this.#counts(), undefined);
  }

  /** A page wants something: an object that came as JSON. Returns false if it is no such thing. */
  hear(ws, text) {
    const viewer = this.#viewers.get(ws);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return false;
    }
    if (viewer === undefined || typeof message !== 'object' || message === null) return false;
    if (message.type === 'pause') {
      viewer.isPaused = message.isPaused === true;
    } else if (message.type === 'query') {
      const query = readQuery(message);
      if (query === undefined) return false;
      viewer.query = query;
      send(ws, this.#rows(query));
    } else {
      return false;
    }
    return true;
  }

  close(ws) {
    this.#viewers.delete(ws);
    if (this.#viewers.size === 0) this.#stop();
  }

  #start() {
    this.#unwatch = watchCloses(({ ws, code, reason, info }) => {
      const behavior = behaviorOf(ws);
      // Channels are those of the process.
      if (behavior.owner === this.#owner) this.#closes.add({ ...info, at: Date.now(), code, reason, route: behavior.pattern });
    });
    // Not every runtime has it.
    this.#delay = monitorEventLoopDelay?.({ resolution: RESOLUTION });
    this.#delay?.enable();
    this.#utilization = performance.eventLoopUtilization?.();
    this.#timer = setInterval(() => this.#tick(), INTERVAL);
    this.#timer.unref?.();
  }

  #stop() {
    clearInterval(this.#timer);
    this.#unwatch();
    this.#delay?.disable();
    this.#closes.take();
  }

  #tick() {
    const measured = this.#measure();
    this.#delay?.reset();
    const closes = this.#closes.take();
    for (const ws of this.#viewers.keys()) this.#report(ws, measured, closes);
  }

  #report(ws, measured, closes) {
    const viewer = this.#viewers.get(ws);
    if (viewer.isPaused) return;
    // A page that does not keep up gets the next one.
    if (ws.getBufferedAmount() > 0) return;
    send(ws, { ...measured, closed: closes });
    send(ws, this.#rows(viewer.query));
  }

  #counts() {
    return { type: 'tick', at: Date.now(), stats: statsOf(this.#app), silence: histogramsOf(this.#app).silence };
  }

  #measure() {
    const now = performance.eventLoopUtilization?.();
    const busy = now && performance.eventLoopUtilization(now, this.#utilization).utilization;
    this.#utilization = now;
    const delay = this.#delay;
    return {
      ...this.#counts(), busy,
      // The timer that it measures with is part of what it measures.
      delay: delay?.count > 0 ? { mean: loopDelay(delay.mean), max: loopDelay(delay.max) } : undefined,
    };
  }

  #rows(query) {
    return { type: 'rows', ...listWebSockets(this.#app, this.#owner, query) };
  }
}

function loopDelay(nanoseconds) {
  return Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION);
}

function knownCutOffs() {
  try {
    return cutOffs().filter(({ seconds }) => seconds !== undefined).map(({ product, seconds }) => ({ product, seconds }));
  } catch {
    // The pages of docs/ are missing, as in a bundle.
    return [];
  }
}

function send(ws, message) {
  ws.send(JSON.stringify(message));
}

module.exports = { Feed };
