'use strict';

// A chart as SVG: lines over the places of an axis, or bars at them. Light or dark by the preference of the reader.

/**
 * @typedef {object} Chart
 * @property {string} title
 * @property {string} axis What the places are.
 * @property {'lines' | 'bars'} kind
 * @property {'linear' | 'log'} scale Of the values.
 * @property {string[]} places From left to right, the same distance apart.
 * @property {Array<{ name: string, values: Array<number | null> }>} series One value for each place, null where there is
 *   none.
 */

const [WIDTH, HEIGHT] = [720, 400];
/** The area in which values are drawn. */
const FRAME = { left: 76, right: WIDTH - 24, top: 84, bottom: HEIGHT - 60 };
/** By the order of the series, and what lies below them. */
const LIGHT = {
  ink: '#1f2328', faint: '#d1d9e0', paper: '#ffffff', series: ['#b7410e', '#0969da', '#1a7f37', '#8250df', '#57606a'],
};
const DARK = {
  ink: '#e6edf3', faint: '#3d444d', paper: '#0d1117', series: ['#ff8f5a', '#58a6ff', '#3fb950', '#bc8cff', '#9198a1'],
};

/** @param {Chart} chart */
function draw(chart) {
  const values = chart.series.flatMap((series) => series.values).filter((value) => value !== null);
  const axis = chart.scale === 'log' ? logAxis(values) : linearAxis(values);
  const body = [
    text({ x: FRAME.left, y: 30, class: 'title' }, chart.title),
    legend(chart.series),
    ...axis.ticks.map((tick) => gridLine(axis.y(tick), tick)),
    ...chart.places.map((place, index) => {
      return text({ x: center(chart, index), y: FRAME.bottom + 22, 'text-anchor': 'middle' }, place);
    }),
    text({ x: (FRAME.left + FRAME.right) / 2, y: HEIGHT - 14, 'text-anchor': 'middle', class: 'quiet' }, chart.axis),
    ...chart.series.map((series, index) => (chart.kind === 'lines' ? line : bars)(chart, axis, series, index)),
  ];
  return [
    tag('svg', {
      xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: 'img',
      'aria-label': `${chart.title}. ${describe(chart)}`,
    }, [
      tag('style', {}, [style()]),
      tag('rect', { class: 'paper', width: WIDTH, height: HEIGHT, rx: 6 }),
      ...body,
    ]),
    '',
  ].join('\n');
}

/** The values of the chart as text, for screen readers. */
function describe({ places, series }) {
  const each = ({ name, values }) => {
    const known = places.map((place, index) => [place, values[index]]).filter(([, value]) => value !== null);
    return `${name}: ${known.map(([place, value]) => `${place}: ${shown(value)}`).join(', ')}`;
  };
  return `${series.map(each).join('. ')}.`;
}

function style() {
  const rules = ({ ink, faint, paper, series }) => [
    `.paper { fill: ${paper} }`,
    `text { fill: ${ink} }`,
    `.grid { stroke: ${faint} }`,
    ...series.flatMap((colour, index) => [`.fill-${index} { fill: ${colour} }`, `.line-${index} { stroke: ${colour} }`]),
  ].join('\n');
  return [
    'text { font: 13px system-ui, sans-serif }',
    'text.title { font-size: 17px; font-weight: 600 }',
    'text.quiet { opacity: 0.75 }',
    'polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round }',
    rules(LIGHT),
    `@media (prefers-color-scheme: dark) {\n${rules(DARK)}\n}`,
  ].join('\n');
}

/** Each name with its mark, side by side. */
function legend(series) {
  let x = FRAME.left;
  const entries = series.flatMap(({ name }, index) => {
    const entry = [mark(index, x + 6, 54), text({ x: x + 18, y: 58 }, name)];
    x += 40 + name.length * 8;
    return entry;
  });
  return tag('g', {}, entries);
}

function gridLine(y, tick) {
  return tag('g', {}, [
    tag('line', { class: 'grid', x1: FRAME.left, x2: FRAME.right, y1: y, y2: y }),
    text({ x: FRAME.left - 10, y: y + 4, 'text-anchor': 'end', class: 'quiet' }, shown(tick)),
  ]);
}

