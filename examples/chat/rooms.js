'use strict';

/** Who is where. Nothing here knows of sockets: a member is any object with `room`, `nickname` and `session`. */

/** Rooms remembered at most; of the empty ones the longest empty goes first. */
const MAX_ROOMS = 200;
/** Messages and departures a newcomer is shown. */
const MAX_RECENT_MESSAGES = 30;
const MAX_DEPARTURES = 5;

class Rooms {
  /** Room name to its members (by folded nickname), its last messages and its last departures. */
  #rooms = new Map();
  /** Starting at the clock makes the ids of a restarted server larger than those of its predecessor. */
  #lastId = Date.now() * 1000;

  /** The member who goes by this nickname in this room, or `undefined`. */
  holder(room, nickname) {
    return this.#rooms.get(room)?.members.get(folded(nickname));
  }

  /** Adds a member whose nickname nobody holds. */
  enter(member) {
    this.#room(member.room).members.set(folded(member.nickname), member);
  }

  /** Removes a member and keeps the record of how they left. */
  leave(member, departure) {
    const room = this.#room(member.room);
    room.members.delete(folded(member.nickname));
    room.departures = [departure, ...room.departures].slice(0, MAX_DEPARTURES);
    // To the end of the map, which makes the first empty room the one that has been empty longest.
    this.#rooms.delete(member.room);
    this.#rooms.set(member.room, room);
  }

  /** Keeps a message for those who come later; returns it with its id and time. */
  keep(member, text) {
    const message = { id: ++this.#lastId, at: Date.now(), nickname: member.nickname, text };
    const room = this.#room(member.room);
    room.messages = [...room.messages, message].slice(-MAX_RECENT_MESSAGES);
    return message;
  }

  /** What a new member gets: the members, the last messages, who left and how. */
  sight(room) {
    const { members, messages, departures } = this.#room(room);
    return { people: [...members.values()].map(({ nickname }) => nickname), messages, departures };
  }

  /** The names of all remembered rooms. */
  names() {
    return [...this.#rooms.keys()];
  }

  #room(name) {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      if (this.#rooms.size >= MAX_ROOMS) this.#forgetOne();
      room = { members: new Map(), messages: [], departures: [] };
      this.#rooms.set(name, room);
    }
    return room;
  }

  #forgetOne() {
    for (const [name, { members }] of this.#rooms) {
      if (members.size === 0) {
        this.#rooms.delete(name);
        return;
      }
    }
  }
}

/** `Anna` and `ANNA` are one nickname, and so are look-alikes that Unicode calls compatible. */
function folded(nickname) {
  return nickname.normalize('NFKC').toLowerCase();
}

module.exports = { Rooms };
