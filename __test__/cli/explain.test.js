'use strict';

// `ferrows explain`: what docs/close-reasons.md says, on a terminal.

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const { UsageError } = require('../../lib/cli/arguments.js');
const { runExplain } = require('../../lib/cli/explain.js');
const { runProbe } = require('../../lib/cli/probe/command.js');
const { explain, readCloseReasons } = require('../../lib/knowledge/close-reasons.js');
const { ferrows, runHere } = require('../helpers/command.js');

const page = readFileSync(join(__dirname, '../../docs/close-reasons.md'), 'utf8');
const { causes, codes } = readCloseReasons();

/** Text without what folding it to a width changes. */
const unfolded = (text) => text.replace(/\s+/g, ' ');

test('every cause that a table of the page has is explained', () => {
  const named = [...page.matchAll(/^\| `((?:ERR|CLOSED)_[A-Z0-9_]+)`/gm)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(60);
  for (const name of named) {
    const [{ term, fields }] = explain(name);
    expect(term).toBe(name);
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
    for (const cell of row.split(' | ').slice(1)) expect(fields.map(([, value]) => value)).toContain(cell.replace(/ \|$/, ''));
  }
});

test('every cause of a close has sentences that say what leads to it', () => {
  const section = page.match(/\n## All causes\n([\s\S]*?)\n## /)[1];
  const named = [...section.matchAll(/^\| `([A-Z0-9_]+)`/gm)].map(([, name]) => name);
  for (const name of named) expect([name, explain(name)[0].texts.length > 0]).toEqual([name, true]);
});

test('every close code is explained, those of ranges by their range', () => {
  for (const { first, last, fields } of codes) {
    expect(explain(String(first))).toHaveLength(1);
    // Ranges have no rows of their own at their ends.
    expect(explain(String(last))[0].fields[0]).toEqual(fields[2]);
  }
  expect(explain('65536')).toEqual([]);
  expect(explain('4711')[0].fields[0][1]).toMatch(/private use/);
  expect(explain('3000')[0].title).toBe('Unauthorized');
});

test('1006 ERR_FIN_WITHOUT_CLOSE: prints the text of the page, with the table of cut-offs', async () => {
  const { code, stdout, stderr } = await ferrows(['explain', '1006', 'ERR_FIN_WITHOUT_CLOSE']);
  expect([code, stderr]).toEqual([0, '']);
  const text = unfolded(stdout);
  expect(text).toMatch(/^1006: Abnormal Closure/);
  expect(text).toContain('local: there was no Close frame');
  expect(text).toContain('in a browser no Close frame came');
  expect(text).toContain('ERR_FIN_WITHOUT_CLOSE: The connection went away');
  expect(text).toContain('If it clusters at 60 s, it is not the client.');
  expect(text).toContain('Heroku router: 55 s †;');
  // What is for web pages is not for terminals.
  expect(text).not.toMatch(/\*\*|\]\(/);
});

test('names are found in any case, with hyphens, and by the reason', async () => {
  expect(explain('err-fin-without-close')).toEqual(explain('ERR_FIN_WITHOUT_CLOSE'));
  expect(explain('WebSocket timed out from inactivity').map(({ term }) => term)).toEqual(['ERR_IDLE_TIMEOUT']);
  expect(explain('connection reset by peer').map(({ term }) => term)).toEqual(['ERR_CONNECTION_RESET']);
  expect(explain('Host name could not be resolved: x').map(({ term }) => term)).toEqual(['ERR_CONNECT_DNS']);
});

test('what the page does not know is said in a sentence, with names that are similar, and ends with 2', async () => {
  const { code, stdout, stderr } = await runHere(runExplain, ['ERR_FIN', '1000', '99999']);
  expect(code).toBe(2);
  expect(stdout).toMatch(/^1000: Normal Closure/);
  expect(stderr).toMatch(/“ERR_FIN” is no close code.* Do you mean ERR_FIN_WITHOUT_CLOSE or ERR_FIN_BEFORE_RESPONSE/);
  expect(stderr).toContain('“99999” is no close code');
});

test('without arguments it lists all causes', async () => {
  const { code, stdout } = await runHere(runExplain, []);
  expect(code).toBe(0);
  for (const name of causes.keys()) expect(stdout).toContain(`  ${name}\n`);
});

test('--json has the same for programs', async () => {
  const { code, json } = await runHere(runExplain, ['--json', 'ERR_IDLE_TIMEOUT', 'nonsense']);
  expect(code).toBe(2);
  expect(json.unknown).toEqual(['nonsense']);
  expect(json.explanations).toHaveLength(1);
  expect(json.explanations[0]).toMatchObject({ term: 'ERR_IDLE_TIMEOUT', fields: { code: '1006', initiator: 'local' } });
});

test('a term cannot write into the terminal', async () => {
  const { stderr } = await runHere(runExplain, ['\u001b[31mred\u0007']);
  expect(stderr).toContain('“[31mred”');
});

describe('ferrows', () => {
  test('says what there is, in case of a wrong command too', async () => {
    expect(await ferrows([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('ferrows probe wss://') });
    expect(await ferrows(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('ferrows explain 1006') });
    expect(await ferrows(['prob'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no command “prob”') });
    expect(await ferrows(['--version'])).toMatchObject({ code: 0, stdout: `${require('../../package.json').version}\n` });
  });

  test.each([
    [['explain', '--nonsense'], 'There is no option --nonsense.'],
    [['explain', '--json=yes'], '--json takes no value.'],
    [['probe'], 'Which server?'],
    [['probe', 'ws://a/', 'ws://b/'], 'One url at a time.'],
    [['probe', 'ws://a/', '--max'], '--max needs a value.'],
    [['probe', 'ws://a/', '--max', '0'], '--max must be a number of seconds'],
    [['probe', 'ws://a/', '--silences', '1,x'], '--silences must be a number of seconds'],
    [['probe', 'ws://a/', '--header', 'no colon'], "--header must be 'Name: value'"],
    [['probe', 'ws://a/', '--header', 'A: b\r\nC: d'], 'characters that no header may have'],
    [['probe', 'ws://a/', '--protocol', 'a b'], '--protocol must be the name'],
    [['probe', 'ws://a/', '--ca', '/nowhere/at/all'], 'cannot be read (ENOENT)'],
    [['probe', 'ws://a/', '--connect-to', 'here'], '--connect-to must be host:port'],
    [['probe', 'example.com/chat'], 'Do you mean wss://example.com/chat?'],
    [['probe', 'example.com:8080/chat'], 'Do you mean wss://example.com:8080/chat?'],
    [['probe', 'ftp://example.com'], 'The url must begin with wss:// or ws://'],
    [['probe', 'ws://example.com/#top'], 'has no fragment'],
  ])('%j: a sentence', async ([command, ...args], sentence) => {
    const run = { explain: runExplain, probe: runProbe }[command];
    const refused = runHere(run, args);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(sentence);
  });

  test('wrong arguments end with 2, and a word on where the right ones are', async () => {
    const { code, stdout, stderr } = await ferrows(['probe', 'example.com/chat']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe('“example.com/chat” is not a url. Do you mean wss://example.com/chat?\n“ferrows probe --help” lists the options.\n');
  });
});
