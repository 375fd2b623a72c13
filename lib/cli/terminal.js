'use strict';

// Text for terminals: folding, colours where there are some, and the characters that must not reach one.

const MAX_WIDTH = 100;
const DEFAULT_WIDTH = 80;

const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] };

/** Functions that style a text for this stream, or leave it alone if it is no terminal or `NO_COLOR` is set. */
function stylesFor(stream, environment = process.env) {
  const isStyled = stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return Object.fromEntries(Object.entries(STYLES).map(([name, [on, off]]) => {
    return [name, isStyled ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text];
  }));
}

/** How wide lines may be. */
function widthOf(stream) {
  return Math.max(40, Math.min(stream.columns || DEFAULT_WIDTH, MAX_WIDTH));
}

/** Folds a paragraph into lines that begin with `indent`, the first one with `first`. */
function fold(text, width, indent = '', first = indent) {
  const lines = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(/\s+/)) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      [line, isEmpty] = [indent, true];
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  lines.push(line);
  return lines.join('\n');
}

/** A text of a peer on one line, without what a terminal would take for a command. */
function harmless(text, max = 200) {
  const plain = String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ').replace(/ {2,}/g, ' ').trim();
  return plain.length > max ? `${plain.slice(0, max)}…` : plain;
}

/** Markdown as a terminal shows it: the names of files for links, and no stars. */
function plainMarkdown(text, { bold } = { bold: (one) => one }) {
  return text
    .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label, target) => (target.startsWith('#') ? label : `${label} (${target})`))
    .replace(/\*\*(.+?)\*\*/g, (_, strong) => bold(strong))
    .replace(/(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)/g, '$1');
}

module.exports = { fold, harmless, plainMarkdown, stylesFor, widthOf };
