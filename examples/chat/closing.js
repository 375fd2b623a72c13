'use strict';

/** The arguments of a close handler, in a form that can be stored, sent and read. */

/** The arguments of a close handler as a record that survives the call. */
function closingOf(code, message, info) {
  return {
    code,
    // The ArrayBuffer is detached when the close handler returns, hence the text and not the buffer.
    reason: Buffer.from(message).toString(),
    cause: info.cause,
    initiator: info.initiator,
    wasClean: info.wasClean,
    openFor: info.openFor,
    silentFor: info.silentFor,
    at: Date.now(),
  };
}

/** For example `1006 Received TCP FIN before WebSocket close frame (ERR_FIN_WITHOUT_CLOSE)`. */
function closingText({ code, reason, cause }) {
  return `${code} ${printable(reason)} (${cause})`;
}

/** Peers choose their own reasons: a line break or an escape sequence in one must not reach the terminal. */
function printable(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

module.exports = { closingOf, closingText, printable };
