'use strict';

// In a bundle that is an ES module, CommonJS files have neither `__filename` nor a working `require`. here.mjs, which
// index.mjs imports first, sets both here.

module.exports = {
  /** The URL of the bundle; outside of bundles, of here.mjs. */
  url: undefined,
  /** `require`, for modules of Node.js. (Under that name, Deno could not import this file.) */
  load: undefined,
};
