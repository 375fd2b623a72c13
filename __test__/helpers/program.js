'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout } = require('node:timers/promises');

const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');

const ROOT = join(__dirname, '../..');

/** What lies behind the last value of a program. */
const END = Symbol('end');

/**
 * A Node process of its own that runs `source`, for what concerns a whole process: its exit, its warnings, its uncaught
 * exceptions. `uWS` is defined in it, and `say(value)` sends a value to {@link Program#hear}. Killed after the test.
 *
 * `module` makes it an ES module, `env` are further environment variables, `descriptors` is how many it may have open,
 * `stderr` is a descriptor to which it writes its errors, instead of handing them to {@link Program#end}.
 */
class Program {
  #child;
  #said = new Mailbox();
  #stderr = '';
  #exit;

  constructor(source, { module = false, env = {}, descriptors, stderr = 'pipe' } = {}) {
    const prelude = module ? '' : "const uWS = require('ferrows');";
    const say = "const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');";
    const args = [...(module ? ['--input-type=module'] : []), '--eval', `${prelude}${say}${source}`];
    const limit = descriptors === undefined ? [] : ['/bin/sh', '-c', `ulimit -n ${descriptors} && exec "$0" "$@"`];
    const [command, ...rest] = [...limit, process.execPath, ...args];
    const options = { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', stderr] };
    this.#child = spawn(command, rest, options);
    let unfinished = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (unfinished + text).split('\n');
      unfinished = lines.pop();
      lines.forEach((line) => this.#said.put(JSON.parse(line)));
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
    this.#exit = once(this.#child, 'close');
    this.#exit.then(() => this.#said.put(END));
    afterTest(() => this.#child.kill('SIGKILL'));
  }

  /** The next value that the program says; an error if it ends before. */
  async hear() {
    const value = await this.#said.take();
    if (value !== END) return value;
    this.#said.put(END);
    throw new Error(`the program ended without another word: ${this.#stderr}`);
  }

  /** Stops the program where it is, as a paused container is stopped, for so many milliseconds; `meanwhile` runs first. */
  async freeze(milliseconds, meanwhile) {
    this.#child.kill('SIGSTOP');
    // On a busy machine its threads run on for a moment.
    while (!this.#isStopped()) await setTimeout(1);
    await meanwhile();
    await setTimeout(milliseconds);
    this.#child.kill('SIGCONT');
  }

  /** Whether all threads have stopped, where the system tells. */
  #isStopped() {
    const tasks = `/proc/${this.#child.pid}/task`;
    if (process.platform !== 'linux') return true;
    // Behind the name, which may contain anything.
    const state = (id) => readFileSync(`${tasks}/${id}/stat`, 'utf8').split(') ').at(-1)[0];
    try {
      return readdirSync(tasks).every((id) => state(id) === 'T');
    } catch {
      // One of them has just ended.
      return false;
    }
  }

  /** Ends the program at once, as the system does one that takes too much memory. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** How the program ended, once it has: exit code, signal and what it wrote to stderr. */
  async end() {
    const [code, signal] = await this.#exit;
    return { code, signal, stderr: this.#stderr };
  }
}

module.exports = { Program };
