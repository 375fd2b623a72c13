/** The chat page: what the person does and what the server says, put together. */

import { Connection } from './connection.js';
import { EchoPanel } from './echo-panel.js';
import * as view from './view.js';

const MEMORY = 'ferrows-chat';
const byId = (id) => document.getElementById(id);

/**
 * Who we are; survives a reload of this tab. `session` is our claim on the nickname when we come back before the
 * server has noticed that we were gone; `joined` is true while we mean to be in the room, connected or not.
 */
const self = { nickname: '', room: '', session: newSession(), joined: false, ...recall() };

/**
 * What we know of the room we are in. Where several processes share it, each tells whom it serves: `processes` has those people
 * and when it was heard, by the name of the process. A process that is alone has none, and is `undefined` here.
 */
const room = { name: null, served: undefined, processes: new Map(), departures: [], lastIds: new Map() };

/** A process that is silent for longer has ended without a word, in milliseconds. */
const VANISHED = 10_000;

const echo = new EchoPanel((what) => connection.send({ type: 'demonstrate', what }));
const connection = new Connection(new URL('/chat', location.href.replace(/^http/, 'ws')), {
  state: (state) => changed(state),
  open: () => connection.send({ type: 'join', room: self.room, nickname: self.nickname, session: self.session }),
  message: (message) => receive(message),
  end: (end) => lost(end),
});

const receivers = {
  joined,
  refused,
  arrived,
  people,
  said,
  left,
  present() {},
  'echo-ended': ({ closing }) => echo.ended(closing),
};

function receive(message) {
  receivers[message.type](message);
}

/** We are in: for the first time, in another room, or again after a connection was lost. */
function joined(sight) {
  const wasIn = self.joined; // true also after a reload, when `room.name` is not known yet
  echo.visitor = sight.visitor;
  remember({ room: sight.room, nickname: sight.nickname, joined: true });
  const isReturn = room.name === sight.room;
  if (!isReturn) {
    view.clearLog();
    Object.assign(room, { name: sight.room, lastIds: new Map() });
    view.showRoom(sight.room);
    history.replaceState(null, '', `#${sight.room}`);
  }
  room.served = sight.served;
  room.processes = new Map();
  view.showServed(sight.served);
  people(sight);
  room.departures = sight.departures;
  view.showDepartures(room.departures);
  sight.messages.forEach((message) => said({ ...message, served: sight.served }));
  view.addNotice(isReturn ? 'Connected again.' : `You joined #${sight.room} as ${sight.nickname}.`);
  const ownDeparture = room.departures.find(({ nickname }) => nickname === self.nickname);
  view.showServerAccount('server-saw', wasIn ? (ownDeparture ?? 'It does not remember: it has been restarted.') : '–');
}

/** A name was not accepted. The connection stays open for another attempt. */
function refused({ field, text }) {
  remember({ joined: false });
  room.name = null;
  view.showRoom(null);
  view.showFieldError(field, text);
}

/** Whom a process serves in this room. */
function people({ served, people: nicknames }) {
  room.processes.set(served, { people: new Set(nicknames), heard: Date.now() });
  showPeople();
}

function showPeople() {
  const everybody = [...room.processes].flatMap(([served, process]) => [...process.people].map((nickname) => (
    { nickname, served, isSelf: served === room.served && nickname === self.nickname })));
  view.showPeople(everybody);
}

/** The people of processes that have vanished are not there any more. */
function forgetVanished() {
  for (const [served, { heard }] of room.processes) {
    if (served !== room.served && Date.now() - heard > VANISHED) {
      room.processes.delete(served);
      showPeople();
    }
  }
}

function arrived({ served, nickname }) {
  people({ served, people: [...(room.processes.get(served)?.people ?? []), nickname] });
  view.addNotice(`${nickname} joined`);
}

/** Messages we have seen before a reconnection are skipped: ids of a process only ever grow. */
function said(message) {
  if (message.id <= room.lastIds.get(message.served)) return;
  room.lastIds.set(message.served, message.id);
  view.addMessage(message, message.nickname === self.nickname && message.served === room.served);
}

function left({ served, departure }) {
  room.processes.get(served)?.people.delete(departure.nickname);
  room.departures = [departure, ...room.departures].slice(0, 5);
  showPeople();
  view.showDepartures(room.departures);
  const { nickname, code, reason, cause } = departure;
  view.addNotice(`${nickname} left: ${code} ${reason} (${cause})`, departure.wasClean ? '' : 'bad');
}

/** The connection has ended. Whether there will be another is its own decision. */
function lost(end) {
  view.showBrowserAccount('browser-saw', end);
  view.showServerAccount('server-saw', 'will be told after reconnecting');
  const text = `${end.code} ${end.reason || 'no reason given'}`;
  if (room.name !== null) view.addNotice(`Connection ended: ${text}`, end.wasClean ? '' : 'bad');
}

function changed(state) {
  view.showState(state);
  if (state.name !== 'stopped') return;
  const { code, reason } = state.end;
  leaveView(`The server ended the connection: ${code} ${reason || 'no reason given'}. You may join again.`);
}

byId('join').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(byId('room').value, byId('nickname').value);
});

byId('leave').addEventListener('click', () => {
  connection.stop('left the room');
  leaveView('');
});

byId('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('text').value.trim();
  if (text === '') return;
  if (connection.send({ type: 'say', text })) byId('text').value = '';
  else view.addNotice('Not sent: there is no connection at the moment.', 'bad');
});

byId('retry').addEventListener('click', () => connection.start());

function enter(roomName, nickname) {
  view.showLastWords('');
  for (const field of ['room', 'nickname']) view.showFieldError(field, '');
  remember({ room: roomName, nickname });
  const { session } = self;
  // A connection may still be open after a refusal; otherwise `open` sends the same once there is one.
  if (!connection.send({ type: 'join', room: roomName, nickname, session })) connection.start();
}

/** Back to the form; `text` says why if it was not the person's own wish. */
function leaveView(text) {
  remember({ joined: false });
  room.name = null;
  view.showRoom(null);
  view.showLastWords(text);
  offerRooms();
}

async function offerRooms() {
  try {
    view.showRooms(await (await fetch('/rooms')).json());
  } catch {
    view.showRooms([]); // the server is away; the form works without
  }
}

function remember(changes) {
  Object.assign(self, changes);
  sessionStorage.setItem(MEMORY, JSON.stringify(self));
}

function recall() {
  return JSON.parse(sessionStorage.getItem(MEMORY) ?? '{}');
}

/** `crypto.randomUUID` would need HTTPS; this works on a phone in the same Wi-Fi, too. */
function newSession() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

setInterval(() => {
  view.showSilence(connection.silentFor);
  forgetVanished();
}, 1000);

// The server shows it to browsers on its own machine only.
byId('inspect').hidden = !view.IS_LOCAL;
byId('nickname').value = self.nickname;
byId('room').value = location.hash.slice(1) || self.room || 'lobby';
offerRooms();
if (self.joined) enter(self.room, self.nickname);
else byId('nickname').focus();
