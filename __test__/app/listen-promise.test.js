'use strict';

// `listen` without a callback.

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

const answering = () => createApp().get('/*', (res) => res.end('hi'));

async function ask(token) {
  return (await (await RawClient.connect(uWS.us_socket_local_port(token))).get('/')).text;
}

test.each([
  ['a port', [0]],
  ['a port as text', ['0']],
  ['a port and an option', [0, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT]],
  ['a host and a port', ['127.0.0.1', 0]],
  ['a host, a port and an option', ['127.0.0.1', 0, uWS.LIBUS_LISTEN_DEFAULT]],
  ['a port, and undefined', [0, undefined]],
])('resolves to a token that can be used as any: %s', async (_, args) => {
  const token = await answering().listen(...args);
  expect(await ask(token)).toBe('hi');
  uWS.us_listen_socket_close(token);
});

test('listens before it returns, and several times', async () => {
  const app = answering();
  const tokens = await Promise.all([app.listen('127.0.0.1', 0), app.listen('127.0.0.1', 0)]);
  expect(new Set(tokens.map(uWS.us_socket_local_port)).size).toBe(2);
  for (const token of tokens) expect(await ask(token)).toBe('hi');
});

test('is rejected with what the callback would be given', async () => {
  const port = listen(answering(), '127.0.0.1', 0, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT);
  await expect(createApp().listen('127.0.0.1', port, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT))
    .rejects.toMatchObject({ code: 'EADDRINUSE', syscall: 'listen' });
  await expect(createApp().listen('192.0.2.1', 0)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  await expect(createApp().listen({ fd: 2 ** 30 })).rejects.toMatchObject({ code: /EBADF|ENOTSUP/ });
});

test.each([
  ['-1 as port', [-1], 'ERR_OUT_OF_RANGE'],
  ['65536 as port', [65536], 'ERR_OUT_OF_RANGE'],
  ['words as port', ['words'], 'ERR_OUT_OF_RANGE'],
  ['null as port', [null], 'ERR_INVALID_ARG_TYPE'],
  ['a number as host', [[], 0], 'ERR_INVALID_ARG_TYPE'],
  ['an object as fd', [{ fd: {} }], 'ERR_INVALID_ARG_TYPE'],
])('is rejected for %s', async (_, args, code) => {
  await expect(createApp().listen(...args)).rejects.toMatchObject({ code });
});

test('a failure that nobody waits for ends the process with its text', async () => {
  const program = new Program("uWS.App().listen('192.0.2.1', 0);");
  const { code, stderr } = await program.end();
  expect(code).toBe(1);
  expect(stderr).toContain('EADDRNOTAVAIL');
});

test('the process lives as long as it listens', async () => {
  const program = new Program(`
    const app = uWS.App({ threads: 1 }).get('/', (res) => { res.end('bye'); app.close(); });
    app.listen('127.0.0.1', 0).then((token) => say(uWS.us_socket_local_port(token)));
  `);
  const client = await RawClient.connect(await program.hear());
  afterTest(() => client.socket.destroy());
  expect((await client.get('/')).text).toBe('bye');
  expect((await program.end()).code).toBe(0);
});
