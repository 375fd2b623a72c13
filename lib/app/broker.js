'use strict';

// The option `broker` of an app, and what an app asks of the others with which it shares its topics.

const { timers: { clearTimeout, setTimeout } } = require('../loading/builtins.js');

const { abi, native, readable, registers } = require('../runtime/border.js');
const { publishBrokerState } = require('../runtime/channels.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');

const { COUNT_NOW, QUESTION } = abi.register;

const BROKER_OPTIONS = ['name', 'url', 'maxPending'];
const COUNT_OPTIONS = ['timeout'];

/** The option `broker`: `{ name, url, maxPending }`. */
function readBroker(option) {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'broker must be an object');
  const { name, url, maxPending } = option;
  if (typeof name !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'broker.name must be a string');
  if (url !== undefined && url !== null && typeof url !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'broker.url must be a string');
  }
  return { name, url: url ?? undefined, maxPending };
}

/** Shares the topics of an app with those of the same broker name. */
function joinBroker(app, { name, url, maxPending }, option) {
  native.appJoin(app, name, url, maxPending);
  checkNames('broker', option, BROKER_OPTIONS);
}

/** The number of the latest question to other processes. */
let latestQuestion = 0;

/** What to do with the answers, by the number of the question. */
const questions = new Map();

/** The subscribers of a topic in all apps of the broker. */
async function countSubscribers(app, topic, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  }
  const { timeout } = options ?? {};
  const name = readable(topic);
  const question = ++latestQuestion;
  const patience = native.appAsk(app, name, question, timeout);
  checkNames('countSubscribers', options, COUNT_OPTIONS);
  if (patience === 0) return native.appCount(app, name);
  return new Promise((resolve, reject) => {
    // Also keeps the process alive while the answers are waited for.
    const timer = setTimeout(() => {
      questions.delete(question);
      const text = `not all processes have answered within ${patience} ms, or there is no connection to the broker`;
      reject(Object.assign(new Error(text), { code: 'ERR_BROKER_TIMEOUT' }));
    }, patience);
    questions.set(question, (count) => {
      clearTimeout(timer);
      resolve(count);
    });
  });
}

/** Called when all processes have answered. */
function handleCounted() {
  const question = registers[QUESTION];
  const resolve = questions.get(question);
  questions.delete(question);
  resolve?.(registers[COUNT_NOW]);
}

/** Called when the state of a broker has changed. */
function handleBrokerState([name, state, since, code, message, from, to]) {
  publishBrokerState({
    name,
    state,
    since,
    ...(code !== undefined && { cause: { code, message } }),
    ...(from !== undefined && { gap: { from, to } }),
  });
}

module.exports = { readBroker, joinBroker, countSubscribers, handleCounted, handleBrokerState };
