'use strict';

// The results as text and as JSON.

const { fold, harmless, plainMarkdown, stylesFor, widthOf } = require('../terminal.js');
const { MODES } = require('./silences.js');
const { bytes, seconds } = require('./verdict.js');

/** Width of the names before the facts. */
const LABEL = 13;
const INDENT = ' '.repeat(LABEL);

const MODE_NAMES = {
  quiet: 'nobody sends', sending: 'only client sends', pinged: 'client pings', deaf: 'pings unanswered',
};

const MARKS = { good: ['green', '+'], problem: ['red', '!'], note: ['yellow', '-'] };

/** What is known, for people. */
function reportText(result, stream) {
  const styles = stylesFor(stream);
  const width = widthOf(stream);
  const lines = [styles.bold(harmless(result.url, 500)), ''];
  for (const [label, text] of facts(result)) lines.push(fold(text, width, INDENT, label.padEnd(LABEL)));
  if (result.watches?.length > 0) lines.push('', ...silenceLines(result.watches, width));
  lines.push('', styles.bold('Verdict'));
  for (const { kind, text } of result.verdict) {
    const [style, mark] = MARKS[kind];
    const [first, ...rest] = fold(plainMarkdown(text), width, '  ', '').split('\n');
    lines.push([`${styles[style](mark)} ${first}`, ...rest].join('\n'));
  }
  return `${lines.join('\n')}\n`;
}

function* facts({ handshake, responders, http2, roundTrip, messages }) {
  if (handshake === undefined) return;
  yield ['Handshake', handshakeText(handshake, http2)];
  yield ['Address', `${handshake.address.address} port ${handshake.address.port}`];
  const { certificate } = handshake.tls ?? {};
  if (certificate !== undefined) {
    yield ['Certificate', `${harmless(certificate.subject ?? 'without a name')}, by ${harmless(certificate.issuer ?? 'itself')}, until ${certificate.validTo.slice(0, 10)}`];
  }
  const named = responders.headers.map(([name, value]) => `${name}: ${value}`);
  yield ['Answered by', named.length > 0 ? named.join('; ') : 'nobody who gives a name'];
  yield ['Extensions', harmless(handshake.extensions ?? 'none')];
  if (handshake.protocol !== undefined) yield ['Subprotocol', harmless(handshake.protocol)];
  yield ['Round trip', roundTrip === undefined ? 'the server does not answer pings'
    : `${milliseconds(roundTrip.median)} (${milliseconds(roundTrip.min)} to ${milliseconds(roundTrip.max)}, ${roundTrip.count} pings)`];
  if (messages?.echo !== undefined) yield ['Messages', messagesText(messages)];
}

function handshakeText({ times, tls, httpVersion, status }, http2) {
  const steps = Object.entries(times).filter(([name]) => name !== 'total').map(([name, time]) => `${STEPS[name]} ${milliseconds(time)}`);
  const parts = [`${milliseconds(times.total)} (${steps.join(', ')})`];
  if (tls !== undefined) parts.push(`${tls.version} ${tls.cipher ?? ''}`.trim());
  parts.push(`HTTP/${httpVersion} ${status}`);
  const text = parts.join(', ');
  return http2 === undefined ? text : `${text}; ${HTTP2[http2]}`;
}

const STEPS = { dns: 'DNS', tcp: 'TCP', tls: 'TLS', upgrade: 'upgrade' };
const HTTP2 = {
  none: 'no HTTP/2', offered: 'HTTP/2 is offered, without WebSockets', websocket: 'HTTP/2 is offered, with WebSockets (RFC 8441)',
};

function messagesText({ echo, binary, fragments, compression, sizes }) {
  if (echo.outcome !== 'yes') return { no: 'not echoed', closed: 'not echoed: the server ended the connection', changed: 'come back changed' }[echo.outcome];
  const parts = [`echoed in ${milliseconds(echo.milliseconds)}`];
  for (const [name, result] of Object.entries({ binary, fragments, compression })) {
    if (result !== undefined) parts.push(`${name} ${result.outcome}`);
  }
  if (sizes?.passed !== undefined) parts.push(`${bytes(sizes.passed)} passed`);
  if (sizes?.failed !== undefined) parts.push(`${bytes(sizes.failed)} ${sizes.outcome}`);
  return parts.join(', ');
}

/** A line for each mode, with each silence and what came of it. */
function silenceLines(watches, width) {
  return MODES.flatMap((mode) => {
    const ofMode = watches.filter((watch) => watch.mode === mode).sort((a, b) => a.silence - b.silence);
    if (ofMode.length === 0) return [];
    const cells = ofMode.map((watch) => `${nameOf(watch)} ${stateText(watch)}`);
    return [fold(cells.join(',  '), width, ' '.repeat(19), MODE_NAMES[mode].padEnd(19))];
  });
}

/** What a line is called among those of its mode. */
function nameOf({ mode, silence, beat }) {
  return mode === 'pinged' ? `every ${short(beat)} s` : `${short(silence)} s`;
}

/** What has become of a line, in a word or two. */
function stateText({ state, silentFor, age, end, mode }) {
  const time = mode === 'pinged' || mode === 'deaf' ? age : silentFor;
  if (state === 'cut') return `${SHORT_ENDS[end.how] ?? end.how}${end.how === 'close' && end.code !== undefined ? ` ${end.code}` : ''} after ${seconds(time)}`;
  return STATES[state];
}

const SHORT_ENDS = { close: 'Close', fin: 'FIN', rst: 'RST', broken: 'garbage', unreachable: 'unreachable', error: 'error' };
const STATES = {
  opening: 'opening', waiting: 'open', asking: 'open?', survived: 'survived', forgotten: 'lost: ends when used',
  silent: 'lost: no answer', unknown: 'open, not answered', refused: 'not opened', stopped: 'stopped',
};

function short(value) {
  return Number(value.toPrecision(3));
}

function milliseconds(value) {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** What is known, for programs: times of the handshake and of round trips in ms, the others in seconds. */
function reportJson(result, exitCode) {
  const { url, redirects, handshake, responders, http2, roundTrip, messages, watches = [], verdict, failure, isInterrupted } = result;
  return {
    url, redirects, failure: failure && { code: failure.code, message: failure.message, ...failure.details },
    handshake, answeredBy: responders, http2, roundTrip, messages,
    lines: watches.map(({ mode, silence, beat, state, silentFor, age, end, heard, reason }) => ({
      mode, silence, beat, state, silentFor, age, end: end && { how: end.how, code: end.code, reason: end.reason }, heard, reason,
    })),
    verdict, isInterrupted, exitCode,
  };
}

module.exports = { MODE_NAMES, nameOf, reportJson, reportText, short, stateText };
