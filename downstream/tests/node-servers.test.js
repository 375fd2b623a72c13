'use strict';

// docs/with-node-servers.md: its programs, as they stand there, each in a process of its own.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const { join } = require('node:path');
const WebSocket = require('ws');

const { readGuide } = require('../../__test__/helpers/guide.js');
const { afterTest, test } = require('../helpers/project.js');
const { next } = require('../helpers/waiting.js');

const FOLDER = join(__dirname, '..');
const guide = readGuide('with-node-servers.md');

/** The program under a heading of the page. */
function programOf(heading) {
  const [{ kind, code }] = guide.get(heading).filter((block) => ['program', 'module'].includes(block.kind));
  // The name by which it is installed here.
  return { kind, code: code.replaceAll("'ferrows'", "'uWebSockets.js'") };
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** Starts the program, in a folder of its own with these files. Resolves to its port once it answers. */
async function start(heading, { env = {}, files = {} } = {}) {
  const { kind, code } = programOf(heading);
  const folder = mkdtempSync(join(FOLDER, '.program-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  const name = kind === 'module' ? 'program.mjs' : 'program.js';
  for (const [path, text] of Object.entries({ ...files, [name]: code })) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const port = await freePort();
  const child = spawn(process.execPath, [name], {
    cwd: folder, env: { ...process.env, ...env, PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe'],
  });
  let [stderr, isOver] = ['', false];
  child.stderr.on('data', (data) => { stderr += data; });
  child.on('exit', () => { isOver = true; });
  afterTest(async () => {
    child.kill('SIGKILL');
    if (!isOver) await once(child, 'exit');
  });
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const hasConnected = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    socket.destroy();
    if (hasConnected) return port;
    assert.ok(!isOver, stderr);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** A client that is connected. */
async function connect(port, path, protocols = [], headers = {}) {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers });
  afterTest(() => client.terminate());
  await once(client, 'open');
  return client;
}

/** Two clients talk to each other; Node answers the rest. */
async function checkChat(port, page, headers = {}, shown = 'hi') {
  const [one, two] = [await connect(port, '/chat', [], headers), await connect(port, '/chat', [], headers)];
  const heard = [next(one, 'message'), next(two, 'message')];
  one.send('hi');
  for (const message of await Promise.all(heard)) assert.equal(String(message), shown);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  assert.match(await response.text(), page);
}

async function statusOf(port, path) {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  client.on('error', () => {});
  const [, response] = await once(client, 'unexpected-response');
  response.destroy();
  return response.statusCode;
}

test('node:http', async () => {
  const port = await start('One port with Express, Fastify, Next.js or Vite');
  await checkChat(port, /^over HTTP$/);
  assert.equal(await statusOf(port, '/other'), 404);
});

test('Express', async () => {
  const port = await start('Express');
  await checkChat(port, /^over HTTP$/, { cookie: 'a=b; session=secret-of-ann' }, 'ann: hi');
  assert.deepEqual([await statusOf(port, '/chat'), await statusOf(port, '/other')], [401, 404]);
});

test('Fastify', async () => {
  const port = await start('Fastify');
  await checkChat(port, /^over HTTP$/);
  assert.equal(await statusOf(port, '/other'), 404);
});

test('Vite in middleware mode, whose live reload goes on working', async () => {
  const port = await start('Vite');
  await checkChat(port, /^over HTTP$/);
  const client = await (await fetch(`http://127.0.0.1:${port}/@vite/client`)).text();
  const token = /wsToken = "([^"]+)"/.exec(client)?.[1];
  assert.ok(token, 'the client of Vite has a token');
  const reload = new WebSocket(`ws://127.0.0.1:${port}/?token=${token}`, 'vite-hmr');
  afterTest(() => reload.terminate());
  assert.deepEqual(JSON.parse(await next(reload, 'message')), { type: 'connected' });
});

test('Next.js with its custom server, whose live reload goes on working', async () => {
  const files = {
    'pages/index.js': "export default function Page() { return 'over HTTP' }",
    'next.config.js': 'module.exports = {};',
    'package.json': '{ "private": true }',
  };
  const port = await start('Next.js', { files, env: { NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'development' } });
  await checkChat(port, /over HTTP/);
  const reload = new WebSocket(`ws://127.0.0.1:${port}/_next/hmr?id=1`);
  afterTest(() => reload.terminate());
  assert.ok(JSON.parse(await next(reload, 'message')).type);
  await checkChat(port, /over HTTP/);
});
