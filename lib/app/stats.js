'use strict';

// Turns the flat list of counters from the addon into the object that `getStats` returns.

const { native } = require('../runtime/border.js');

/** The statistics of an app; with `all`, causes and rules that have not occurred are there, too. Each comes with its path, the names of the nested objects joined by dots. */
function statsOf(app, all = false) {
  const [entries, workers, patterns] = native.appStats(app, all);
  const stats = {};
  for (const [place, value] of groupsOf(entries, 2)) {
    // An array holds names and counts in turn.
    set(stats, place.split('.'), Array.isArray(value) ? Object.fromEntries(groupsOf(value, 2)) : value);
  }
  stats.workers = groupsOf(workers, 5).map(([name, cpu, leader, switches, seizures]) => (
    { name, cpu, leader, switches, seizures }
  ));
  stats.patterns = groupsOf(patterns, 4).map(([cause, silence, count, text]) => ({ cause, silence, count, text }));
  return stats;
}

/** The histograms of the WebSockets of an app that have closed, by name, one for each initiator. */
function histogramsOf(app) {
  const histograms = {};
  for (const [name, initiator, bounds, counts, sum] of groupsOf(native.appHistograms(app), 5)) {
    (histograms[name] ??= []).push({ initiator, bounds, counts, sum });
  }
  return histograms;
}

function set(stats, names, value) {
  const last = names.pop();
  let object = stats;
  for (const name of names) object = object[name] ??= {};
  object[last] = value;
}

/** The groups of `size` values each that follow each other in a flat list. */
function groupsOf(flat, size) {
  return Array.from({ length: flat.length / size }, (_, index) => flat.slice(size * index, size * (index + 1)));
}

module.exports = { histogramsOf, statsOf };
