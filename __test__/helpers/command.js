'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');

const { bin } = require('../../package.json');

const ROOT = join(__dirname, '../..');
const FERROWS = join(ROOT, bin.ferrows);

/** Has `process.dlopen` fail, as it does on machines without an addon. */
const NO_ADDON = 'data:text/javascript,process.dlopen = () => { throw new Error("no addon here"); }';

/**
 * Runs the program `ferrows` as `npx ferrows` does, but without an addon to load. Resolves to what it wrote and to its exit
 * code, and with `--json` to that as an object. `started` gets the child.
 */
async function ferrows(args, { started = () => {}, node = [] } = {}) {
  const child = spawn(process.execPath, [...node, '--import', NO_ADDON, FERROWS, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  }
  const closed = once(child, 'close');
  started(child, output);
  const [code, signal] = await closed;
  const json = args.includes('--json') && output.stdout !== '' ? JSON.parse(output.stdout) : undefined;
  return { code, signal, ...output, json };
}

/** The same for one of its commands, in this process: `run` is the function of it, `terminal` has the properties of stderr. */
async function runHere(run, args, terminal = {}) {
  const output = { stdout: '', stderr: '' };
  const stream = (name) => ({
    ...(name === 'stderr' ? terminal : {}),
    write: (text) => {
      output[name] += text;
    },
  });
  const code = await run(args, { stdout: stream('stdout'), stderr: stream('stderr') });
  return { code, ...output, json: args.includes('--json') ? JSON.parse(output.stdout) : undefined };
}

module.exports = { ferrows, runHere };
