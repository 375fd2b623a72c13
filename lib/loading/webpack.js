'use strict';

// webpack has no way of its own to take an addon along. The loader puts those that are installed beside the bundle,
// where binding.js looks first.

try {
  require('!!./webpack-loader.js!./builds.js');
} catch {
  // The loader was not found; the addon may be installed where the bundle will run.
}

module.exports = [];
