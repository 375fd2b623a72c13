/** What the pages of the examples share. Text of others enters the document as text, never as markup. */

import { ReconnectingWebSocket } from './browser.mjs';

const MAX_LINES = 200;

export const byId = (id) => document.getElementById(id);

export function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** Adds a line to a list, the latest first, with the time. */
export function addLine(list, text, className = '') {
  const time = element('time', {}, new Date().toLocaleTimeString());
  list.prepend(element('li', { className }, time, ' ', text));
  while (list.childElementCount > MAX_LINES) list.lastElementChild.remove();
}

/** Shows a state: `open`, `waiting` or `stopped`. */
export function showState(name, text) {
  document.body.dataset.state = name;
  byId('state').textContent = text;
}

/** A WebSocket to this server that shows its state. `opened(socket)` runs for each connection, `heard(object)` for each message. */
export function connect(opened, heard) {
  const socket = new ReconnectingWebSocket('/');
  showState('waiting', 'Connecting…');
  socket.onconnecting = () => showState('waiting', 'Connecting…');
  socket.onopen = () => {
    showState('open', 'Connected');
    opened(socket);
  };
  socket.onmessage = ({ data }) => heard(JSON.parse(data));
  socket.onreconnecting = ({ delay, close }) => {
    showState('waiting', `Lost (${close.code} ${close.reason}): again in ${(delay / 1000).toFixed(1)} s`);
  };
  socket.ongaveup = ({ close }) => showState('stopped', `Ended by the server: ${close.code} ${close.reason}`);
  return socket;
}

/** Sends what stands in the field of a form to an address; empty fields are not sent. Returns the answer, or throws. */
export async function post(address, field) {
  const text = field.value.trim();
  if (text === '') return '';
  const response = await fetch(address, { method: 'POST', body: text });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  field.value = '';
  return (await response.text()).trim();
}
