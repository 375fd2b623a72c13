'use strict';

// Errors that are detected before a native call. src/node/error.rs creates all others, with codes of index.d.ts too.

function typeError(code, message) {
  return Object.assign(new TypeError(message), { code });
}

function invalidThis(name) {
  return typeError('ERR_INVALID_THIS', `Method called on an object that is no ${name}.`);
}

function illegalConstructor() {
  return typeError('ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
}

function missingArguments(count) {
  return typeError('ERR_MISSING_ARGS', `Function requires at least ${count} arguments.`);
}

function checkFunction(value) {
  if (typeof value !== 'function') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'Passed callback is not a valid function.');
  }
}

module.exports = { typeError, invalidThis, illegalConstructor, missingArguments, checkFunction };
