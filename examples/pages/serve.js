'use strict';

/** The pages of the examples. They are read once; no part of a request ever becomes part of a file name. */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/** Adds the page of an example, its style, and the WebSocket that comes back (`require.resolve('ferrows/browser')` elsewhere). */
function servePage(app, name) {
  const files = [
    ['/', `${name}.html`, 'text/html; charset=utf-8'],
    ['/page.js', `${name}.js`, 'text/javascript; charset=utf-8'],
    ['/show.js', 'show.js', 'text/javascript; charset=utf-8'],
    ['/style.css', 'style.css', 'text/css; charset=utf-8'],
    ['/browser.mjs', '../../browser.mjs', 'text/javascript; charset=utf-8'],
    ['/icon.svg', '../chat/public/icon.svg', 'image/svg+xml'],
  ];
  for (const [address, file, type] of files) {
    const content = readFileSync(join(__dirname, file));
    app.get(address, (res, req) => {
      // WebSockets to this address are for the `ws` route.
      if (req.getHeader('upgrade') !== '') return void req.setYield(true);
      return void res.writeHeader('Content-Type', type).writeHeader('Cache-Control', 'no-cache').end(content);
    });
  }
}

module.exports = { servePage };
