'use strict';

// The option `broker` of an app, and what an app asks of the others with which it shares its topics.

const { native, readable } = require('../runtime/border.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');

const BROKER_OPTIONS = ['name'];
const COUNT_OPTIONS = ['timeout'];

/** The option `broker`: `{ name }`. */
function readBroker(option) {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== 'object') throw typeError('ERR_INVALID_ARG_TYPE', 'broker must be an object');
  const { name, url } = option;
  if (typeof name !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'broker.name must be a string');
  if (url !== undefined && url !== null) {
    const text = 'broker.url is not supported: a broker without it connects the apps of one process, which is all that there is';
    throw typeError('ERR_INVALID_ARG_VALUE', text);
  }
  return { name };
}

/** Shares the topics of an app with those of the same broker name. */
function joinBroker(app, broker, option) {
  native.appJoin(app, broker.name);
  checkNames('broker', option, BROKER_OPTIONS);
}

/** The subscribers of a topic in all apps of the broker. */
async function countSubscribers(app, topic, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  }
  const count = native.appCount(app, readable(topic), options?.timeout);
  checkNames('countSubscribers', options, COUNT_OPTIONS);
  return count;
}

module.exports = { readBroker, joinBroker, countSubscribers };
