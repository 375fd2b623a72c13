// Writes and runs the recipes of docs/bundlers.md.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

import { ROOT, step } from './steps.mjs';

/** How the file of each block is used, and what is made of it. */
const CONFIGURATIONS = {
  'webpack.config.cjs': ['webpack.mjs', 'dist/server.cjs'],
  'rollup.config.mjs': ['node_modules/.bin/rollup --config rollup.config.mjs --silent', 'dist/server.mjs'],
  'vite.config.mjs': ['node_modules/.bin/vite build --logLevel silent', 'dist/server.mjs'],
};
/** The command line of webpack is a package of its own with further dependencies. */
const WEBPACK = `
import webpack from 'webpack';
import options from './webpack.config.cjs';
webpack(options, (error, stats) => {
  if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
});
`;

/**
 * `user` is a folder with the installed package and the programs, `tools` one with the bundlers, `bun` the executable. All
 * of it goes into a new folder, as a user would have it.
 */
export async function checkRecipes({ user, tools, bun, env }) {
  const folder = join(user, '..', 'recipes');
  const modules = join(folder, 'node_modules');
  mkdirSync(modules, { recursive: true });
  for (const name of readdirSync(join(tools, 'node_modules'))) symlinkSync(join(tools, 'node_modules', name), join(modules, name));
  for (const name of readdirSync(join(user, 'node_modules')).filter((entry) => entry.startsWith('ferrows'))) {
    cpSync(join(user, 'node_modules', name), join(modules, name), { recursive: true });
  }
  cpSync(join(user, 'commonjs.cjs'), join(folder, 'server.cjs'));
  cpSync(join(user, 'module.mjs'), join(folder, 'server.mjs'));
  writeFileSync(join(folder, 'webpack.mjs'), WEBPACK);

  const path = [env.PATH, join(modules, '.bin'), dirname(bun)].join(delimiter);
  const place = { cwd: folder, env: { ...env, PATH: path } };
  const blocks = Array.from(readFileSync(join(ROOT, 'docs/bundlers.md'), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms));
  let commands = 0;
  for (const [, language, text] of blocks) {
    if (language === 'sh') {
      const [name, ...args] = text.trim().split(' ');
      await step(name, args, place);
      const output = args.find((arg) => arg.startsWith('--outfile='))?.slice('--outfile='.length) ?? args.at(-1);
      await runs(output, place);
      commands += 1;
    }
  }
  assert.equal(commands, 3);
  for (const [file, [command, output]] of Object.entries(CONFIGURATIONS)) {
    const [, , text] = blocks.find(([, , block]) => block.startsWith(`// ${file}\n`));
    writeFileSync(join(folder, file), text);
    await step(process.execPath, command.split(' '), place);
    await runs(output, place);
  }
  console.log('docs/bundlers.md: what it says works');
}

async function runs(output, place) {
  const path = join(place.cwd, output);
  const { stdout } = await (/js$/.test(output) ? step(process.execPath, [path], place) : step(path, [], place));
  assert.equal(stdout, 'hello\n', output);
}
