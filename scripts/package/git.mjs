// `npm install git+https://…` of the repository: with Rust it builds the addon, without it fails and says why. So do
// pnpm and Yarn, by another script.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { npm, readJson, ROOT, step } from './steps.mjs';

export async function checkInstallFromGit(work, env) {
  // The stand-in for `cargo` is a shell script.
  if (process.platform === 'win32') return;
  const bin = join(work, 'git-bin');
  mkdirSync(bin);
  const withGit = { ...env, PATH: [bin, env.PATH, process.env.PATH].join(delimiter) };
  const cargo = (exitCode) => writeFileSync(join(bin, 'cargo'), `#!/bin/sh\nexit ${exitCode}\n`, { mode: 0o755 });
  cargo(127);
  const repository = makeRepository(join(work, 'repository'));

  const checkout = join(work, 'checkout');
  await checkCheckout(repository, checkout, withGit);
  const folder = join(work, 'git-user');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const install = ['install', `git+file://${repository}`, '--no-audit', '--no-fund'];
  await assert.rejects(npm(install, { cwd: folder, env: withGit }), /Rust is needed to build Ferrows/);
  console.log('from Git without Rust: the installation fails and says why');

  cargo(0);
  await npm(install, { cwd: folder, env: withGit });
  await step(process.execPath, ['--eval', "require('ferrows').App().close()"], { cwd: folder, env: withGit });
  console.log('from Git with Rust: builds and loads');

  // pnpm and Yarn pack a clone in this way.
  const { stdout } = await npm(['pack', '--json'], { cwd: checkout, env: withGit });
  const files = JSON.parse(stdout.slice(stdout.indexOf('[\n')))[0].files.map(({ path }) => path);
  assert.ok(files.some((path) => path.endsWith('.node')), `no addon among ${files}`);
  console.log('a package of a checkout: has the addon');
}

/** `npm install` in a checkout neither builds nor needs Rust. */
async function checkCheckout(repository, folder, env) {
  execFileSync('git', ['clone', '--quiet', repository, folder]);
  await npm(['install', '--no-audit', '--no-fund'], { cwd: folder, env });
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.node')), []);
}

/**
 * A repository with the files of this one. A real build would take minutes, and the development dependencies some more, so
 * that its `build` has but to copy what is built here.
 */
function makeRepository(folder) {
  const options = { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 };
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], options).split('\0').filter(Boolean);
  for (const file of files.filter((name) => existsSync(join(ROOT, name)))) cpSync(join(ROOT, file), join(folder, file));

  const manifest = readJson(join(folder, 'package.json'));
  assert.match(manifest.scripts.build, /^napi build /);
  manifest.scripts.build = `node -e "fs.cpSync('${addon()}', './' + path.basename('${addon()}'))"`;
  delete manifest.devDependencies;
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), '{ "name": "ferrows", "lockfileVersion": 3, "packages": {} }');
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  for (const args of [['init', '--quiet'], ['add', '--all'], [...identity, 'commit', '--quiet', '--message', 'all']]) {
    execFileSync('git', args, { cwd: folder });
  }
  return folder;
}

function addon() {
  return join(ROOT, readdirSync(ROOT).find((name) => /^ferrows\..*\.node$/.test(name)));
}
