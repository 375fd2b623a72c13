'use strict';

// Where `wstest` comes from: the path in FERROWS_WSTEST, or a Python 2.7 environment made on first use in the
// project's ignored .cache/autobahn. Python 2.7 itself has to be there; pyenv can install it.

const { execFileSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const CACHE = path.join(__dirname, '..', '..', '.cache', 'autobahn');
const REQUIREMENTS = path.join(__dirname, 'requirements.txt');
// The last virtualenv release that makes environments for Python 2.7.
const VIRTUALENV = 'virtualenv==20.15.1';
const PYTHON_VERSION = '2.7.18';
const PIP = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
// Downloads and two small C extensions to compile.
const STEP_LIMIT_MS = 10 * 60_000;

/** The path of a `wstest` that runs; makes its environment if it has to. */
function findWstest() {
  const ready = process.env.FERROWS_WSTEST;
  if (ready) {
    if (!existsSync(ready)) throw new Error(`FERROWS_WSTEST: there is no ${ready}`);
    return ready;
  }
  // Holds the requirements that were installed; missing while the environment is unfinished.
  const receipt = path.join(CACHE, 'installed.txt');
  const wanted = `${VIRTUALENV}\n${readFileSync(REQUIREMENTS, 'utf8')}`;
  const venv = path.join(CACHE, 'venv');
  if (!existsSync(receipt) || readFileSync(receipt, 'utf8') !== wanted) {
    makeEnvironment(findPython(), venv);
    writeFileSync(receipt, wanted);
  }
  return path.join(venv, 'bin', 'wstest');
}

function makeEnvironment(python, venv) {
  console.error(`making the Python 2.7 environment of wstest in ${path.relative(process.cwd(), CACHE)}`);
  rmSync(CACHE, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  // virtualenv goes into a folder of its own, so that the Python found stays as it is.
  const bootstrap = path.join(CACHE, 'bootstrap');
  run(python, [...PIP, '--target', bootstrap, VIRTUALENV]);
  run(python, ['-m', 'virtualenv', '--quiet', '--no-download', venv], { PYTHONPATH: bootstrap });
  run(path.join(venv, 'bin', 'python'), [...PIP, '--requirement', REQUIREMENTS]);
}

function run(command, args, env = {}) {
  execFileSync(command, args, {
    env: { ...process.env, PYTHONWARNINGS: 'ignore', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: STEP_LIMIT_MS,
  });
}

/** A Python 2.7 that starts; a pyenv shim may exist without one behind it. */
function findPython() {
  const roots = [process.env.PYENV_ROOT, path.join(os.homedir(), '.pyenv')].filter(Boolean);
  const candidates = ['python2.7', ...roots.map((root) => path.join(root, 'versions', PYTHON_VERSION, 'bin', 'python2.7'))];
  const prefix = output('pyenv', ['prefix', PYTHON_VERSION]);
  if (prefix) candidates.push(path.join(prefix, 'bin', 'python2.7'));
  const found = candidates.find((python) => output(python, ['-c', 'import sys; print(sys.version_info[:2])']) === '(2, 7)');
  if (!found) {
    throw new Error(
      `wstest needs Python 2.7: install it (pyenv install ${PYTHON_VERSION}), or name a ready wstest in FERROWS_WSTEST`,
    );
  }
  return found;
}

/** What a command prints, or null if it cannot be run. */
function output(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

module.exports = { findWstest };
