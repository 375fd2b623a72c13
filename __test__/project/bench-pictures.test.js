'use strict';

// The pictures of the benches: what of the figures gets into them, and that they are SVG that any browser takes.

const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { draw } = require('../../benches/chart.js');
const { measures } = require('../../benches/measures.js');
const { chartsOf, shownFrom, writePictures } = require('../../benches/pictures.js');

const chart = {
  title: 'Echo <20 B> & "more"',
  axis: 'connections',
  kind: 'lines',
  scale: 'linear',
  places: ['1', '64', '5,000'],
  series: [
    { name: 'ferrows', values: [10, 120_000, 90_000] },
    { name: 'ws', values: [20, null, 60_000] },
  ],
};

/** The elements of a document, each as its name and its attributes; throws where it is not well-formed. */
function parse(svg) {
  const [open, elements] = [[], []];
  for (const [, end, name, attributes, single, words] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*?)(\/?)>|([^<>]+)/g)) {
    if (words !== undefined) {
      if (/&(?!amp;|lt;|gt;|quot;)/.test(words)) throw new Error(`not escaped: ${words}`);
      continue;
    }
    if (end) {
      if (open.pop() !== name) throw new Error(`</${name}> closes something else`);
      continue;
    }
    const list = [...attributes.matchAll(/ ([\w:-]+)="([^"<>]*)"/g)].map(([, key, value]) => [key, value]);
    if (list.map(([key, value]) => ` ${key}="${value}"`).join('') !== attributes) throw new Error(`attributes of <${name}${attributes}>`);
    elements.push({ name, ...Object.fromEntries(list) });
    if (!single) open.push(name);
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
  return elements;
}

const all = (elements, name) => elements.filter((element) => element.name === name);
const numbers = (text) => text.split(/[ ,]/).map(Number);

test('every place and series is drawn within the picture, higher values higher up', () => {
  const elements = parse(draw(chart));
  const [{ width, height }] = all(elements, 'svg');
  const [own] = all(elements, 'polyline').map(({ points }) => numbers(points));
  expect(own).toHaveLength(6);
  const [left, ones, middle, many, right, most] = own;
  expect(left < middle && middle < right && right < Number(width)).toBe(true);
  expect(0 < many && many < most && most < ones && ones < Number(height)).toBe(true);
  for (const { cx, cy } of all(elements, 'circle')) {
    expect(Number(cx) > 0 && Number(cx) < Number(width)).toBe(true);
    expect(Number(cy) > 0 && Number(cy) < Number(height)).toBe(true);
  }
});

test('a line is broken where nothing was measured', () => {
  const elements = parse(draw(chart));
  // Two points of `ws` that are no neighbours: marks without a line, and one mark more in the legend.
  expect(all(elements, 'polyline')).toHaveLength(1);
  expect(all(elements, 'polygon')).toHaveLength(3);
});

test('it is told in words, too, and text stays text', () => {
  const [{ 'aria-label': label }] = parse(draw(chart));
  expect(label).toBe('Echo &lt;20 B&gt; &amp; &quot;more&quot;. ferrows: 1: 10, 64: 120,000, 5,000: 90,000. ws: 1: 20, 5,000: 60,000.');
});

test('one file is light and dark', () => {
  const svg = draw(chart);
  const [light, dark] = svg.split('@media (prefers-color-scheme: dark)');
  for (const rule of ['.paper', 'text {', '.grid', '.fill-1', '.line-1']) {
    expect(light).toContain(rule);
    expect(dark).toContain(rule);
  }
});

test('bars begin at zero, side by side', () => {
  const elements = parse(draw({ ...chart, kind: 'bars' }));
  const bars = all(elements, 'rect').filter(({ class: name }) => name.startsWith('fill'));
  expect(bars).toHaveLength(5);
  const feet = bars.map(({ y, height }) => Number(y) + Number(height));
  for (const foot of feet) expect(foot).toBeCloseTo(feet[0], 0);
  const sides = bars.map(({ x, width }) => [Number(x), Number(x) + Number(width)]).sort(([a], [b]) => a - b);
  for (let index = 1; index < sides.length; index += 1) expect(sides[index][0]).toBeGreaterThanOrEqual(sides[index - 1][1]);
});

test.each([
  ['linear', [3, 47, 90]],
  ['linear', [0, 0, 0]],
  ['linear', [0.004, 0.01, 0.02]],
  ['log', [16, 250, 99_615]],
  ['log', [100, 100, 100]],
  ['log', [null, null, null]],
])('a %s axis reaches around %j', (scale, values) => {
  const elements = parse(draw({ ...chart, scale, series: [{ name: 'ferrows', values }] }));
  const lines = all(elements, 'line').map(({ y1 }) => Number(y1));
  expect(lines.length).toBeGreaterThanOrEqual(2);
  expect(lines.length).toBeLessThanOrEqual(8);
  const marks = all(elements, 'circle').slice(1).map(({ cy }) => Number(cy));
  expect(marks).toHaveLength(values.filter((value) => value !== null).length);
  for (const y of marks) {
    expect(y).toBeLessThanOrEqual(Math.max(...lines));
    expect(y).toBeGreaterThanOrEqual(Math.min(...lines));
  }
});

test('pictures gather medians from the measures that ran, in the order of their axis', () => {
  const [ferrows, ws] = [{ name: 'ferrows' }, { name: 'ws' }];
  const measure = (place) => ({ contestants: [ferrows, ws], points: [{ picture: 'rate', place, figure: 'per_second' }] });
  const results = [
    { measure: measure('64'), rounds: [{ ferrows: { per_second: 5 }, ws: { per_second: 2 } }, { ferrows: { per_second: 7 } }] },
    { measure: measure('1'), rounds: [{ ferrows: { per_second: 3 } }] },
    { measure: { contestants: [ferrows] }, rounds: [{ ferrows: { per_second: 1 } }] },
  ];
  const charts = chartsOf(results);
  expect(Object.keys(charts)).toEqual(['rate']);
  expect(charts.rate.places).toEqual(['1', '64']);
  expect(charts.rate.series).toEqual([
    { name: 'ferrows', values: [3, 6] },
    { name: 'ws', values: [null, 2] },
  ]);
});

test('each point of a measure has its place in a picture', () => {
  const points = measures.flatMap((measure) => (measure.points ?? []).map((point) => [measure, point]));
  expect(points.length).toBeGreaterThan(0);
  for (const [measure, { picture, place, figure }] of points) {
    const charts = chartsOf([{ measure, rounds: [{ ferrows: { [figure]: 1 } }] }]);
    expect(charts[picture]?.places).toEqual([place]);
  }
});

test('pictures are files that a page can show', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ferrows-pictures-'));
  try {
    const measure = measures.find(({ points }) => points?.some(({ picture }) => picture === 'memory'));
    const drawn = writePictures(path.join(folder, 'docs'), [{ measure, rounds: [{ ferrows: { bytes: 700 } }] }]);
    expect(drawn.map(({ file }) => path.relative(folder, file))).toEqual([path.join('docs', 'memory.svg')]);
    expect(readFileSync(drawn[0].file, 'utf8')).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(shownFrom(path.join(folder, 'benches'), drawn)).toBe(`![${drawn[0].title}](../docs/memory.svg)`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
