'use strict';

// What docs/close-reasons.md says about a cause, a close code or a reason.

const { passagesOf, readPage, sectionsOf, tablesOf } = require('./pages.js');

const PAGE = 'close-reasons.md';

/** What a name looks like in a cell. */
const NAME = /`((?:ERR|CLOSED)_[A-Z0-9_]+)`/g;

/** The column of the table about what pages can do. */
const PAGES = 'in a browser';

/** The column of tables about something else than causes and codes, which passages refer to. */
const SUBJECT = 'on the way';

/**
 * The page, taken apart: `{ causes, codes, advice, passages, tables }`. A cause has `entries` of the tables in which it stands, each
 * `{ section, fields }`; a code has `{ first, last, fields }`; `advice` is `{ means, remedy }` in a browser, by code; a
 * passage is `{ section, text, names }`. `tables` are those that passages refer to, as `[title, rows]` by the anchor of their
 * section.
 */
function readCloseReasons() {
  const causes = new Map();
  const codes = [];
  const advice = new Map();
  const passages = [];
  const tables = new Map();
  for (const { title, lines } of sectionsOf(readPage(PAGE))) {
    for (const { columns, rows } of tablesOf(lines)) {
      if (columns[0] === SUBJECT) tables.set(anchorOf(title), [title, rows]);
      for (const row of rows) {
        const fields = columns.map((column, index) => [column, row[index] ?? '']);
        if (columns[0] === PAGES) advice.set(Number(row[0]), { means: row[1], remedy: row[2] });
        if (columns[0] === 'code') codes.push({ ...rangeOf(row[0]), fields });
        for (const [, name] of row[0].matchAll(NAME)) {
          if (!causes.has(name)) causes.set(name, []);
          causes.get(name).push({ section: title, fields });
        }
      }
    }
    for (const { text } of passagesOf(lines)) {
      passages.push({ section: title, text, names: new Set(Array.from(text.matchAll(NAME), ([, name]) => name)) });
    }
  }
  return { causes, codes, advice, passages, tables };
}

/** What links call a heading. */
function anchorOf(title) {
  return title.toLowerCase().replace(/[^a-z0-9 -]/g, '').replaceAll(' ', '-');
}

/** `1000`, `0–999`, `5000 and above`, `the rest of 3000–3999`. */
function rangeOf(cell) {
  const [first, last] = cell.match(/\d+/g).map(Number);
  if (cell.endsWith('and above')) return { first, last: 65535, isExact: false };
  return { first, last: last ?? first, isExact: last === undefined };
}

/**
 * What the page says about a term: a name (`ERR_FIN_WITHOUT_CLOSE`, in any case), a close code (`1006`), or the beginning of
 * a reason. An array of `{ term, title, fields, texts, tables }`, which is empty if the page does not know it.
 */
function explain(term, page = readCloseReasons()) {
  const text = term.trim();
  if (/^\d{1,5}$/.test(text)) return explainCode(Number(text), page);
  const name = text.toUpperCase().replaceAll('-', '_');
  if (page.causes.has(name)) return [explainCause(name, page)];
  return causesWithReason(text, page).map((cause) => explainCause(cause, page));
}

function explainCode(code, { causes, codes, advice, passages }) {
  const fitting = codes.filter(({ first, last }) => code >= first && code <= last);
  // A row of its own says more than that of a range.
  const row = fitting.find(({ isExact }) => isExact) ?? fitting[0];
  if (row === undefined) return [];
  const [, [, name], ...fields] = row.fields;
  const named = [...causes].filter(([, entries]) => entries.some((entry) => {
    return entry.fields.some(([column, value]) => column === 'code' && value === String(code));
  })).map(([cause]) => cause);
  if (advice.has(code)) fields.push([PAGES, advice.get(code).means], ['what to do', advice.get(code).remedy]);
  if (named.length > 0) fields.push(['causes', named.map((cause) => `\`${cause}\``).join(', ')]);
  const mention = new RegExp(`(?<![\\d–.,-])${code}(?![\\d–-])`);
  const texts = passages.filter(({ section, text }) => CODE_SECTIONS.has(section) && mention.test(text)).map(({ text }) => text);
  return [{ term: String(code), title: name === '–' ? undefined : name, fields, texts, tables: [] }];
}

/** Where the page says something about codes that is not about one cause. */
const CODE_SECTIONS = new Set(['All close codes', 'All causes', 'Browsers', 'Why did this connection end?']);

function explainCause(name, { causes, passages, tables }) {
  const fields = new Map();
  const entries = causes.get(name);
  // A further table about the same cause adds what the first did not have.
  for (const [column, value] of entries.flatMap((entry) => entry.fields.slice(1))) {
    if (!fields.has(column)) fields.set(column, value);
  }
  // Passages that begin with the name are about it; those that name many are about none of them.
  const own = new RegExp(`^\\**\`${name}\``);
  const about = passages.filter(({ text, names }) => names.has(name) && (own.test(text) || names.size <= FEW));
  const texts = [...about.filter(({ text }) => own.test(text)), ...about.filter(({ text }) => !own.test(text))].map(({ text }) => text);
  const linked = [...tables].filter(([anchor]) => texts.some((text) => text.includes(`](#${anchor})`)));
  return { term: name, title: entries[0].section, fields: [...fields], texts, tables: linked.map(([, table]) => table) };
}

const FEW = 2;

function causesWithReason(text, { causes }) {
  if (text.length < 6) return [];
  const wanted = text.toLowerCase();
  return [...causes.keys()].filter((name) => causes.get(name).some(({ fields }) => fields.some(([column, value]) => {
    const [, fixed] = (column === 'reason' || column.includes('starts with')) ? value.match(/`([^`]+)`/) ?? [] : [];
    if (fixed === undefined) return false;
    const reason = fixed.toLowerCase();
    return reason.startsWith(wanted) || wanted.startsWith(reason);
  })));
}

/** The names that are spelled most like a term that the page does not know. */
function similarNames(term, { causes }, count = 3) {
  const words = new Set(term.toUpperCase().split(/[^A-Z0-9]+/).filter((word) => word.length > 2));
  const scored = [...causes.keys()].map((name) => [name, name.split('_').slice(1).filter((word) => words.has(word)).length]);
  return scored.filter(([, score]) => score > 0).sort(([, a], [, b]) => b - a).slice(0, count).map(([name]) => name);
}

module.exports = { PAGE, explain, readCloseReasons, similarNames };
