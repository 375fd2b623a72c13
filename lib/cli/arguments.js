'use strict';

// What was given on the command line. `util.parseArgs` is missing in the first releases of Node.js 18.

/** Something is wrong with how the command was called; the message says what. */
class UsageError extends Error {}

/**
 * Splits arguments into `{ options, values }`. `known` has an entry for each option: `'flag'`, `'text'` for one that takes a
 * value, `'texts'` for one that may be given several times. `--name value` and `--name=value` are the same; behind `--`
 * everything is a value.
 */
function parseArguments(args, known) {
  const options = {};
  const values = [];
  for (let index = 0; index < args.length; index++) {
    const text = args[index];
    if (text === '--') {
      values.push(...args.slice(index + 1));
      break;
    }
    if (!text.startsWith('-') || text === '-') {
      values.push(text);
      continue;
    }
    const [, dashes, name, given] = text.match(/^(--?)([^=]+)(?:=(.*))?$/s) ?? [];
    const kind = dashes === '--' ? known[name] : name === 'h' ? 'flag' : undefined;
    if (kind === undefined) throw new UsageError(`There is no option ${text.split('=')[0]}.`);
    if (kind === 'flag') {
      if (given !== undefined) throw new UsageError(`--${name} takes no value.`);
      options[name === 'h' ? 'help' : name] = true;
      continue;
    }
    if (given === undefined && index + 1 >= args.length) throw new UsageError(`--${name} needs a value.`);
    const value = given ?? args[++index];
    if (kind === 'texts') (options[name] ??= []).push(value);
    else if (options[name] !== undefined) throw new UsageError(`--${name} is given twice.`);
    else options[name] = value;
  }
  return { options, values };
}

/** A number of seconds above 0, or `fallback` if the option is not given. */
function readSeconds(options, name, fallback, max = 86_400) {
  const text = options[name];
  if (text === undefined) return fallback;
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds > 0) || seconds > max) {
    throw new UsageError(`--${name} must be a number of seconds above 0 and up to ${max}, not “${text}”.`);
  }
  return seconds;
}

module.exports = { UsageError, parseArguments, readSeconds };
