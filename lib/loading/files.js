'use strict';

// Files of the package that are read when they are needed. A bundle does not contain them.

const { fs: { readFileSync, readdirSync }, path: { join } } = require('./builtins.js');

/** The folder of the package. ES modules have no `__dirname`; then there is no such folder, which reading says. */
const ROOT = typeof __dirname === 'string' ? join(__dirname, '../..') : '';

/** The bytes of a file, by its path in the package. */
function readPackageFile(path) {
  return readFileSync(join(ROOT, path));
}

/** The names of what is in a folder. */
function listPackageFolder(path) {
  return readdirSync(join(ROOT, path));
}

module.exports = { listPackageFolder, readPackageFile };