/** A line, interrupted where a value is missing. */
function line(chart, axis, { values }, index) {
  const points = values.map((value, place) => (value === null ? null : [center(chart, place), axis.y(value)]));
  const runs = [[]];
  for (const point of points) {
    if (point === null) runs.push([]);
    else runs.at(-1).push(point);
  }
  const path = (run) => tag('polyline', { class: colour('line', index), points: corners(run) });
  const marks = points.filter((point) => point !== null).map(([x, y]) => mark(index, x, y));
  return tag('g', {}, [...runs.filter((run) => run.length > 1).map(path), ...marks]);
}

/** Bars: those of a place side by side, each with its value on top. */
function bars(chart, axis, { values }, index) {
  const width = step(chart) * 0.7 / chart.series.length;
  const drawn = values.flatMap((value, place) => {
    if (value === null) return [];
    const x = center(chart, place) + (index - chart.series.length / 2) * width;
    const y = axis.y(value);
    return [
      tag('rect', { class: colour('fill', index), x: x + 2, y, width: width - 4, height: FRAME.bottom - y }),
      text({ x: x + width / 2, y: y - 6, 'text-anchor': 'middle' }, shown(value)),
    ];
  });
  return tag('g', {}, drawn);
}

/** A shape for each series, so that they can be distinguished without colours, too. */
function mark(index, x, y) {
  const polygon = (...around) => {
    return tag('polygon', { class: colour('fill', index), points: corners(around.map(([dx, dy]) => [x + dx, y + dy])) });
  };
  switch (index % 4) {
    case 0: return tag('circle', { class: colour('fill', index), cx: x, cy: y, r: 5 });
    case 1: return polygon([-5, -5], [5, -5], [5, 5], [-5, 5]);
    case 2: return polygon([0, -6], [6, 5], [-6, 5]);
    default: return polygon([0, -7], [7, 0], [0, 7], [-7, 0]);
  }
}

function corners(points) {
  return points.map((point) => point.map(rounded).join()).join(' ');
}

/** The shape of a series; after the last one they start again. */
function colour(use, index) {
  return `${use}-${index % LIGHT.series.length}`;
}

/** The distance between two places. */
function step({ places }) {
  return (FRAME.right - FRAME.left) / places.length;
}

function center(chart, place) {
  return FRAME.left + step(chart) * (place + 0.5);
}

/** From zero to a round number above all values. */
function linearAxis(values) {
  const top = Math.max(...values, 0) || 1;
  const power = 10 ** Math.floor(Math.log10(top / 4));
  const unit = power * [1, 2, 2.5, 5, 10].find((round) => power * round * 4 >= top);
  const ticks = Array.from({ length: Math.ceil(top / unit) + 1 }, (_, index) => index * unit);
  return { ticks, y: height(0, ticks.at(-1), (value) => value) };
}

/** From the power of ten below all values to the one above them. */
function logAxis(values) {
  const positive = values.filter((value) => value > 0);
  const lowest = Math.floor(Math.log10(Math.min(...positive, Infinity)));
  const first = Number.isFinite(lowest) ? lowest : 0;
  const last = Math.max(Math.ceil(Math.log10(Math.max(...positive, 1))), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  return { ticks, y: height(first, last, (value) => (value > 0 ? Math.log10(value) : first)) };
}

/** The place of a value, given those at the bottom and at the top. */
function height(bottom, top, measure) {
  return (value) => FRAME.bottom - ((measure(value) - bottom) / (top - bottom)) * (FRAME.bottom - FRAME.top);
}

function shown(value) {
  return value.toLocaleString('en', { maximumSignificantDigits: value < 1000 ? 3 : 4 });
}

function rounded(value) {
  return Math.round(value * 10) / 10;
}

function text(attributes, words) {
  return tag('text', attributes, [escaped(words)], '');
}

/** @param {string[]} content Markup. */
function tag(name, attributes, content = [], between = '\n') {
  const list = Object.entries(attributes).map(([key, value]) => {
    return ` ${key}="${escaped(typeof value === 'number' ? rounded(value) : value)}"`;
  });
  const start = `<${name}${list.join('')}`;
  return content.length === 0 ? `${start}/>` : `${start}>${between}${content.join(between)}${between}</${name}>`;
}

function escaped(words) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return String(words).replace(/[&<>"]/g, (character) => entities[character]);
}

module.exports = { draw };
