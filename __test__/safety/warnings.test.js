'use strict';

// What a program is told about mistakes that end nothing: each once per process, whoever makes it. So these programs are
// processes of their own.

const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');

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

describe('options', () => {
  const unknown = (name, owner, near) => [
    'FERROWS_OPTION', `\`${name}\` is no option of ${owner}${near === undefined ? ' and has no effect' : `; did you mean \`${near}\`?`}`,
  ];

  /** One mistake each, and what is told of it. */
  const mistakes = [
    ["app.ws('/', { maxPayload: 5 })", unknown('maxPayload', 'a WebSocket route', 'maxPayloadLength')],
    ["app.ws('/', { mesage: () => {} })", unknown('mesage', 'a WebSocket route', 'message')],
    ["app.ws('/', { perMessageDeflate: true })", unknown('perMessageDeflate', 'a WebSocket route')],
    ['uWS.App({ max_header_size: 1000 })', unknown('max_header_size', 'an app', 'maxHeaderSize')],
    ['uWS.App({ thread: 1 })', unknown('thread', 'an app', 'threads')],
    ["uWS.App({ keyFileName: 'key.pem' })", unknown('keyFileName', 'an app', 'key_file_name')],
    ["uWS.App({ proxyProtocol: { trust: ['unix'], require: true } })", unknown('require', 'proxyProtocol', 'required')],
    ["app.get('/', () => {}, { expiry: 5 })", unknown('expiry', 'a cached route')],
    ["app.get('/', () => {}, { lowerexpiry: 5 })", unknown('lowerexpiry', 'a cached route', 'lowerExpiry')],
    ["app.serveFiles('/*', '.', { dotfiles: true })", unknown('dotfiles', 'serveFiles', 'dotFiles')],
    ["app.listen(0, { exclusive: true }, () => app.close())", unknown('exclusive', 'listen')],
    ['app.shutdown({ time: 5 })', unknown('time', 'shutdown', 'timeout')],
    ["uWS.connect('ws://127.0.0.1:1', {}, { protocol: 'a' }).catch(() => {})", unknown('protocol', 'connect', 'protocols')],
    ["uWS.connect('ws://127.0.0.1:1', { onmessage() {} }).catch(() => {})", unknown('onmessage', 'the behavior of connect', 'message')],
    [`app.ws('/', { '${'x'.repeat(99)}\\n': 1 })`, unknown('x'.repeat(64), 'a WebSocket route')],
    ["app.ws('/', { 'a\\nb': 1 })", unknown('a\\nb', 'a WebSocket route')],
  ];

  test('names that nobody knows are told, with the known one that was probably meant', async () => {
    const warnings = await warningsOf(mistakes.map(([source]) => source).join(';\n'));
    // What `shutdown` and `connect` say comes with their promises' turn.
    expect(warnings.sort()).toEqual(mistakes.map(([, warning]) => warning).sort());
  });

  test('each name is told once for each of its owners', async () => {
    const warnings = await warningsOf("for (const path of ['/a', '/b']) app.ws(path, { one: 1, two: 2 }); uWS.App({ one: 1 });");
    expect(warnings).toEqual([
      unknown('one', 'a WebSocket route'), unknown('two', 'a WebSocket route'), unknown('one', 'an app'),
    ]);
  });

  test('names that are inherited, fields of classes, symbols, and what a Proxy will not tell are nobody\'s mistake', async () => {
    const source = `
      class Room { clients = new Map(); open = () => {}; }
      app.ws('/a', new Room()).ws('/b', Object.create({ inherited: 1 })).ws('/c', { [Symbol('s')]: 1 });
      app.ws('/d', Object.defineProperty({}, 'hidden', { value: 1 }));
      app.ws('/e', new Proxy({}, { ownKeys() { throw new Error('no'); } }));
      app.ws('/f', Object.create(null)).ws('/g', require('vm').runInNewContext('({ open() {} })'));
    `;
    expect(await warningsOf(source)).toEqual([]);
  });

  test('what is refused is not told, too', async () => {
    const source = "try { app.ws('/', { maxPayload: 1, idleTimeout: 1 }); } catch ({ code }) { say(['threw', code]); }";
    expect(await warningsOf(source)).toEqual([['threw', 'ERR_OUT_OF_RANGE']]);
  });

  test('the options of frameworks that hand all of theirs on are left alone', async () => {
    const source = `
      uWS.App({
        is_ssl: false, auto_close: true, exclusive_port: false, fast_abort: false, strict_middleware: false, trust_proxy: false,
        fast_buffers: false, max_body_buffer: 16384, max_body_length: 256000, streaming: {},
      });
    `;
    expect(await warningsOf(source)).toEqual([]);
  });
});

describe('every option of index.d.ts', () => {
  const ts = require('typescript');
  const { readFileSync } = require('fs');
  const { join } = require('path');

  const file = join(__dirname, '..', '..', 'index.d.ts');
  const { statements } = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const interfaces = new Map(statements.filter(ts.isInterfaceDeclaration).map((it) => [it.name.text, it]));

  /** The names of the members of an interface, those of its bases included. */
  function namesOf(name) {
    const { members, heritageClauses = [] } = interfaces.get(name);
    const bases = heritageClauses.flatMap(({ types }) => types.map(({ expression }) => expression.text));
    return [...members.map((member) => member.name.text), ...bases.filter((base) => interfaces.has(base)).flatMap(namesOf)];
  }

  /** What takes the options of each interface. */
  const uses = [
    ['SSLAppOptions', (names) => `uWS.App(${names})`],
    ['AppOptions', (names) => `uWS.App(${names})`],
    ['WebSocketBehavior', (names) => `app.ws('/', ${names})`],
    ['ClientBehavior', (names) => `uWS.connect('ws://127.0.0.1:1', ${names}).catch(() => {})`],
    ['ConnectOptions', (names) => `uWS.connect('ws://127.0.0.1:1', {}, ${names}).catch(() => {})`],
    ['CacheOptions', (names) => `app.get('/', () => {}, ${names})`],
    ['ServeFilesOptions', (names) => `app.serveFiles('/*', '.', ${names})`],
    ['ShutdownOptions', (names) => `app.shutdown(${names})`],
  ];

  test('is known to what takes it', async () => {
    const program = uses.map(([name, use]) => {
      const names = namesOf(name);
      expect(names.length).toBeGreaterThan(0);
      return use(`{ ${names.map((it) => `${it}: undefined`).join(', ')} }`);
    });
    expect(await warningsOf(program.join(';\n'))).toEqual([]);
  });

  test('of proxyProtocol, too', async () => {
    expect(namesOf('ProxyProtocolOptions').sort()).toEqual(['forwarded', 'required', 'trust']);
    expect(await warningsOf("uWS.App({ proxyProtocol: { required: true, trust: ['unix'], forwarded: 'x-forwarded-for' } })")).toEqual([]);
  });
});

describe('headers that are not sent', () => {
  /** A server, and what it warns of. `source` adds routes to its app; a request for `/end` ends the warnings. */
  async function serve(source) {
    const program = new Program(`
      ${LISTENER}
      const app = uWS.App({ threads: 1 });
      const upgrade = (res, req, context) => res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
      ${source};
      app.any('/end', (res) => { res.end(); setImmediate(() => say(null)); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    const client = await RawClient.connect(port);
    const warnings = async () => {
      await client.get('/end');
      const heard = [];
      for (;;) {
        const warning = await program.hear();
        if (warning === null) return heard;
        heard.push(warning);
      }
    };
    return { port, client, warnings };
  }

  test('a handshake: each once', async () => {
    const calls = [
      "writeHeader('Sec-WebSocket-Extensions', 'permessage-deflate')", "writeHeader('connection', 'close')",
      "writeHeader('Content-Length', '0')", "writeStatus('200 OK')",
      "writeHeader('Sec-WebSocket-Protocol', 'a').writeHeader('Sec-WebSocket-Protocol', 'b')",
    ];
    const routes = calls.map((call, index) => {
      return `app.ws('/${index}', { upgrade(res, req, context) { res.${call}; upgrade(res, req, context); } });`;
    });
    const { port, warnings } = await serve(routes.join(''));
    for (const index of [...calls.keys(), ...calls.keys()]) await RawWebSocket.open(port, { path: `/${index}` });
    const own = (name) => `The header ${name}, written before res.upgrade, is left out: it is for the handshake to say`;
    expect(await warnings()).toEqual([
      own('Sec-WebSocket-Extensions'), own('Connection'), own('Content-Length'),
      'The status 200 OK, written before res.upgrade, is left out: a handshake is answered with 101',
      own('Sec-WebSocket-Protocol'),
    ].map((text) => ['FERROWS_HANDSHAKE_HEADER', text]));
  });

  const framing = (header, what) => [
    'FERROWS_FRAMING_HEADER', `The header ${header} of the response to ${what} is left out: how a body is framed follows from the calls that make it`,
  ];

  test.each([
    ["(res) => res.writeHeader('Transfer-Encoding', 'gzip').end('body')", 'POST', framing('Transfer-Encoding: gzip', 'POST /x')],
    ["(res) => { res.writeHeader('content-length', '4'); res.write('bo'); res.end('dy'); }", 'GET', framing('Content-Length: 4', 'GET /x')],
    ["(res) => { res.writeHeader('Content-Length', '5').tryEnd('body', 4); }", 'GET', framing('Content-Length: 5', 'GET /x')],
    ["new uWS.DeclarativeResponse().writeHeader('Content-Length', '9').end('body')", 'GET', framing('Content-Length: 9', 'GET /x')],
  ])('a response: %s, once', async (handler, method, warning) => {
    const { client, warnings } = await serve(`app.any('/x', ${handler})`);
    for (let time = 0; time < 2; time += 1) {
      await client.send(request(method, '/x'));
      expect((await client.response()).text).toBe('body');
    }
    expect(await warnings()).toEqual([warning]);
  });

  test('nothing is told of headers that say what is sent', async () => {
    const handlers = [
      ["(res) => res.writeHeader('Content-Length', '4').end('body')"],
      ["(res) => { res.writeHeader('Transfer-Encoding', 'chunked').write('bo'); res.end('dy'); }"],
      ["(res) => { res.writeHeader('Content-Length', '4').tryEnd('body', 4); }"],
      ["(res) => res.writeHeader('Content-Length', '99').endWithoutBody()", 'HEAD'],
      ["(res) => res.writeStatus('304').writeHeader('Content-Length', '99').end()"],
      ["(res) => res.writeStatus('204').writeHeader('Content-Length', '0').end()"],
      ["(res) => res.writeHeader('Connection', 'keep-alive').writeHeader('Date', 'today').end()"],
    ];
    const routes = handlers.map(([handler], index) => `app.any('/${index}', ${handler});`);
    const { port, client, warnings } = await serve(`${routes.join('')} app.ws('/ws', { upgrade(res, req, context) {
      res.writeStatus('101 Switching Protocols').writeHeader('Upgrade', 'WebSocket').writeHeader('Connection', 'upgrade');
      res.writeHeader('Sec-WebSocket-Protocol', 'a').writeHeader('Date', 'today');
      upgrade(res, req, context);
    } })`);
    for (const [index, [, method = 'GET']] of handlers.entries()) {
      await client.send(request(method, `/${index}`));
      await client.response(method);
    }
    await RawWebSocket.open(port, { path: '/ws' });
    expect(await warnings()).toEqual([]);
  });
});

test('userData: names of methods and __proto__, each once, of upgrades and of connect', async () => {
  const program = new Program(`
    ${LISTENER}
    const userData = JSON.parse('{ "send": 1, "name": 2, "__proto__": {}, "toString": 3 }');
    const app = uWS.App().ws('/*', {
      upgrade: (res, req, context) => res.upgrade({ ...userData, close: 4 }, req.getHeader('sec-websocket-key'), '', '', context),
    });
    app.listen('127.0.0.1', 0, async (token) => {
      for (let time = 0; time < 2; time += 1) {
        await uWS.connect('ws://127.0.0.1:' + uWS.us_socket_local_port(token), {}, { userData });
      }
      say(null);
    });
  `);
  const warnings = [await program.hear(), await program.hear(), await program.hear(), await program.hear()];
  const hidden = (name) => ['FERROWS_USER_DATA', `userData has a property ${name}, which hides what ws.${name} is otherwise`];
  expect(warnings).toEqual([
    hidden('send'), ['FERROWS_USER_DATA', 'userData has a property __proto__, which is left out'], hidden('close'), null,
  ]);
});
