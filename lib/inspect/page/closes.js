// The table of closes, the latest first.

import { causeLink } from './charts.js';
import { bytes, duration, element, timeOfDay } from './format.js';

const MAX = 200;

export class CloseTable {
  #body = document.querySelector('#closes').tBodies[0];
  #hint = document.querySelector('#closes-hint');
  #skipped = 0;

  /** Replaces all rows. */
  reset(closes) {
    this.#body.replaceChildren();
    this.add({ closes, skipped: 0 });
  }

  add({ closes, skipped }) {
    for (const close of closes.slice(-MAX)) this.#body.prepend(rowOf(close));
    while (this.#body.rows.length > MAX) this.#body.rows[this.#body.rows.length - 1].remove();
    this.#skipped += skipped;
    if (skipped > 0) this.#hint.textContent = `The latest first. ${this.#skipped} more closed so fast that they are only counted.`;
  }
}

function rowOf({ at, cause, code, reason, initiator, openFor, silentFor, quietFor, bytes: sizes, route }) {
  const cell = (text, className = '') => element('td', { className }, text);
  return element(
    'tr', { className: `by-${initiator}` },
    cell(timeOfDay(at)), element('td', { className: 'cause' }, element('a', { href: causeLink(cause) }, cause)), cell(String(code)),
    cell(reason, 'reason'), cell(initiator), cell(duration(openFor), 'number'), cell(duration(silentFor), 'number'),
    cell(duration(quietFor), 'number'), cell(sizes === undefined ? '–' : bytes(sizes.received), 'number'),
    cell(sizes === undefined ? '–' : bytes(sizes.sent), 'number'), cell(route ?? '–'),
  );
}
