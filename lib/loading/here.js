'use strict';

// In a bundle that is an ES module, files of CommonJS know neither where they are nor a `require` that finds anything. This
// is what here.mjs, which index.mjs imports first, knows of it.

module.exports = {
  /** The URL of the bundle; outside of bundles, of here.mjs. */
  url: undefined,
  /** `require`, for modules of Node.js. (Under that name, Deno could not import this file.) */
  load: undefined,
};
