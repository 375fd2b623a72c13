'use strict';

// What the documents say of the tree: links lead somewhere, scripts exist, and the folders of the tests are all described.

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { dirname, join, relative } = require('node:path');

const ROOT = join(__dirname, '../..');
const OTHERS = new Set(['node_modules', 'target']);

const read = (file) => readFileSync(join(ROOT, file), 'utf8');

/** The Markdown files in a folder and below, as paths from the root. */
function pagesIn(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return OTHERS.has(entry.name) ? [] : pagesIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...['benches', 'docs', 'downstream', 'examples', 'fuzz'].flatMap(pagesIn),
];

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

test('CONTRIBUTING.md describes every folder of tests', () => {
  const folders = readdirSync(join(ROOT, '__test__'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    .map(({ name }) => name).filter((name) => readdirSync(join(ROOT, '__test__', name)).some((file) => file.endsWith('.test.js')));
  const section = read('CONTRIBUTING.md').match(/\n## Tests\n([\s\S]*?)\n## /)[1];
  const described = [...section.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) => cell.match(/\w[\w-]*/g));
  expect(described.sort()).toEqual(folders.sort());
});

test('decisions are listed in the order of their numbers, each with its title', () => {
  const files = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => /^\d/.test(name)).sort();
  const titles = files.map((file) => read(join('docs/decisions', file)).match(/^# (.+)$/m)[1]);
  const listed = [...read('docs/decisions/README.md').matchAll(/^- \[(.+)\]\((.+)\)$/gm)].map(([, title, file]) => [title, file]);
  expect(listed).toEqual(titles.map((title, n) => [title, files[n]]));
});
