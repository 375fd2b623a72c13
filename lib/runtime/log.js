'use strict';

// Where log records go: to the listener of `setLogger`, which is kept here, and to stderr, at the level that the
// environment names. src/log decides which records are created.

const { abi, native } = require('./border.js');
const { call } = require('./call.js');
const { typeError } = require('./errors.js');

/** The names of the levels by number; the first one is `off`. */
const { levels: LEVELS } = abi;

/** The listener of `setLogger`. */
let logger;

function setLogger(level, listener) {
  if (typeof level !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'level must be a string');
  const number = LEVELS.indexOf(level);
  if (number === -1) throw typeError('ERR_INVALID_ARG_VALUE', `level must be one of ${LEVELS.join(', ')}`);
  const isOptional = level === 'off';
  if (typeof listener !== 'function' && listener !== null && !(isOptional && listener === undefined)) {
    throw typeError('ERR_INVALID_ARG_TYPE', 'listener must be a function or null');
  }
  logger = level === 'off' ? undefined : listener ?? undefined;
  native.setLogger(logger === undefined ? 0 : number);
}

/** A record comes as level, target, message, and then name and value of each field. */
function readRecord([level, target, message, ...details]) {
  const fields = {};
  for (let index = 0; index < details.length; index += 2) fields[details[index]] = details[index + 1];
  return { level: LEVELS[level], target, message, fields };
}

/** The level of records for stderr, from the environment variable. */
function levelOfProcess() {
  const level = environmentVariable('FERROWS_LOG');
  if (level === '') return 0;
  chooseFormat();
  const number = LEVELS.indexOf(level.toLowerCase());
  if (number >= 0) return number;
  const text = `FERROWS_LOG must be one of ${LEVELS.join(', ')}; it is ${JSON.stringify(level)}, so nothing is logged`;
  process.emitWarning(text, { type: 'FerrowsWarning', code: 'FERROWS_LOG' });
  return 0;
}

/** The format of lines on stderr, from the environment variable. */
function chooseFormat() {
  const format = environmentVariable('FERROWS_LOG_FORMAT').toLowerCase();
  if (['', 'text', 'json'].includes(format)) {
    native.logAsJson(format === 'json');
    return;
  }
  const text = `FERROWS_LOG_FORMAT must be text or json; it is ${JSON.stringify(format)}, so lines are text`;
  process.emitWarning(text, { type: 'FerrowsWarning', code: 'FERROWS_LOG' });
}

/** The value of a variable; empty if it is not set or must not be read, as in Deno without `--allow-env`. */
function environmentVariable(name) {
  try {
    return process.env[name] ?? '';
  } catch {
    return '';
  }
}

/** Hands a record to the listener. */
function handleRecord(record) {
  call(logger, readRecord(record));
}

module.exports = { setLogger, levelOfProcess, handleRecord };
