'use strict';

// Timers and pings run on the I/O threads: neither handlers that block nor the garbage collector of JavaScript delay them.
// How they run in time is simulated in src/protocol/websocket/session/tests/timers.rs and src/io/timers.rs.

const { Program } = require('../helpers/program.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');

const IDLE_TEXT = 'WebSocket timed out from inactivity';

test('while the event loop is blocked, peers are pinged, those who answer stay, and those who do not are told', async () => {
  const program = new Program(`
    const app = uWS.App({ threads: 1 });
    app.ws('/block', { message: () => {
      say('blocked');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120_000);
      say('no more');
    } });
    app.ws('/eight', { idleTimeout: 8 });
    app.ws('/never', { idleTimeout: 0 });
    app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
  `);
  const port = await program.hear();
  const [silent, answering, never, blocker] = await Promise.all(
    ['/eight', '/eight', '/never', '/block'].map((path) => RawWebSocket.open(port, { path })),
  );
  blocker.sendText('now');
  expect(await program.hear()).toBe('blocked');

  const answered = (async () => {
    const frames = [];
    // Three times 4 s of silence: well beyond the 8 s of the timeout.
    for (let count = 0; count < 3; count++) {
      frames.push(await answering.frame());
      answering.send(frame('pong'));
    }
    return frames;
  })();
  expect(await silent.rest()).toEqual({ frames: [['ping', ''], ['close', 1001, IDLE_TEXT]], end: 'FIN' });
  expect(await answered).toEqual(Array(3).fill(['ping', '']));
  expect(answering.socket.readyState).toBe('open');
  // As silent as the one that was closed, and for as long.
  expect(never.socket.readyState).toBe('open');
  never.socket.destroy();
  expect(await never.rest()).toEqual({ frames: [], end: 'closed here' });
});

test('a handler that blocks the turn in which the lead has changed keeps no Ping from a peer', async () => {
  const program = new Program(
    `
    const app = uWS.App({ threads: 1 });
    const block = (time) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);
    app.ws('/eight', { idleTimeout: 8 });
    app.ws('/block', { idleTimeout: 0, message: (ws, message) => {
      ws.send(message);
      if (app.getStats().workers[0].leader === 'node') {
        say('blocked');
        block(120_000);
      }
    } });
    app.listen('127.0.0.1', 0, (token) => {
      setTimeout(() => {
        say(uWS.us_socket_local_port(token));
        // The thread has to lead when the peers connect, so that their deadlines are nothing that Node's loop has seen.
        block(500);
      }, 200);
    });
    `,
    { env: { FERROWS_LEADER: 'alternate' } },
  );
  const port = await program.hear();
  const [silent, blocker] = await Promise.all(['/eight', '/block'].map((path) => RawWebSocket.open(port, { path })));
  // Several are on their way at any time, so that there are some in the first turn of Node's loop, too.
  const messages = (async () => {
    for (let count = 0; count < 16; count++) blocker.sendText('on');
    for (;;) {
      await blocker.frame();
      blocker.sendText('on');
    }
  })();
  messages.catch(() => {});
  expect(await program.hear()).toBe('blocked');
  expect(await silent.frame()).toEqual(['ping', '']);
});
