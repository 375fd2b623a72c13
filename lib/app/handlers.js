'use strict';

// The handlers of one app. They belong to its object, and are found by number only as long as the app may have to serve
// somebody: what nobody can call any more is not kept.

const { abi, apps, native, targets } = require('../runtime/border.js');

const { NONE } = abi.absent;

/** See above. */
class AppHandlers {
  /** The number of the app. */
  #app;
  /** Handlers and behaviors by route number. */
  #targets = new Map();
  /** The object of the app was collected. */
  #isOrphan = false;
  filters = [];
  /** The handler of `missingServerName`. */
  nameHandler;
  /** What ends each attachment to a server of Node's. */
  attachments = new Set();

  /** `owner` is the object of the app. */
  constructor(app, owner) {
    this.#app = app;
    collections.register(owner, app);
  }

  /** The route `number` leads to `target` from now on, and the route `replaced`, if it is one, nowhere. */
  set(number, target, replaced) {
    this.remove(replaced);
    this.#targets.set(number, target);
    if (this.#isInUse()) targets[number] = target;
  }

  /** The route `number` leads nowhere; it may be `NONE`. */
  remove(number) {
    this.#targets.delete(number);
    if (number !== NONE) targets[number] = undefined;
  }

  /** The app may have to serve somebody from now on. */
  begin() {
    if (this.#isInUse()) return;
    apps.set(this.#app, this);
    for (const [number, target] of this.#targets) targets[number] = target;
  }

  /** The app serves nobody, and nobody can come. */
  end() {
    apps.delete(this.#app);
    for (const number of this.#targets.keys()) targets[number] = undefined;
    if (this.#isOrphan) native.appForget(this.#app);
  }

  /** The object of the app was collected, while it may still have to serve somebody. */
  leave() {
    this.#isOrphan = true;
  }

  /** No server of Node's gives the app anything from now on. */
  detach() {
    for (const detach of this.attachments) detach();
    this.attachments.clear();
  }

  #isInUse() {
    return apps.get(this.#app) === this;
  }
}

/** The object of an app, which held its number, was collected. */
const collections = new FinalizationRegistry((app) => {
  if (apps.has(app)) apps.get(app).leave();
  else native.appForget(app);
});

/** The app in the registers serves nobody any more. */
function handleEnded(app) {
  apps.get(app)?.end();
}

module.exports = { AppHandlers, handleEnded };
