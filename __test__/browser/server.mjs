/** The example chat as a child process: started, watched by its log lines, ended by a signal. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const EXAMPLE = fileURLToPath(new URL('../../examples/chat/server.js', import.meta.url));

export class ChatServer {
  #child;
  #lines = [];
  #waiting = new Set();
  /** Resolves to `{ code, signal }` when the process has ended. */
  exited;

  /** Starts the example; `port` 0 takes a free one. Resolves when it listens. */
  static async start(port = 0) {
    const server = new ChatServer(port);
    const line = await server.line(/listening on http:\/\/localhost:\d+/);
    server.port = Number(line.match(/:(\d+)$/)[1]);
    server.url = `http://localhost:${server.port}/`;
    return server;
  }

  constructor(port) {
    const env = { ...process.env, PORT: String(port) };
    this.#child = spawn(process.execPath, [EXAMPLE], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(this.#child.stdout).on('line', (line) => this.#read(line));
    this.exited = new Promise((resolve) => this.#child.on('exit', (code, signal) => resolve({ code, signal })));
    this.exited.then(() => this.#giveUp());
  }

  /** The first log line, past or future, that matches; rejects when the process ends without one. */
  line(pattern) {
    const past = this.#lines.find((line) => pattern.test(line));
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => this.#waiting.add({ pattern, resolve, reject }));
  }

  /** Asks the process to end, as an operator would; resolves to how it ended. */
  stop() {
    this.#child.kill('SIGTERM');
    return this.exited;
  }

  /** Ends the process whatever state it is in. */
  kill() {
    this.#child.kill('SIGKILL');
  }

  #read(line) {
    this.#lines.push(line);
    for (const waiter of this.#waiting) {
      if (!waiter.pattern.test(line)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(line);
    }
  }

  #giveUp() {
    for (const { pattern, reject } of this.#waiting) {
      reject(
        new Error(`the server ended without logging ${pattern}; its last lines:\n${this.#lines.slice(-5).join('\n')}`),
      );
    }
  }
}
