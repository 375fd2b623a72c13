'use strict';

// What documents and comments say of the tree: links lead somewhere, files and scripts that are named exist, and the folders
// of the tests are all described.

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { dirname, join, relative } = require('node:path');

const ROOT = join(__dirname, '../..');
const OTHERS = new Set(['node_modules', 'target']);

const read = (file) => readFileSync(join(ROOT, file), 'utf8');

/** The files in a folder and below whose names end so, as paths from the root. */
function filesIn(folder, ending) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return OTHERS.has(entry.name) ? [] : filesIn(path, ending);
    return ending.test(entry.name) ? [path] : [];
  });
}

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...['benches', 'docs', 'downstream', 'examples', 'fuzz'].flatMap((folder) => filesIn(folder, /\.md$/)),
];

const sources = ['__test__', 'benches', 'examples', 'lib', 'scripts', 'src'].flatMap((folder) => filesIn(folder, /\.(rs|m?js|m?ts)$/));

/** What is shown rather than said: fenced blocks. */
const withoutCode = (text) => text.replace(/^```[\s\S]*?^```$/gm, '');

/** What a page can be linked to at: its headings, as GitHub names them, and what it gave an id. */
function anchorsOf(file) {
  const text = withoutCode(read(file));
  const titles = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title.toLowerCase());
  const names = titles.map((title) => title.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-'));
  return new Set([...names, ...[...text.matchAll(/<a id="(.+?)">/g)].map(([, id]) => id)]);
}

test.each(pages)('the links of %s lead to files and headings that exist', (page) => {
  const links = [...withoutCode(read(page)).replace(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  const dead = links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path, anchor] = link.split('#');
    const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
    return !existsSync(join(ROOT, target)) || (anchor !== undefined && !anchorsOf(target).has(anchor));
  });
  expect(dead).toEqual([]);
});

test.each(pages.filter((page) => !page.startsWith('downstream')))('the scripts that %s tells to run exist', (page) => {
  const { scripts } = JSON.parse(read('package.json'));
  const named = [...read(page).matchAll(/\bnpm (?:run )?((?:test|build|check|bench|fuzz|soak|loom|lint|generate|autobahn)(?::\w+)?)\b/g)];
  expect(named.map(([, script]) => script).filter((script) => !(script in scripts))).toEqual([]);
});

test('files of the tree that pages and comments name exist', () => {
  const named = /(?<![\w./@-])(?:__test__|benches|docs|examples|fuzz|lib|scripts|src)\/[\w./-]*\w\.(?:rs|m?js|d\.ts|md|json)\b/g;
  const dead = [...pages, ...sources].flatMap((file) => (read(file).match(named) ?? [])
    .filter((path) => !['', '__test__', dirname(file)].some((folder) => existsSync(join(ROOT, folder, path))))
    .map((path) => `${file}: ${path}`));
  expect(dead).toEqual([]);
});

test('modules of src that pages and comments name exist', () => {
  const modules = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const named = new RegExp(`(?<=^|[\\s\`(])(?:src/)?((?:${modules.join('|')})(?:/[a-z0-9_]+)+)(?![\\w<])`, 'gm');
  const dead = [...pages, ...sources].flatMap((file) => [...read(file).matchAll(named)].map(([, module]) => module)
    .filter((module) => ![`${module}.rs`, module].some((path) => existsSync(join(ROOT, 'src', path))))
    .map((module) => `${file}: ${module}`));
  expect(dead).toEqual([]);
});

test('comments refer to no numbered rule of a document that is not in the tree', () => {
  const numbered = /\(S\d+[,)]|\bcontract \d+\.\d|\bdesign\.md/gi;
  const found = sources.filter((file) => file !== relative(ROOT, __filename))
    .flatMap((file) => (read(file).match(numbered) ?? []).map((text) => `${file}: ${text}`));
  expect(found).toEqual([]);
});

test('CONTRIBUTING.md describes every folder of tests', () => {
  const folders = readdirSync(join(ROOT, '__test__'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    .map(({ name }) => name).filter((name) => readdirSync(join(ROOT, '__test__', name)).some((file) => file.endsWith('.test.js')));
  const section = read('CONTRIBUTING.md').match(/\n## Tests\n([\s\S]*?)\n## /)[1];
  const described = [...section.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) => cell.match(/\w[\w-]*/g));
  expect(described.sort()).toEqual(folders.sort());
});

test('docs/architecture.md names every part of the environment, and every folder of src', () => {
  const page = read('docs/architecture.md');
  const environment = read('src/node/environment.rs').match(/\npub(?:\([^)]*\))? struct Environment \{([\s\S]*?)\n\}/)[1];
  const parts = [...environment.matchAll(/^\s*pub(?:\([^)]*\))? (\w+):/gm)].map(([, name]) => name);
  expect(parts.length).toBeGreaterThan(5);
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect([...parts, ...folders].filter((name) => name !== 'testing' && !page.includes(`\`${name}\``))).toEqual([]);
});

test('decisions are listed in the order of their numbers, each with its title', () => {
  const files = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => /^\d/.test(name)).sort();
  const titles = files.map((file) => read(join('docs/decisions', file)).match(/^# (.+)$/m)[1]);
  const listed = [...read('docs/decisions/README.md').matchAll(/^- \[(.+)\]\((.+)\)$/gm)].map(([, title, file]) => [title, file]);
  expect(listed).toEqual(titles.map((title, n) => [title, files[n]]));
});

/** Pages for those who work on the tree. */
const FOR_CONTRIBUTORS = ['docs/architecture.md'];

test('the package has the pages for its users, and no file that is not there', () => {
  const { files } = JSON.parse(read('package.json'));
  const names = readdirSync(join(ROOT, 'docs'), { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => `docs/${name}`);
  expect(names.filter((name) => !FOR_CONTRIBUTORS.includes(name) && !files.includes(name))).toEqual([]);
  expect(files.filter((name) => !name.includes('*') && !existsSync(join(ROOT, name)))).toEqual([]);
});
