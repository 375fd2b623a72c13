'use strict';

// What `ferrows probe` makes of what it has seen, without sockets.

const { SIGNS } = require('../../lib/cli/probe/responders.js');
const { pingFor } = require('../../lib/cli/probe/silences.js');
const { verdictOn } = require('../../lib/cli/probe/verdict.js');
const { readPage, sectionsOf, tablesOf } = require('../../lib/knowledge/pages.js');
const { cutOffs, productsThatCut } = require('../../lib/knowledge/cut-offs.js');

const heard = { pings: 0, messages: 0 };
const at = (mode, silence, state, rest) => ({ mode, silence, state, age: silence, silentFor: silence, heard, ...rest });
const end = (how, rest) => ({ how, ...rest });
const cut = (mode, silence, after, how = 'fin', rest = {}) => at(mode, silence, 'cut', { age: after, silentFor: after, end: end(how), ...rest });
const pinged = (beat, age, rest = {}) => at('pinged', 120, 'survived', { beat, age, silentFor: beat, ...rest });

/** The sentences about these lines, as one text. */
function verdict(watches, rest = {}) {
  const sentences = verdictOn({ url: 'ws://x/', handshake: {}, answersPings: true, messages: {}, watches, ...rest });
  return sentences.map(({ kind, text }) => `${kind}: ${text}`).join('\n');
}

const NGINX = [
  at('quiet', 30, 'survived'), at('quiet', 55, 'survived', { silentFor: 57.2 }),
  cut('quiet', 60, 60.01), cut('quiet', 100, 60.02), cut('quiet', 120, 60.9),
  at('sending', 30, 'survived', { beat: 10 }), at('sending', 120, 'survived', { beat: 10 }), pinged(2.5, 124.8), pinged(45, 64),
];

