'use strict';

// Whether messages come back unharmed, from a server that echoes.

const { performance } = require('perf_hooks');

const KIBIBYTE = 1024;
/** One of each form of a frame's length (RFC 6455 §5.2), and what proxies buffer. */
const SIZES = [KIBIBYTE, 16 * KIBIBYTE, 64 * KIBIBYTE, 256 * KIBIBYTE, KIBIBYTE * KIBIBYTE];
/** Characters of one to four bytes. */
const TEXT = 'ferrows probe: aé€😀 ';

/**
 * Sends messages, each on a line of its own, and returns what came of them as `{ echo, sizes, fragments, compression, binary }`.
 * `echo` is `'yes'`, `'no'`, or `'closed'` for a server that ends the connection over a message that it does not
 * expect; the others are undefined unless it is `'yes'`, and otherwise `{ outcome, … }` with `'passed'`, `'changed'`, `'ended'`
 * (with the `end` of the line), `'lost'`, or `'not negotiated'`.
 *
 * `open(options)` opens a line; `time` is how long an answer may take, in ms; `report` is called with each result.
 */
async function tryMessages({ open, time, report, isOver }) {
  const results = {};
  const add = (name, value) => {
    results[name] = value;
    report(name, value);
  };
  const text = Buffer.from(`${TEXT}${Math.random().toString(36).slice(2)}`);
  const first = await attempt(open, {}, (line) => exchange(line, [text], false, time));
  if (first.outcome !== 'passed') {
    add('echo', { outcome: first.outcome === 'ended' ? 'closed' : first.outcome === 'changed' ? 'changed' : 'no', end: first.end });
    return results;
  }
  add('echo', { outcome: 'yes', milliseconds: first.milliseconds });
  if (isOver()) return results;

  const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index & 0xff));
  add('binary', await attempt(open, {}, (line) => exchange(line, [bytes], true, time)));
  if (isOver()) return results;

  const parts = fragmentsOf(TEXT.repeat(50));
  add('fragments', await attempt(open, {}, (line) => exchange(line, parts, false, time)));
  if (isOver()) return results;

  add('compression', await attempt(open, { offersCompression: true }, (line) => compressed(line, time)));
  if (isOver()) return results;

  add('sizes', await trySizes(open, time, isOver));
  return results;
}

/** What comes of `exchange` on a line that is opened for it. */
async function attempt(open, options, use) {
  let line;
  try {
    line = await open(options);
  } catch (error) {
    return { outcome: 'refused', reason: error.message };
  }
  try {
    return await use(line);
  } finally {
    line.leave();
  }
}

/** Sends a message, in fragments if `parts` are several, and looks at what comes back; what else the server says is passed over. */
async function exchange(line, parts, isBinary, time, send = () => line.send(parts, isBinary)) {
  const expected = Buffer.concat(parts);
  const started = performance.now();
  let similar;
  const answer = line.take('message', time, (data, binary, isCompressed) => {
    if (data.equals(expected) && binary === isBinary) return true;
    // Not quite what was sent: something has changed it on its way.
    if (data.length === expected.length && data.length > 64) similar = { isCompressed };
    return false;
  });
  send();
  const heard = await answer;
  if (heard !== undefined) return { outcome: 'passed', milliseconds: performance.now() - started, isCompressed: heard[2] };
  if (!line.isOpen) return { outcome: 'ended', end: line.end };
  return { outcome: similar === undefined ? 'lost' : 'changed' };
}

/** Three in turn, so that the later ones may refer to the first. */
async function compressed(line, time) {
  if (!line.isCompressing) return { outcome: 'not negotiated' };
  let last;
  for (let count = 0; count < 3; count++) {
    const payload = Buffer.from(`${count} ${TEXT.repeat(300)}`);
    last = await exchange(line, [payload], false, time, () => line.sendCompressed(payload, false));
    if (last.outcome !== 'passed') return last;
  }
  return last;
}

/** Ever longer messages, up to the first that does not pass: `{ outcome, passed, failed, end }` with sizes in bytes. */
async function trySizes(open, time, isOver) {
  let passed;
  for (const size of SIZES) {
    if (isOver()) break;
    const payload = Buffer.alloc(size, 'The quick brown fox jumps over the lazy dog. ');
    const result = await attempt(open, {}, (line) => exchange(line, [payload], false, time));
    if (result.outcome !== 'passed') return { ...result, passed, failed: size };
    passed = size;
  }
  return { outcome: passed === undefined ? 'lost' : 'passed', passed };
}

/** A text in three fragments that are cut in the middle of characters. */
function fragmentsOf(text) {
  const bytes = Buffer.from(text);
  const cut = (from) => {
    let at = from;
    // A byte that continues a character.
    while ((bytes[at] & 0xc0) !== 0x80) at++;
    return at;
  };
  const [first, second] = [cut(Math.floor(bytes.length / 3)), cut(Math.floor(2 * bytes.length / 3))];
  return [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
}

module.exports = { tryMessages };
