'use strict';

const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../..');
const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');
const { createApp } = require('./server.js');

/** How many ends of logs were marked. */
let marks = 0;

/**
 * A listener for `uWS.setLogger`, and what it heard. Records of one I/O thread come in order, and the apps of
 * `createApp` share one: what a record tells of has been told when a later one comes.
 */
class Log {
  #records = new Mailbox();

  /** Listens from now on; without a level, once {@link listenTo} is called. Ends after the test. */
  constructor(level) {
    this.listener = (record) => {
      // Who drives the sockets depends on how busy the machine is (src/io/reactor.rs).
      if (record.message !== 'the lead has changed') this.#records.put(record);
    };
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
    // Not a port: the system may have given the same to a socket that is closed by now.
    const address = join(tmpdir(), `ferrows-log-${process.pid}-${(marks += 1)}.sock`);
    createApp().listen_unix(() => {}, address);
    const records = await this.until('listening', ({ fields }) => fields.address === address);
    return records.slice(0, -1);
  }
}

module.exports = { Log };
