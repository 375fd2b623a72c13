// Part of `npm run generate`: writes lib/browser/close-reasons.mjs from docs/close-reasons.md, and browser.mjs, the one file of
// `ferrows/browser`, from that, lib/browser and lib/reconnect/backoff.js. With `-- --check`, only says whether they are up to date.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const ROOT = new URL('../', import.meta.url);
const require = createRequire(import.meta.url);
const { readCloseReasons } = require('../lib/knowledge/close-reasons.js');

const NOTICE = (source) => `// Written by scripts/browser.mjs from ${source}: do not edit it, run \`npm run generate\`.\n`;

/** Parts of browser.mjs, in the order in which they need each other. */
const PARTS = ['lib/reconnect/backoff.js', 'lib/browser/close-reasons.mjs', 'lib/browser/explain.mjs', 'lib/browser/reconnecting-web-socket.mjs'];

const files = new Map([['lib/browser/close-reasons.mjs', closeReasons()]]);
files.set('browser.mjs', program());

const outdated = [...files].filter(([name, text]) => read(name) !== text);
if (process.argv.includes('--check')) {
  for (const [name] of outdated) console.error(`${name} is not what it is made of: run \`npm run generate\``);
  process.exitCode = outdated.length === 0 ? 0 : 1;
} else {
  for (const [name, text] of outdated) writeFileSync(new URL(name, ROOT), text);
}

function closeReasons() {
  const { causes, codes, advice } = readCloseReasons();
  const rows = codes.map(({ first, last, isExact, fields }) => {
    const [, [, name], [, meaning]] = fields;
    return [first, isExact ? first : last, name === '–' ? undefined : plain(name), plain(meaning), isExact ? sentences(advice.get(first)) : undefined];
  });
  const reasons = [...causes].flatMap(([cause, entries]) => entries.flatMap(({ fields }) => {
    const { reason, 'peer receives': sent } = Object.fromEntries(fields);
    const text = reason?.match(/^`([^`]+)`/)?.[1];
    return text !== undefined && /^\d{4}$/.test(sent) ? [[Number(sent), text, cause]] : [];
  }));
  if (advice.size < 15 || reasons.length < 15) throw new Error('docs/close-reasons.md has other tables than this knows');
  return `${NOTICE('docs/close-reasons.md')}
/** \`[first code, last code, name, meaning, what to do]\` */
export const CODES = [
${rows.map((row) => `  [${row.map((value) => (value === undefined ? 'undefined' : literal(value))).join(', ')}],`).join('\n')}
];

/** Of closes by Ferrows: \`[code, how the reason begins, cause]\` */
export const REASONS = [
${reasons.map((row) => `  [${row.map(literal).join(', ')}],`).join('\n')}
];
`;
}

function sentences(advice) {
  return advice && plain(`${capital(advice.means)}. ${capital(advice.remedy)}.`);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** Without what is of Markdown only. */
function plain(text) {
  return text.replaceAll('`', '').replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
}

function literal(value) {
  return typeof value === 'number' ? String(value) : `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function program() {
  const texts = PARTS.map((name) => (files.get(name) ?? read(name))
    .replace(/^'use strict';\n+/, '')
    .replace(/^\/\/ Written by .*\n\n/, '')
    .replace(/^import .*;\n+/gm, '')
    .replace(/^module\.exports = .*;\n/m, '')
    .replace(/^export (const (?:CODES|REASONS)) /gm, '$1 '));
  return `${NOTICE('lib/browser and lib/reconnect')}
${texts.map((text) => text.trim()).join('\n\n')}
`;
}

/** The text of a file without CRLF, to which Git may convert line ends in the working tree. */
function read(name) {
  try {
    return readFileSync(new URL(name, ROOT), 'utf8').replaceAll('\r\n', '\n');
  } catch {
    return undefined;
  }
}
