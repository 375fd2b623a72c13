'use strict';

// The handlers of one app. They belong to its object, and are found by number only while the app may still serve
// connections, so that they can be garbage-collected afterwards.

const { abi, apps, native, targets } = require('../runtime/border.js');

const { NONE } = abi.absent;

/** The handlers of one app, see above. */
class AppHandlers {
  /** The number of the app. */
  #app;
  /** Handlers and behaviors by route number. */
  #targets = new Map();
  /** Whether the object of the app was garbage-collected. */
  #isOrphan = false;
  filters = [];
  /** The handler of `missingServerName`. */
  nameHandler;
  /** For each attachment to a server of Node's, the function that ends it. */
  attachments = new Set();
  /** Whether it was shut down since it last started to listen. */
  isShuttingDown = false;
  /** Shutdowns that have not ended its connections yet (lib/app/closing.js). */
  pausedShutdowns = new Set();

  /** `owner` is the object of the app. */
  constructor(app, owner) {
    this.#app = app;
    collections.register(owner, app);
  }

  /** Sets the target of the route `number`, and removes that of the route `replaced`, if there is one. */
  set(number, target, replaced) {
    this.remove(replaced);
    this.#targets.set(number, target);
    if (this.#isInUse()) targets[number] = target;
  }

  /** Removes the target of the route `number`, which may be `NONE`. */
  remove(number) {
    this.#targets.delete(number);
    if (number !== NONE) targets[number] = undefined;
  }

  /** The WebSocket routes, as `[number, pattern]`, by pattern. */
  webSocketRoutes() {
    return [...this.#targets].filter(([, target]) => typeof target?.pattern === 'string').map(([number, { pattern }]) => [number, pattern])
      .sort(([, a], [, b]) => (a < b ? -1 : 1));
  }

  /** Registers the app: it may serve connections from now on. */
  register() {
    if (this.#isInUse()) return;
    apps.set(this.#app, this);
    for (const [number, target] of this.#targets) targets[number] = target;
  }

  /** Unregisters the app: it has no connection and no listening socket. */
  unregister() {
    apps.delete(this.#app);
    for (const number of this.#targets.keys()) targets[number] = undefined;
    if (this.#isOrphan) native.appForget(this.#app);
  }

  /** Called when the object of the app was garbage-collected while the app may still serve connections. */
  markOrphaned() {
    this.#isOrphan = true;
  }

  /** Ends all attachments to servers of Node's. */
  detach() {
    for (const detach of this.attachments) detach();
    this.attachments.clear();
  }

  #isInUse() {
    return apps.get(this.#app) === this;
  }
}

/** Notified when the object of an app has been garbage-collected. */
const collections = new FinalizationRegistry((app) => {
  if (apps.has(app)) apps.get(app).markOrphaned();
  else native.appForget(app);
});

/** Called when the last connection of an app has ended. */
function handleEnded(app) {
  apps.get(app)?.unregister();
}

module.exports = { AppHandlers, handleEnded };
