'use strict';

/** Signals of another make than Node's: whatever they do, the loop of events goes on. */

const { once } = require('node:events');
const net = require('node:net');

const { afterTest } = require('../helpers/cleanup.js');
const { failure, open } = require('../helpers/client.js');
const { Program } = require('../helpers/program.js');
const { createApp, listen } = require('../helpers/server.js');

/** What `connect` takes for a signal that is not aborted. */
function signal(members) {
  return Object.setPrototypeOf(members, { aborted: false, addEventListener() {}, removeEventListener() {} });
}

function serve() {
  return `ws://127.0.0.1:${listen(createApp().ws('/*', { message: (ws, message) => ws.send(message) }))}`;
}

/** The loop is still there if a message comes back. */
async function expectEcho(url) {
  const { ws, received } = await open(url, { open() {} });
  ws.send('echo');
  expect(await received.take()).toEqual(['text', 'echo']);
}

test('one that takes no listener ends the connect with what it throws, and other connects go on', async () => {
  const url = serve();
  const wrong = signal({
    addEventListener() {
      throw new Error('no listeners here');
    },
  });
  expect((await failure(url, {}, { signal: wrong })).message).toBe('no listeners here');
  await expectEcho(url);
});

test('one that calls its listener at once, and again, gives the connect up once', async () => {
  const url = serve();
  const hasty = signal({
    reason: new Error('too late'),
    addEventListener(_, listener) {
      listener();
      listener();
    },
  });
  expect((await failure(url, {}, { signal: hasty })).message).toBe('too late');
  await expectEcho(url);
});

test('one without a reason to give: what it throws is the reason', async () => {
  const silent = net.createServer((socket) => afterTest(() => socket.destroy()));
  silent.listen(0, '127.0.0.1');
  afterTest(() => silent.close());
  await once(silent, 'listening');
  const mute = signal({
    get reason() {
      throw new Error('no reason');
    },
    addEventListener: (_, listener) => process.nextTick(listener),
  });
  expect((await failure(`ws://127.0.0.1:${silent.address().port}`, {}, { signal: mute })).message).toBe('no reason');
});

test('one that does not let go of its listener is reported as uncaught, and what was connected goes on', async () => {
  const program = new Program(`
    process.on('uncaughtException', (error) => say(error.message));
    const sticky = { aborted: false, addEventListener() {}, removeEventListener() { throw new Error('sticky'); } };
    const attempt = (url, behavior) => uWS.connect(url, behavior, { signal: sticky });
    attempt('ws://127.0.0.1:1', {}).catch((error) => {
      say(error.code);
      return attempt(${JSON.stringify(serve())}, {
        message: (ws, message) => { say(Buffer.from(message).toString()); ws.end(); },
      }).then((ws) => ws.send('echo'));
    });
  `);
  const heard = [];
  while (heard.length < 4) heard.push(await program.hear());
  expect(heard.sort()).toEqual(['ERR_CONNECT_REFUSED', 'echo', 'sticky', 'sticky']);
  expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
});
