'use strict';

/** The chat WebSocket: join one room under one nickname, talk, leave. A connection is in one room or in none. */

const { createHash } = require('node:crypto');
const uWS = require('../../index.js');
const { admit } = require('./admission.js');
const { closingOf, closingText, printable } = require('./closing.js');
const { misbehave } = require('./faults.js');
const { MAX_BYTES, parse, refused } = require('./messages.js');

/** Messages a client may send in one go, and how many per second it earns back. */
const BURST = 10;
const EARNED_PER_SECOND = 2;

/** Argument of `send` and `publish`: compress the message for those with whom that was agreed. */
const COMPRESS = true;

/** A client that gets it comes back (RFC 6455 §7.4, the registry of IANA). */
const SERVICE_RESTART = 1012;

/** Close codes of our own (RFC 6455 §7.4.2 leaves 4000–4999 to applications). The page does not reconnect after them. */
const BROKEN_MESSAGE = 4000;
const REPLACED = 4001;
const TOO_MANY_MESSAGES = 4008;

/** The behaviour of `/chat`. */
function chatRoute(house) {
  return {
    maxPayloadLength: MAX_BYTES,
    // Pings go out when nothing came for half of it, well under the 60 s after which common proxies cut a silent line.
    idleTimeout: 32,
    // What the whole room gets is compressed once.
    compression: uWS.SHARED_COMPRESSOR,

    upgrade: (res, req, context) => {
      admit(res, req, context, { member: null, allowance: { left: BURST, at: Date.now() } });
    },

    open: (ws) => house.open.add(ws),

    message(ws, data, isBinary) {
      if (!spend(ws.allowance)) {
        ws.end(TOO_MANY_MESSAGES, 'too many messages');
        return;
      }
      const message = parse(data, isBinary);
      switch (message.type) {
        case 'join':
          join(house, ws, message);
          break;
        case 'say':
          say(house, ws, message);
          break;
        case 'probe':
          send(ws, { type: 'present' });
          break;
        case 'demonstrate':
          demonstrate(house, ws, message.what);
          break;
        case 'refused':
          send(ws, message);
          break;
        default:
          ws.end(BROKEN_MESSAGE, message.text);
      }
    },

    close(ws, code, message, info) {
      house.open.delete(ws);
      depart(house, ws.getUserData(), closingOf(code, message, info));
    },
  };
}

function join(house, ws, { room, nickname, session }) {
  if (ws.member !== null) {
    ws.end(BROKEN_MESSAGE, 'already in a room');
    return;
  }
  const holder = house.rooms.holder(room, nickname);
  if (holder !== undefined && holder.session !== session) {
    send(ws, refused('nickname', `${nickname} is taken in this room. Pick another nickname.`));
    return;
  }
  // The same visitor again: most likely its old connection is dead and nobody has noticed yet. The newer one wins.
  // `end` runs the close handler before it returns, so the nickname is free afterwards.
  holder?.ws.end(REPLACED, 'replaced by a newer connection of yours');

  const visitor = createHash('sha256').update(session).digest('hex').slice(0, 16);
  ws.member = { room, nickname, session, visitor, ws };
  house.rooms.enter(ws.member);
  ws.subscribe(roomTopic(room));
  ws.subscribe(visitorTopic(visitor));
  // To everybody in the room but this socket, which gets the whole picture instead.
  ws.publish(roomTopic(room), JSON.stringify({ type: 'arrived', served: house.served, nickname }), false, COMPRESS);
  send(ws, { type: 'joined', served: house.served, room, nickname, visitor, ...house.rooms.sight(room) });
  house.log(`${nickname} joined #${room} from ${ws.address} (${house.app.numSubscribers(roomTopic(room))} there)`);
}

function say({ app, rooms, served }, ws, { text }) {
  if (ws.member === null) {
    ws.end(BROKEN_MESSAGE, 'join a room first');
    return;
  }
  // To everybody in the room, its author included: all see the messages of one process in one order.
  const said = { type: 'said', served, ...rooms.keep(ws.member, text) };
  app.publish(roomTopic(ws.member.room), JSON.stringify(said), false, COMPRESS);
}

/** Ends a connection of this visitor as they ask for: their own as by a restart, or an echo line of theirs by a fault. */
function demonstrate({ port }, ws, what) {
  if (ws.member === null) ws.end(BROKEN_MESSAGE, 'join a room first');
  else if (what === 'restart') ws.end(SERVICE_RESTART, 'server restarts, for you alone');
  else misbehave(what, port, ws.member.visitor);
}

/** Reports to the log, and to the room if there was one, how a connection ended. */
function depart(house, { member, address, since }, closing) {
  const seconds = Math.round((closing.at - since) / 1000);
  const who = member === null ? `somebody at ${address}` : printable(member.nickname);
  house.log(`${who} left: ${closingText(closing)}, by ${closing.initiator}, after ${seconds} s`);
  if (member === null) return;

  const departure = { nickname: member.nickname, ...closing };
  house.rooms.leave(member, departure);
  // During a shutdown all members leave at once, so none of them is announced to the others of this process.
  // Those whom other processes serve stay, and are told.
  if (house.closing && house.served === undefined) return;
  const left = { type: 'left', served: house.served, departure };
  house.app.publish(roomTopic(member.room), JSON.stringify(left), false, COMPRESS);
}

/** Takes one message out of the allowance; false when nothing is left. */
function spend(allowance) {
  const now = Date.now();
  const earned = ((now - allowance.at) / 1000) * EARNED_PER_SECOND;
  allowance.left = Math.min(BURST, allowance.left + earned) - 1;
  allowance.at = now;
  return allowance.left >= 0;
}

function send(ws, message) {
  ws.send(JSON.stringify(message), false, COMPRESS);
}

const roomTopic = (room) => `room/${room}`;

/** What concerns one visitor alone; the id is a digest of a secret of theirs, so nobody can guess it. */
const visitorTopic = (visitor) => `visitor/${visitor}`;

module.exports = { chatRoute, roomTopic, visitorTopic };
