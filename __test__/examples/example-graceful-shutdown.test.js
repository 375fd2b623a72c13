'use strict';

// examples/graceful-shutdown.js, as a user runs it.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { join } = require('node:path');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');

const EXAMPLE = join(__dirname, '../../examples/graceful-shutdown.js');

/** Starts the example on a free port. */
async function start() {
  const child = spawn(process.execPath, [EXAMPLE], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  afterTest(() => child.kill('SIGKILL'));
  const lines = new Mailbox();
  child.stdout.setEncoding('utf8').on('data', (text) => text.trim().split('\n').forEach((line) => lines.put(line)));
  const end = once(child, 'close');
  const [, port, pid] = (await lines.take()).match(/:(\d+), process (\d+)$/);
  expect(Number(pid)).toBe(child.pid);
  return { child, lines, end, port: Number(port) };
}

test.each(['SIGTERM', 'SIGINT'])('%s: the request in flight is answered, WebSockets get 1001 and the reason, code 0', async (signal) => {
  const { child, lines, end, port } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(socket, 'open');
  const client = await RawClient.connect(port);
  await client.send(request('GET', '/slow'));
  // An answer of the same thread: the request in front of it has been handled.
  socket.send('echo');
  await once(socket, 'message');
  child.kill(signal);
  const [code, reason] = await once(socket, 'close');
  expect([code, String(reason)]).toEqual([1001, 'Server is restarting']);
  const response = await client.response();
  expect([response.text, response.values('connection')]).toEqual(['That took a while.\n', ['close']]);
  client.finish();
  expect(await end).toEqual([0, null]);
  expect([await lines.take(), await lines.take(), await lines.take()]).toEqual([
    `${signal}: shutting down`,
    'closed: 1001 Server is restarting (CLOSED_BY_SHUTDOWN)',
    'everybody had finished',
  ]);
});

test('a second SIGTERM cuts off what is left, and the process still ends by itself', async () => {
  const { child, lines, end, port } = await start();
  const client = await RawClient.connect(port);
  await client.send(request('GET', '/slow'));
  const other = await RawClient.connect(port);
  expect((await other.get('/')).text).toBe('Hello.\n');
  child.kill('SIGTERM');
  expect(await lines.take()).toBe('SIGTERM: shutting down');
  child.kill('SIGTERM');
  expect(await lines.take()).toBe('SIGTERM: shutting down');
  expect(await lines.take()).toBe('not answered: Server is restarting');
  expect([await lines.take(), await lines.take()]).toEqual(Array(2).fill('1 connections were cut off'));
  await client.over();
  // The timer of the handler is all that is left.
  expect(await end).toEqual([0, null]);
});
