'use strict';

// From the figures of several rounds to pictures: the points of the measures, gathered by contestant.

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { draw } = require('./chart.js');
const { median } = require('./table.js');

const CONNECTIONS = {
  axis: 'connections, each with one message of 20 bytes on its way',
  kind: 'lines',
  scale: 'linear',
  places: ['1', '8', '64', '500', '5,000'],
};
const PACES = {
  axis: 'messages of 20 bytes per second, over 1,000 connections',
  kind: 'lines',
  scale: 'log',
  places: ['1,000', '5,000', '20,000', '50,000', '100,000'],
};

/** By the name that measures give them, which is that of the file, too. */
const PICTURES = {
  'rate': { title: 'Echoed messages per second', ...CONNECTIONS },
  'cpu': { title: 'CPU of all threads per echoed message, µs', ...CONNECTIONS },
  'node-cpu': { title: "CPU of Node's thread per echoed message, µs", ...CONNECTIONS },
  'latency-p50': { title: 'Time to an echo, median, µs', ...PACES },
  'latency-p99': { title: 'Time to an echo, 99th percentile, µs', ...PACES },
  'memory': {
    title: 'Resident memory per idle WebSocket, bytes',
    axis: '10,000 connections in clear, 2,000 over TLS',
    kind: 'bars',
    scale: 'linear',
    places: ['in clear', 'over TLS'],
  },
};

/**
 * The charts for which there are points, by name.
 * @param {Array<{ measure: object, rounds: Array<Record<string, object>> }>} results
 * @returns {Record<string, import('./chart.js').Chart>}
 */
function chartsOf(results) {
  const values = gather(results);
  const charts = Object.entries(PICTURES).map(([name, { places, ...picture }]) => {
    const all = values.get(name) ?? new Map();
    const measured = places.filter((place) => [...all.values()].some((known) => known.has(place)));
    const series = [...all].map(([who, known]) => ({ name: who, values: measured.map((place) => known.get(place) ?? null) }));
    return [name, { ...picture, places: measured, series }];
  });
  return Object.fromEntries(charts.filter(([, { series }]) => series.length > 0));
}

/** Medians by picture, contestant and place. */
function gather(results) {
  const values = new Map();
  for (const { measure, rounds } of results) {
    for (const { picture, place, figure } of measure.points ?? []) {
      for (const { name } of measure.contestants) {
        const value = median(rounds.map((round) => round[name]?.[figure] ?? null));
        if (value === null) continue;
        if (!values.has(picture)) values.set(picture, new Map());
        const series = values.get(picture);
        if (!series.has(name)) series.set(name, new Map());
        series.get(name).set(place, value);
      }
    }
  }
  return values;
}

/**
 * Draws what there is into a folder.
 * @returns {Array<{ file: string, title: string }>}
 */
function writePictures(folder, results) {
  mkdirSync(folder, { recursive: true });
  return Object.entries(chartsOf(results)).map(([name, chart]) => {
    const file = path.join(folder, `${name}.svg`);
    writeFileSync(file, draw(chart));
    return { file, title: chart.title };
  });
}

/** The pictures as Markdown in a page of that folder. */
function shownFrom(folder, pictures) {
  const link = (file) => path.relative(folder, file).split(path.sep).join('/');
  return pictures.map(({ file, title }) => `![${title}](${link(file)})`).join('\n');
}

module.exports = { chartsOf, shownFrom, writePictures };
