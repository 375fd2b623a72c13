'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const { afterTest } = require('./cleanup.js');

const EXAMPLES = join(__dirname, '../../examples');

/** An example, run as a user would run it, on a free port. Killed after the test. */
class Example {
  /** Starts it and waits for the address that it prints. */
  static async start(file, env = {}) {
    const child = spawn(process.execPath, [join(EXAMPLES, file)], {
      env: { ...process.env, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    afterTest(() => child.kill('SIGKILL'));
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    return new Example(child, line);
  }

  constructor(child, line) {
    /** The process. */
    this.child = child;
    /** The first line it printed. */
    this.line = line;
    /** The port in that line. */
    this.port = Number(/:(\d+)/.exec(line)[1]);
  }

  /** The largest resident set it has had, in bytes. Only on Linux. */
  get peak() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'latin1');
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)[1]) * 1024;
  }
}

module.exports = { Example };
