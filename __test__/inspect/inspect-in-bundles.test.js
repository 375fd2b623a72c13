'use strict';

/** Where `app.inspect` looks for its files when the code is in a bundle. `npm run test:package` has real bundlers. */

const { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const { afterTest } = require('../helpers/cleanup.js');

const ROOT = join(__dirname, '../..');

/** lib/loading/files.js as a bundle in this folder has it; an ES module has no `__dirname`. */
function filesIn(folder, isModule) {
  const text = readFileSync(join(ROOT, 'lib/loading/files.js'), 'utf8');
  const modules = { './builtins.js': require('../../lib/loading/builtins.js'), './here.js': { url: pathToFileURL(join(folder, 'bundle.mjs')).href } };
  const module = { exports: {} };
  const names = isModule ? ['require', 'module'] : ['require', 'module', '__dirname'];
  new Function(...names, text)((name) => modules[name], module, folder);
  return module.exports;
}

function newFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'ferrows-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  // Deep enough that two folders above nothing of ours lies.
  const dist = join(folder, 'a/b/dist');
  mkdirSync(dist, { recursive: true });
  return dist;
}

test.each([[false], [true]])('in the folder `ferrows` beside the bundle, and an ES module is no exception (%p)', (isModule) => {
  const dist = newFolder();
  const { listPackageFolder, readPackageFile } = filesIn(dist, isModule);
  expect(() => readPackageFile('lib/inspect/page/index.html')).toThrow(/ENOENT/);
  mkdirSync(join(dist, 'ferrows/lib/inspect'), { recursive: true });
  cpSync(join(ROOT, 'lib/inspect/page'), join(dist, 'ferrows/lib/inspect/page'), { recursive: true });
  writeFileSync(join(dist, 'ferrows/package.json'), '{}');
  expect(readPackageFile('lib/inspect/page/index.html').toString()).toContain('<!doctype html>');
  expect(readPackageFile('lib/inspect/page/../../../package.json').toString()).toBe('{}');
  expect(listPackageFolder('lib/inspect/page')).toContain('style.css');
});
