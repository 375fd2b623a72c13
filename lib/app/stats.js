'use strict';

// Turns the flat list of counters from the addon into the object that `getStats` returns.

const { native } = require('../runtime/border.js');

/** The statistics of an app. Each comes with its path, the names of the nested objects joined by dots. */
function statsOf(app) {
  const [entries, workers] = native.appStats(app).map(pairsOf);
  const stats = {};
  for (const [place, value] of entries) {
    // An array holds names and counts in turn.
    set(stats, place.split('.'), Array.isArray(value) ? Object.fromEntries(pairsOf(value)) : value);
  }
  stats.workers = workers.map(([name, cpu]) => ({ name, cpu }));
  return stats;
}

function set(stats, names, value) {
  const last = names.pop();
  let object = stats;
  for (const name of names) object = object[name] ??= {};
  object[last] = value;
}

/** Pairs of a flat list in which names and values alternate. */
function pairsOf(flat) {
  return Array.from({ length: flat.length / 2 }, (_, index) => flat.slice(2 * index, 2 * index + 2));
}

module.exports = { statsOf };
