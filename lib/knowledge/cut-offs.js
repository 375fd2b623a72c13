'use strict';

// After how long which product cuts a silent line: the table of docs/load-balancers.md.

const { readPage, sectionsOf, tablesOf } = require('./pages.js');

const FACTORS = { s: 1, min: 60, h: 3600 };

/** How far from the figure of the table a cut still is that of the product, for timers that look once a second. */
const TOLERANCE = 0.02;
const MIN_TOLERANCE = 1;

/**
 * The rows of the table: `{ product, text, seconds, isConfigured, setting, how }`; `seconds` is undefined if the table has no figure,
 * `isConfigured` says that there is none that all have.
 */
function cutOffs() {
  const tables = sectionsOf(readPage('load-balancers.md')).flatMap(({ lines }) => tablesOf(lines));
  const { rows } = tables.find(({ columns }) => columns[0] === 'on the way' && columns[1] === 'cuts a WebSocket after');
  return rows.map(([product, text, setting, how]) => ({ product, text, seconds: secondsIn(text), isConfigured: text.startsWith('as configured'), setting, how }));
}

function secondsIn(text) {
  const [, number, unit] = text.match(/(\d+) (s|min|h)\b/) ?? [];
  return number === undefined ? undefined : Number(number) * FACTORS[unit];
}

/** The rows whose figure lies between `shortest` and `longest` seconds of silence, or next to them. */
function productsThatCut(shortest, longest, table = cutOffs()) {
  return table.filter(({ seconds }) => {
    if (seconds === undefined) return false;
    const tolerance = Math.max(MIN_TOLERANCE, seconds * TOLERANCE);
    return seconds >= shortest - tolerance && seconds <= longest + tolerance;
  });
}

module.exports = { cutOffs, productsThatCut };
