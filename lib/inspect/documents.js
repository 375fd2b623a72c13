'use strict';

// The pages of docs/ that come with the package, for browsers.

const { path: { posix: { join } } } = require('../loading/builtins.js');

const { pageNames, readPage } = require('../knowledge/pages.js');
const { escape, htmlOf } = require('./markdown.js');

/** Where pages are that do not come with the package. */
const REPOSITORY = 'https://github.com/ferrows/ferrows/blob/main/';

/** A page as a document; undefined if there is none of this name. */
function documentOf(name) {
  const names = pageNames();
  // No part of a request becomes part of the name of a file: it has to be one of those that are there.
  if (!names.includes(name)) return undefined;
  const markdown = readPage(`${name}.md`);
  const title = markdown.match(/^# (.+)$/m)?.[1] ?? name;
  const body = htmlOf(markdown, (target) => addressOf(target, names));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>${escape(title.replaceAll('`', ''))}</title>
<link rel="icon" href="../icon.svg" type="image/svg+xml" />
<link rel="stylesheet" href="../style.css" />
</head>
<body class="document">
<nav aria-label="Documents"><a href="../">Inspector</a> ${names.map((other) => `<a href="${other}"${other === name ? ' aria-current="page"' : ''}>${other}</a>`).join(' ')}</nav>
<main>
${body}
</main>
</body>
</html>
`;
}

/** Where a link of a page leads to, here: escaped already. */
function addressOf(target, names) {
  if (/^(?:https?:|#)/.test(target)) return target;
  const [path, anchor] = target.split('#');
  const name = path.replace(/\.md$/, '');
  if (path.endsWith('.md') && names.includes(name)) return anchor === undefined ? name : `${name}#${anchor}`;
  return REPOSITORY + join('docs', path) + (anchor === undefined ? '' : `#${anchor}`);
}

module.exports = { documentOf };
