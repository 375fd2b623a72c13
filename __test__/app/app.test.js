'use strict';

// App, listen in all its forms, and the end of both.

const { once } = require('node:events');
const { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { types } = require('node:util');
const WebSocket = require('ws');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { createApp, listen, listenToken } = require('../helpers/server.js');
const { RESPONSE_FACTS, WEBSOCKET_FACTS } = require('../helpers/facts.js');

const { LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT } = uWS;

/** An app that answers every request with `text`. */
function answering(text, options) {
  return createApp(options).any('/*', (res) => res.end(text));
}

/** What the callback of `listen` got. */
function attempt(app, ...args) {
  const calls = [];
  app.listen(...args, (...outcome) => calls.push(outcome));
  expect(calls).toHaveLength(1);
  return { token: calls[0][0], error: calls[0][1] };
}

/** A port that nobody uses at the moment. */
function freePort() {
  const token = listenToken(createApp());
  const port = uWS.us_socket_local_port(token);
  uWS.us_listen_socket_close(token);
  return port;
}

/** One answer from a fresh connection. */
async function ask(target) {
  const client = await RawClient.connect(target);
  const { text } = await client.get('/');
  client.socket.destroy();
  return text;
}

/** The code of the error that connecting ends with. */
async function refusal(target) {
  const socket = net.connect(target);
  afterTest(() => socket.destroy());
  const [error] = await once(socket, 'error');
  return error.code;
}

describe('App', () => {
  test('makes an app, with and without new', () => {
    for (const app of [uWS.App(), new uWS.App()]) {
      expect(app.constructor.name).toBe('uWS.App');
      expect(Object.keys(app)).toEqual([]);
      expect(app.close()).toBe(app);
    }
  });

  test.each([undefined, null, {}, { threads: undefined }, { threads: 1 }, { threads: 64 }])(
    'takes the options %j', (options) => {
      expect(uWS.App(options).constructor.name).toBe('uWS.App');
    });

  test('ignores the TLS options of uWebSockets.js', () => {
    const options = { key_file_name: '/nowhere', cert_file_name: '/nowhere', passphrase: 'x', ssl_ciphers: 'x' };
    expect(uWS.App(options).constructor.name).toBe('uWS.App');
  });

  test('takes host names and a handler of unknown ones without TLS, and uses neither', async () => {
    const handler = jest.fn();
    const app = createApp().get('/', (res) => res.end('hi'));
    const options = { key_file_name: '/nowhere', cert_file_name: '/nowhere' };
    expect(app.missingServerName(handler).addServerName('a.test', options).removeServerName('a.test')).toBe(app);
    expect(failureOf(() => app.missingServerName('handler')).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(failureOf(() => app.addServerName('a.test', 'options')).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(await ask(listen(app))).toBe('hi');
    expect(handler).not.toHaveBeenCalled();
  });

  test.each(['text', 5, true, Symbol('symbol'), 1n, () => {}])('refuses %p as options', (options) => {
    expect(failureOf(() => uWS.App(options))).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Options must be an object.',
    });
  });

  test.each([65, -1, 1.5, NaN, Infinity])('refuses %p threads as out of range', (threads) => {
    expect(failureOf(() => uWS.App({ threads }))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  });

  test.each(['4', true, {}, 1n])('refuses %p as the number of threads', (threads) => {
    expect(failureOf(() => uWS.App({ threads }))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  test('several threads: connections are shared among them and all are served', async () => {
    const port = listen(answering('hi', { threads: 3 }));
    expect(await Promise.all(Array.from({ length: 12 }, () => ask(port)))).toEqual(Array(12).fill('hi'));
  });

  test('methods that return the app can be chained, before and after listening', () => {
    const app = createApp();
    const handler = (res) => res.end();
    expect(app.get('/a', handler).post('/a', handler).options('/a', handler).del('/a', handler).patch('/a', handler)
      .put('/a', handler).head('/a', handler).connect('/a', handler).trace('/a', handler).any('/a', handler)
      .ws('/a', {}).listen(0, () => {}).get('/b', handler).close()).toBe(app);
  });

  test('methods refuse to be called on anything but an app', () => {
    const app = createApp();
    for (const name of ['get', 'ws', 'listen', 'listen_unix', 'publish', 'numSubscribers', 'close']) {
      for (const other of [{}, null, undefined, 5, Object.create(app)]) {
        const failure = failureOf(() => app[name].call(other, '/', () => {}));
        expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_THIS' });
      }
    }
  });
});

describe('listen: forms', () => {
  const forms = [
    ['port, callback', (port) => [port]],
    ['port, options, callback', (port) => [port, LIBUS_LISTEN_EXCLUSIVE_PORT]],
    ['port, undefined options, callback', (port) => [port, undefined]],
    ['host, port, callback', (port) => ['127.0.0.1', port]],
    ['host, port, options, callback', (port) => ['127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT]],
    ['host, port, undefined options, callback', (port) => ['127.0.0.1', port, undefined]],
    ['undefined host, port, callback', (port) => [undefined, port]],
    ['empty host, port, callback', (port) => ['', port]],
    ['host name, port, callback', (port) => ['localhost', port]],
    ['host as bytes, port, callback', (port) => [Buffer.from('127.0.0.1'), port]],
    ['numeric text as port, callback', (port) => [String(port)]],
    ['host, numeric text as port, callback', (port) => ['127.0.0.1', String(port)]],
  ];

  test.each(forms)('(%s): listens on the given port', async (_, args) => {
    const port = freePort();
    expect(listen(answering('hi'), ...args(port))).toBe(port);
    expect(await ask(port)).toBe('hi');
  });

  test.each(forms)('(%s): listens on a free port instead of 0', async (_, args) => {
    const port = listen(answering('hi'), ...args(0));
    expect(port).toBeGreaterThan(0);
    expect(await ask(port)).toBe('hi');
  });

  test('returns the app', () => {
    const app = createApp();
    expect(app.listen(0, () => {})).toBe(app);
    expect(app.listen('no-such-host.invalid', 0, () => {})).toBe(app);
  });

  test('without a host both IPv6 and IPv4 are served', async () => {
    const port = listen(answering('hi'), 0);
    expect(await ask({ port, host: '127.0.0.1' })).toBe('hi');
    expect(await ask({ port, host: '::1' })).toBe('hi');
  });

  test('with a host only that address is served', async () => {
    const port = listen(answering('hi'), '127.0.0.1', 0);
    expect(await ask({ port, host: '127.0.0.1' })).toBe('hi');
    expect(await refusal({ port, host: '127.0.0.2' })).toBe('ECONNREFUSED');
    expect(await ask(listenV6())).toBe('hi');

    function listenV6() {
      return { port: listen(answering('hi'), '::1', 0), host: '::1' };
    }
  });

  test('an app may listen several times, and serves all of its ports', async () => {
    const app = answering('hi');
    const ports = [listen(app), listen(app), listen(app)];
    expect(new Set(ports).size).toBe(3);
    expect(await Promise.all(ports.map(ask))).toEqual(['hi', 'hi', 'hi']);
  });

  test.each([
    ['no arguments', [], 'ERR_MISSING_ARGS'],
    ['nothing but a callback', [() => {}], 'ERR_MISSING_ARGS'],
    ['an object as port', [{}, () => {}], 'ERR_INVALID_ARG_TYPE'],
    ['null as port', [null, () => {}], 'ERR_INVALID_ARG_TYPE'],
    ['an object as host', [{}, 0, () => {}], 'ERR_INVALID_ARG_TYPE'],
    ['-1 as port', [-1, () => {}], 'ERR_OUT_OF_RANGE'],
    ['65536 as port', [65536, () => {}], 'ERR_OUT_OF_RANGE'],
    ['0.5 as port', [0.5, () => {}], 'ERR_OUT_OF_RANGE'],
    ['words as port', ['words', () => {}], 'ERR_OUT_OF_RANGE'],
  ])('throws for %s', (_, args, code) => {
    expect(failureOf(() => createApp().listen(...args))).toMatchObject({ code });
  });
});

describe('listen: callback', () => {
  test('is called once, before listen returns, with a token', () => {
    const seen = [];
    createApp().listen('127.0.0.1', 0, (...args) => seen.push(args));
    expect(seen).toHaveLength(1);
    expect(seen[0]).toHaveLength(1);
    expect(typeof seen[0][0]).toBe('object');
  });

  test('the port can be read inside it, and afterwards', () => {
    const ports = [];
    createApp().listen('127.0.0.1', 0, (token) => {
      ports.push(uWS.us_socket_local_port(token), () => uWS.us_socket_local_port(token));
    });
    expect(ports[0]).toBeGreaterThan(0);
    expect(ports[1]()).toBe(ports[0]);
  });

  test('what it throws is thrown by listen, and the socket listens', async () => {
    const thrown = new Error('thrown by the callback');
    const app = answering('hi');
    let port;
    expect(() => app.listen('127.0.0.1', 0, (token) => {
      port = uWS.us_socket_local_port(token);
      throw thrown;
    })).toThrow(thrown);
    expect(await ask(port)).toBe('hi');
  });

  test('what it throws about a failure is thrown by listen too', () => {
    expect(failureOf(() => createApp().listen('192.0.2.1', 0, (token, error) => {
      throw error;
    }))).toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  test('may listen again, and close the app', async () => {
    const app = answering('hi');
    const ports = [];
    app.listen('127.0.0.1', 0, (outer) => {
      ports.push(uWS.us_socket_local_port(outer));
      app.close();
      app.listen('127.0.0.1', 0, (inner) => ports.push(uWS.us_socket_local_port(inner)));
    });
    expect(await ask(ports[1])).toBe('hi');
    expect(await refusal({ port: ports[0], host: '127.0.0.1' })).toBe('ECONNREFUSED');
  });
});

describe('listen: failures', () => {
  test('EADDRINUSE: a port somebody has to himself', () => {
    const port = listen(createApp(), '127.0.0.1', 0, LIBUS_LISTEN_EXCLUSIVE_PORT);
    for (const options of [LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT, undefined]) {
      const { token, error } = attempt(createApp(), '127.0.0.1', port, options);
      expect(token).toBe(false);
      expect(types.isNativeError(error)).toBe(true);
      expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen' });
      expect(error.message).toContain(`127.0.0.1:${port}`);
    }
  });

  test('EADDRINUSE: a port that Node listens on', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    afterTest(() => server.close());
    await once(server, 'listening');
    expect(attempt(createApp(), '127.0.0.1', server.address().port)).toMatchObject({
      token: false,
      error: { code: 'EADDRINUSE' },
    });
  });

  test('EADDRNOTAVAIL: an address that this machine does not have', () => {
    const { token, error } = attempt(createApp(), '192.0.2.1', 0);
    expect(token).toBe(false);
    expect(types.isNativeError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'listen' });
  });

  test('ENOTFOUND: a host that does not exist', () => {
    const { token, error } = attempt(createApp(), 'no-such-host.invalid', 0);
    expect(token).toBe(false);
    expect(types.isNativeError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'ENOTFOUND', syscall: 'listen' });
    expect(error.message).toContain('no-such-host.invalid');
  });

  test('after a failure the app may listen elsewhere', async () => {
    const app = answering('hi');
    expect(attempt(app, '192.0.2.1', 0).token).toBe(false);
    expect(await ask(listen(app))).toBe('hi');
  });
});

describe('listen: sharing a port', () => {
  test('two apps share a fixed port, and both get connections', async () => {
    const port = freePort();
    expect(listen(answering('first'), '127.0.0.1', port)).toBe(port);
    expect(listen(answering('second'), '127.0.0.1', port, LIBUS_LISTEN_DEFAULT)).toBe(port);
    const seen = new Set();
    // The system tosses a coin for each; that one side never comes up in 200 tosses does not happen.
    for (let round = 0; round < 200 && seen.size < 2; round++) seen.add(await ask(port));
    expect([...seen].sort()).toEqual(['first', 'second']);
  });

  test('a shared port cannot be taken exclusively', () => {
    const port = freePort();
    listen(createApp(), '127.0.0.1', port);
    const { error } = attempt(createApp(), '127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT);
    expect(error.code).toBe('EADDRINUSE');
  });

  test('a port taken as 0 is not shared', () => {
    const port = listen(createApp(), '127.0.0.1', 0);
    expect(attempt(createApp(), '127.0.0.1', port).error.code).toBe('EADDRINUSE');
  });
});

describe('listen_unix', () => {
  /** A path in a fresh directory. */
  function freePath() {
    const directory = mkdtempSync(join(tmpdir(), 'ferrows-'));
    afterTest(() => rmSync(directory, { recursive: true, force: true }));
    return join(directory, 'socket');
  }

  /** Listens and returns the token. */
  function listenUnix(app, path) {
    const calls = [];
    expect(app.listen_unix((...outcome) => calls.push(outcome), path)).toBe(app);
    expect(calls).toHaveLength(1);
    return { token: calls[0][0], error: calls[0][1] };
  }

  test('takes the callback first, and calls it before it returns', async () => {
    const path = freePath();
    expect(typeof listenUnix(answering('hi'), path).token).toBe('object');
    expect(await ask({ path })).toBe('hi');
  });

  test('takes the path as bytes too', async () => {
    const path = freePath();
    listenUnix(answering('hi'), Buffer.from(path));
    expect(await ask({ path })).toBe('hi');
  });

  test('the socket is its owner\'s only (mode 700)', () => {
    const path = freePath();
    listenUnix(createApp(), path);
    const mode = statSync(path).mode;
    expect((mode & 0o777).toString(8)).toBe('700');
    expect(statSync(path).isSocket()).toBe(true);
  });

  test('has no port: -1', () => {
    expect(uWS.us_socket_local_port(listenUnix(createApp(), freePath()).token)).toBe(-1);
  });

  test('peers have no address and no port', async () => {
    const path = freePath();
    const app = createApp().get('/', (res) => {
      const lengths = [res.getRemoteAddress().byteLength, res.getRemoteAddressAsText().byteLength];
      res.end(JSON.stringify([...lengths, res.getRemotePort()]));
    });
    listenUnix(app, path);
    expect(await ask({ path })).toBe('[0,0,0]');
  });

  test('a socket that nobody listens on any more is replaced', async () => {
    const path = freePath();
    const dead = new Program(`
      require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'));
    `);
    expect((await dead.end()).signal).toBe('SIGKILL');
    expect(statSync(path).isSocket()).toBe(true);
    listenUnix(answering('hi'), path);
    expect(await ask({ path })).toBe('hi');
  });

  test('a regular file at the path is a failure, and stays', () => {
    const path = freePath();
    writeFileSync(path, 'precious');
    const { token, error } = listenUnix(createApp(), path);
    expect(token).toBe(false);
    expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen' });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  test('the file is gone once the socket is closed, by token', async () => {
    const path = freePath();
    const { token } = listenUnix(createApp(), path);
    uWS.us_listen_socket_close(token);
    expect(existsSync(path)).toBe(false);
    expect(await refusal({ path })).toBe('ENOENT');
  });

  test('the file is gone once the app is closed', () => {
    const path = freePath();
    const app = createApp();
    listenUnix(app, path);
    app.close();
    expect(existsSync(path)).toBe(false);
  });

  test('closing a socket that was replaced leaves the file of its successor', async () => {
    const path = freePath();
    const first = listenUnix(answering('first'), path).token;
    listenUnix(answering('second'), path);
    uWS.us_listen_socket_close(first);
    expect(await ask({ path })).toBe('second');
  });

  test.each([
    ['a missing folder', (path) => join(path, 'in', 'it'), 'ENOENT'],
    ['a file instead of a folder', (path) => {
      writeFileSync(path, '');
      return join(path, 'in');
    }, 'ENOTDIR'],
    ['a path that is too long', (path) => path + 'x'.repeat(200), /^(EINVAL|ENAMETOOLONG)$/],
  ])('%s is a failure', (_, place, code) => {
    const { token, error } = listenUnix(createApp(), place(freePath()));
    expect(token).toBe(false);
    expect(error.code).toMatch(code);
  });

  test.each([
    ['the arguments the other way round', ['/tmp/x', () => {}], 'ERR_INVALID_ARG_TYPE'],
    ['no path', [() => {}], 'ERR_MISSING_ARGS'],
    ['an empty path', [() => {}, ''], 'ERR_INVALID_ARG_TYPE'],
    ['a path with NUL', [() => {}, '/tmp/\0'], 'ERR_INVALID_ARG_TYPE'],
    ['a number as path', [() => {}, 5], 'ERR_INVALID_ARG_TYPE'],
  ])('throws for %s', (_, args, code) => {
    expect(failureOf(() => createApp().listen_unix(...args))).toMatchObject({ code });
  });
});

describe('us_listen_socket_close', () => {
  test('the port is free on return: it can be taken exclusively at once, again and again', () => {
    const port = freePort();
    for (let round = 0; round < 50; round++) {
      const token = listenToken(createApp(), '127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT);
      expect(uWS.us_listen_socket_close(token)).toBeUndefined();
    }
  });

  test('may be called inside the listen callback, where the port is free afterwards, too', () => {
    const port = freePort();
    for (let round = 0; round < 10; round++) {
      createApp().listen('127.0.0.1', port, LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
        expect(uWS.us_socket_local_port(token)).toBe(port);
        uWS.us_listen_socket_close(token);
        expect(uWS.us_socket_local_port(token)).toBe(-1);
      });
    }
  });

  test('connections that exist live on, new ones are refused', async () => {
    const token = listenToken(answering('hi'));
    const port = uWS.us_socket_local_port(token);
    const client = await RawClient.connect(port);
    expect((await client.get('/')).text).toBe('hi');
    uWS.us_listen_socket_close(token);
    expect((await client.get('/')).text).toBe('hi');
    expect(await refusal({ port, host: '127.0.0.1' })).toBe('ECONNREFUSED');
  });

  test('the other sockets of the app go on listening', async () => {
    const app = answering('hi');
    const token = listenToken(app);
    const port = listen(app);
    uWS.us_listen_socket_close(token);
    expect(await ask(port)).toBe('hi');
  });

  test('may be called inside a handler, whose answer still arrives', async () => {
    const app = createApp().get('/', (res) => {
      uWS.us_listen_socket_close(token);
      res.end('closed');
    });
    const token = listenToken(app);
    const port = uWS.us_socket_local_port(token);
    expect(await ask(port)).toBe('closed');
    expect(await refusal({ port, host: '127.0.0.1' })).toBe('ECONNREFUSED');
  });

  test('nothing happens at a second close, and at one after app.close()', () => {
    const app = createApp();
    const tokens = [listenToken(app), listenToken(app)];
    uWS.us_listen_socket_close(tokens[0]);
    app.close();
    for (const token of tokens) {
      expect(uWS.us_listen_socket_close(token)).toBeUndefined();
    }
  });

  test('the token of a closed socket never stands for another one', async () => {
    const app = answering('hi');
    const old = listenToken(app);
    uWS.us_listen_socket_close(old);
    const port = listen(app);
    uWS.us_listen_socket_close(old);
    expect(uWS.us_socket_local_port(old)).toBe(-1);
    expect(await ask(port)).toBe('hi');
  });

  describe.each([['us_listen_socket_close'], ['us_socket_local_port']])('%s', (name) => {
    test.each([
      undefined, null, false, 0, 1, 'token', Symbol('token'), {}, [], () => {}, Object.create(null), 1n,
    ])('refuses %p', (value) => {
      expect(failureOf(() => uWS[name](value))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    });

    test('refuses an app, and an object that inherits from a token', () => {
      const app = createApp();
      for (const value of [app, Object.create(listenToken(app))]) {
        expect(failureOf(() => uWS[name](value))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      }
    });
  });

  test('a token cannot be made by hand', () => {
    const { constructor } = listenToken(createApp());
    const failure = failureOf(() => new constructor());
    expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  });
});

describe('us_socket_local_port', () => {
  test('is -1 once the socket is closed', () => {
    const token = listenToken(createApp());
    uWS.us_listen_socket_close(token);
    expect(uWS.us_socket_local_port(token)).toBe(-1);
  });
});

describe('close', () => {
  test('returns the app, and does nothing when nothing is open', () => {
    const app = createApp();
    expect(app.close()).toBe(app);
    expect(app.close()).toBe(app);
  });

  test('onAborted runs inside the call, and the connection ends', async () => {
    const requests = new Mailbox();
    const app = createApp().get('/', (res) => {
      const calls = [];
      res.onAborted((...args) => calls.push(args));
      requests.put({ res, calls });
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/'));
    const { res, calls } = await requests.take();
    app.close();
    const info = { cause: 'CLOSED_BY_APP_CLOSE', initiator: 'local', wasClean: false, ...RESPONSE_FACTS };
    expect(calls).toEqual([['Application called app.close()', info]]);
    expect(res.aborted).toBe(true);
    expect(failureOf(() => res.end())).toMatchObject({ code: 'ERR_HTTP_RESPONSE_CLOSED' });
    await client.over();
  });

  test('close handlers run inside the call, with 1006 and a reason; peers are told 1001', async () => {
    const calls = [];
    const opened = new Mailbox();
    const app = createApp().ws('/*', {
      open: (ws) => opened.put(ws),
      close: (ws, code, message, info) => calls.push([code, Buffer.from(message).toString(), info]),
    });
    const client = new WebSocket(`ws://127.0.0.1:${listen(app)}/`);
    afterTest(() => client.terminate());
    client.on('error', () => {});
    const closed = once(client, 'close');
    await opened.take();
    app.close();
    const info = { cause: 'CLOSED_BY_APP_CLOSE', initiator: 'local', wasClean: false, reason: 'Application called app.close()', ...WEBSOCKET_FACTS };
    expect(calls).toEqual([[1006, 'Application called app.close()', info]]);
    expect((await closed)[0]).toBe(1001);
    expect(calls).toHaveLength(1);
  });

  test('every open response and WebSocket is told once', async () => {
    const events = [];
    const seen = new Mailbox();
    const app = createApp({ threads: 2 })
      .get('/', (res) => {
        res.onAborted(() => events.push('aborted'));
        seen.put(res);
      })
      .ws('/*', { open: (ws) => seen.put(ws), close: () => events.push('closed') });
    const port = listen(app);
    for (let count = 0; count < 5; count++) {
      const client = await RawClient.connect(port);
      await client.send(request('GET', '/'));
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      socket.on('error', () => {});
      afterTest(() => socket.terminate());
      await seen.take();
      await seen.take();
    }
    app.close();
    const expected = ['aborted', 'closed'].flatMap((event) => Array(5).fill(event));
    expect([...events].sort()).toEqual(expected);
    app.close();
    expect(events).toHaveLength(10);
  });

  test('a handler that throws does not keep the others from running', async () => {
    const program = new Program(`
      process.on('uncaughtException', (error) => say(error.message));
      const open = [];
      const app = uWS.App({ threads: 1 }).get('/', (res) => {
        open.push(res.onAborted(() => { throw new Error('aborted ' + open.indexOf(res)); }));
        if (open.length === 2) app.close();
      });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    for (let count = 0; count < 2; count++) await (await RawClient.connect(port)).send(request('GET', '/'));
    expect([await program.hear(), await program.hear()].sort()).toEqual(['aborted 0', 'aborted 1']);
    expect(await program.end()).toMatchObject({ code: 0 });
  });

  test('drops connections that are idle or within a request, and stops listening', async () => {
    const app = answering('hi');
    const port = listen(app);
    const idle = await RawClient.connect(port);
    await idle.get('/');
    const within = await RawClient.connect(port);
    await within.send('GET / HTTP/1.1\r\nHo');
    // Answered behind the bytes above, by the same thread: they have been read.
    await ask(port);
    app.close();
    await Promise.all([idle.over(), within.over()]);
    expect(await refusal({ port, host: '127.0.0.1' })).toBe('ECONNREFUSED');
  });

  test('what was answered just before still arrives', async () => {
    const body = 'x'.repeat(100_000);
    const app = createApp().get('/', (res) => {
      res.end(body);
      app.close();
    });
    const client = await RawClient.connect(listen(app));
    expect((await client.get('/')).text).toBe(body);
    await client.over();
  });

  test('inside the handler of a request: its onAborted runs inside the call', async () => {
    const order = [];
    const done = new Mailbox();
    const app = createApp().get('/', (res, req) => {
      res.onAborted(() => order.push('aborted'));
      order.push('before');
      app.close();
      order.push('after');
      expect(failureOf(() => res.end())).toMatchObject({ code: 'ERR_HTTP_RESPONSE_CLOSED' });
      done.put(req.getUrl());
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/'));
    expect(await done.take()).toBe('/');
    expect(order).toEqual(['before', 'aborted', 'after']);
    await client.over();
  });

  test('onAborted may close the app again, and listen again', async () => {
    const app = answering('again');
    const ports = new Mailbox();
    const waiting = new Mailbox();
    app.get('/wait', (res) => {
      res.onAborted(() => {
        app.close();
        ports.put(listen(app));
      });
      waiting.put(res);
    });
    const client = await RawClient.connect(listen(app));
    await client.send(request('GET', '/wait'));
    await waiting.take();
    app.close();
    expect(await ask(await ports.take())).toBe('again');
  });

  test('the app may listen again, with the routes it had', async () => {
    const app = answering('hi');
    for (let round = 0; round < 3; round++) {
      expect(await ask(listen(app))).toBe('hi');
      app.close();
    }
  });

  test('other apps are not touched', async () => {
    const [one, other] = [answering('one'), answering('other')];
    const clients = [await RawClient.connect(listen(one)), await RawClient.connect(listen(other))];
    for (const client of clients) await client.get('/');
    one.close();
    await clients[0].over();
    expect((await clients[1].get('/')).text).toBe('other');
  });

  test('connections that are being accepted are dropped too, whichever thread they are for', async () => {
    for (let round = 0; round < 20; round++) {
      const app = answering('hi', { threads: 4 });
      const port = listen(app);
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)));
      clients.forEach((client) => client.send(request('GET', '/')).catch(() => {}));
      app.close();
      // A connection that slipped through would neither answer nor end.
      await Promise.all(clients.map((client) => client.over()));
    }
  });
});

describe('publish and numSubscribers', () => {
  test('without a ws route: nobody is reached, and nobody subscribed', () => {
    const app = createApp();
    listen(app);
    expect(app.publish('topic', 'message')).toBe(false);
    expect(app.numSubscribers('topic')).toBe(0);
  });

  test('arguments are required', () => {
    const app = createApp();
    for (const call of [() => app.publish(), () => app.publish('topic'), () => app.numSubscribers()]) {
      expect(failureOf(call)).toMatchObject({ name: 'TypeError', code: 'ERR_MISSING_ARGS' });
    }
  });

  test('topics and messages are text or data', () => {
    const app = createApp().ws('/*', {});
    for (const value of [null, 5, {}, [], true]) {
      for (const call of [() => app.publish(value, 'm'), () => app.publish('t', value), () => app.numSubscribers(value)]) {
        expect(failureOf(call)).toEqual({
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: 'Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.',
        });
      }
    }
  });
});

describe('the process', () => {
  test('a listening socket keeps it alive; closing it by token lets it end by itself', async () => {
    const program = new Program(`
      let token;
      uWS.App().get('/', (res) => {
        res.end('bye', true);
        uWS.us_listen_socket_close(token);
      }).listen('127.0.0.1', 0, (it) => { token = it; say(uWS.us_socket_local_port(it)); });
    `);
    expect(await ask(await program.hear())).toBe('bye');
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('a connection keeps it alive after the last socket stopped listening', async () => {
    const program = new Program(`
      let token;
      uWS.App().get('/', (res) => {
        if (token !== undefined) uWS.us_listen_socket_close(token);
        token = undefined;
        res.end('hi');
      }).listen('127.0.0.1', 0, (it) => { token = it; say(uWS.us_socket_local_port(it)); });
    `);
    const client = await RawClient.connect(await program.hear());
    for (let round = 0; round < 3; round++) expect((await client.get('/')).text).toBe('hi');
    client.finish();
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('app.close() lets it end by itself, with connections open', async () => {
    const program = new Program(`
      const app = uWS.App().get('/', (res) => {
        res.onAborted(() => say('aborted'));
        app.close();
      }).listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const client = await RawClient.connect(await program.hear());
    await client.send(request('GET', '/'));
    expect(await program.hear()).toBe('aborted');
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('the last event of the last connection is delivered before it ends by itself', async () => {
    // Each thread is a process in this respect, and cheaper. Many, because losing the event would be a matter of luck.
    const program = new Program(`
      const { Worker } = require('node:worker_threads');
      const net = require('node:net');
      const source = \`
        const uWS = require('ferrows');
        const { parentPort } = require('node:worker_threads');
        let token;
        uWS.App({ threads: 1 }).get('/', (res) => {
          uWS.us_listen_socket_close(token);
          res.onAborted(() => parentPort.postMessage('aborted')).write('begun');
        }).listen('127.0.0.1', 0, (it) => {
          token = it;
          parentPort.postMessage(uWS.us_socket_local_port(it));
        });
      \`;
      function run() {
        return new Promise((resolve) => {
          const worker = new Worker(source, { eval: true });
          const heard = [];
          worker.on('message', (message) => heard.push(message));
          worker.once('message', (port) => {
            const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'));
            socket.once('data', () => socket.resetAndDestroy());
          });
          worker.on('exit', (code) => resolve([code, heard[1]]));
        });
      }
      (async () => {
        const ends = [];
        for (let round = 0; round < 40; round++) ends.push(await run());
        say(ends);
      })();
    `);
    expect(await program.hear()).toEqual(Array(40).fill([0, 'aborted']));
  });

  test('an app that does not listen does not keep it alive', async () => {
    const program = new Program(`
      uWS.App().get('/', (res) => res.end()).listen('192.0.2.1', 0, (token) => say(token));
    `);
    expect(await program.hear()).toBe(false);
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('a handler that throws raises uncaughtException, and the next request is served', async () => {
    const program = new Program(`
      process.on('uncaughtException', (error) => say(error.message));
      uWS.App()
        .get('/throw', (res) => { res.onAborted(() => {}); throw new Error('thrown'); })
        .get('/', (res) => res.end('served'))
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    await (await RawClient.connect(port)).send(request('GET', '/throw'));
    expect(await program.hear()).toBe('thrown');
    expect(await ask(port)).toBe('served');
  });

  test('named imports work in an ES module', async () => {
    const program = new Program(`
      import uWS, { App, us_listen_socket_close, us_socket_local_port, LIBUS_LISTEN_EXCLUSIVE_PORT } from 'ferrows';
      let token;
      App().get('/', (res) => {
        us_listen_socket_close(token);
        res.end(String(App === uWS.App), true);
      }).listen('127.0.0.1', 0, LIBUS_LISTEN_EXCLUSIVE_PORT, (it) => { token = it; say(us_socket_local_port(it)); });
    `, { module: true });
    expect(await ask(await program.hear())).toBe('true');
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });
});
