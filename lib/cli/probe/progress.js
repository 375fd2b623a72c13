'use strict';

// What is going on, while it is: a picture that is drawn again on a terminal, otherwise a line for each event.

const { performance } = require('perf_hooks');

const { stylesFor } = require('../terminal.js');
const { MODE_NAMES, nameOf, short, stateText } = require('./report.js');
const { MODES } = require('./silences.js');

const REDRAW = 200;
const BAR = 24;
/** How many of the latest events are shown. */
const SAID = 6;
const DEFAULT_WIDTH = 80;

function progressOn(stream, environment = process.env) {
  return stream.isTTY && environment.TERM !== 'dumb' ? new LiveProgress(stream) : new PlainProgress(stream);
}

/** A line for each event, with the seconds since the beginning. */
class PlainProgress {
  #stream;
  #started = performance.now();
  #last = new Map();

  constructor(stream) {
    this.#stream = stream;
  }

  begin() {}

  say(text) {
    this.#stream.write(`${((performance.now() - this.#started) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
  }

  watch(watch) {
    if (['opening', 'waiting', 'asking', 'stopped'].includes(watch.state)) return;
    // The state is reported as soon as it is known, and again with its times.
    if (watch.age === undefined && watch.state !== 'refused') return;
    const text = `${MODE_NAMES[watch.mode]}, ${nameOf(watch)}: ${stateText(watch)}`;
    if (this.#last.get(watch) === text) return;
    this.#last.set(watch, text);
    this.say(text);
  }

  end() {}
}

/** A few lines that are drawn again, and removed in the end. */
class LiveProgress {
  #stream;
  #styles;
  #started = performance.now();
  #said = [];
  #silences;
  #timer;
  #height = 0;

  constructor(stream) {
    this.#stream = stream;
    this.#styles = stylesFor(stream);
    this.#timer = setInterval(() => this.#draw(), REDRAW);
  }

  /** The lines are being watched from now on. */
  begin(silences) {
    this.#silences = silences;
    this.#started = performance.now();
    this.#draw();
  }

  say(text) {
    this.#said.push(text);
    this.#draw();
  }

  watch() {}

  end() {
    clearInterval(this.#timer);
    this.#stream.write(this.#erase());
  }

  #erase() {
    const up = this.#height > 0 ? `\u001b[${this.#height}A\r\u001b[J` : '';
    this.#height = 0;
    return up;
  }

  #draw() {
    // A line that is folded by the terminal would be two.
    const width = (this.#stream.columns || DEFAULT_WIDTH) - 1;
    const said = this.#said.slice(-SAID).map((line) => line.slice(0, width));
    const lines = [...said, ...(this.#silences === undefined ? [] : this.#picture(width))];
    const text = lines.map((line) => `${line}\n`).join('');
    const erase = this.#erase();
    this.#height = lines.length;
    this.#stream.write(erase + text);
  }

  #picture(width) {
    const elapsed = performance.now() - this.#started;
    const part = Math.min(1, elapsed / this.#silences.length);
    const full = Math.round(part * BAR);
    const time = ` ${Math.floor(elapsed / 1000)} of about ${Math.ceil(this.#silences.length / 1000)} s`.slice(0, Math.max(0, width - BAR));
    const bar = Math.min(BAR, width);
    const lines = [
      'Ctrl+C shows what is known so far.'.slice(0, width),
      `${'━'.repeat(Math.min(full, bar))}${this.#styles.dim('━'.repeat(Math.max(0, bar - full)))}${time}`,
    ];
    for (const mode of MODES) {
      const watches = this.#silences.watches.filter((watch) => watch.mode === mode).sort((a, b) => a.silence - b.silence);
      if (watches.length === 0) continue;
      let line = MODE_NAMES[mode].padEnd(18).slice(0, width);
      let used = line.length;
      for (const watch of watches) {
        const [style, mark] = SIGNS[watch.state];
        const cell = ` ${short(watch.mode === 'pinged' ? watch.beat : watch.silence)}${mark}`;
        if (used + cell.length > width) break;
        used += cell.length;
        line += this.#styles[style](cell);
      }
      lines.push(line);
    }
    return lines;
  }
}

const SIGNS = {
  opening: ['dim', ' '], waiting: ['dim', '…'], asking: ['dim', '?'], survived: ['green', '✓'], cut: ['red', '✗'],
  forgotten: ['red', '✗'], silent: ['red', '✗'], unknown: ['yellow', '?'], refused: ['yellow', '-'], stopped: ['dim', '-'],
};

module.exports = { progressOn };
