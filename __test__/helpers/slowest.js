'use strict';

const { relative } = require('node:path');

/** Fewer suites than this are run because somebody looks at them, not at their times. */
const FEW = 20;
const SHOWN = 10;

/** A reporter of Jest: says after a whole run which suites took longest, so that one that grows slow is seen. */
class Slowest {
  onRunComplete(_, { testResults }) {
    if (testResults.length < FEW) return;
    const times = testResults.map(({ testFilePath, perfStats }) => [perfStats.runtime, relative('.', testFilePath)]);
    times.sort(([a], [b]) => b - a);
    const lines = times.slice(0, SHOWN).map(([milliseconds, file]) => `${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${file}`);
    process.stderr.write(`\nThe slowest suites:\n${lines.join('\n')}\n`);
  }
}

module.exports = Slowest;
