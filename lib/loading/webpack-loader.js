'use strict';

// A loader for webpack: see webpack.js. It runs while a bundle is made.

const { readFileSync } = require('fs');

module.exports = function emitAddons() {
  for (const { name } of require('./builds.js')) {
    for (const specifier of [`../../ferrows.${name}.node`, `ferrows-${name}`]) {
      try {
        const file = require.resolve(specifier);
        this.emitFile(`ferrows.${name}.node`, readFileSync(file));
        break;
      } catch (error) {
        if (error.code !== 'MODULE_NOT_FOUND') throw error;
      }
    }
  }
  return '';
};
