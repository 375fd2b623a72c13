'use strict';

/**
 * docs/close-reasons.md promises to list every cause. The causes live in src/protocol/cause.rs, so that is where this
 * reads them: a cause that is added, renamed or reworded there fails here until the page follows.
 */

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const read = (...path) => readFileSync(join(__dirname, '..', '..', ...path), 'utf8');

/** What the constructors in cause.rs start from. */
const BASES = {
  peer: { initiator: 'peer', wasClean: true, code: '1006', wire: '–' },
  frame: { initiator: 'peer', wasClean: false, code: '1006', wire: '1002' },
  transport: { initiator: 'transport', wasClean: false, code: '1006', wire: '–' },
  local: { initiator: 'local', wasClean: false, code: '1006', wire: '–' },
};

/** Where code and wire depend on what peer or application said, the page says so in words. */
const IN_WORDS = {
  CLOSED_BY_PEER: { code: 'the peer', wire: 'its own code' },
  CLOSED_BY_PEER_WITHOUT_CODE: { wire: 'an empty Close frame' },
  CLOSED_BY_END: { code: 'the code given to `ws.end()`, or 0', wire: 'that code and text' },
};

/** What ends connections of both kinds. */
const EITHER = new Set([
  'ERR_CONNECTION_RESET', 'ERR_TRANSPORT_TIMED_OUT', 'ERR_UNREACHABLE', 'ERR_TRANSPORT', 'ERR_TLS_TRUNCATED', 'ERR_TLS_ALERT',
  'ERR_TLS_INVALID', 'ERR_TLS_KEYS_EXHAUSTED', 'CLOSED_BY_APPLICATION', 'CLOSED_BY_APP_CLOSE', 'CLOSED_BY_SHUTDOWN',
  'ERR_OUTPUT_LIMIT', 'ERR_HTTP2_STREAM_RESET', 'ERR_HTTP2_INVALID', 'ERR_HTTP3_STREAM_RESET', 'ERR_HTTP3_INVALID',
  'ERR_QUIC_CLOSED', 'ERR_QUIC_PEER', 'ERR_QUIC_INVALID', 'ERR_QUIC_RESET', 'ERR_QUIC_IDLE_TIMEOUT',
]);

/** The handlers that are told of a cause. */
function listenersOf(name) {
  if (EITHER.has(name)) return ['close', 'onAborted'];
  return name.startsWith('ERR_HTTP_') || name === 'ERR_FIN_BEFORE_RESPONSE' ? ['onAborted'] : ['close'];
}

/** The arms of `CloseCause::verdict`, each as the row the page must have. */
function causesOf(source) {
  const body = source.match(/fn verdict\(self\) -> Verdict \{([\s\S]*?)\n {4}\}\n/)[1];
  const arms = body.split(/Self::\w+(?:\(\w+\))? =>/).slice(1);
  return arms.map((arm) => {
    const [, base, name, text] = arm.match(/\b(peer|frame|transport|local)\(\s*"([A-Z0-9_]+)",\s*"([^"]+)",?\s*\)/);
    const cause = { name, text, ...BASES[base] };
    const wireCode = arm.match(/with_wire_code\([\s\S]*,\s*(\d{4}),?\s*\)/);
    const wire = arm.match(/wire_code: (?:Some\((\d{4})\)|None)/);
    const code = arm.match(/local_code: (\d+)/);
    const initiator = arm.match(/initiator: Initiator::(\w+)/);
    const clean = arm.match(/was_clean: (true|false)/);
    if (wireCode) cause.wire = wireCode[1];
    if (wire) cause.wire = wire[1] ?? '–';
    if (code) cause.code = code[1];
    if (initiator) cause.initiator = initiator[1].toLowerCase();
    if (clean) cause.wasClean = clean[1] === 'true';
    return { ...cause, ...IN_WORDS[name] };
  });
}

