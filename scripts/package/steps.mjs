// What the steps of scripts/pack-test.mjs share.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = join(ROOT, 'node_modules', '.bin');
/** The npm that runs this script, the only one that certainly exists. */
const NPM = process.env.npm_execpath;
/** Timeout of one step, in milliseconds. */
const LIMIT = 120_000;

export function npm(args, options) {
  return step(process.execPath, [NPM, ...args], options);
}

/** A tool of the development dependencies. */
export function tool(name, args, cwd) {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
  return step(join(TOOLS, name), args, { cwd, env });
}

/** Runs a command to its end; a failing one is reported with what it printed. */
export async function step(command, args, options) {
  try {
    return await run(command, args, { timeout: LIMIT, ...options });
  } catch (error) {
    throw new Error(`${error.message}\n${error.stdout}`, { cause: error });
  }
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
