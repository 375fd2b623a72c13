// What a close code and a reason mean, and what to do about them: what docs/close-reasons.md says.

import { CODES, REASONS } from './close-reasons.mjs';

/** `{ code, name, meaning, advice, cause }`; what is not known is `undefined`. `cause` is the one that Ferrows calls so. */
export function explain(code, reason = '') {
  const fitting = CODES.filter(([first, last]) => code >= first && code <= last);
  // A row of its own says more than that of a range.
  const [, , name, meaning, advice] = fitting.find(([first, last]) => first === last) ?? fitting[0] ?? [];
  const [, , cause] = REASONS.find(([sent, text]) => sent === code && text !== '' && String(reason).startsWith(text)) ?? [];
  return { code, name, meaning, advice, cause };
}
