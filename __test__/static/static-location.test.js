'use strict';

// From the path of a request to names of files: none leads anywhere else.

const path = require('node:path');
const fc = require('fast-check');

const { readNames } = require('../../lib/static/location.js');

test.each([
  ['', ['']],
  ['a', ['a']],
  ['a/', ['a', '']],
  ['a/b.txt', ['a', 'b.txt']],
  ['a%20b/%C3%BC', ['a b', 'ü']],
  ['%61', ['a']],
  ['100%25', ['100%']],
  ['%252e%252e/x', ['%2e%2e', 'x']],
  ['a..b', ['a..b']],
  ['x...', ['x...']],
  ['~', ['~']],
  ['a+b', ['a+b']],
])('%j is %j', (rest, names) => {
  expect(readNames(rest, { windows: false })).toEqual(names);
});

test.each([
  '..', '../x', 'a/../b', 'a/..', '%2e%2e/x', '%2E%2e', '.%2e/x', 'a/./b', '.', './a',
  '/', '//', '/etc/passwd', 'a//b', '%2fetc/passwd', 'a%2fb', 'a%2F..%2F..%2Fx',
  '..\\x', 'a\\b', '%5c..%5cx', 'a%5Cb', '\\\\host\\share',
  'a%00b', '%00', 'a\0b', 'a.txt%00.html',
  '%', '%2', '%zz', '%c0%ae%c0%ae/x', '%e0%80%ae', '%ff', '%ed%a0%80',
])('%j is nothing', (rest) => {
  expect(readNames(rest, { dotFiles: true, windows: false })).toBeUndefined();
  expect(readNames(rest, { dotFiles: true, windows: true })).toBeUndefined();
});

test.each(['.env', '.git/config', 'a/.b', '%2eenv', '.well-known/x', '...'])('%j is nothing, unless dot files are served', (rest) => {
  expect(readNames(rest, { windows: false })).toBeUndefined();
  expect(readNames(rest, { dotFiles: true, windows: false })).toEqual(rest.replace('%2e', '.').split('/'));
});

test.each(['C:', 'C:/x', 'a.txt:stream', 'a.txt::$DATA', 'a.', 'a ', 'a%20', 'NUL', 'con.txt', 'aux', 'COM1', 'lpt9.x', 'a*b', 'a%3Fb', '<', '|'])(
  'on Windows %j is nothing', (rest) => {
    expect(readNames(rest, { windows: true })).toBeUndefined();
    expect(readNames(rest, { windows: false })).toBeDefined();
  },
);

test('whatever is asked for lies below the folder, and decoding again changes nothing', () => {
  const piece = fc.constantFrom('a', '.', '..', '/', '\\', '%', '%2e', '%2f', '%5c', '%00', '%25', '\0', 'C:', ' ', '~', 'ü', '%c0%ae');
  const property = fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), fc.boolean(), (pieces, dotFiles, windows) => {
    const names = readNames(pieces.join(''), { dotFiles, windows });
    if (names === undefined) return;
    for (const { join, resolve, sep } of [path.posix, ...(windows ? [path.win32] : [])]) {
      const root = resolve('/root/folder');
      const file = join(root, ...names);
      expect(file === root + sep || file === root || file.startsWith(root + sep)).toBe(true);
      // Not only below: the way there is the one that was asked for.
      expect(file.slice(root.length + 1).split(sep).filter(Boolean)).toEqual(names.filter(Boolean));
    }
  });
  fc.assert(property, { numRuns: 5000 });
});
