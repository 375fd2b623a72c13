'use strict';

const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const { afterTest } = require('./cleanup.js');
const { Mailbox } = require('./mailbox.js');

const EXAMPLES = join(__dirname, '../../examples');

/** An example, run as a user would run it, on a free port. Killed after the test. */
class Example {
  /** Starts it and waits for the address that it prints. Rejects with what it wrote to stderr if it ends before. */
  static async start(file, env = {}) {
    const child = spawn(process.execPath, [join(EXAMPLES, file)], {
      env: { ...process.env, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    afterTest(() => child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    const lines = new Mailbox();
    createInterface({ input: child.stdout }).on('line', (line) => lines.put(line));
    child.on('close', (code, signal) => lines.put(new Error(`the example ended (${signal ?? code}): ${stderr}`)));
    const line = await lines.take();
    if (line instanceof Error) throw line;
    return new Example(child, line, lines);
  }

  #lines;

  constructor(child, line, lines) {
    this.#lines = lines;
    /** The process. */
    this.child = child;
    /** The first line it printed. */
    this.line = line;
    /** The port in that line. */
    this.port = Number(/:(\d+)/.exec(line)[1]);
  }

  /** The next line that it prints. Rejects if it ends before. */
  async nextLine() {
    const line = await this.#lines.take();
    if (line instanceof Error) throw line;
    return line;
  }

  /** The largest resident set it has had, in bytes. Only on Linux. */
  get peak() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'latin1');
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)[1]) * 1024;
  }
}

module.exports = { Example };
