'use strict';

// What the results mean, in sentences: a function of the results alone.

const { cutOffs, productsThatCut } = require('../../knowledge/cut-offs.js');
const { harmless } = require('../terminal.js');
const { cutIn, pingFor, SILENT_ENOUGH } = require('./silences.js');

/** Within this many seconds, or this part, two times are the same. */
const SAME_SECONDS = 1;
const SAME_PART = 0.05;
/** The longest silence of the default ladder. */
const LONGEST = 600;
const SOON_EXPIRED = 21 * 86_400_000;

/**
 * Sentences about the results, each `{ kind, text }`: `'good'`, `'note'`, or `'problem'` for what should be changed.
 * `now` is the time of day in ms.
 */
function verdictOn(result, now = Date.now()) {
  return [
    ...aboutHandshake(result, now), ...aboutSilence(result), ...aboutMessages(result.messages ?? {}, result),
    ...aboutInterruption(result),
  ].map(([kind, text]) => ({ kind, text }));
}

function* aboutInterruption({ isInterrupted, handshake }) {
  if (!isInterrupted) return;
  yield ['note', handshake === undefined ? 'Interrupted before the server had answered: nothing is known.' : 'Interrupted: this is what was known until then.'];
}

function* aboutHandshake({ redirects = [], handshake, url }, now) {
  if (redirects.length > 0) {
    yield ['problem', `${redirects[0]} redirects to ${url}. Browsers do not follow redirects of WebSockets: give clients the second address.`];
  }
  const { tls } = handshake ?? {};
  if (tls === undefined) return;
  if (!tls.isTrusted) yield ['problem', `The certificate was not trusted (${tls.fault}), which --insecure has passed over: browsers will not.`];
  const left = Date.parse(tls.certificate?.validTo ?? '') - now;
  if (left < SOON_EXPIRED) yield ['note', `The certificate expires in ${Math.max(0, Math.floor(left / 86_400_000))} days.`];
  if (tls.version !== 'TLSv1.3') yield ['note', `The connection uses ${tls.version}; TLS 1.3 saves a round trip.`];
}

function* aboutSilence(result) {
  const { watches = [], answersPings } = result;
  const refused = watches.filter(({ state }) => state === 'refused');
  if (refused.length > 0) {
    yield ['note', `${refused.length} of ${watches.length} connections could not be opened (${harmless(refused[0].reason)}). A limit of connections for each client? What they were to find is not known.`];
  }
  const cut = cutIn(watches);
  if (cut === undefined) yield* aboutOpenLines(watches, answersPings);
  else if (isLifetime(cut, watches)) yield* aboutLifetime(cut);
  else yield* aboutCut(cut, result);
  yield* aboutDeafLine(watches);
}

function* aboutOpenLines(watches, answersPings) {
  const quiet = watches.filter(({ mode }) => mode === 'quiet');
  const survived = quiet.filter(({ state }) => state === 'survived');
  const longest = Math.max(0, ...survived.map(({ silentFor }) => silentFor));
  if (survived.length === 0) {
    const held = quiet.filter(({ state }) => state === 'unknown' || state === 'stopped');
    const longestHeld = Math.max(0, ...held.map(({ silentFor }) => silentFor ?? 0));
    if (longestHeld === 0) return;
    yield answersPings
      ? ['note', `No line was cut within ${seconds(longestHeld)} of silence; it was stopped before it was known whether they were still alive.`]
      : ['note', `Nobody ended a silent line within ${seconds(longestHeld)}. The server answers no pings, though RFC 6455 §5.5.2 demands it, so whether the lines were still alive is not known.`];
    return;
  }
  const asked = Math.max(...survived.map(({ silence }) => silence));
  const pings = firstPing(survived);
  if (longest < asked * SILENT_ENOUGH) {
    yield pings !== undefined
      ? ['good', `The server pings after ${seconds(pings)} of silence, and that keeps quiet lines open (for ${seconds(asked)} at least). None was silent for longer than ${seconds(longest)}, so a cut-off beyond could not be seen.`]
      : ['good', `The server sends messages by itself, which keeps the line open (for ${seconds(asked)} at least). None was silent for longer than ${seconds(longest)}, so a cut-off beyond could not be seen.`];
    return;
  }
  yield ['good', `A line on which nobody sends stays open for at least ${seconds(longest)}.`];
  if (asked < LONGEST) yield ['note', `Longer silences were not tried. Some things on the way cut after 4 to 10 minutes: --max ${LONGEST}.`];
}

