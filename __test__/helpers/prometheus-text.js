'use strict';

// Reads the text format 0.0.4 as strictly as Prometheus does.

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const NUMBER = '[0-9]+(?:\\.[0-9]+)?(?:e[+-]?[0-9]+)?';
const HELP = new RegExp(`^# HELP (${NAME}) \\S.*$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (${NUMBER})$`);
/** What is behind the name of a histogram in those of its samples. */
const PART = /_(?:bucket|sum|count)$/;

/**
 * Every metric of a scrape: its type, and its samples by their labels; those of a histogram by the ends of their names and
 * their labels. An error where a line is not as it has to be.
 */
function parse(text) {
  expect(text.endsWith('\n')).toBe(true);
  const metrics = new Map();
  const lines = text.slice(0, -1).split('\n');
  while (lines.length > 0) {
    const [, name] = HELP.exec(lines.shift());
    const [, typed, type] = TYPE.exec(lines.shift());
    expect(typed).toBe(name);
    expect(metrics.has(name)).toBe(false);
    const samples = new Map();
    while (lines.length > 0 && !lines[0].startsWith('#')) {
      const [, sampled, labels = '', number] = SAMPLE.exec(lines.shift());
      const part = type === 'histogram' ? PART.exec(sampled)[0] : '';
      expect(sampled).toBe(`${name}${part}`);
      expect(samples.has(part + labels)).toBe(false);
      samples.set(part + labels, Number(number));
    }
    expect(name.endsWith('_total')).toBe(type === 'counter');
    if (type === 'histogram') checkHistogram(samples);
    metrics.set(name, { type, samples });
  }
  return metrics;
}

/** The buckets of each series ascend, and the last one has all of it. */
function checkHistogram(samples) {
  const series = new Map();
  for (const [key, number] of samples) {
    const bucket = /^_bucket(.*?),?le="([^"]*)"\}$/.exec(key);
    if (bucket === null) continue;
    const [, labels, bound] = bucket;
    if (!series.has(labels)) series.set(labels, []);
    series.get(labels).push([bound === '+Inf' ? Infinity : Number(bound), number]);
  }
  expect(series.size).toBeGreaterThan(0);
  for (const [labels, buckets] of series) {
    for (let index = 1; index < buckets.length; index++) {
      expect(buckets[index][0]).toBeGreaterThan(buckets[index - 1][0]);
      expect(buckets[index][1]).toBeGreaterThanOrEqual(buckets[index - 1][1]);
    }
    expect(buckets.at(-1)[0]).toBe(Infinity);
    const rest = labels === '{' ? '' : `${labels}}`;
    expect(samples.get(`_count${rest}`)).toBe(buckets.at(-1)[1]);
    expect(samples.has(`_sum${rest}`)).toBe(true);
  }
}

module.exports = { parse };
