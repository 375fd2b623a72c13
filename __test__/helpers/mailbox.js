'use strict';

/** Hands over what handlers report, in order, to whoever waits for it. */
class Mailbox {
  #letters = [];
  #reader = () => {};

  /** Adds a letter. */
  put(letter) {
    this.#letters.push(letter);
    this.#reader();
  }

  /** The next letter, once there is one. */
  async take() {
    while (this.#letters.length === 0) {
      await new Promise((resolve) => {
        this.#reader = resolve;
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
