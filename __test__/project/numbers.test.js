'use strict';

// The numbers that the addon and its JavaScript share stand in src/node/abi.rs, and nowhere else.

const { readdirSync, readFileSync } = require('fs');
const { join } = require('path');

const { abi } = require('../../lib/runtime/border.js');

const ROOT = join(__dirname, '../..');

/** The files below a folder. */
function filesOf(folder, extension) {
  return readdirSync(join(ROOT, folder), { recursive: true }).filter((file) => file.endsWith(extension));
}

/** Lines of the files below a folder that a pattern matches. */
function linesOf(folder, extension, pattern) {
  return filesOf(folder, extension)
    .flatMap((file) => readFileSync(join(ROOT, folder, file), 'utf8').split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => `${file}: ${line.trim()}`));
}

test('registers have names on both sides', () => {
  expect(linesOf('lib', '.js', /\bregisters\[(?![A-Z_]+\])|= registers;/)).toEqual([]);
  expect(linesOf('src', '.rs', /\bregisters\.set\((?!Register::\w)/)).toEqual([]);
});

test('what lib takes of the numbers is there', () => {
  const taken = filesOf('lib', '.js').flatMap((file) => {
    const text = readFileSync(join(ROOT, 'lib', file), 'utf8');
    return [...text.matchAll(/\{([^{}]+)\} = abi(?:\.(\w+))?;/g)].flatMap(([, names, group]) => {
      return names.split(',').map((name) => name.split(':')[0].trim()).filter(Boolean).map((name) => [file, group, name]);
    });
  });
  expect(taken.length).toBeGreaterThan(50);
  expect(taken.filter(([, group, name]) => (group === undefined ? abi : abi[group])?.[name] === undefined)).toEqual([]);
});

test('no number of the addon is written in lib', () => {
  const named = Object.values(abi).filter((group) => typeof group === 'object' && !Array.isArray(group))
    .flatMap((group) => Object.entries(group)).filter(([, value]) => typeof value === 'number').map(([name]) => name);
  expect(linesOf('lib', '.js', new RegExp(`\\b(?:${named.join('|')}) = -?\\d`))).toEqual([]);
  expect(linesOf('lib', '.js', /\bsame (?:numbers|order)\b|\border of `?src\//)).toEqual([]);
  expect(linesOf('src', '.rs', /\bsame (?:numbers|order) stands?\b|\border (?:of|in which) `?lib\//)).toEqual([]);
});
