'use strict';

// Which cases run, and what they should come to.

const { readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const EXPECTED = path.join(__dirname, 'expected.json');

const GROUPS = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*'];
// Sizes and counts: seconds instead of a minute, yet every kind once (text, binary, fragmented, chopped, round trips).
const SOME_OF_9 = ['9.1.3', '9.2.3', '9.3.5', '9.4.5', '9.5.3', '9.6.3', '9.7.3', '9.8.3'];
// permessage-deflate: every parameter set at a small and at a large message size.
const SOME_COMPRESSION = ['12.*.3', '13.*.3', '12.*.12', '13.*.12'];

/** The case patterns of a run. */
function patterns({ cases, short, compression }) {
  if (cases) return cases.split(',');
  const sizes = short ? SOME_OF_9 : ['9.*'];
  const deflate = { none: [], some: SOME_COMPRESSION, all: ['12.*', '13.*'] }[compression];
  if (!deflate) throw new Error(`--compression is none, some or all, not ${compression}`);
  return [...GROUPS, ...sizes, ...deflate];
}

/** Whether a case belongs to a run, by the rule of wstest: `*` stands for anything, dots included. */
function matches(id, chosen) {
  return chosen.some((pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(id));
}

/**
 * Expected results by case: `{ behavior, behaviorClose }`. What is written for a server other than ferrows are its
 * differences from ferrows.
 */
function expectedResults(server) {
  const pinned = JSON.parse(readFileSync(EXPECTED, 'utf8'));
  return { ...pinned.ferrows, ...(server === 'ferrows' ? {} : pinned[server]) };
}

/** Makes these results the expected ones; cases that did not run keep theirs. */
function pin(server, results) {
  const pinned = JSON.parse(readFileSync(EXPECTED, 'utf8'));
  if (server === 'ferrows') {
    Object.assign(pinned.ferrows, results);
  } else {
    const merged = { ...pinned[server], ...results };
    const differs = ([id, result]) => JSON.stringify(result) !== JSON.stringify(pinned.ferrows[id]);
    pinned[server] = Object.fromEntries(Object.entries(merged).filter(differs));
  }
  writeFileSync(EXPECTED, layOut(pinned));
}

/** One case per line, in the order of the suite, so that a change reads well as a diff. */
function layOut(pinned) {
  const servers = Object.entries(pinned).map(([server, results]) => {
    const lines = Object.keys(results)
      .sort(byNumbers)
      .map((id) => `    ${JSON.stringify(id)}: ${JSON.stringify(results[id])}`);
    return `  ${JSON.stringify(server)}: {\n${lines.join(',\n')}\n  }`;
  });
  return `{\n${servers.join(',\n')}\n}\n`;
}

function byNumbers(a, b) {
  const [left, right] = [a, b].map((id) => id.split('.').map(Number));
  const at = left.findIndex((number, i) => number !== right[i]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

module.exports = { byNumbers, expectedResults, matches, patterns, pin };
