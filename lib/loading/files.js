'use strict';

// Files of the package that are read when they are needed. A bundle does not contain them: there they are looked for in a folder
// `ferrows` beside it, as docs/bundlers.md says.

const { fs: { readFileSync, readdirSync }, path: { dirname, join }, url: { fileURLToPath } } = require('./builtins.js');
const here = require('./here.js');

/** The folder of this file, or of the bundle that contains it. In a bundle that is an ES module there is no `__dirname`. */
const HERE = typeof __dirname === 'string' ? __dirname : folderOf(here.url);

function folderOf(url) {
  return url === undefined ? '' : dirname(fileURLToPath(url));
}

/** Where the package may be. Beside a bundle first: what lies two folders above one is anybody's. */
const FOLDERS = [join(HERE, 'ferrows'), join(HERE, '../..')];

/** The bytes of a file, by its path in the package. */
function readPackageFile(path) {
  return inPackage((folder) => readFileSync(join(folder, path)));
}

/** The names of what is in a folder. */
function listPackageFolder(path) {
  return inPackage((folder) => readdirSync(join(folder, path)));
}

function inPackage(read) {
  const [besideBundle, inPlace] = FOLDERS;
  try {
    return read(besideBundle);
  } catch {
    return read(inPlace);
  }
}

module.exports = { listPackageFolder, readPackageFile };
