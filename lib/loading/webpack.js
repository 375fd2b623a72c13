'use strict';

// webpack does not bundle addons by itself. The loader copies those that are installed beside the bundle, where
// binding.js looks first.

try {
  require('!!./webpack-loader.js!./builds.js');
} catch {
  // The loader was not found; the addon may be installed where the bundle will run.
}

module.exports = [];
