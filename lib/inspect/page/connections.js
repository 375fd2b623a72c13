// The table of connections: the server sorts, searches and cuts out the part that is shown.

import { bytes, count, duration, element } from './format.js';

const LIMIT = 50;
/** Before a search is sent, so that not every key is. */
const TYPING = 250;

/** Name for the server, title, how a value is written; `isText` for those that are no numbers. */
const COLUMNS = [
  { name: 'address', title: 'Address', isText: true, write: (value) => value ?? '–' },
  { name: 'route', title: 'Route', isText: true, write: (value) => value ?? '–' },
  { name: 'age', title: 'Age', write: duration },
  { name: 'silence', title: 'Peer silent', write: duration },
  { name: 'quiet', title: 'We silent', write: duration },
  { name: 'roundTrip', title: 'Round trip', write: duration },
  { name: 'unansweredPings', title: 'Pings open', write: count },
  { name: 'received', title: 'In', write: bytes },
  { name: 'sent', title: 'Out', write: bytes },
  { name: 'messagesReceived', title: 'Messages in', write: count },
  { name: 'messagesSent', title: 'Messages out', write: count },
  { name: 'backlog', title: 'Backlog', write: bytes },
];

export class ConnectionTable {
  #table;
  #query = { sort: 'age', isDescending: true, search: '', offset: 0, limit: LIMIT };
  #send;
  #rows = [];

  /** `send` asks the server. */
  constructor(send) {
    this.#send = send;
    this.#table = document.querySelector('#connections');
    const head = this.#table.tHead.rows[0];
    for (const { name, title, isText } of COLUMNS) {
      const button = element('button', { type: 'button' }, title);
      button.addEventListener('click', () => this.#sortBy(name, isText));
      head.append(element('th', { scope: 'col', className: isText ? '' : 'number', 'data-name': name }, button));
    }
    let timer;
    document.querySelector('#search').addEventListener('input', ({ target }) => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#change({ search: target.value.trim(), offset: 0 }), TYPING);
    });
    document.querySelector('#previous').addEventListener('click', () => this.#change({ offset: Math.max(0, this.#query.offset - LIMIT) }));
    document.querySelector('#next').addEventListener('click', () => this.#change({ offset: this.#query.offset + LIMIT }));
    this.#showOrder();
  }

  /** Asks for what is shown: a connection that is new knows nothing of it. */
  ask() {
    this.#send({ type: 'query', ...this.#query });
  }

  show({ total, matching, offset, rows }) {
    const isSearching = this.#query.search !== '';
    setText('#count', isSearching ? `${matching} of ${total} WebSockets` : `${total} WebSocket${total === 1 ? '' : 's'}`);
    setText('#range', matching === 0 ? 'none' : `${offset + 1} to ${offset + rows.length} of ${matching}`);
    document.querySelector('#previous').disabled = offset === 0;
    document.querySelector('#next').disabled = offset + rows.length >= matching;
    this.#fill(rows);
    // Those of the last page are gone.
    if (rows.length === 0 && offset > 0) this.#change({ offset: Math.max(0, Math.floor((matching - 1) / LIMIT) * LIMIT) });
  }

  /** Writes into the cells that are there, so that a selection and the place of a screen reader stay. */
  #fill(rows) {
    const body = this.#table.tBodies[0];
    while (this.#rows.length > rows.length) this.#rows.pop().remove();
    rows.forEach((row, index) => {
      let line = this.#rows[index];
      if (line === undefined) {
        line = element('tr', {}, ...COLUMNS.map(({ isText }) => element('td', { className: isText ? '' : 'number' })));
        body.append(line);
        this.#rows.push(line);
      }
      COLUMNS.forEach(({ name, write }, at) => {
        const text = write(row[name] ?? undefined);
        if (line.cells[at].textContent !== text) line.cells[at].textContent = text;
      });
    });
  }

  #sortBy(name, isText) {
    const { sort, isDescending } = this.#query;
    // The largest first, and texts from A on; again turns it round.
    this.#change({ sort: name, isDescending: sort === name ? !isDescending : !isText, offset: 0 });
    this.#showOrder();
  }

  #showOrder() {
    const { sort, isDescending } = this.#query;
    for (const cell of this.#table.tHead.rows[0].cells) {
      if (cell.dataset.name === sort) cell.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
  }

  #change(change) {
    Object.assign(this.#query, change);
    this.ask();
  }
}

function setText(selector, text) {
  const node = document.querySelector(selector);
  if (node.textContent !== text) node.textContent = text;
}
