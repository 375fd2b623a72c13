'use strict';

// From the figures of several rounds to medians, ratios and Markdown.

const { readFileSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const { opponents } = require('./contestants.js');

const BEGIN = '<!-- results: written by `npm run bench -- --write` -->';
const END = '<!-- end of results -->';

/** Median of numbers; null if there are none. */
function median(numbers) {
  const sorted = numbers.filter((number) => number !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The lines of the table.
 * @param {Array<{ measure: object, rounds: Array<Record<string, object>> }>} results Per measure and round the
 *   figures by contestant.
 */
function summarise(results) {
  return results.flatMap(({ measure, rounds }) => {
    const ran = ({ name }) => rounds.some((round) => round[name] !== undefined);
    const pairs = opponents(measure.contestants);
    const seen = pairs.filter(([, other]) => ran(other));
    // Without other contestants the first one is shown alone.
    const [alone = [measure.contestants[0]]] = pairs;
    const shown = seen.length > 0 ? seen : [alone];
    return measure.rows.flatMap((row) => shown.map(([own, other]) => summariseRow(own, other, rounds, row)));
  });
}

/** One line; `other` is undefined where there is nothing to compare with, and a target is then about the first one. */
function summariseRow(own, other, rounds, row) {
  const target = row.targets?.[(other ?? own).role ?? (other ?? own).name];
  const values = (name) => rounds.map((round) => round[name]?.[row.figure] ?? null);
  const [owns, others] = [values(own.name), other === undefined ? rounds.map(() => null) : values(other.name)];
  // Round by round: neighbours in time had the same machine.
  const ratios = owns.map((value, i) => (value === null || !others[i] ? null : value / others[i]));
  const known = ratios.filter((ratio) => ratio !== null);
  const [value, ratio] = [median(owns), median(ratios)];
  return {
    title: row.title,
    digits: row.digits,
    name: own.name,
    value,
    otherName: other?.name ?? null,
    other: median(others),
    ratio,
    ratioMin: known.length > 0 ? Math.min(...known) : null,
    ratioMax: known.length > 0 ? Math.max(...known) : null,
    target: target?.words(other?.name) ?? null,
    // A ratio that could not be measured reaches nothing; a value may reach its target alone.
    reached: target && value !== null ? target.reached(value, ratio ?? NaN) : null,
  };
}

/** The main table in Markdown. */
function resultsTable(lines) {
  const rows = lines.map((line) => [
    line.title,
    labelled(line.value, line.digits, line.name, 'ferrows'),
    labelled(line.other, line.digits, line.otherName),
    line.ratio === null ? '–' : `${ratio(line.ratio)} (${ratio(line.ratioMin)}–${ratio(line.ratioMax)})`,
    line.target ?? '',
    line.reached === null ? '' : line.reached ? 'yes' : 'no',
  ]);
  return markdown(['measure', 'ferrows', 'compared with', 'ratio (min–max)', 'target', 'reached'], rows);
}

/** The other figures of the closed loops, CPU time by thread and latencies; empty without closed loops. */
function detailsTable(results) {
  const rows = [];
  for (const { measure, rounds } of results) {
    for (const { name } of measure.contestants) {
      const figure = (key, digits) => number(median(rounds.map((round) => round[name]?.[key] ?? null)), digits);
      if (rounds.every((round) => round[name]?.client_us === undefined)) continue;
      const cpu = ['all_us', 'main_us', 'workers_us', 'client_us'].map((key) => figure(key, 2));
      const latency = ['p50_us', 'p99_us', 'p999_us'].map((key) => figure(key, 0));
      const load = measure.label === undefined ? measure.key : `${measure.key}, ${measure.label}`;
      rows.push([load, name, figure('per_second', 0), ...cpu, ...latency]);
    }
  }
  if (rows.length === 0) return '';
  const cpu = ['all threads', 'Node thread', 'other threads', 'load client'].map((who) => `${who}, CPU µs`);
  return markdown(['measure', 'server', 'per second', ...cpu, 'p50 µs', 'p99 µs', 'p99.9 µs'], rows);
}

function labelled(value, digits, name, usual) {
  return value === null || name === usual ? number(value, digits) : `${number(value, digits)} (${name})`;
}

function number(value, digits) {
  if (value === null) return '–';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function ratio(value) {
  return value.toFixed(value < 0.1 ? 3 : 2);
}

function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}

/** One sentence that names the machine. */
function machine() {
  const cpus = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const system = `${os.type()} ${os.release().split('-')[0]}, ${os.arch()}`;
  return `${cpus[0].model.trim()}, ${cpus.length} cores, ${memory} GiB; ${system}; Node ${process.versions.node}`;
}

/** Puts the results into the README between their two marks. */
function writeResults(readme, text) {
  const old = readFileSync(readme, 'utf8');
  const [begin, end] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${readme} has no results section`);
  writeFileSync(readme, `${old.slice(0, begin + BEGIN.length)}\n${text}\n${old.slice(end)}`);
}

module.exports = { detailsTable, machine, median, resultsTable, summarise, writeResults };
