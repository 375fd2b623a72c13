'use strict';

// Threads and processes that share the topics of a broker.

const { fork } = require('node:child_process');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');

const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');
const { RawWebSocket } = require('./raw-websocket.js');

/** Milliseconds after which it is told what is waited for: the test itself would only say that it took too long. */
const PATIENCE = 60_000;
const PROGRAM = join(__dirname, '../fixtures/broker-thread.js');

/** An app in a thread or process of its own. */
class Member {
  #letters = new Map(['port', 'opened', 'closed', 'result', 'state'].map((kind) => [kind, new Mailbox()]));
  #post;
  #end;

  constructor(post, end) {
    this.#post = post;
    this.#end = end;
    afterTest(() => this.end());
  }

  /**
   * An app in a thread; its WebSockets subscribe to `topics` when they open, and the handler then blocks for `linger`
   * milliseconds.
   */
  static async thread(app, topics, linger) {
    const worker = new Worker(PROGRAM, { workerData: { app, topics, linger } });
    const member = new Member((message) => worker.postMessage(message), () => worker.terminate());
    worker.on('message', (message) => member.#receive(message)).on('error', (error) => member.#receive({ error }));
    return member.#start();
  }

  /** An app in a process. */
  static async process(app, topics, env = {}) {
    const options = { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, ...env } };
    const child = fork(PROGRAM, [JSON.stringify({ app, topics })], options);
    const ended = new Promise((resolve) => { child.on('exit', resolve); });
    const member = new Member((message) => child.send(message), () => {
      child.kill('SIGKILL');
      return ended;
    });
    member.pid = child.pid;
    member.ended = ended;
    child.on('message', (message) => member.#receive(message));
    return member.#start();
  }

  async #start() {
    this.port = await this.#letters.get('port').take();
    return this;
  }

  #receive(message) {
    const [[kind, letter]] = Object.entries(message);
    if (kind === 'error') this.#letters.get('result').put({ error: Object.assign(new Error(letter.message), letter) });
    else this.#letters.get(kind).put(kind === 'result' ? { value: letter } : letter);
  }

  /** Opens a WebSocket, whose number in the thread is its `number`. */
  async enter() {
    const client = await RawWebSocket.open(this.port);
    client.number = await this.#letters.get('opened').take();
    return client;
  }

  /** Lets the thread do something, and returns the result. */
  async order(order, ...args) {
    this.send(order, ...args);
    return this.result();
  }

  /** The result of the next order that was sent. */
  async result() {
    const { error, value } = await this.#letters.get('result').take();
    if (error !== undefined) throw error;
    return value;
  }

  /** The same without waiting for it. */
  send(order, ...args) {
    this.#post({ order, args });
  }

  /** Waits until its broker has this state, and returns the message that says so. */
  async state(wanted) {
    const seen = [];
    const tell = () => console.error(`no state "${wanted}" of a broker after ${PATIENCE} ms; before: ${JSON.stringify(seen)}`);
    const timer = setTimeout(tell, PATIENCE);
    try {
      for (;;) {
        const message = await this.#letters.get('state').take();
        if (message.state === wanted) return message;
        seen.push(message);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it, at any moment. */
  async end() {
    await this.#end();
  }
}

module.exports = { Member, PATIENCE };
