/** Everything that touches the document. Text of others enters it as text nodes only, never as markup. */

/** Lines kept in the log; older ones are removed. */
const MAX_LINES = 500;

const byId = (id) => document.getElementById(id);
/** The timer of the countdown to the next attempt. */
let ticking = 0;
/** Whether the log shows its newest line; false while somebody reads further up. */
let isFollowing = true;

/** Whether the server is on this machine: then it shows its inside, and its documents. */
export const IS_LOCAL = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);

const DOCUMENTS = IS_LOCAL ? '/_ferrows/docs/close-reasons' : 'https://github.com/ferrows/ferrows/blob/main/docs/close-reasons.md';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

/** An element with a class and children; strings become text nodes. */
function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Shows a state of `Connection`. The countdown is hidden from screen readers, which read the sentence once. */
export function showState(state) {
  clearInterval(ticking);
  document.body.dataset.state = state.name;
  byId('state-text').textContent = sentenceOf(state);
  byId('retry').hidden = state.name !== 'waiting';
  byId('countdown').textContent = '';
  if (state.name !== 'waiting') return;

  const tick = () => {
    const seconds = Math.max(0, Math.ceil((state.until - Date.now()) / 1000));
    byId('countdown').textContent = `attempt ${state.attempt} in ${seconds} s`;
  };
  tick();
  ticking = setInterval(tick, 1000);
}

/** Shows for how many milliseconds the server has said nothing; `undefined` without a connection. */
export function showSilence(milliseconds) {
  byId('silence').textContent = milliseconds === undefined ? '' : `silent for ${Math.round(milliseconds / 1000)} s`;
}

function sentenceOf({ name, end }) {
  switch (name) {
    case 'idle':
      return 'Not connected';
    case 'connecting':
      return 'Connecting…';
    case 'open':
      return 'Connected';
    case 'waiting':
      return 'Connection lost';
    default:
      return `Stopped: ${end.reason || end.code}`;
  }
}

/** Shows the form or the room. Focus follows, as the focused element may just have vanished. */
export function showRoom(room) {
  byId('join').hidden = room !== null;
  byId('room-view').hidden = room === null;
  document.title = room === null ? 'Ferrows chat' : `#${room} · Ferrows chat`;
  if (room === null) {
    byId('nickname').focus();
  } else {
    byId('room-name').textContent = `#${room}`;
    byId('text').focus();
  }
}

/** Shows why a name was refused, or clears the message where `text` is empty. */
export function showFieldError(field, text) {
  byId(`${field}-error`).textContent = text;
  const input = byId(field);
  input.setAttribute('aria-invalid', String(text !== ''));
  if (text !== '') {
    input.setAttribute('aria-describedby', `${field}-error`);
    input.focus();
  } else {
    input.removeAttribute('aria-describedby');
  }
}

/** A sentence on the form, such as why the chat ended; the empty string hides it. */
export function showLastWords(text) {
  byId('last-words').textContent = text;
  byId('last-words').hidden = text === '';
}

/** The rooms that have people in them, as buttons that fill the form. */
export function showRooms(rooms) {
  const buttons = rooms.map(({ room, people }) => {
    const button = element('button', 'small', `#${room} · ${people}`);
    button.type = 'button';
    button.addEventListener('click', () => {
      byId('room').value = room;
      byId('nickname').focus();
    });
    return button;
  });
  byId('rooms').replaceChildren(...buttons);
}

/** Shows which process serves this page; nothing where there is only one. */
export function showServed(served) {
  byId('served').textContent = served === undefined ? '' : `served by ${served}`;
}

/** Shows who is there, and by which process, where there are several. */
export function showPeople(people) {
  const sorted = [...people].sort((a, b) => a.nickname.localeCompare(b.nickname));
  byId('people').replaceChildren(
    ...sorted.map(({ nickname, served, isSelf }) => {
      const who = isSelf ? `${nickname} (you)` : nickname;
      return tinted(element('li', '', who, ...(served === undefined ? [] : [' ', element('small', 'hint', served)])), nickname);
    }),
  );
  byId('headcount').textContent = sorted.length === 1 ? '1 person' : `${sorted.length} people`;
}