/** When the server pinged first on one of these lines, in seconds. */
function firstPing(watches) {
  const times = watches.map(({ heard }) => heard.firstPing).filter((time) => time !== undefined);
  return times.length > 0 ? Math.min(...times) : undefined;
}

/** Whether busy lines ended at the same age as quiet ones. */
function isLifetime({ lost }, watches) {
  const ages = lost.map(({ age }) => age);
  const busy = watches.filter(({ mode, state }) => mode === 'pinged' && state !== 'refused' && state !== 'stopped');
  // A line whose pings are too far apart is a quiet one.
  const [fastest] = busy.sort((a, b) => a.beat - b.beat);
  return fastest?.state === 'cut' && fastest.silentFor < fastest.age / 2 && ages.some((age) => isSame(age, fastest.age));
}

function* aboutLifetime({ lost }) {
  const age = Math.min(...lost.map((watch) => watch.age));
  yield ['problem', `Connections end when they are ${seconds(age)} old, busy or not, ${howOf(lost[0])}: ${lost.length} quiet ones and one that was pinged. That is a limit to their life (as the backend service timeout of Google's classic load balancer), or something was restarted at that moment: run it again to tell.`];
  if (lost[0].end.how !== 'close') yield* aboutProducts(age, age, {});
  yield ['note', 'Pings do not help against a limit of life. Raise it, and let clients reconnect after a random delay.'];
}

function* aboutCut(cut, result) {
  const { watches } = result;
  const { lost, longest, typical } = cut;
  const time = cut.isSeen ? `after ${seconds(typical)} of silence` : `after ${between(cut)} of silence`;
  const shown = lost.find(({ state }) => !cut.isSeen || state === 'cut');
  yield ['problem', `A line on which nobody sends is cut ${time}, ${howOf(shown)} (${lost.length} of ${triedBeyond(watches, longest)} that were silent for so long). ${culpritOf(shown)}`];
  // No product of the table speaks WebSocket when it cuts.
  if (shown.end?.how !== 'close' || shown.state !== 'cut') {
    yield* aboutProducts(cut.isSeen ? typical : cut.shortest, cut.isSeen ? typical : longest, result.responders ?? {});
  }
  yield* aboutDirection(cut, watches);
  yield* aboutPings(cut, watches);
}

/** How many lines were to be silent for so long. */
function triedBeyond(watches, longest) {
  return watches.filter(({ mode, state, silence }) => {
    return mode === 'quiet' && state !== 'refused' && state !== 'stopped' && silence * 1.05 >= longest;
  }).length;
}

function between({ shortest, longest }) {
  if (shortest === 0) return `at most ${seconds(longest)}`;
  return `${seconds(shortest).replace(/ s$/, '')} to ${seconds(longest)}`;
}

/** How a line ended, behind "is cut". */
function howOf({ state, end }) {
  if (state === 'silent') return 'silently: neither side is told, and what is sent afterwards disappears';
  if (state === 'forgotten') return `silently: neither side is told, and who sends afterwards gets ${ENDS[end.how] ?? 'an error'}`;
  if (end.how === 'close') {
    const { code, reason } = end;
    return `by a Close frame ${code === undefined ? 'without a code' : `with the code ${code}`}${reason ? ` (“${harmless(reason, 80)}”)` : ''}`;
  }
  return `by ${ENDS[end.how] ?? 'an error'}${end.how === 'broken' ? ` (${harmless(end.reason)})` : ''}`;
}

const ENDS = {
  fin: 'a TCP FIN without a Close frame', rst: 'a TCP RST', close: 'a Close frame', unreachable: 'nothing but silence',
  broken: 'bytes that are no WebSocket', error: 'an error of the connection',
};

