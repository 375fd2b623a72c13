'use strict';

/** docs/tls.md tells all options, codes and cipher suites that the sources have, and no others. */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const { abi } = require('../../lib/runtime/border.js');

const read = (...path) => readFileSync(join(__dirname, '..', '..', ...path), 'utf8');

const page = read('docs', 'tls.md');

/** What stands in code in a column of the table with this head. */
function cells(head, column = 0) {
  const [, table] = page.split(`\n| ${head} |`);
  const rows = table.split('\n\n')[0].split('\n').slice(2);
  return rows.flatMap((row) => Array.from(row.split(' | ')[column].matchAll(/`([^`]+)`/g), ([, code]) => code));
}

const found = (pattern, text) => Array.from(text.matchAll(pattern), ([, it]) => it);

test('options', () => {
  const options = [...abi.options.tls, 'handshakeTimeout', 'maxHandshakes'];
  expect(cells('option | what it is').sort()).toEqual(options.sort());
  for (const option of options) expect(read('index.d.ts')).toContain(`  ${option}?: `);
});

test('codes', () => {
  const codes = found(/"(ERR_TLS_\w+)"/g, read('src', 'tls', 'error.rs') + read('src', 'node', 'calls', 'tls.rs'));
  expect(cells('`code` | what is wrong').sort()).toEqual([...new Set(codes)].sort());
});

test('cipher suites', () => {
  const suites = found(/openssl: "(\S+)"/g, read('src', 'tls', 'suites.rs'));
  const head = 'TLS 1.3 | TLS 1.2';
  expect([...cells(head), ...cells(head, 1)].sort()).toEqual(suites.sort());
});

test('every section that is linked to is there', () => {
  const anchors = found(/^## (.+)$/gm, page).map((title) => title.toLowerCase().replaceAll(' ', '-'));
  const links = found(/\]\(#([^)]+)\)/g, page);
  expect(anchors).toEqual(expect.arrayContaining(links));
  expect(links.length).toBeGreaterThan(anchors.length - 1);
});