/** The rows of the tables under "All causes", by cause. */
function rowsOf(page) {
  const section = page.match(/\n## All causes\n([\s\S]*?)\n## /)[1];
  const rows = [...section.matchAll(/^\| `([A-Z0-9_]+)` \| (.*) \|$/gm)];
  return new Map(rows.map(([, name, cells]) => [name, cells.split(' | ')]));
}

const source = read('src', 'protocol', 'cause.rs');
const causes = causesOf(source);
const rows = rowsOf(read('docs', 'close-reasons.md'));

test('every cause of cause.rs was understood', () => {
  const count = Number(source.match(/const ALL: \[Self; (\d+)\]/)[1]);
  expect(causes).toHaveLength(count);
  expect(new Set(causes.map(({ name }) => name)).size).toBe(count);
});

test('the page lists no cause that cause.rs does not have', () => {
  expect([...rows.keys()].sort()).toEqual(causes.map(({ name }) => name).sort());
});

test.each(causes)('the page tells $name as cause.rs does', ({ name, text, code, initiator, wasClean, wire }) => {
  const [codeCell, reason, initiatorCell, clean, wireCell, heard] = rows.get(name);
  expect(reason).toContain(`\`${text}\``);
  expect(codeCell).toContain(code);
  expect(initiatorCell).toBe(initiator);
  expect(clean).toBe(wasClean ? 'yes' : 'no');
  expect(wireCell).toContain(wire);
  expect(heard).toBe(listenersOf(name).map((listener) => `\`${listener}\``).join(', '));
});

test('the section about onAborted lists the causes that it is told, and no others', () => {
  const section = read('docs', 'close-reasons.md').match(/\n## onAborted\n([\s\S]*?)\n## /)[1];
  const cells = [...section.matchAll(/^\| (`[A-Z].*?) \| .+ \|$/gm)].map(([, cell]) => cell);
  const listed = cells.flatMap((cell) => [...cell.matchAll(/`([A-Z0-9_]+)`/g)].map(([, name]) => name));
  const expected = causes.map(({ name }) => name).filter((name) => listenersOf(name).includes('onAborted'));
  expect(listed.sort()).toEqual(expected.sort());
});

describe('the snippets', () => {
  const { once } = require('events');
  const WebSocket = require('ws');
  const { WEBSOCKET_FACTS } = require('../helpers/facts.js');
  const { readGuide, runBlock } = require('../helpers/guide.js');
  const { Mailbox } = require('../helpers/mailbox.js');
  const { createApp, listen } = require('../helpers/server.js');

  const sections = readGuide('close-reasons.md');

  /** Runs a snippet on an app, lets a client come and go with 1000, and returns what the snippet logs. */
  async function run(heading) {
    const [{ code }] = sections.get(heading);
    const [app, log] = [createApp(), new Mailbox()];
    runBlock(code, { app, console: { log: (...values) => log.put(values) } });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}`);
    await once(client, 'open');
    client.close(1000, 'that was all');
    return log.take();
  }

  test('of the beginning tells code, reason and info', async () => {
    const info = { cause: 'CLOSED_BY_PEER', initiator: 'peer', wasClean: true, reason: 'that was all', ...WEBSOCKET_FACTS };
    expect(await run('Why did this connection end?')).toEqual([1000, info]);
  });

  test('for the log writes a line in which every value is one', async () => {
    const [line] = await run('Logging');
    const { seconds, ...rest } = JSON.parse(line);
    expect(Number.isInteger(seconds)).toBe(true);
    expect(rest).toEqual({
      event: 'websocket closed', cause: 'CLOSED_BY_PEER', initiator: 'peer', code: 1000, reason: 'that was all',
    });
  });
});

test('the page tells why connects fail as connect.rs does', () => {
  const rust = read('src', 'protocol', 'connect.rs');
  const tableOf = (name) => {
    const body = rust.match(new RegExp(`fn ${name}\\(&self\\)[\\s\\S]*?\\n {4}\\}\\n`))[0];
    return new Map([...body.matchAll(/Self::(\w+) => "([^"]+)"/g)].map(([, cause, text]) => [cause, text]));
  };
  const [names, texts] = [tableOf('code'), tableOf('text')];
  expect(names.size).toBeGreaterThanOrEqual(13);
  const listed = [...read('docs', 'close-reasons.md').matchAll(/^\| `(ERR_CONNECT_\w+)` \| `([^`]+)` \| ..+ \|$/gm)];
  expect(listed.map(([, name, text]) => [name, text])).toEqual([...names].map(([cause, name]) => [name, texts.get(cause)]));
});

test('every cause has a word on what it means', () => {
  const page = read('docs', 'close-reasons.md');
  for (const { name } of causes) {
    const explanations = page.split('\n').filter((line) => line.includes(`\`${name}\``) && !line.startsWith('|'));
    expect([name, explanations.length > 0]).toEqual([name, true]);
  }
});

test('the table of close codes has the names of close.rs', () => {
  const names = read('src', 'protocol', 'websocket', 'close.rs').match(/fn name\(code: u16\)[\s\S]*?\n\}/)[0];
  const page = read('docs', 'close-reasons.md');
  const pairs = [...names.matchAll(/^ +(\d{4}) => "([^"]+)"/gm)].map(([, code, name]) => [code, name]);
  expect(pairs.length).toBeGreaterThanOrEqual(18);
  for (const [code, name] of pairs) expect(page).toContain(`\n| ${code} | ${name} | `);
});
