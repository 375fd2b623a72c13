'use strict';

/** What a client may say to the chat route, and the rules for the names in it. */

/** Longest message, in UTF-16 units as an input field counts them. */
const MAX_TEXT = 500;
/** Longest message in bytes: 500 units of JSON, each at worst the six bytes of a `\u` escape, and the braces around. */
const MAX_BYTES = 4096;

const NICKNAME = /^[\p{L}\p{N}][\p{L}\p{N}\p{M}_.-]{1,19}$/u;
const ROOM = /^[a-z0-9][a-z0-9-]{0,23}$/;
/** Ways for a connection to end that a page may ask for. */
const DEMONSTRATIONS = new Set(['reset', 'bad-frame', 'restart']);
const SESSION = /^[0-9a-f]{32}$/;

/**
 * Parses one message. The answer is one of
 * `{ type: 'join', room, nickname, session }`, `{ type: 'say', text }`, `{ type: 'probe' }`, `{ type: 'demonstrate', what }`,
 * `{ type: 'refused', field, text }` for a name a person can correct,
 * `{ type: 'broken', text }` for what no client of ours sends.
 */
function parse(data, isBinary) {
  if (isBinary) return broken('text messages only');
  let message;
  try {
    message = JSON.parse(Buffer.from(data).toString());
  } catch {
    return broken('not JSON');
  }
  switch (message?.type) {
    case 'join':
      return parseJoin(message);
    case 'say':
      return parseSay(message);
    case 'probe':
      return { type: 'probe' };
    case 'demonstrate':
      return DEMONSTRATIONS.has(message.what) ? { type: 'demonstrate', what: message.what } : broken('unknown demonstration');
    default:
      return broken('unknown message');
  }
}

function parseJoin({ room, nickname, session }) {
  if (typeof room !== 'string' || typeof nickname !== 'string' || typeof session !== 'string') {
    return broken('incomplete message');
  }
  if (!SESSION.test(session)) return broken('bad session');
  const join = { type: 'join', room: room.trim().toLowerCase(), nickname: nickname.trim().normalize('NFC'), session };
  if (!ROOM.test(join.room)) {
    return refused('room', 'A room is 1 to 24 of a–z, 0–9 and -, and starts with a letter or digit.');
  }
  if (!NICKNAME.test(join.nickname)) {
    return refused('nickname', 'A nickname is 2 to 20 letters or digits; _ . - may follow the first.');
  }
  return join;
}

function parseSay({ text }) {
  if (typeof text !== 'string' || text.trim() === '') return broken('empty message');
  if (text.length > MAX_TEXT) return broken('message too long');
  return { type: 'say', text: text.trim() };
}

const broken = (text) => ({ type: 'broken', text });

/** Also what the chat route answers when a nickname is taken. */
const refused = (field, text) => ({ type: 'refused', field, text });

module.exports = { MAX_BYTES, parse, refused };
