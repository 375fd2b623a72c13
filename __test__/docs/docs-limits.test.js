'use strict';

/**
 * docs/limits.md and index.d.ts promise what src/node/calls/limits.rs checks: an option that is added, or changed, there fails
 * here until both follow.
 */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const { abi } = require('../../lib/runtime/border.js');

const read = (...path) => readFileSync(join(__dirname, '..', '..', ...path), 'utf8');

/** Values that the source gives by a name. */
const NAMED = { 'u16::MAX as u64': 2 ** 16 - 1, 'u32::MAX as u64': 2 ** 32 - 1, MAX_SAFE_INTEGER: 2 ** 53 - 1 };

const numberOf = (text) => NAMED[text] ?? text.replaceAll('_', '').split('*').reduce((product, factor) => product * Number(factor), 1);

/** The options of limits.rs. */
function optionsOf(source) {
  const table = source.match(/const OPTIONS: [^=]+= \[([\s\S]*?)\n\];/)[1];
  return table.split('Limit {').slice(1).map((entry) => {
    const [, name] = entry.match(/name: "(\w+)"/);
    const time = entry.match(/milliseconds\(([\d_]+)\)/);
    if (time) return { name, least: 0, most: 2 ** 31 - 1, usual: numberOf(time[1]) };
    const [, least, most, usual] = entry.match(/min: (\d+),\s*max: ([^,]+),\s*default: ([^}]+?)\s*\}/);
    return { name, least: numberOf(least), most: numberOf(most), usual: numberOf(usual) };
  });
}

/** How the page writes a number. */
function written(number) {
  const power = { [2 ** 31 - 1]: '2^31-1', [2 ** 32 - 1]: '2^32-1', [2 ** 53 - 1]: '2^53-1' }[number];
  return power ?? number.toLocaleString('en-US');
}

const options = optionsOf(read('src', 'node', 'calls', 'limits.rs'));

test('every option of limits.rs was understood', () => {
  expect(options).toHaveLength(Number(read('src', 'node', 'calls', 'limits.rs').match(/const OPTIONS: \[Limit; (\d+)\]/)[1]));
  for (const { least, most, usual } of options) expect([least, most, usual].every(Number.isSafeInteger)).toBe(true);
});

test('app.js passes them in the order of limits.rs', () => {
  expect(abi.options.limits).toEqual(options.map(({ name }) => name));
});

test.each(options)('the page has range and default of $name, and what it stops', ({ name, least, most, usual }) => {
  const rows = read('docs', 'limits.md').split('\n').filter((line) => line.startsWith('| ') && line.includes(`\`${name}\``));
  const [row, ...others] = rows;
  const [, , range, standard] = row.split('|').map((cell) => cell.trim());
  expect([range, standard]).toEqual([`${written(least)} – ${written(most)}`, written(usual)]);
  expect(others.length).toBeGreaterThan(0);
});

test.each(options)('index.d.ts has the default of $name', ({ name, usual }) => {
  const [, comment] = read('index.d.ts').match(new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*${name}\\?: number;`));
  expect(comment).toContain(`@default ${usual}`);
});
