'use strict';

// `attach`: an HTTP server of Node's gives an app the upgrades that one of its `ws` routes takes, and no others.

const { typeError } = require('../runtime/errors.js');

/** What is attached to a server. */
const attachments = new WeakMap();

/**
 * The apps of one server. Its listeners of 'upgrade' must not see what an app has taken: many answer what they do not know. No
 * listener can keep an event from the others, so the server's `emit` is replaced while an app is attached.
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

  /** One of its entries. The last one takes everything back. */
  remove(app) {
    const index = this.#apps.indexOf(app);
    if (index >= 0) this.#apps.splice(index, 1);
    if (this.#apps.length > 0) return;
    attachments.delete(this.#server);
    this.#server.off('upgrade', this.refuse);
    // Somebody else may have replaced it since, and calls this one.
    if (this.#server.emit !== this.emit) return;
    if (this.#hadOwn) this.#server.emit = this.#emit;
    else delete this.#server.emit;
  }

  /** Stands for the server's `emit`, whose arguments it has. */
  emit = (...args) => {
    const [event, request, socket, head] = args;
    const isTaken = event === 'upgrade' && this.#apps.some((app) => app.handleUpgrade(request, socket, head, { passOn: true }));
    return isTaken || Reflect.apply(this.#emit, this.#server, args);
  };

  /** What no route takes is for the other listeners; without any it is refused. Node asks for upgrades only if somebody listens. */
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
