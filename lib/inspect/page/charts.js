// Charts, as SVG. Each says its latest numbers as text, too; the picture itself is hidden from screen readers.

import { count, element } from './format.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const WIDTH = 320;
const HEIGHT = 120;
const LEFT = 46;
const BOTTOM = 16;
const TOP = 8;
/** Points of a line: one a second. */
const POINTS = 180;

function shape(name, attributes, text) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function picture(width = WIDTH, height = HEIGHT) {
  return shape('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true', focusable: 'false' });
}

/** The next larger of 1, 2, 5, 10, … of a unit, whose next larger one is `base` times as large. */
function roundUp(value, base = 1000) {
  let unit = 1;
  while (value > 500 * unit) unit *= base;
  return [1, 2, 5, 10, 20, 50, 100, 200, 500].map((factor) => factor * unit).find((candidate) => candidate >= value);
}

/** Lines over the last three minutes. `names` are those of the lines, `format` writes a value, `floor` is the
 * least top of the scale, and `base` by what units grow. */
export class LineChart {
  #values = new Map();
  #legend = element('ul', { className: 'legend' });
  #svg = picture();
  #format;
  #floor;
  #base;

  constructor(figure, { format, floor = 1, base }) {
    this.#format = format;
    this.#floor = floor;
    this.#base = base;
    figure.append(this.#legend, this.#svg);
  }

  /** Adds a value to each line: `{ name: value }`; undefined leaves a gap. */
  add(values) {
    for (const [name, value] of Object.entries(values)) {
      if (!this.#values.has(name)) this.#values.set(name, []);
      this.#values.get(name).push(value);
    }
    for (const [name, line] of this.#values) {
      // I/O threads come and go.
      if (!(name in values)) line.push(undefined);
      if (line.length > POINTS) line.shift();
      if (line.every((value) => value === undefined)) this.#values.delete(name);
    }
  }

  draw() {
    const all = [...this.#values.values()].flat().filter((value) => value !== undefined);
    const top = roundUp(Math.max(this.#floor, ...all), this.#base);
    const x = (index, length) => LEFT + (WIDTH - LEFT) * (POINTS - length + index) / (POINTS - 1);
    const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top;
    const nodes = [0, top / 2, top].flatMap((value) => [
      shape('line', { class: 'grid', x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
      shape('text', { x: LEFT - 4, y: y(value) + 4, 'text-anchor': 'end' }, this.#format(value)),
    ]);
    nodes.push(shape('text', { x: LEFT, y: HEIGHT - 2 }, '3 min ago'), shape('text', { x: WIDTH, y: HEIGHT - 2, 'text-anchor': 'end' }, 'now'));
    const items = [];
    [...this.#values].forEach(([name, line], index) => {
      const style = `c${index % 4}`;
      const parts = [];
      let isGap = true;
      line.forEach((value, at) => {
        if (value !== undefined) parts.push(`${isGap ? 'M' : 'L'}${x(at, line.length).toFixed(1)} ${y(value).toFixed(1)}`);
        isGap = value === undefined;
      });
      if (parts.length > 0) nodes.push(shape('path', { class: `series ${style}`, d: parts.join('') }));
      const latest = line.at(-1);
      items.push(element('li', { className: style }, element('span', {}, `${name} ${latest === undefined ? '–' : this.#format(latest)}`)));
    });
    this.#svg.replaceChildren(...nodes);
    this.#legend.replaceChildren(...items);
  }
}

/** Times at which the scale of the histogram is labelled, in seconds. */
const TIMES = new Map([[1, '1'], [5, '5'], [10, '10'], [20, '20'], [45, '45'], [90, '90'], [180, '3 min'], [300, '5 min'], [600, '10 min']]);
/** Widths between which the histogram is drawn, its height, and what is around it, in pixels. */
const [MIN_WIDTH, MAX_WIDTH, SILENCE_HEIGHT, PADDING] = [240, 900, 150, 28];
/** Bars of this width leave room for labels between those of known products, in pixels. */
const ROOMY = 24;
/** A bar that is narrower stands at a time after which something cuts, in seconds. */
const NARROW = 2;

/**
 * The histogram of silence at close: a bar for each range, narrow ones where known products cut. Those that were cut on the way
 * stand out. Who has closed within a second of traffic was not silent, and would only make the others small.
 */
export class SilenceChart {
  #figure;
  #legend = element('ul', { className: 'legend' });
  #svg = picture(MAX_WIDTH, SILENCE_HEIGHT);
  #cutOffs = [];
  #histograms;
  #drawn;

  constructor(figure) {
    this.#figure = figure;
    figure.append(this.#legend, this.#svg);
    new ResizeObserver(() => {
      if (this.#histograms !== undefined) this.draw(this.#histograms);
    }).observe(figure);
  }

  setCutOffs(cutOffs) {
    this.#cutOffs = cutOffs;
    this.#drawn = undefined;
  }

  /** `histograms` are those of the initiators: `{ initiator, bounds, counts }`. */
  draw(histograms) {
    this.#histograms = histograms;
    // As wide as it is shown, so that its text has one size on every screen.
    const width = Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, this.#figure.clientWidth - PADDING));
    const key = JSON.stringify([histograms, width]);
    if (this.#drawn === key) return;
    this.#drawn = key;
    const [{ bounds }] = histograms;
    const isCut = ({ initiator }) => initiator === 'transport';
    const counts = [...bounds, Infinity].map((_, index) => {
      const sum = (some) => some.reduce((total, one) => total + one.counts[index], 0);
      return [sum(histograms.filter(isCut)), sum(histograms.filter((one) => !isCut(one)))];
    });
    this.#tell(counts, bounds);
    const [height, left, bottom, top] = [SILENCE_HEIGHT, 34, 30, 8];
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const shown = counts.slice(1);
    const max = roundUp(Math.max(2, ...shown.map(([cut, other]) => cut + other)));
    const step = (width - left) / shown.length;
    const y = (value) => height - bottom - (height - bottom - top) * value / max;
    const nodes = [0, max / 2, max].flatMap((value) => [
      shape('line', { class: 'grid', x1: left, x2: width, y1: y(value), y2: y(value) }),
      shape('text', { x: left - 4, y: y(value) + 4, 'text-anchor': 'end' }, count(value)),
    ]);
    shown.forEach(([cut, other], index) => {
      const [from, to] = [bounds[index], bounds[index + 1]];
      const x = left + index * step;
      const known = this.#cutOffs.filter(({ seconds }) => seconds > from && seconds <= to).map(({ product }) => product);
      const title = `${rangeOf(from, to)}: ${cut} cut on the way, ${other} others${known.length > 0 ? ` (${known.join(', ')})` : ''}`;
      for (const [value, below, style] of [[cut, 0, 'c4'], [other, cut, 'c0']]) {
        if (value === 0) continue;
        const bar = shape('rect', { class: style, x: x + 2, y: y(below + value), width: step - 4, height: y(below) - y(below + value) });
        bar.append(shape('title', {}, title));
        nodes.push(bar);
      }
      if (to - from < NARROW) {
        const label = shape('text', { class: 'known', x: x + step / 2, y: height - bottom + 14, 'text-anchor': 'middle' }, String(Math.round((from + to) / 2)));
        label.append(shape('title', {}, title));
        nodes.push(label);
      }
      if (TIMES.has(from) && step >= ROOMY) nodes.push(shape('text', { x, y: height - bottom + 14, 'text-anchor': 'middle' }, TIMES.get(from)));
    });
    nodes.push(shape('text', { x: width, y: height - 2, 'text-anchor': 'end' }, 'seconds without a byte; bold: known to cut there'));
    this.#svg.replaceChildren(...nodes);
  }

  #tell([busy, ...counts], bounds) {
    const [cuts, others] = [0, 1].map((kind) => counts.reduce((sum, pair) => sum + pair[kind], 0));
    const peak = counts.reduce((best, [cut], index) => (cut > counts[best][0] ? index : best), 0);
    const most = cuts === 0 ? '' : `, most after ${rangeOf(bounds[peak], bounds[peak + 1])}`;
    this.#legend.replaceChildren(
      element('li', { className: 'c4' }, element('span', {}, `cut on the way ${cuts}${most}`)),
      element('li', { className: 'c0' }, element('span', {}, `others ${others}`)),
      element('li', { className: 'c5' }, element('span', {}, `within a second of traffic, not shown: ${busy[0] + busy[1]}`)),
    );
  }
}

function rangeOf(from, to) {
  return to === undefined ? `${from} s and more` : `${from} to ${to} s`;
}

/** Causes with a bar each, most frequent first. */
export class CauseChart {
  #list = element('ol', { className: 'causes' });
  #drawn;

  constructor(figure) {
    figure.append(this.#list);
  }

  draw(closes) {
    const entries = Object.entries(closes).sort(([, a], [, b]) => b - a);
    const key = JSON.stringify(entries);
    if (this.#drawn === key) return;
    this.#drawn = key;
    if (entries.length === 0) {
      this.#list.replaceChildren(element('li', { className: 'none' }, 'No WebSocket has closed yet.'));
      return;
    }
    const [[, max]] = entries;
    this.#list.replaceChildren(...entries.map(([cause, number]) => element(
      'li', {}, element('a', { href: causeLink(cause) }, cause), element('span', {}, String(number)),
      element('meter', { value: number, max, 'aria-hidden': 'true' }),
    )));
  }
}

/** What docs/close-reasons.md says about a cause: browsers scroll to the text. */
export function causeLink(cause) {
  return `docs/close-reasons#:~:text=${encodeURIComponent(cause)}`;
}
