'use strict';

/** Hands over what handlers report, in order, to whoever waits for it. */
class Mailbox {
  #letters = [];
  #readers = [];

  /** Adds a letter. */
  put(letter) {
    this.#letters.push(letter);
    for (const wake of this.#readers.splice(0)) wake();
  }

  /** The next letter, once there is one. */
  async take() {
    while (this.#letters.length === 0) {
      await new Promise((resolve) => {
        this.#readers.push(resolve);
      });
    }
    return this.#letters.shift();
  }

  /** How many letters nobody has taken. */
  get size() {
    return this.#letters.length;
  }
}

module.exports = { Mailbox };