function culpritOf({ state, end }) {
  if (state !== 'cut') return 'That is a NAT, a firewall or a load balancer that has forgotten the connection. Both sides believe that it is open until they use it.';
  if (end.how === 'close') return 'A proxy on the way does not say goodbye like that: it is the server itself, or a gateway that speaks WebSocket. Look for its idle timeout.';
  if (end.how === 'fin') return 'A WebSocket server says goodbye with a Close frame: a bare FIN is the idle timeout of a proxy or load balancer, or of a server that drops connections.';
  if (end.how === 'rst') return 'That is a firewall or load balancer that resets what was idle, or a server that drops connections.';
  return '';
}

function* aboutProducts(shortest, longest, { products = [] }) {
  const table = cutOffs();
  const known = productsThatCut(shortest, longest, table);
  const described = ({ product, text, setting }) => `${product} (${text}; can be changed: ${setting})`;
  const named = known.filter(({ product }) => products.includes(product));
  if (named.length > 0) {
    yield ['note', `The response comes from ${list(named.map(({ product }) => product))}, and that is its default: ${list(named.map(described))}.`];
    return;
  }
  if (known.length > 0) yield ['note', `Known to cut after that by default: ${list(known.map(described))}.`];
  for (const row of table.filter(({ product }) => products.includes(product))) {
    yield ['note', `The response comes from ${row.product}, which by default cuts after ${row.text}: it has another setting here (${row.setting}), or something else cuts.`];
  }
  if (known.length === 0 && products.length === 0) {
    const configured = table.filter(({ isConfigured }) => isConfigured).map(({ product, setting }) => `${product}: ${setting}`);
    yield ['note', `No product of docs/load-balancers.md cuts after that by default, so somebody has set it${configured.length > 0 ? ` (${configured.join('; ')})` : ''}.`];
  }
}

/** How long a line has to hold to have survived what others have not, in seconds. */
function beyond({ longest, isSeen }) {
  return longest * (isSeen ? 1.02 : 0.98);
}

/** Which direction counts. */
function* aboutDirection(cut, watches) {
  const { longest } = cut;
  // A line on which the client sends too rarely is a quiet one.
  const sending = watches.filter(({ mode, beat }) => mode === 'sending' && beat * 1.02 < longest);
  const lost = cutIn(sending, 'sending');
  if (sending.some(({ state, silentFor }) => state === 'survived' && silentFor > beyond(cut))) {
    yield ['note', 'What the client sends is enough to keep it open, also while the server is silent.'];
  } else if (lost !== undefined && isSame(lost.longest, longest)) {
    yield ['note', 'What only the client sends does not keep it open: the silence of the server counts.'];
  }
}

function* aboutPings(cut, watches) {
  const { longest, shortest } = cut;
  const pinged = watches.filter(({ mode, state, beat }) => mode === 'pinged' && state !== 'refused' && state !== 'stopped' && beat < longest);
  const kept = pinged.filter(({ state, age }) => state === 'survived' && age > beyond(cut));
  const lost = pinged.filter(({ state }) => state === 'cut' || state === 'forgotten' || state === 'silent');
  const beat = pingFor(shortest > 0 ? shortest : longest);
  if (kept.length > 0) {
    const lines = kept.map((watch) => `with one every ${seconds(watch.beat)} a line was open for ${seconds(watch.age)}`);
    yield ['good', `Pings keep it open: ${list(lines)}, and was then left by us.`];
  } else if (lost.length > 0) {
    yield ['problem', `Pings do not keep it open: with one every ${seconds(lost[0].beat)} a line was lost after ${seconds(lost[0].age)}. Let clients or server send messages instead, or raise the timeout.`];
    return;
  }
  yield ['note', `What to change: let the server ping after at most ${seconds(beat)} of silence (${settings(beat)}), or raise the timeout of what cuts. See docs/load-balancers.md.`];
}

