'use strict';

// Finds and loads the native addon. A file built here (`npm run build`) wins over an installed package, so that a
// checkout never runs somebody else's build.

const { existsSync, readFileSync } = require('fs');
const { join } = require('path');

/**
 * The platforms that releases are built for, by `process.platform` and `process.arch`; where the C library matters,
 * by that too. The names are those that `napi build --platform` gives to its files (package.json, `napi.targets`).
 */
const BUILDS = {
  linux: {
    x64: { glibc: 'linux-x64-gnu', musl: 'linux-x64-musl' },
    arm64: { glibc: 'linux-arm64-gnu', musl: 'linux-arm64-musl' },
    arm: { glibc: 'linux-arm-gnueabihf' },
  },
  darwin: { x64: 'darwin-x64', arm64: 'darwin-arm64' },
  win32: { x64: 'win32-x64-msvc', arm64: 'win32-arm64-msvc' },
  freebsd: { x64: 'freebsd-x64' },
};

/**
 * A fresh load of the addon, for each evaluation of lib/border.js: programs drop that from `require.cache` and not this file.
 */
function load() {
  const libc = process.platform === 'linux' ? linuxLibc() : undefined;
  const build = BUILDS[process.platform]?.[process.arch];
  const name = typeof build === 'object' ? build[libc] : build;
  if (name === undefined) {
    throw failure(libc, 'No build of Ferrows exists for this platform.', BUILD_IT);
  }

  const file = join(__dirname, `ferrows.${name}.node`);
  const local = existsSync(file);
  try {
    return open(local ? file : require.resolve(`ferrows-${name}`));
  } catch (cause) {
    const [reason] = cause.message.split('\n');
    if (cause.name === 'NotCapable') throw failure(libc, `Deno does not permit it: ${reason}`, PERMIT_IT, cause);
    throw local
      ? failure(libc, `${file} exists but does not load: ${reason}`, BUILD_IT, cause)
      : failure(libc, `Neither ${file} nor the package ferrows-${name} loads: ${reason}`, INSTALL_IT, cause);
  }
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
 * `'musl'` or `'glibc'`. The `ldd` script names its library and costs one small read; systems without it (distroless
 * images) are asked through Node's own report, which is slower and, before Node 22, may look up host names.
 */
function linuxLibc() {
  try {
    return readFileSync('/usr/bin/ldd', 'latin1').includes('musl') ? 'musl' : 'glibc';
  } catch {
    const report = process.report.getReport();
    return report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  }
}

/** The one error of this file: where we are, what went wrong, what to do. */
function failure(libc, what, advice, cause) {
  const where = [process.platform, process.arch, libc].filter(Boolean).join(' ');
  const message = `Ferrows has no native addon to run on ${where} (Node.js ${process.version}).\n${what}\n${advice}`;
  return Object.assign(new Error(message, { cause }), { code: 'ERR_ADDON_UNAVAILABLE' });
}

const BUILD_IT = 'To build it for this machine: in a checkout of Ferrows, with a Rust toolchain and a C compiler, '
  + 'run `npm ci && npm run build`.';

const INSTALL_IT = 'Binaries are optional dependencies. If they were left out (`--omit=optional`) or node_modules was '
  + 'copied from a machine of another kind, delete node_modules and run `npm install` here.\n' + BUILD_IT;

const PERMIT_IT = 'Run it with `--allow-read --allow-ffi`.';

module.exports = load;
