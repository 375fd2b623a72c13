'use strict';

// The facts in `info` of a close or an abort, for tests about something else.

/** A matcher for values that `accepts` accepts. */
function matcher(name, accepts) {
  return { $$typeof: Symbol.for('jest.asymmetricMatcher'), asymmetricMatch: accepts, toAsymmetricMatcher: () => name };
}

const COUNT = matcher('Count', (value) => Number.isSafeInteger(value) && value >= 0);
const COUNT_OR_NONE = matcher('CountOrNone', (value) => value === undefined || COUNT.asymmetricMatch(value));

/** Those of a response. */
const RESPONSE_FACTS = { openFor: COUNT, bytes: { received: COUNT, sent: COUNT } };

/** Those of a WebSocket. */
const WEBSOCKET_FACTS = {
  ...RESPONSE_FACTS,
  silentFor: COUNT,
  quietFor: COUNT,
  unansweredPings: COUNT,
  roundTrip: COUNT_OR_NONE,
  messages: { received: COUNT, sent: COUNT },
};

module.exports = { RESPONSE_FACTS, WEBSOCKET_FACTS };
