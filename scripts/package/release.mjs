// What a release consists of: a package for each platform, and the main one that names them all.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { npm, readJson, ROOT, tool } from './steps.mjs';

const BUILDS = createRequire(import.meta.url)('../../lib/loading/builds.js').map(({ name }) => name);
const isAddon = (path) => /^ferrows\..*\.node$/.test(path);

/** Fields of package.json that users of the main package need. The others are for its development. */
const PUBLISHED = [
  'name', 'version', 'description', 'license', 'repository', 'homepage', 'bugs', 'keywords', 'type', 'main', 'types',
  'bin', 'exports', 'files', 'engines', 'optionalDependencies',
];

const missing = () => BUILDS.filter((name) => !existsSync(join(ROOT, `ferrows.${name}.node`)));
export const isComplete = () => missing().length === 0;

/** Refuses a release that is incomplete, or whose package.json names another repository. */
export function checkComplete() {
  // Yarn looks for every optional dependency, whatever it is for, and fails if the registry does not have one of them.
  assert.ok(isComplete(), `a release has the addons of all platforms, or Yarn cannot install it; missing: ${missing().join(', ')}`);
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env;
  if (repository) assert.equal(addressOf(readJson(join(ROOT, 'package.json'))), `${server}/${repository}`);
}

/**
 * Makes the packages in a copy of what is published, `stage`, and puts them into the folder `tarballs`. The packages of
 * platforms that are not built here have no addon. Returns what a registry has to know of each.
 */
export async function makeRelease(stage, tarballs) {
  const { stdout } = await npm(['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT });
  const paths = JSON.parse(stdout)[0].files.map(({ path }) => path).filter((path) => !isAddon(path));
  for (const path of paths) cpSync(join(ROOT, path), join(stage, path));
  const addons = readdirSync(ROOT).filter(isAddon);
  assert.notEqual(addons.length, 0, 'nothing is built: run `npm run build` first');
  for (const addon of addons) cpSync(join(ROOT, addon), join(stage, 'artifacts', addon));

  await tool('napi', ['create-npm-dirs'], stage);
  await tool('napi', ['artifacts'], stage);
  // Here and not in the repository: `npm ci` would look for packages that are not published yet.
  await tool('napi', ['pre-publish', '--tag-style', 'npm', '--skip-optional-publish', '--no-gh-release'], stage);
  finish(stage);

  mkdirSync(tarballs);
  return Promise.all([stage, ...BUILDS.map((name) => join(stage, 'npm', name))].map((folder) => pack(folder, tarballs)));
}

/** Reduces the main package to what users need, with links that work on the page of a registry. */
function finish(stage) {
  const manifest = readJson(join(stage, 'package.json'));
  assert.deepEqual(Object.keys(manifest.optionalDependencies).sort(), BUILDS.map((name) => `ferrows-${name}`).sort());
  const published = Object.fromEntries(PUBLISHED.map((key) => [key, manifest[key]]));
  published.files = manifest.files.filter((pattern) => !pattern.endsWith('.node'));
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);

  const readme = readFileSync(join(stage, 'README.md'), 'utf8');
  writeFileSync(join(stage, 'README.md'), withAbsoluteLinks(readme, `${addressOf(manifest)}/blob/v${manifest.version}`));
}

/** Links to files of the repository, most of which no package has, become links to its page. */
function withAbsoluteLinks(text, base) {
  return text.replace(/\]\((?!#|[a-z]+:)([^)\s]+)\)/g, (_, target) => {
    const [path] = target.split('#');
    assert.ok(existsSync(join(ROOT, path)), `README.md links to ${path}, which does not exist`);
    return `](${base}/${target})`;
  });
}

function addressOf({ repository }) {
  return repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
}

async function pack(folder, tarballs) {
  const { stdout } = await npm(['pack', '--json', '--pack-destination', tarballs], { cwd: folder });
  const [{ filename, integrity, size }] = JSON.parse(stdout);
  if (size > 50_000) console.log(`packed ${filename}, ${Math.ceil(size / 1024)} KiB`);
  return { manifest: readJson(join(folder, 'package.json')), integrity, tarball: readFileSync(join(tarballs, filename)) };
}