/** Adds a message to the log. */
export function addMessage({ at, nickname, text }, isOwn) {
  const time = element('time', '', clock.format(at));
  time.dateTime = new Date(at).toISOString();
  const who = tinted(element('span', 'who', nickname), nickname);
  addLine(
    element('li', isOwn ? 'message own' : 'message', element('p', 'meta', who, ' ', time), element('p', 'text', text)),
  );
}

/** Adds a line about the room or the connection to the log; `tone` is `''` or `'bad'`. */
export function addNotice(text, tone = '') {
  addLine(element('li', `notice-line ${tone}`.trim(), text));
}

/** Empties the log, for another room. */
export function clearLog() {
  byId('log').replaceChildren();
}

function addLine(line) {
  const log = byId('log');
  log.append(line);
  while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
  followLog();
}

/** Keeps the newest line in sight, but does not tear away somebody who reads further up. */
function followLog() {
  const log = byId('log');
  if (isFollowing) log.scrollTop = log.scrollHeight;
}

byId('log').addEventListener('scroll', ({ target: log }) => {
  isFollowing = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
// A phone's keyboard takes half the screen away.
new ResizeObserver(followLog).observe(byId('log'));

/** Shows the last departures, newest first. */
export function showDepartures(departures) {
  const items = departures.map((departure) => {
    const who = tinted(element('strong', 'who', departure.nickname), departure.nickname);
    const time = element('time', '', clock.format(departure.at));
    return element('li', '', element('p', 'meta', who, ' left ', time), serverAccount(departure));
  });
  byId('departures').replaceChildren(...(items.length ? items : [element('li', 'hint', 'Nobody has left yet.')]));
}

/** Shows the close event that the browser got, in the `<dd>` with this id. */
export function showBrowserAccount(id, { code, reason, wasClean, silentFor, explanation }) {
  byId(id).replaceChildren(
    element('p', 'closing-line', element('code', 'number', String(code)), ' ', reason || 'no reason given'),
    element('p', 'meta', `${wasClean ? 'clean: Close frames were exchanged' : 'not clean: no Close handshake'}${silence(silentFor)}`),
    ...(explanation?.advice === undefined ? [] : [element('details', 'meta', element('summary', '', 'What now?'), explanation.advice)]),
  );
}

/** Shows the close event that the server got, in the `<dd>` with this id; a string is shown as it is. */
export function showServerAccount(id, closing) {
  byId(id).replaceChildren(typeof closing === 'string' ? closing : serverAccount(closing));
}

function serverAccount({ code, reason, cause, initiator, wasClean, silentFor }) {
  return element(
    'div',
    '',
    element('p', 'closing-line', element('code', 'number', String(code)), ' ', element('bdi', '', reason)),
    element('p', 'meta', causeLink(cause), ` by ${initiator}, ${wasClean ? 'clean' : 'not clean'}${silence(silentFor)}`),
  );
}

function silence(milliseconds) {
  return milliseconds === undefined ? '' : `, after ${Math.round(milliseconds / 1000)} s of silence`;
}

/** Leads to what docs/close-reasons.md says about a cause. */
function causeLink(cause) {
  const link = element('a', '', element('code', '', cause));
  link.href = `${DOCUMENTS}#:~:text=${encodeURIComponent(cause)}`;
  return link;
}

/** Gives a nickname its colour. */
function tinted(node, nickname) {
  let sum = 0;
  for (const character of nickname) sum = (sum * 31 + character.codePointAt(0)) % 997;
  // Steps of the golden angle: nicknames that differ in one letter get colours far apart.
  node.style.setProperty('--hue', (sum * 137.5) % 360);
  return node;
}
