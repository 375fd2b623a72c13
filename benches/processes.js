'use strict';

// The two child processes of a measurement: the server under test and the load client. Both speak one JSON object
// per line; every wait is bounded, and a child that ends early fails it with what the child wrote to stderr.

const { spawn, spawnSync } = require('node:child_process');
const { createInterface } = require('node:readline');
const path = require('node:path');

const PROJECT = path.join(__dirname, '..');
// Longest wait for one line; the longest measurement takes a few seconds.
const PATIENCE_MS = 90_000;
// Longest wait for a child to exit after its stdin was closed.
const FAREWELL_MS = 5_000;

/** A child process that answers line by line. */
class Child {
  #child;
  #name;
  #lines = [];
  #waiting = [];
  #errors = '';
  #ended;

  /** @param {string} [cores] The only ones it may run on, as `taskset --cpu-list` has it. */
  constructor(name, command, args, { env = {}, cores } = {}) {
    const words = [...(cores === undefined ? [] : ['taskset', '--cpu-list', cores]), command, ...args];
    this.#name = name;
    this.#child = spawn(words[0], words.slice(1), { env: { ...process.env, ...env }, stdio: 'pipe' });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#errors += text));
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#arrived(JSON.parse(line)));
    this.#child.stdin.on('error', () => {}); // a dead child's pipe; its 'close' says why it died
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => this.#over(error.message, resolve));
      this.#child.on('close', (code, signal) => this.#over(`ended with ${signal ?? `code ${code}`}`, resolve));
    });
  }

  /** The next line as an object. */
  next() {
    if (this.#lines.length > 0) return this.#settle(this.#lines.shift());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.#name}: silent for ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.#waiting.push((line) => {
        clearTimeout(timer);
        this.#settle(line).then(resolve, reject);
      });
    });
  }

  /** Writes one line to the child's stdin. */
  write(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Ends the child by ending its stdin; by force if that is not enough. */
  async end() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), FAREWELL_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #settle(line) {
    return line instanceof Error ? Promise.reject(line) : Promise.resolve(line);
  }

  #arrived(line) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(line);
    else this.#lines.push(line);
  }

  #over(how, resolve) {
    const error = new Error(`${this.#name}: ${how}${this.#errors && `\n${this.#errors.trimEnd()}`}`);
    for (const waiting of this.#waiting.splice(0)) waiting(error);
    this.#lines.push(error);
    resolve();
  }
}

/** A server of `benches/servers`. */
class Server extends Child {
  port = 0;
  /** Whether it speaks TLS. */
  isSecure = false;
  /** Where its load has to run, if that matters. */
  coresOfLoad;

  /** Starts one for Node, or `bare`, the one that is a mode of the load client. */
  static async start(file, { env, executable, cores }) {
    const options = { env, cores: cores?.server };
    const server =
      file === 'bare'
        ? new Server(file, executable, [file], options)
        : new Server(file, process.execPath, ['--expose-gc', path.join(__dirname, 'servers', file)], options);
    try {
      ({ port: server.port } = await server.next());
      server.isSecure = env.TLS_KEY !== undefined;
      server.coresOfLoad = cores?.load;
      return server;
    } catch (error) {
      await server.end();
      throw error;
    }
  }

  /** Gives an order (see servers/control.js) and waits for the answer. */
  order(order, details = {}) {
    this.write(JSON.stringify({ order, ...details }));
    return this.next();
  }
}

/** A run of the load client against a server. */
class Load extends Child {
  constructor(executable, mode, server, options = {}) {
    const scheme = ['http', 'http3', 'idle-http3', 'handshake'].includes(mode) ? 'http' : 'ws';
    const args = [mode, '--url', `${scheme}${server.isSecure ? 's' : ''}://127.0.0.1:${server.port}/`];
    for (const [name, value] of Object.entries(options)) args.push(`--${name}`, ...(value === true ? [] : [value]));
    super(`ferrows-load ${mode}`, executable, args.map(String), { cores: server.coresOfLoad });
  }

  /** Waits for the line of the given event. */
  async event(name) {
    const line = await this.next();
    if (line.event !== name) throw new Error(`ferrows-load: expected ${name}, got ${JSON.stringify(line)}`);
    return line;
  }
}

/** Whether there are these cores, and taskset to keep a process on them. */
function hasCores({ server, load }) {
  return [server, load].every((cores) => spawnSync('taskset', ['--cpu-list', cores, 'true']).status === 0);
}

/** Whether this program is installed. */
function hasCommand(command) {
  return spawnSync(command, ['--version']).error === undefined;
}

/** Builds the load client unless it is up to date, and returns the path of the executable. */
function buildLoad() {
  const args = ['build', '--release', '--package', 'ferrows-load', '--message-format', 'json-render-diagnostics'];
  const cargo = spawnSync('cargo', args, {
    cwd: PROJECT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (cargo.error) throw cargo.error;
  if (cargo.status !== 0) throw new Error('cargo could not build the load client');
  const messages = cargo.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return messages.find((message) => message.executable && message.target.name === 'ferrows-load').executable;
}

module.exports = { Load, Server, buildLoad, hasCommand, hasCores };
