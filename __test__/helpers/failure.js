'use strict';

const { types } = require('node:util');

/**
 * What a call throws, as `{ name, code, message }`. Errors made by the addon belong to Node's main context and not to
 * Jest's, so they are no `instanceof` the classes that a test sees; the name tells the same.
 */
function failureOf(call) {
  let result;
  try {
    result = call();
  } catch (error) {
    if (!types.isNativeError(error)) throw new Error('what was thrown is no Error', { cause: error });
    const { name, code, message } = error;
    return { name, code, message };
  }
  throw new Error('nothing was thrown', { cause: result });
}

module.exports = { failureOf };
