'use strict';

// An object that notices when somebody looks at it. This file is one of its own, because the addon keeps such an object for as
// long as the environment lives: it must refer to nothing but what is passed here.

/** A prototype like `prototype`. When a property is looked up in it, or would be set, `notice.isTouched` becomes true. */
function watched(prototype, notice) {
  return new Proxy(prototype, {
    get(target, key, receiver) {
      notice.isTouched = true;
      return Reflect.get(target, key, receiver);
    },
    set(target, key, value, receiver) {
      notice.isTouched = true;
      return Reflect.set(target, key, value, receiver);
    },
  });
}

module.exports = { watched };
