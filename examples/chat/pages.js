'use strict';

/** The files of the page. They are read once; no part of a request ever becomes part of a file name. */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/** Address, file, content type: no other files are served. */
const PAGES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
  ['/client.js', 'client.js', 'text/javascript; charset=utf-8'],
  // Of the package: `require.resolve('ferrows/browser')` elsewhere.
  ['/browser.mjs', '../../../browser.mjs', 'text/javascript; charset=utf-8'],
  ['/connection.js', 'connection.js', 'text/javascript; charset=utf-8'],
  ['/echo-panel.js', 'echo-panel.js', 'text/javascript; charset=utf-8'],
  ['/view.js', 'view.js', 'text/javascript; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
];

/** `ws:` and `wss:` are named because older Safari does not count them as `'self'`. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Adds one GET route per file. */
function servePages(app) {
  for (const [address, file, type] of PAGES) {
    const content = readFileSync(join(__dirname, 'public', file));
    app.get(address, (res) => {
      res
        .writeHeader('Content-Type', type)
        .writeHeader('Cache-Control', 'no-cache')
        .writeHeader('Content-Security-Policy', POLICY)
        .writeHeader('X-Content-Type-Options', 'nosniff')
        .end(content);
    });
  }
}

module.exports = { servePages };
