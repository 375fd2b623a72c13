'use strict';

// Written by scripts/builds.mjs from package.json (`napi.targets`): do not edit it, run `npm run generate`.

// For tools that follow `require` without running it, file tracers and bundlers: one call for each file that may be
// meant. The `try` marks the files as optional for bundlers. The empty text hides them from Rollup, which follows
// literals only and fails for files that it cannot read. Plain Node.js does not load this file.

/** The addon of a checkout. */
function local(name) {
  try {
    switch (name) {
      case 'linux-x64-gnu':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.linux-x64-gnu.node');
      case 'linux-x64-musl':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.linux-x64-musl.node');
      case 'linux-arm64-gnu':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.linux-arm64-gnu.node');
      case 'linux-arm64-musl':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.linux-arm64-musl.node');
      case 'linux-arm-gnueabihf':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.linux-arm-gnueabihf.node');
      case 'darwin-x64':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.darwin-x64.node');
      case 'darwin-arm64':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.darwin-arm64.node');
      case 'win32-x64-msvc':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.win32-x64-msvc.node');
      case 'win32-arm64-msvc':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.win32-arm64-msvc.node');
      case 'freebsd-x64':
        return /* mark `ferrows` as external */ require('' + '../../ferrows.freebsd-x64.node');
      default:
        return undefined;
    }
  } catch (error) {
    throw error;
  }
}

/** The addon of an installed package. */
function installed(name) {
  try {
    switch (name) {
      case 'linux-x64-gnu':
        return /* mark `ferrows` as external */ require('' + 'ferrows-linux-x64-gnu');
      case 'linux-x64-musl':
        return /* mark `ferrows` as external */ require('' + 'ferrows-linux-x64-musl');
      case 'linux-arm64-gnu':
        return /* mark `ferrows` as external */ require('' + 'ferrows-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return /* mark `ferrows` as external */ require('' + 'ferrows-linux-arm64-musl');
      case 'linux-arm-gnueabihf':
        return /* mark `ferrows` as external */ require('' + 'ferrows-linux-arm-gnueabihf');
      case 'darwin-x64':
        return /* mark `ferrows` as external */ require('' + 'ferrows-darwin-x64');
      case 'darwin-arm64':
        return /* mark `ferrows` as external */ require('' + 'ferrows-darwin-arm64');
      case 'win32-x64-msvc':
        return /* mark `ferrows` as external */ require('' + 'ferrows-win32-x64-msvc');
      case 'win32-arm64-msvc':
        return /* mark `ferrows` as external */ require('' + 'ferrows-win32-arm64-msvc');
      case 'freebsd-x64':
        return /* mark `ferrows` as external */ require('' + 'ferrows-freebsd-x64');
      default:
        return undefined;
    }
  } catch (error) {
    throw error;
  }
}

module.exports = [local, installed];
