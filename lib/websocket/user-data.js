'use strict';

// Copies the properties of `userData` onto a WebSocket.

const { warnOnce } = require('../runtime/warnings.js');
const { WebSocket } = require('./websocket.js');

/** The members of a WebSocket that a property of the same name hides, except for those that are meant to be replaced. */
const METHODS = new Set(Object.entries(Object.getOwnPropertyDescriptors(WebSocket.prototype))
  .filter(([, { set }]) => set === undefined)
  .map(([name]) => name));

/**
 * Copies the own enumerable properties, those with symbols included. They are defined, not assigned, because assignment
 * would call an accessor of the prototype chain that has the same name. `__proto__`, which parsed JSON may contain
 * unintentionally, is left out. Throws what a getter among them throws.
 */
function adoptUserData(ws, userData) {
  // Calls each getter once. A spread defines properties, too.
  const properties = { ...userData };
  for (const name of Reflect.ownKeys(properties)) {
    if (name === '__proto__') {
      warnOnce('FERROWS_USER_DATA', name, 'userData has a property __proto__, which is left out');
      continue;
    }
    Object.defineProperty(ws, name, { value: properties[name], writable: true, enumerable: true, configurable: true });
    if (METHODS.has(name)) {
      warnOnce('FERROWS_USER_DATA', name, `userData has a property ${name}, which hides what ws.${name} is otherwise`);
    }
  }
}

module.exports = { adoptUserData };