/** How to make servers ping after so many seconds. */
function settings(beat) {
  if (beat < 1) return 'more often than servers can be set to';
  const whole = Math.floor(beat);
  return `Ferrows: \`pingInterval: ${whole}\` in \`app.ws\`; ws: \`socket.ping()\` from a timer; Socket.IO: \`pingInterval: ${whole * 1000}\``;
}

/** What the server does with a client that answers no pings. */
function* aboutDeafLine(watches) {
  const deaf = watches.find(({ mode }) => mode === 'deaf');
  const pings = deaf?.heard.firstPing;
  if (pings === undefined) return;
  if (deaf.state === 'cut') {
    yield ['good', `A client that does not answer the server's pings is dropped when it is ${seconds(deaf.age)} old, ${howOf(deaf)}: phones that went to sleep do not pile up.`];
  } else if (deaf.state === 'survived') {
    yield ['note', `The server pings, but keeps a client that did not answer for ${seconds(deaf.age - pings)}.`];
  }
}

function* aboutMessages({ echo, binary, fragments, compression, sizes }, { options = {} }) {
  if (echo === undefined) {
    if (options.isWithoutMessages) yield ['note', 'Whether messages pass unharmed is not known: none was sent.'];
    return;
  }
  if (echo.outcome === 'closed') {
    yield ['note', `Whether messages pass unharmed is not known: the server ended the connection over a text that it did not expect, ${howOf({ state: 'cut', end: echo.end })}.`];
    return;
  }
  if (echo.outcome === 'no') {
    yield ['note', 'Whether big, fragmented and compressed messages pass unharmed is not known: the server does not echo.'];
    return;
  }
  if (echo.outcome === 'changed') {
    yield ['problem', 'A message came back changed.'];
    return;
  }
  const passed = [];
  for (const [name, result] of [['binary', binary], ['fragmented', fragments], ['compressed', compression]]) {
    if (result === undefined) continue;
    if (result.outcome === 'passed') passed.push(name);
    else if (result.outcome === 'not negotiated') yield ['note', 'Messages are not compressed: the server, or something on the way, does not negotiate permessage-deflate.'];
    else yield ['problem', `A ${name} message does not pass: ${outcomeOf(result)}.`];
  }
  if (sizes?.passed !== undefined) passed.push(`long ones of up to ${bytes(sizes.passed)}`);
  if (passed.length > 0) yield ['good', `Messages pass unharmed: ${list(passed)}.`];
  if (sizes?.failed !== undefined) yield aboutSize(sizes);
}

function aboutSize(sizes) {
  const { failed, end } = sizes;
  const text = `A message of ${bytes(failed)} does not pass: ${outcomeOf(sizes)}.`;
  // A server that says that a message is too big has a limit, which is as it should be.
  if (end?.how === 'close' && end.code === 1009) return ['note', `${text} That is its limit (Ferrows: \`maxPayloadLength\`, 16 KiB by default).`];
  return ['problem', `${text} A limit of the server, or a proxy that does not let it through.`];
}

function outcomeOf({ outcome, end, reason }) {
  if (outcome === 'ended') return `the connection ended ${howOf({ state: 'cut', end })}`;
  if (outcome === 'changed') return 'it comes back changed';
  if (outcome === 'refused') return `no connection could be opened (${harmless(reason)})`;
  return 'no answer comes';
}

function isSame(a, b) {
  return Math.abs(a - b) <= Math.max(Math.min(SAME_SECONDS, a / 4), a * SAME_PART);
}

/** `6.0 s`, `62.4 s`, `125 s`, `0.52 s` */
function seconds(value) {
  if (value < 1) return `${Number(value.toFixed(2))} s`;
  if (value >= 100) return `${Math.round(value)} s`;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} s`;
}

function bytes(value) {
  return value >= 1024 * 1024 ? `${value / 1024 / 1024} MiB` : value >= 1024 ? `${value / 1024} KiB` : `${value} bytes`;
}

function list(texts) {
  return texts.length > 1 ? `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}` : texts.join('');
}

module.exports = { bytes, howOf, list, seconds, verdictOn };
