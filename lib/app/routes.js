'use strict';

// Adds routes to an app. `handlers` are those of the app (lib/app/handlers.js).

const { isAnyArrayBuffer } = require('../loading/builtins.js').util.types;

const { abi, native, readable, registers } = require('../runtime/border.js');
const { checkFunction, typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');
const { checkPattern } = require('../runtime/warnings.js');

const { REPLACED } = abi.register;

/** Adds a route to a handler or a declarative response; `null` removes the route. */
function addRoute(app, handlers, method, pattern, handler) {
  if (handler === null) {
    handlers.remove(native.appUnroute(app, method, readable(pattern)));
    return;
  }
  if (isAnyArrayBuffer(handler)) {
    setTarget(handlers, native.appDeclarative(app, method, readable(pattern), readable(handler)), undefined, pattern);
    return;
  }
  checkFunction(handler);
  setTarget(handlers, native.appRoute(app, method, readable(pattern)), handler, pattern);
}

/** Adds a GET route whose responses are cached. Declarative responses are not cached: they call no handler. */
function addCachedRoute(app, handlers, pattern, handler, options) {
  const { lowerExpiry, upperExpiry } = readExpiry(options);
  if (typeof handler === 'function') {
    setTarget(handlers, native.appCached(app, readable(pattern), lowerExpiry, upperExpiry), handler, pattern);
  } else {
    addRoute(app, handlers, 'GET', pattern, handler);
  }
  checkNames('a cached route', options, ['lowerExpiry', 'upperExpiry']);
}

/** The third argument of `get`. A number is short for `{ lowerExpiry }`. */
function readExpiry(options) {
  if (typeof options === 'number') return { lowerExpiry: options };
  if (typeof options === 'object' && options !== null) return options;
  throw typeError('ERR_INVALID_ARG_TYPE', 'Cache options must be an object');
}

/**
 * Sets the handler of a new route. The register `REPLACED` has the number of the route that it replaces, or its own
 * number if its pattern matches no request.
 */
function setTarget(handlers, number, target, pattern) {
  const replaced = registers[REPLACED];
  if (replaced !== number) handlers.set(number, target, replaced);
  checkPattern(pattern, replaced === number);
}

module.exports = { addCachedRoute, addRoute, setTarget };
