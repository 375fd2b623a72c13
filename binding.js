'use strict';

// Finds and loads the native addon. A file built here (`npm run build`) wins over an installed package, so that a
// checkout never runs somebody else's build.

const builds = require('./lib/loading/builds.js');
const { fs, module: { createRequire }, path, url: { fileURLToPath } } = require('./lib/loading/builtins.js');
const here = require('./lib/loading/here.js');
// webpack decides this while it reads the file, and looks at the chosen one only.
const embedded = typeof __webpack_require__ === 'function'
  ? require('./lib/loading/webpack.js')
  : require('./lib/loading/embedded.js');

/** This file; in a bundle, that of the bundle. */
const FILE = typeof __filename === 'string' ? __filename : here.url === undefined ? process.argv[1] : fileURLToPath(here.url);
const FOLDER = path.dirname(FILE);
const BUNDLED = path.basename(FILE) !== 'binding.js';

/**
 * A fresh load of the addon, for each evaluation of lib/runtime/border.js: programs drop that from `require.cache` and not
 * this file.
 */
function load() {
  const libc = process.platform === 'linux' ? linuxLibc() : undefined;
  const names = namesFor(libc);
  if (names.length === 0) throw failure(libc, 'No build of Ferrows exists for this platform.', BUILD_IT);

  let file;
  try {
    file = names.map((name) => path.join(FOLDER, `ferrows.${name}.node`)).find((candidate) => fs.existsSync(candidate));
    if (file !== undefined) return open(file);
    // What a bundle contains is of its own version, which what is installed around it need not be.
    return (BUNDLED && contained(names)) || installed(names);
  } catch (cause) {
    // Bun's executables do not know that they are bundles.
    const addon = file === undefined && contained(names);
    if (addon) return addon;
    throw explain(cause, { libc, names, file });
  }
}

/** The names of the builds that may run here. */
function namesFor(libc) {
  return builds
    .filter(({ platform, arch }) => platform === process.platform && arch === process.arch)
    .filter((build) => libc === undefined || build.libc === libc)
    .map(({ name }) => name);
}

/** The addon of a package that is installed where this file is. */
function installed(names) {
  const { resolve } = createRequire(FILE);
  let failure;
  for (const name of names) {
    try {
      return open(resolve(`ferrows-${name}`));
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** The addon that a bundler has put into the bundle, or beside it. */
function contained(names) {
  for (const name of names) {
    for (const find of embedded) {
      try {
        const found = find(name);
        // Some give the name of a file beside the bundle.
        if (typeof found === 'string') return open(path.resolve(FOLDER, found));
        if (typeof found?.causes === 'function') return found;
      } catch {
        // Not there, or left out of the bundle. What is installed is reported instead.
      }
    }
  }
  return undefined;
}

/**
 * Loads an addon afresh. `require` would not: Jest's module registries share Node's cache of addons, so that a second
 * test file would get what belongs to the first.
 */
function open(file) {
  const addon = { exports: {} };
  process.dlopen(addon, file);
  return addon.exports;
}

/**
 * `'musl'`, `'glibc'`, or `undefined` if that cannot be found out. The `ldd` script names its library and costs one small
 * read; systems without it (distroless images) are asked through Node's own report, which is slower and, before Node 22,
 * may look up host names. Deno may permit neither.
 */
function linuxLibc() {
  try {
    return fs.readFileSync('/usr/bin/ldd', 'latin1').includes('musl') ? 'musl' : 'glibc';
  } catch {
    try {
      const report = process.report.getReport();
      return report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
    } catch {
      return undefined;
    }
  }
}

/** Why there is no addon: `file` is the one that was found here. */
function explain(cause, { libc, names, file }) {
  const [reason] = cause.message.split('\n');
  if (NOT_PERMITTED.has(cause.name)) return failure(libc, `Deno does not permit it: ${reason}`, PERMIT_IT, cause);
  if (file !== undefined) return failure(libc, `${file} exists but does not load: ${reason}`, BUILD_IT, cause);
  const packages = names.map((name) => `ferrows-${name}`).join(' or ');
  const files = names.map((name) => path.join(FOLDER, `ferrows.${name}.node`)).join(' or ');
  const what = `Neither ${files} nor the package ${packages} loads: ${reason}`;
  return failure(libc, what, BUNDLED ? EXTERNAL : INSTALL_IT, cause);
}

/** The one error of this file: where we are, what went wrong, what to do. */
function failure(libc, what, advice, cause) {
  const where = [process.platform, process.arch, libc].filter(Boolean).join(' ');
  const message = `Ferrows has no native addon to run on ${where} (Node.js ${process.version}).\n${what}\n${advice}`;
  return Object.assign(new Error(message, { cause }), { code: 'ERR_ADDON_UNAVAILABLE' });
}

/** The names of Deno's errors, since version 2 and before. */
const NOT_PERMITTED = new Set(['NotCapable', 'PermissionDenied']);

const BUILD_IT = 'To build it for this machine: in a checkout of Ferrows, with a Rust toolchain and a C compiler, '
  + 'run `npm ci && npm run build`.';

const INSTALL_IT = 'Binaries are optional dependencies. If they were left out (`--omit=optional`) or node_modules was '
  + 'copied from a machine of another kind, delete node_modules and run `npm install` here.\n' + BUILD_IT;

const EXTERNAL = 'This is a bundle that does not contain the addon. In the settings of the bundler, mark `ferrows` as '
  + 'external, and run the bundle where it is installed; or put the file of the addon beside the bundle. See docs/bundlers.md.';

const PERMIT_IT = 'Run it with `--allow-read --allow-ffi`.';

module.exports = load;
