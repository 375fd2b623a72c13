// Closes that have something in common, with what to do about it.

import { causeLink } from './charts.js';
import { element } from './format.js';

let shown = '';

/** Shows the patterns of `getStats()`. */
export function showPatterns(place, patterns) {
  const key = JSON.stringify(patterns);
  if (key === shown) return;
  shown = key;
  if (patterns.length === 0) {
    place.replaceChildren(element('p', { className: 'none' }, 'None: no cause repeats after one time of silence.'));
    return;
  }
  place.replaceChildren(...patterns.map(({ cause, text }) => element(
    'div', { className: 'pattern' },
    element('p', {}, ...text.split('`').map((part, index) => (index % 2 === 1 ? element('code', {}, part) : part))),
    element('p', {}, element('a', { href: causeLink(cause) }, `What ${cause} means`), ' · ',
      element('a', { href: 'docs/load-balancers' }, 'What to set behind load balancers')),
  )));
}
