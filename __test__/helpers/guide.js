'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/**
 * The code blocks of a page in docs/, by the heading above them: arrays of `{ language, kind, code }`. `kind` is the word
 * behind the language, such as `before` in "```js before".
 */
function readGuide(name) {
  const sections = new Map();
  const text = readFileSync(join(__dirname, '../../docs', name), 'utf8');
  let heading;
  for (const [, title, language, kind, code] of text.matchAll(/^#+ (.+)$|^```(\w*)(?: (\w+))?\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else sections.set(heading, [...(sections.get(heading) ?? []), { language, kind, code }]);
  }
  return sections;
}

/** Runs a code block with these names in scope; returns the values of `wanted` names that it defines. */
function runBlock(code, names, wanted = []) {
  const defined = wanted.map((name) => `${name}: typeof ${name} === 'undefined' ? undefined : ${name}`);
  return new Function(...Object.keys(names), `'use strict';${code}\nreturn { ${defined.join(', ')} };`)(...Object.values(names));
}

module.exports = { readGuide, runBlock };
