'use strict';

// How a WebSocket has ended, for programs: the errors of one whose peer has broken a rule, with the codes and texts of `ws`, and
// `closeInfo`. The names of causes are those of index.d.ts.

const FRAME = 'Invalid WebSocket frame: ';
const TOO_BIG = [RangeError, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'Max payload size exceeded'];

/** `[class, code, message]` by the name of the cause. */
const ERRORS = new Map([
  ['ERR_FRAME_RESERVED_BITS', [RangeError, 'WS_ERR_UNEXPECTED_RSV_2_3', `${FRAME}RSV2 and RSV3 must be clear`]],
  ['ERR_FRAME_MISPLACED_COMPRESSION', [RangeError, 'WS_ERR_UNEXPECTED_RSV_1', `${FRAME}RSV1 must be clear`]],
  ['ERR_FRAME_RESERVED_OPCODE', [RangeError, 'WS_ERR_INVALID_OPCODE', `${FRAME}invalid opcode`]],
  ['ERR_FRAME_UNEXPECTED_CONTINUATION', [RangeError, 'WS_ERR_INVALID_OPCODE', `${FRAME}invalid opcode 0`]],
  ['ERR_FRAME_EXPECTED_CONTINUATION', [RangeError, 'WS_ERR_INVALID_OPCODE', `${FRAME}invalid opcode`]],
  ['ERR_FRAME_FRAGMENTED_CONTROL', [RangeError, 'WS_ERR_EXPECTED_FIN', `${FRAME}FIN must be set`]],
  ['ERR_FRAME_CONTROL_TOO_LONG', [RangeError, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', `${FRAME}invalid payload length`]],
  ['ERR_CLOSE_PAYLOAD_TRUNCATED', [RangeError, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', `${FRAME}invalid payload length 1`]],
  ['ERR_FRAME_UNMASKED', [RangeError, 'WS_ERR_EXPECTED_MASK', `${FRAME}MASK must be set`]],
  ['ERR_FRAME_MASKED', [RangeError, 'WS_ERR_UNEXPECTED_MASK', `${FRAME}MASK must be clear`]],
  ['ERR_FRAME_NON_MINIMAL_LENGTH', [RangeError, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', `${FRAME}payload length must be encoded minimally`]],
  ['ERR_FRAME_LENGTH_OVERFLOW', [RangeError, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 'Unsupported WebSocket frame: payload length > 2^53 - 1']],
  ['ERR_CLOSE_CODE', [RangeError, 'WS_ERR_INVALID_CLOSE_CODE', `${FRAME}invalid status code`]],
  ['ERR_CLOSE_REASON_UTF8', [Error, 'WS_ERR_INVALID_UTF8', `${FRAME}invalid UTF-8 sequence`]],
  ['ERR_INVALID_UTF8', [Error, 'WS_ERR_INVALID_UTF8', `${FRAME}invalid UTF-8 sequence`]],
  ['ERR_FRAME_TOO_BIG', TOO_BIG],
  ['ERR_MESSAGE_TOO_BIG', TOO_BIG],
  ['ERR_INFLATED_TOO_BIG', TOO_BIG],
  ['ERR_TOO_MANY_FRAGMENTS', [RangeError, 'WS_ERR_TOO_MANY_BUFFERED_PARTS', 'Too many message fragments']],
  ['ERR_INVALID_DEFLATE', [Error, 'Z_DATA_ERROR', 'invalid compressed data']],
]);

/**
 * The error of a cause; `undefined` if nobody has broken a rule. The cause does not say which reserved bit was set: without
 * permessage-deflate it is mostly that of a compressed message.
 */
function errorOf(cause, isCompressed) {
  const isRsv1 = cause === 'ERR_FRAME_RESERVED_BITS' && !isCompressed;
  const known = ERRORS.get(isRsv1 ? 'ERR_FRAME_MISPLACED_COMPRESSION' : cause);
  if (known === undefined) return undefined;
  const [Type, code, message] = known;
  return Object.assign(new Type(message), { code });
}

/** What a 'close' event says after `terminate`. */
const TERMINATED = 'Application called terminate()';

/** How it ended, for programs; `info` is what the addon says, if the connection was ever open there. */
function closeInfoOf(info, isClosedHere, reason) {
  if (info === undefined) {
    return reason === TERMINATED
      ? { cause: 'CLOSED_BY_APPLICATION', initiator: 'local', wasClean: false, reason }
      : { cause: 'ERR_CONNECT_FAILED', initiator: 'transport', wasClean: false, reason };
  }
  // The peer has only answered.
  const own = info.wasClean && isClosedHere ? { cause: 'CLOSED_BY_END', initiator: 'local' } : {};
  return { ...info, ...own, reason };
}

module.exports = { closeInfoOf, errorOf, TERMINATED };
