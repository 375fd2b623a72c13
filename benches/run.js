'use strict';

// npm run bench -- [--short] [--rounds 5] [--seconds 3] [--only echo,http] [--contestants ferrows,ws]
//                  [--peer [NAME=]PATH]… [--env NAME=VALUE]… [--load PATH] [--json] [--write]
//                  [--pictures FOLDER]
//
// Measures and prints; asserts nothing. Exit code 0 unless a server or the load client failed.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { peerFrom, withPeers } = require('./contestants.js');
const { measures, runOnce } = require('./measures.js');
const { shownFrom, writePictures } = require('./pictures.js');
const { buildLoad, hasCommand, hasCores } = require('./processes.js');
const { detailsTable, machine, resultsTable, summarise, writeResults } = require('./table.js');

const OPTIONS = {
  short: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  only: { type: 'string' },
  contestants: { type: 'string' },
  peer: { type: 'string', multiple: true, default: [] },
  env: { type: 'string', multiple: true, default: [] },
  load: { type: 'string' },
  json: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  pictures: { type: 'string' },
};

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  const settings = settingsFrom(values);
  const chosen = choose(values);
  settings.executable = values.load ?? buildLoad();
  const results = [];
  let failures = 0;
  for (const measure of chosen) {
    const rounds = [];
    for (let round = 0; round < settings.rounds; round += 1) {
      const figures = {};
      // Every other round in reverse order, so that a machine that slows down steadily favours no contestant.
      for (const contestant of round % 2 === 0 ? measure.running : [...measure.running].reverse()) {
        progress(`${measure.key}: round ${round + 1} of ${settings.rounds}, ${contestant.name}`);
        try {
          figures[contestant.name] = await runOnce(measure, contestant, settings);
        } catch (error) {
          failures += 1;
          console.error(`\n${measure.key}, ${contestant.name}: ${error.message}`);
        }
      }
      rounds.push(figures);
    }
    results.push({ measure, rounds });
  }
  progress('');
  report(results, values);
  process.exitCode = failures > 0 ? 1 : 0;
}

/** The settings of the measures; the short form takes half a minute. */
function settingsFrom({ short, rounds, seconds, env }) {
  return {
    rounds: Number(rounds ?? (short ? 1 : 5)),
    seconds: Number(seconds ?? (short ? 0.5 : 3)),
    warmUp: short ? 0.3 : 1,
    publishBlocks: short ? 5 : 20,
    env: Object.fromEntries(env.map((pair) => [pair.split('=', 1)[0], pair.slice(pair.indexOf('=') + 1)])),
  };
}

function choose({ short, only, contestants, peer }) {
  const peers = peer.map(peerFrom);
  const keys = new Set(measures.map((measure) => measure.key));
  const wanted = only?.split(',') ?? [...keys];
  for (const key of wanted) {
    if (!keys.has(key)) throw new Error(`--only: ${key} is none of ${[...keys].join(', ')}`);
  }
  const names = contestants?.split(',');
  // Asked for by name, a measure takes part in the short form too.
  return measures
    .filter((measure) => wanted.includes(measure.key) && (measure.short || !short || only !== undefined))
    .filter(({ key, cores }) => {
      if (cores === undefined || hasCores(cores)) return true;
      console.error(`${key}: left out, there are no two cores that taskset could give away`);
      return false;
    })
    .filter(({ key, command }) => {
      if (command === undefined || hasCommand(command)) return true;
      console.error(`${key}: left out, there is no ${command}`);
      return false;
    })
    .map((measure) => {
      const there = measure.contestants.filter(({ command }) => command === undefined || hasCommand(command));
      const everybody = withPeers(there, peers);
      return { ...measure, contestants: everybody, running: everybody.filter(({ name }) => names?.includes(name) ?? true) };
    })
    .filter((measure) => measure.running.length > 0);
}

function report(results, { json, write, pictures }) {
  const lines = summarise(results);
  const head = `${new Date().toISOString().slice(0, 10)}, ${machine()}.`;
  if (json) {
    const rounds = results.map(({ measure, rounds: figures }) => {
      return { measure: measure.key, label: measure.label, rounds: figures };
    });
    console.log(JSON.stringify({ machine: head, lines, rounds }, null, 2));
  } else {
    console.log(`${head}\n\n${resultsTable(lines)}\n\n${detailsTable(results)}`);
  }
  const drawn = pictures === undefined ? [] : writePictures(pictures, results);
  for (const { file } of drawn) console.error(file);
  if (write) {
    const rounds = results[0].rounds.length;
    const basis = rounds === 1 ? 'One round.' : `Medians of ${rounds} rounds.`;
    const parts = [`${head} ${basis}`, shownFrom(__dirname, drawn), resultsTable(lines), detailsTable(results)];
    const text = `\n${parts.filter((part) => part !== '').join('\n\n')}\n`;
    writeResults(path.join(__dirname, 'README.md'), text);
  }
}

/** Prints one line that overwrites itself, on a terminal only. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
