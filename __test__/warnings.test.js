'use strict';

// What a program is told about mistakes that end nothing: each once per process, whoever makes it. So these programs are
// processes of their own.

const { Program } = require('./helpers/program.js');

const LISTENER = "process.on('warning', ({ name, code, message }) => name === 'FerrowsWarning' && say([code, message]));";

/** The warnings of Ferrows that a program causes, in order. `app` is an app in it. */
async function warningsOf(source) {
  const program = new Program(`${LISTENER} const app = uWS.App(); ${source}; setImmediate(() => say(null));`);
  const warnings = [];
  for (;;) {
    const warning = await program.hear();
    if (warning === null) return warnings;
    warnings.push(warning);
  }
}

describe('patterns', () => {
  const noSlash = (pattern, meant) => [
    'FERROWS_PATTERN',
    `The pattern ${pattern} does not begin with a slash, and means ${meant}: as in uWebSockets.js, its first character is `
      + 'taken for the slash',
  ];
  const dead = (pattern, rule) => ['FERROWS_PATTERN', `The pattern ${pattern} matches no request: ${rule}`];

  test.each([
    ["app.get('test', () => {})", noSlash('"test"', '"/est"')],
    ["app.any('*', () => {})", noSlash('"*"', '"/"')],
    ["app.ws(Buffer.from('a/b'), {})", noSlash('"a/b"', '"//b"')],
    ["app.post('\u{1f600}x', new uWS.DeclarativeResponse().end())", noSlash('"\u{1f600}x"', '"/x"')],
    ["app.get('cached', () => {}, 5)", noSlash('"cached"', '"/ached"')],
    ["app.get('', () => {})", dead('""', 'it is empty')],
    ["app.get('/a/*/b', () => {})", dead('"/a/*/b"', 'a wildcard is its last segment, and it has 100 segments at most')],
  ])('%s', async (source, warning) => {
    expect(await warningsOf(source)).toEqual([warning]);
  });

  test('the first one of a kind is told, and those that are in order are not', async () => {
    const source = `
      app.get('/a', () => {}).any('/*', () => {}).get('one', () => {}).get('two', () => {}).ws('three', {}).get('one', null);
    `;
    expect(await warningsOf(source)).toEqual([noSlash('"one"', '"/ne"')]);
  });

  test('once per process, and not once per thread', async () => {
    const source = `
      app.get('main', () => {});
      const { Worker } = require('worker_threads');
      new Worker("require('ferrows').App().get('worker', () => {})", { eval: true, stderr: true })
        .on('exit', (code) => say(['worker', code]))
        .stderr.on('data', (data) => say(['stderr', String(data)]))
    `;
    const program = new Program(`process.on('warning', ({ message }) => say(message)); const app = uWS.App(); ${source}`);
    expect(await program.hear()).toContain('"main"');
    expect(await program.hear()).toEqual(['worker', 0]);
  });

  test('a process.emitWarning that throws hurts no route', async () => {
    const source = `
      process.on('uncaughtException', ({ message }) => say(message));
      process.emitWarning = () => { throw new Error('no warnings here'); };
      app.get('test', (res) => res.end('found', true)).listen('127.0.0.1', 0, (token) => {
        require('http').get({ port: uWS.us_socket_local_port(token), path: '/est' }, (response) => say(response.statusCode));
      });
    `;
    const program = new Program(`const app = uWS.App(); ${source}`);
    expect(await program.hear()).toBe('no warnings here');
    expect(await program.hear()).toBe(200);
  });
});