test('nginx: the cut, that pings help, and the setting', () => {
  const text = verdict(NGINX, { responders: { headers: [], products: ['nginx'] } });
  expect(text).toMatch(/problem: A line on which nobody sends is cut after 60\.0 s of silence, by a TCP FIN without a Close frame \(3 of 3/);
  expect(text).toContain('The response comes from nginx, and that is its default: nginx (60 s without data from the server; can be changed: `proxy_read_timeout`)');
  expect(text).toContain('What the client sends is enough to keep it open');
  expect(text).toMatch(/good: Pings keep it open: with one every 2\.5 s a line was open for 125 s and with one every 45 s a line was open for 64 s/);
  expect(text).toContain('after at most 45 s of silence (Ferrows: `pingInterval: 45` in `app.ws`; ws: `socket.ping()` from a timer; Socket.IO: `pingInterval: 45000`)');
});

test('a proxy that counts the silence of the server only', () => {
  const text = verdict([cut('quiet', 60, 40), at('sending', 20, 'survived', { beat: 5 }), cut('sending', 60, 40.01, 'fin', { beat: 5 })]);
  expect(text).toContain('What only the client sends does not keep it open: the silence of the server counts.');
});

test.each(cutOffs().filter(({ seconds }) => seconds !== undefined))('$product: a cut after its $seconds s is told as its', ({ product, seconds, text }) => {
  const named = verdict([at('quiet', seconds / 2, 'survived'), cut('quiet', 2 * seconds, seconds + 0.02)]);
  expect(named).toContain(`Known to cut after that by default: `);
  expect(named).toContain(`${product} (${text}; can be changed: `);
});

test('a cut that no product has by default is a setting of somebody', () => {
  const text = verdict([at('quiet', 10, 'survived'), cut('quiet', 20, 11.0)]);
  expect(text).toContain('somebody has set it (HAProxy: `timeout tunnel`');
  expect(text).toContain('after at most 8 s of silence');
});

test('a product that has answered but cuts after another time is named with its setting', () => {
  const text = verdict([cut('quiet', 20, 11.0)], { responders: { headers: [], products: ['nginx'] } });
  expect(text).toContain('The response comes from nginx, which by default cuts after 60 s without data from the server: it has another setting here (`proxy_read_timeout`)');
});

test('silence: between the last that was survived and the first that was not', () => {
  const text = verdict([at('quiet', 200, 'survived', { silentFor: 208 }), at('quiet', 240, 'silent', { silentFor: 249.6 })]);
  expect(text).toMatch(/cut after 208 to 250 s of silence, silently: neither side is told, and what is sent afterwards disappears/);
  expect(text).toContain('Azure Load Balancer (4 min without packets');
});

test('a connection that was forgotten and ends when it is used', () => {
  const text = verdict([at('quiet', 300, 'survived'), at('quiet', 350, 'forgotten', { silentFor: 364, end: end('rst') })]);
  expect(text).toContain('who sends afterwards gets a TCP RST');
  expect(text).toContain('AWS Network Load Balancer');
});

test('a Close frame is told from what a proxy does', () => {
  const text = verdict([cut('quiet', 60, 30, 'close', { end: end('close', { code: 4000, reason: 'idle \u001b[31m' }) })]);
  expect(text).toContain('by a Close frame with the code 4000 (“idle [31m”)');
  expect(text).toContain('it is the server itself, or a gateway that speaks WebSocket');
  // None of the products of the table says goodbye like that.
  expect(text).not.toContain('Known to cut');
});

test('connections that end at one age, busy or not, have a limit of life', () => {
  const text = verdict([cut('quiet', 60, 30.02), cut('quiet', 120, 30.01), cut('pinged', 120, 30.03, 'fin', { beat: 5, silentFor: 0.03 })]);
  expect(text).toContain('problem: Connections end when they are 30.0 s old, busy or not');
  expect(text).toContain('Google Cloud Application Load Balancer');
  expect(text).not.toContain('What to change: let the server ping');
});

test('pings that do not help are told, and what else does', () => {
  const text = verdict([cut('quiet', 60, 30), cut('pinged', 120, 95, 'fin', { beat: 5, silentFor: 5 })]);
  expect(text).toContain('problem: Pings do not keep it open: with one every 5 s a line was lost after 95 s. Let clients or server send messages');
});

test('pings that are further apart than the cut say nothing about pings', () => {
  const text = verdict([cut('quiet', 60, 1.5), cut('pinged', 60, 1.5, 'fin', { beat: 2.5, silentFor: 1.5 }), cut('sending', 60, 1.5, 'fin', { beat: 2.5 })]);
  expect(text).not.toMatch(/Pings do not keep|the silence of the server counts|Connections end when/);
});

test('nothing found: how long a line may be silent at least, and what was not tried', () => {
  const text = verdict([at('quiet', 60, 'survived'), at('quiet', 120, 'survived', { silentFor: 124.8 }), pinged(2.5, 124)]);
  expect(text).toBe('good: A line on which nobody sends stays open for at least 125 s.\n'
    + 'note: Longer silences were not tried. Some things on the way cut after 4 to 10 minutes: --max 600.');
  expect(verdict([at('quiet', 600, 'survived')])).not.toContain('not tried');
});

test('a server that pings keeps the line from being silent', () => {
  const line = at('quiet', 120, 'survived', { silentFor: 44.1, heard: { pings: 2, firstPing: 44 } });
  const deaf = cut('deaf', 120, 60.2, 'close', { end: end('close', { code: 1001 }), heard: { pings: 1, firstPing: 44 } });
  const text = verdict([line, deaf]);
  expect(text).toContain('good: The server pings after 44 s of silence, and that keeps quiet lines open (for 120 s at least)');
  expect(text).toContain('a cut-off beyond could not be seen');
  expect(text).toContain("does not answer the server's pings is dropped when it is 60.2 s old, by a Close frame with the code 1001");
});

test('a server that answers no pings leaves it open whether lines are alive', () => {
  const text = verdict([at('quiet', 120, 'unknown')], { answersPings: false });
  expect(text).toContain('note: Nobody ended a silent line within 120 s. The server answers no pings');
});

test('lines that could not be opened are counted', () => {
  const text = verdict([at('quiet', 60, 'survived'), at('quiet', 120, 'refused', { reason: 'ws://x/ answers 429' })]);
  expect(text).toContain('note: 1 of 2 connections could not be opened (ws://x/ answers 429)');
});

test.each([
  [{ echo: { outcome: 'no' } }, 'note: Whether big, fragmented and compressed messages pass unharmed is not known: the server does not echo.'],
  [{ echo: { outcome: 'closed', end: end('close', { code: 1003, reason: '' }) } }, 'the server ended the connection over a text that it did not expect, by a Close frame with the code 1003'],
  [{ echo: { outcome: 'changed' } }, 'problem: A message came back changed.'],
  [{ echo: { outcome: 'yes' }, binary: { outcome: 'passed' }, fragments: { outcome: 'lost' } }, 'problem: A fragmented message does not pass: no answer comes.'],
  [{ echo: { outcome: 'yes' }, compression: { outcome: 'not negotiated' } }, 'note: Messages are not compressed'],
  [{ echo: { outcome: 'yes' }, compression: { outcome: 'changed' } }, 'problem: A compressed message does not pass: it comes back changed.'],
  [{ echo: { outcome: 'yes' }, sizes: { outcome: 'ended', passed: 16384, failed: 65536, end: end('close', { code: 1009 }) } }, 'note: A message of 64 KiB does not pass: the connection ended by a Close frame with the code 1009. That is its limit'],
  [{ echo: { outcome: 'yes' }, sizes: { outcome: 'ended', passed: 16384, failed: 65536, end: end('fin') } }, 'problem: A message of 64 KiB does not pass: the connection ended by a TCP FIN'],
  [{ echo: { outcome: 'yes' }, binary: { outcome: 'passed' }, sizes: { outcome: 'passed', passed: 1 << 20 } }, 'good: Messages pass unharmed: binary and long ones of up to 1 MiB.'],
])('messages: %j', (messages, sentence) => {
  expect(verdict([], { messages })).toContain(sentence);
});

test('certificates that were passed over, or expire soon, and redirects', () => {
  const certificate = { validTo: new Date(86_400_000 * 10.5).toISOString() };
  const tls = { version: 'TLSv1.2', isTrusted: false, fault: 'DEPTH_ZERO_SELF_SIGNED_CERT', certificate };
  const sentences = verdictOn({ url: 'wss://b/', redirects: ['ws://a/'], handshake: { tls } }, 0).map(({ kind, text }) => `${kind}: ${text}`).join('\n');
  expect(sentences).toContain('problem: ws://a/ redirects to wss://b/. Browsers do not follow redirects');
  expect(sentences).toContain('problem: The certificate was not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)');
  expect(sentences).toContain('note: The certificate expires in 10 days.');
  expect(sentences).toContain('note: The connection uses TLSv1.2');
});

test.each([[6, 'pingInterval: 4`'], [60, 'pingInterval: 45`'], [1, 'more often than servers can be set to']])('cut after %d s: %s', (seconds, setting) => {
  expect(verdict([cut('quiet', 600, seconds)])).toContain(setting);
});

test('a ping goes out a good while before the cut', () => {
  expect([6, 11, 30, 55, 59.99, 60, 100, 240, 350].map(pingFor)).toEqual([4, 8, 20, 40, 45, 45, 75, 180, 260]);
});

describe('the table of docs/load-balancers.md', () => {
  test('is read as a whole: every row with a figure has its seconds', () => {
    const rows = cutOffs();
    expect(rows.length).toBeGreaterThanOrEqual(8);
    for (const { text, seconds } of rows) expect([text, seconds === undefined]).toEqual([text, !/\d/.test(text)]);
    expect(productsThatCut(100, 100).map(({ product }) => product)).toEqual(['Cloudflare']);
  });

  test('has every product that a response can give away', () => {
    const products = cutOffs().map(({ product }) => product);
    expect(SIGNS.map(([, , product]) => product).filter((product) => !products.includes(product))).toEqual([]);
  });

  test('says the same as that of docs/close-reasons.md', () => {
    const tables = sectionsOf(readPage('close-reasons.md')).flatMap(({ lines }) => tablesOf(lines));
    const others = tables.find(({ columns }) => columns[0] === 'on the way').rows;
    for (const { product, text } of cutOffs()) {
      const words = product.split(' ');
      const other = others.find(([name]) => words.every((word) => name.includes(word)));
      const figure = text.match(/\d+ (?:s|min)\b/)?.[0] ?? text;
      expect([product, other?.[1]]).toEqual([product, expect.stringContaining(figure)]);
    }
  });
});
