'use strict';

// The numbers that the addon and its JavaScript share stand in src/node/abi.rs, and nowhere else.

const { readdirSync, readFileSync } = require('fs');
const { join } = require('path');

const ROOT = join(__dirname, '../..');

/** Lines of the files below a folder that a pattern matches. */
function linesOf(folder, extension, pattern) {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .filter((file) => file.endsWith(extension))
    .flatMap((file) => readFileSync(join(ROOT, folder, file), 'utf8').split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => `${file}: ${line.trim()}`));
}

test('registers have names on both sides', () => {
  expect(linesOf('lib', '.js', /\bregisters\[(?![A-Z_]+\])|= registers;/)).toEqual([]);
  expect(linesOf('src', '.rs', /\bregisters\.set\((?!Register::\w)/)).toEqual([]);
});
