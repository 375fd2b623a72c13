'use strict';

// Where the clients of HTTP/3 run: aioquic in a process of Python (http3_client.py).

const { spawn, spawnSync } = require('node:child_process');
const net = require('node:net');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const PYTHON = process.env.PYTHON ?? 'python3';
const SCRIPT = join(__dirname, 'http3_client.py');

/** Paths of sockets at which such processes listen for more than one test file, with commas between them (over-http3/run.js). */
const SHARED = process.env.FERROWS_HTTP3_CLIENTS?.split(',');

/** Whether there is a client to start. CI has one, and says that it must be there. */
const hasAioquic = SHARED !== undefined || spawnSync(PYTHON, ['-c', 'import aioquic']).status === 0;
if (!hasAioquic && process.env.FERROWS_AIOQUIC === 'required') throw new Error('there is no aioquic');
if (!hasAioquic) process.stderr.write('There is no aioquic here (pip install aioquic): the tests that need it are skipped.\n');

/** The process, which all connections of a test file share. */
class Http3Program {
  static #shared;
  #input;
  #end;
  #replies = new Map();
  #next = 0;
  /** Those who hear events, by the names of their connections: `take(event)`. */
  connections = new Map();

  static shared() {
    Http3Program.#shared ??= new Http3Program();
    return Http3Program.#shared;
  }

  static end() {
    Http3Program.#shared?.#end();
  }

  constructor() {
    let output;
    if (SHARED !== undefined) {
      this.#input = net.connect(SHARED[((process.env.JEST_WORKER_ID ?? 1) - 1) % SHARED.length]);
      output = this.#input;
      this.#end = () => this.#input.destroy();
    } else {
      const child = spawn(PYTHON, ['-B', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
      this.#input = child.stdin;
      output = child.stdout;
      this.#end = () => child.kill('SIGKILL');
    }
    this.#input.on('error', () => {});
    createInterface({ input: output }).on('line', (line) => this.#take(JSON.parse(line)));
    output.on('close', () => {
      for (const { reject } of this.#replies.values()) reject(new Error('the client has ended'));
    });
  }

  #take(message) {
    if (message.n === undefined) {
      this.connections.get(message.c)?.take(message);
      return;
    }
    const { resolve, reject } = this.#replies.get(message.n);
    this.#replies.delete(message.n);
    if (message.error === undefined) resolve(message);
    else reject(Object.assign(new Error(message.error), message));
  }

  /** Sends a command, and resolves to its reply. */
  send(command) {
    const n = this.#next++;
    const reply = new Promise((resolve, reject) => {
      this.#replies.set(n, { resolve, reject });
    });
    this.#input.write(`${JSON.stringify({ n, ...command })}\n`);
    return reply;
  }
}

// Not in the constructor, which is called within tests.
if (globalThis.afterAll !== undefined) afterAll(() => Http3Program.end());

module.exports = { Http3Program, PYTHON, SCRIPT, hasAioquic };
