'use strict';

// `attach`: an HTTP server of Node's hands the upgrades that match a `ws` route of an app to the app, and no others.

const { typeError } = require('../runtime/errors.js');

/** The `Attachment` of each server. */
const attachments = new WeakMap();

/**
 * The apps of one server. Its other 'upgrade' listeners must not see a request that an app has taken, because many
 * answer requests that they do not know. No listener can stop an event, so the server's `emit` is replaced while an app
 * is attached.
 */
class Attachment {
  #server;
  #apps = [];
  #emit;
  #hadOwn;

  constructor(server) {
    this.#server = server;
    this.#hadOwn = Object.hasOwn(server, 'emit');
    this.#emit = server.emit;
    server.emit = this.emit;
    server.on('upgrade', this.refuse);
  }

  static of(server) {
    if (!attachments.has(server)) attachments.set(server, new Attachment(server));
    return attachments.get(server);
  }

  add(app) {
    this.#apps.push(app);
  }

  /** Removes one entry of an app. Without entries the server gets its own `emit` back. */
  remove(app) {
    const index = this.#apps.indexOf(app);
    if (index >= 0) this.#apps.splice(index, 1);
    if (this.#apps.length > 0) return;
    attachments.delete(this.#server);
    this.#server.off('upgrade', this.refuse);
    // Other code may have replaced `emit` since, with a function that calls this one.
    if (this.#server.emit !== this.emit) return;
    if (this.#hadOwn) this.#server.emit = this.#emit;
    else delete this.#server.emit;
  }

  /** Replaces the server's `emit`. */
  emit = (...args) => {
    const [event, request, socket, head] = args;
    const isTaken = event === 'upgrade' && this.#apps.some((app) => app.handleUpgrade(request, socket, head, { passOn: true }));
    return isTaken || Reflect.apply(this.#emit, this.#server, args);
  };

  /**
   * The 'upgrade' listener: refuses a request that no route takes, unless the server has other listeners. Without any
   * listener Node would not emit the event.
   */
  refuse = (request, socket, head) => {
    if (this.#server.listenerCount('upgrade') === 1) this.#apps[0].handleUpgrade(request, socket, head);
  };
}

function attach(server, app) {
  const isEmitter = typeof server === 'object' && server !== null
    && ['on', 'off', 'emit', 'listenerCount'].every((name) => typeof server[name] === 'function');
  if (!isEmitter) {
    const message = 'server must be an http.Server or https.Server: what `app.listen()` of Express returns, `fastify.server`';
    throw typeError('ERR_INVALID_ARG_TYPE', message);
  }
  const attachment = Attachment.of(server);
  attachment.add(app);
  let isAttached = true;
  return () => {
    if (isAttached) attachment.remove(app);
    isAttached = false;
  };
}

module.exports = { attach };
