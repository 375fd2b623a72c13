'use strict';

// The events of the DOM: `addEventListener` and `onmessage`, on an EventEmitter.

/** The listener of the program, behind a listener of the emitter. */
const LISTENER = Symbol('listener');
/** Whether it was set as `onopen` and the like, of which there is one for each type. */
const IS_ATTRIBUTE = Symbol('isAttribute');

let targeted;

class Event {
  #type;
  #target = null;

  constructor(type) {
    this.#type = type;
  }

  static {
    targeted = (event, target) => {
      event.#target = target;
      return event;
    };
  }

  get target() { return this.#target; }

  get type() { return this.#type; }
}

class CloseEvent extends Event {
  #values;

  constructor(type, { code = 0, reason = '', wasClean = false } = {}) {
    super(type);
    this.#values = { code, reason, wasClean };
  }

  get code() { return this.#values.code; }

  get reason() { return this.#values.reason; }

  get wasClean() { return this.#values.wasClean; }
}

class ErrorEvent extends Event {
  #values;

  constructor(type, { error = null, message = '' } = {}) {
    super(type);
    this.#values = { error, message };
  }

  get error() { return this.#values.error; }

  get message() { return this.#values.message; }
}

class MessageEvent extends Event {
  #data;

  constructor(type, { data = null } = {}) {
    super(type);
    this.#data = data;
  }

  get data() { return this.#data; }
}

for (const [type, names] of [
  [Event, ['target', 'type']], [CloseEvent, ['code', 'reason', 'wasClean']], [ErrorEvent, ['error', 'message']], [MessageEvent, ['data']],
]) {
  for (const name of names) Object.defineProperty(type.prototype, name, { enumerable: true });
}

/** Makes the event of each type from what the emitter passes on. */
const MAKERS = {
  open: () => new Event('open'),
  message: (ws, data, isBinary) => new MessageEvent('message', { data: isBinary ? data : data.toString() }),
  error: (ws, error) => new ErrorEvent('error', { error, message: error.message }),
  close: (ws, code, reason) => new CloseEvent('close', { code, reason: reason.toString(), wasClean: ws.closeInfo?.wasClean ?? false }),
};

const TYPES = Object.keys(MAKERS);

/** Methods of an EventEmitter with those events. */
const EventTarget = {
  addEventListener(type, listener, options) {
    addListener(this, type, listener, { isOnce: Boolean(options?.once), isAttribute: false });
  },

  removeEventListener(type, listener) {
    const found = this.listeners(type).find((known) => known[LISTENER] === listener && !known[IS_ATTRIBUTE]);
    if (found !== undefined) this.removeListener(type, found);
  },
};

function addListener(emitter, type, listener, { isOnce, isAttribute }) {
  if (!TYPES.includes(type)) return;
  const isKnown = emitter.listeners(type).some((known) => known[LISTENER] === listener && !known[IS_ATTRIBUTE]);
  if (isKnown && !isAttribute) return;
  function relay(...args) {
    const event = targeted(MAKERS[type](this, ...args), this);
    if (typeof listener === 'object' && listener !== null && listener.handleEvent) listener.handleEvent(event);
    else Reflect.apply(listener, this, [event]);
  }
  Object.assign(relay, { [LISTENER]: listener, [IS_ATTRIBUTE]: isAttribute });
  if (isOnce) emitter.once(type, relay);
  else emitter.on(type, relay);
}

/** The property `onopen` of the type `open`, and so on. */
function attributeOf(type) {
  const current = (emitter) => emitter.listeners(type).find((listener) => listener[IS_ATTRIBUTE]);
  return {
    configurable: true,
    enumerable: true,
    get() { return current(this)?.[LISTENER] ?? null; },
    set(listener) {
      const before = current(this);
      if (before !== undefined) this.removeListener(type, before);
      if (typeof listener === 'function') addListener(this, type, listener, { isOnce: false, isAttribute: true });
    },
  };
}

module.exports = { attributeOf, CloseEvent, ErrorEvent, Event, EventTarget, IS_ATTRIBUTE, LISTENER, MessageEvent, TYPES };
