'use strict';

// Evaluates a request for a file against the state of the file: RFC 9110 §13 (conditions) and §14 (ranges). Pure: no
// clock, no file, no socket.

/**
 * Decides about a request.
 *
 * `request` has the method (`GET` or `HEAD`) and `header(name)`, which returns `''` if the field is absent. `file` has
 * its `size` in bytes, its `etag`, and `modified`, its time of modification in whole seconds since 1970.
 *
 * Returns the status: 200 or 206 with the part to send (`start`, `length`), 304, 412, or 416.
 */
function decide(request, file) {
  const refusal = precondition(request, file);
  if (refusal !== undefined) return { status: refusal };
  const whole = { status: 200, start: 0, length: file.size };
  // RFC 9110 §14.2: Range is ignored for other methods.
  if (request.method !== 'GET' || !isCurrent(request.header('if-range'), file)) return whole;
  const range = readRange(request.header('range'), file.size);
  if (range === undefined) return whole;
  return range === null ? { status: 416 } : { status: 206, ...range };
}

/** RFC 9110 §13.2.2: the order of precedence. */
function precondition({ header }, { etag, modified }) {
  const [match, noneMatch] = [header('if-match'), header('if-none-match')];
  if (match !== '') {
    if (match !== '*' && !entityTags(match).includes(etag)) return 412;
  } else if (modified > (readDate(header('if-unmodified-since')) ?? Infinity)) {
    return 412;
  }
  if (noneMatch !== '') {
    // §13.1.2: by weak comparison, which does not look at the prefix.
    const isKnown = noneMatch === '*' || entityTags(noneMatch).some((tag) => tag.replace(/^W\//, '') === etag);
    return isKnown ? 304 : undefined;
  }
  return modified <= (readDate(header('if-modified-since')) ?? -Infinity) ? 304 : undefined;
}

/** Whether the file is unchanged since the client received a part of it (If-Range, RFC 9110 §13.1.5). */
function isCurrent(validator, { etag, modified }) {
  if (validator === '') return true;
  // By strong comparison: a weak tag never matches.
  return /["]/.test(validator) ? validator === etag : readDate(validator) === modified;
}

/** The members of a list of entity tags (RFC 9110 §8.8.3). */
function entityTags(list) {
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
}

/**
 * Reads a Range field (RFC 9110 §14.1.2). Returns the part that it names, `null` if the file has no such part, and
 * `undefined` if the server ignores the field: absent, malformed, with another unit, or with several ranges, for which
 * a server may send the whole file (§14.2).
 */
function readRange(field, size) {
  const [, first, last] = /^bytes=[ \t,]*(\d*)-(\d*)[ \t,]*$/i.exec(field) ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0) return null;
    // A suffix of an empty file is the whole of it, which Content-Range cannot express.
    if (size === 0) return undefined;
    const length = Math.min(suffix, size);
    return { start: size - length, length };
  }
  const start = Number(first);
  const end = last === '' ? Infinity : Number(last);
  if (end < start) return undefined;
  if (start >= size) return null;
  return { start, length: Math.min(end, size - 1) - start + 1 };
}

const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const TIME = '\\d\\d:\\d\\d:\\d\\d';
/** The three forms a recipient must accept (RFC 9110 §5.6.7), the first of which is the only one that may be sent. */
const DATES = [
  new RegExp(`^${DAY}, \\d\\d ${MONTH} \\d{4} ${TIME} GMT$`),
  new RegExp(`^${DAY}[a-z]*, \\d\\d-${MONTH}-\\d\\d ${TIME} GMT$`),
  new RegExp(`^${DAY} ${MONTH} [ \\d]\\d ${TIME} \\d{4}$`),
];

/** An HTTP date in seconds since 1970; `undefined` if the text is none, so that the field is ignored. */
function readDate(text) {
  if (!DATES.some((form) => form.test(text))) return undefined;
  const millis = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(millis) ? undefined : millis / 1000;
}

module.exports = { decide, readDate, readRange };
