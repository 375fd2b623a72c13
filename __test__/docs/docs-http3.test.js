'use strict';

/** docs/http3.md lists every rule of src/protocol/http3/error.rs, and the options of src/node/calls/http3.rs. */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const uWS = require('../..');
const { abi } = require('../../lib/runtime/border.js');
const { certificate } = require('../helpers/certificates.js');

const read = (...path) => readFileSync(join(__dirname, '..', '..', ...path), 'utf8');

const page = read('docs', 'http3.md');
const source = read('src', 'protocol', 'http3', 'error.rs');

test('every rule is listed with its scope and its text, in the order of the source', () => {
  const texts = new Map([...source.matchAll(/#\[error\("([^"]+)"\)\]\s+(\w+),/g)].map(([, text, name]) => [name, text]));
  const verdicts = source.match(/const fn verdict\(self\)[\s\S]*?\n {4}\}\n/)[0];
  const rules = [...verdicts.matchAll(/Self::(\w+) => (?:\{\s*)?\((\w+), [\w:]+, "(\w+)"\)/g)];
  expect(rules).toHaveLength(Number(source.match(/const ALL: \[Self; (\d+)\]/)[1]));
  const rows = [...page.matchAll(/^\| `(ERR_HTTP3_\w+)` \| (connection|stream), `\w+` \| (.+) \|$/gm)].map(([, ...cells]) => cells);
  expect(rows).toEqual(rules.map(([, name, scope, code]) => [code, scope.toLowerCase(), texts.get(name)]));
});

const BOOLEANS = ['retry', 'migration'];

test.each(abi.options.http3.filter((name) => !BOOLEANS.includes(name)))('%s has the range and the default that the page and index.d.ts say', (name) => {
  const [, least, most, usual] = page.match(new RegExp(`^\\| \`${name}\` \\| (\\S+) – (\\S+) \\| (\\S+) \\| .+ \\|$`, 'm'));
  const numberOf = (text) => (text === '2^31-1' ? 2 ** 31 - 1 : Number(text.replaceAll(',', '')));
  const { key_file_name, cert_file_name } = certificate();
  const create = (value) => () => uWS.H3App({ key_file_name, cert_file_name, http3: { [name]: value } });
  for (const value of [numberOf(least), numberOf(most)]) expect(create(value)).not.toThrow();
  for (const value of [numberOf(least) - 1, numberOf(most) + 1]) expect(create(value)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  expect(read('index.d.ts')).toMatch(new RegExp(`@default ${numberOf(usual)}(?: \\*/|\\s+\\*/)\\s+${name}\\?: number;`));
});

test.each(BOOLEANS)('%s is one or the other', (name) => {
  expect(page).toContain(`\`${name}\` (default `);
  const { key_file_name, cert_file_name } = certificate();
  expect(() => uWS.H3App({ key_file_name, cert_file_name, http3: { [name]: 'yes' } })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
});
