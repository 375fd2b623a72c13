'use strict';

// The closes of an app's WebSockets, as they happen, for those who watch.

/** How many are kept for those who come later. */
const KEPT = 200;
/** How many of a second are shown; the rest is counted. */
const SHOWN = 100;

class Closes {
  #kept = [];
  #fresh = [];
  #skipped = 0;

  add(close) {
    if (this.#fresh.length < SHOWN) this.#fresh.push(close);
    else this.#skipped++;
  }

  /** Those since it was called last: `{ closes, skipped }`. */
  take() {
    const taken = { closes: this.#fresh, skipped: this.#skipped };
    this.#kept = [...this.#kept, ...this.#fresh].slice(-KEPT);
    this.#fresh = [];
    this.#skipped = 0;
    return taken;
  }

  get kept() {
    return this.#kept;
  }
}

module.exports = { Closes };
