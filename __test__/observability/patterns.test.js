'use strict';

// WebSockets that something on the way cuts after a fixed time of silence. The rule is in src/node/state/apps/patterns.rs.

const { afterTest } = require('../helpers/cleanup.js');
const { CuttingProxy } = require('../helpers/cutting-proxy.js');
const { Program } = require('../helpers/program.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');

/** More than the 3 s below which a silence is none, in milliseconds. */
const LIMIT = 3_500;

test.each([
  ['as one record, and as a warning', true],
  ['as one record', undefined],
])('several that were cut are a pattern: in the statistics, %s', async (title, cutWarnings) => {
  const program = new Program(`
    process.on('warning', ({ name, code, message }) => say(['warning', name, code, message]));
    uWS.setLogger('warn', ({ message, fields }) => say(['record', message, fields.cause, fields.remedy]));
    const app = uWS.App({ threads: 1, cutWarnings: ${cutWarnings} });
    let open = 6;
    app.ws('/*', { close: () => { if (--open === 0) setImmediate(() => say(['patterns', app.getStats().patterns])); } });
    app.listen('127.0.0.1', 0, (token) => say([uWS.us_socket_local_port(token), app.getStats().patterns]));
  `);
  const [port, none] = await program.hear();
  expect(none).toEqual([]);
  const proxy = await CuttingProxy.start(port, 'fin', LIMIT);
  afterTest(() => proxy.close());
  await Promise.all(Array.from({ length: 6 }, () => RawWebSocket.open(proxy.port)));
  const heard = new Map();
  const wanted = cutWarnings ? ['patterns', 'record', 'warning'] : ['patterns', 'record'];
  while (heard.size < wanted.length) {
    const [what, ...rest] = await program.hear();
    expect(heard.has(what)).toBe(false);
    heard.set(what, rest);
  }
  expect([...heard.keys()].sort()).toEqual(wanted);
  const [[{ silence, text, ...pattern }, ...others]] = heard.get('patterns');
  const textOf = (count) => `${count} connections were cut after ${silence} s of silence by FIN: a proxy's idle timeout. `
    + `Set \`pingInterval\` below ${silence}; see docs/load-balancers.md`;
  expect({ ...pattern, text, others }).toEqual({ cause: 'ERR_FIN_WITHOUT_CLOSE', count: 6, text: textOf(6), others: [] });
  expect(silence).toBeGreaterThanOrEqual(3);
  expect(heard.get('record')).toEqual(['connections are cut after a fixed time of silence', 'ERR_FIN_WITHOUT_CLOSE', textOf(5)]);
  if (cutWarnings) expect(heard.get('warning')).toEqual(['FerrowsWarning', 'FERROWS_CUT', textOf(5)]);
});
