'use strict';

const uWS = require('../..');
const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');
const { createApp, listen } = require('./server.js');

/**
 * A listener for `uWS.setLogger`, and what it heard. Records of one I/O thread come in order, and the apps of
 * `createApp` share one: what a record tells of has been told when a later one comes.
 */
class Log {
  #records = new Mailbox();

  /** Listens from now on; without a level, once {@link listenTo} is called. Ends after the test. */
  constructor(level) {
    this.listener = (record) => this.#records.put(record);
    if (level !== undefined) this.listenTo(level);
  }

  /** Listens to records up to `level`. */
  listenTo(level) {
    uWS.setLogger(level, this.listener);
    afterTest(() => uWS.setLogger('off'));
  }

  /** How many records were heard and not taken. */
  get size() {
    return this.#records.size;
  }

  /** The next record. */
  take() {
    return this.#records.take();
  }

  /** The records up to the first that has this message, and for which `matches` holds. */
  async until(message, matches = () => true) {
    const records = [];
    for (;;) {
      const record = await this.take();
      records.push(record);
      if (record.message === message && matches(record)) return records;
    }
  }

  /** All records of what has happened so far. Listens to `info` afterwards. */
  async rest() {
    this.listenTo('info');
    const address = `127.0.0.1:${listen(createApp())}`;
    const records = await this.until('listening', ({ fields }) => fields.address === address);
    return records.slice(0, -1);
  }
}

module.exports = { Log };
