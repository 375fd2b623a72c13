'use strict';

// Who drives the sockets: Node's event loop while it has time, the I/O threads while it has not, and never both. What
// programs were promised holds either way: `npm run test:leaders` runs the other suites in each mode.

const { setTimeout } = require('node:timers/promises');

const uWS = require('../..');
const { Log } = require('../helpers/log.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, frame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

/** Whether Node's event loop can drive sockets here. */
const isInline = ['darwin', 'linux'].includes(process.platform);
/** As the suites are run in other modes, too, programs of this one ask for theirs. */
const AUTOMATIC = { FERROWS_LEADER: '' };
/** Something that takes so many milliseconds of the event loop. */
const BLOCK = 'const block = (time) => { const end = Date.now() + time; while (Date.now() < end); };';

(isInline ? describe : describe.skip)('leader', () => {
  test('is the event loop while it has time, without a thread if none is wanted', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 0 });
      app.ws('/*', { open: (ws) => ws.subscribe('all'), message: (ws, message, isBinary) => {
        ws.send(message, isBinary);
        app.publish('all', 'published');
        const { leader, switches, seizures, cpu } = app.getStats().workers[0];
        ws.send(JSON.stringify({ leader, seizures, cpu: cpu === undefined ? 0 : cpu, count: app.getStats().workers.length }));
        setTimeout(() => { ws.send('first'); ws.send('second'); }, 1);
      } });
      app.any('/*', async (res) => {
        res.onAborted(() => {});
        await new Promise((resolve) => setTimeout(resolve, 1));
        res.cork(() => res.end('later'));
      });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const port = await program.hear();
    const client = await RawWebSocket.open(port);
    client.sendText('hi');
    expect(await client.frame()).toEqual(['text', 'hi']);
    expect(await client.frame()).toEqual(['text', 'published']);
    expect(JSON.parse((await client.frame())[1])).toEqual({ leader: 'node', seizures: 0, cpu: 0, count: 1 });
    expect(await client.frame()).toEqual(['text', 'first']);
    expect(await client.frame()).toEqual(['text', 'second']);
    const http = await RawClient.connect(port);
    expect((await http.get('/')).text).toBe('later');
    expect((await http.get('/again')).text).toBe('later');
  });

  // While one connection is the only one with something to read, the event loop takes it for that one without asking.
  test('without a thread, a connection that has talked alone does not make others wait, and its end is noticed', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 0 });
      app.ws('/*', {
        message: (ws, message, isBinary) => { ws.send(message, isBinary); },
        close: (ws, code, message, info) => say(info.cause),
      });
      app.get('/', (res) => { res.end('served'); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const port = await program.hear();
    for (const [leave, cause] of [['finish', 'ERR_FIN_WITHOUT_CLOSE'], ['reset', 'ERR_CONNECTION_RESET']]) {
      const client = await RawWebSocket.open(port);
      const talk = async (count) => {
        for (let number = 0; number < count; number++) {
          client.sendText(String(number));
          expect(await client.frame()).toEqual(['text', String(number)]);
        }
      };
      await talk(50);
      const talking = talk(200);
      const other = await RawClient.connect(port);
      for (let count = 0; count < 5; count++) expect((await other.get('/')).text).toBe('served');
      await talking;
      await talk(50);
      client[leave]();
      expect(await program.hear()).toBe(cause);
    }
  });

  test('without a thread, deadlines are kept by the event loop', async () => {
    const program = new Program(`
      uWS.App({ threads: 0, headersTimeout: 300 }).any('/*', (res) => res.end('ok'))
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const client = await RawClient.connect(await program.hear());
    await client.send('GET / HTTP/1.1\r\nHo');
    expect((await client.response()).status).toBe(408);
  });

  test('is the thread as soon as something is published to many, and the event loop again afterwards', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 1 });
      app.ws('/*', { open: (ws) => ws.subscribe('all'), message: (ws, message) => {
        const text = Buffer.from(message).toString();
        if (text !== 'publish') return ws[text]('all');
        const { leader } = app.getStats().workers[0];
        ws.send('before');
        app.publish('all', 'published');
        ws.send('after');
        ws.send(leader + ', ' + app.getStats().workers[0].leader);
      } });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const port = await program.hear();
    const [publisher, ...others] = [await RawWebSocket.open(port)];
    for (let count = 1; count < 64; count++) others.push(await RawWebSocket.open(port));
    /** Who led before a publish and behind it; every subscriber gets it in its order. */
    const publish = async (isSubscribed) => {
      publisher.sendText('publish');
      for (const client of others) expect(await client.frame()).toEqual(['text', 'published']);
      const texts = ['before', ...isSubscribed ? ['published'] : [], 'after'];
      for (const text of texts) expect(await publisher.frame()).toEqual(['text', text]);
      return (await publisher.frame())[1];
    };
    // The event loop asks for the lead when it handles something. It may have lost it to handshakes.
    publisher.sendText('unsubscribe');
    while (await publish(false) !== 'node, node');
    publisher.sendText('subscribe');
    expect(await publish(true)).toBe('node, thread');
    publisher.sendText('unsubscribe');
    while (await publish(false) !== 'node, node');
  });

  test('is the thread while the event loop is blocked, and the event loop again afterwards', async () => {
    const program = new Program(`${BLOCK}
      const app = uWS.App({ threads: 1 });
      const leader = () => app.getStats().workers[0];
      app.ws('/*', { message: (ws, message) => {
        if (Buffer.from(message).toString() === 'leader') return ws.send(JSON.stringify(leader()));
        say('blocked');
        const end = Date.now() + 60_000;
        while (leader().leader === 'node' && Date.now() < end) block(1);
        // The answers to pings leave meanwhile.
        block(200);
        ws.send(JSON.stringify(leader()));
      } });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const client = await RawWebSocket.open(await program.hear());
    client.sendText('block');
    expect(await program.hear()).toBe('blocked');
    client.send(frame('ping', 'still there?'));
    expect(await client.frame()).toEqual(['pong', 'still there?']);
    const [, text] = await client.frame();
    expect(JSON.parse(text)).toMatchObject({ leader: 'thread', seizures: expect.any(Number) });
    expect(JSON.parse(text).seizures).toBeGreaterThan(0);
    let now;
    do {
      await setTimeout(20);
      client.sendText('leader');
      now = JSON.parse((await client.frame())[1]);
    } while (now.leader !== 'node');
    expect(now.switches).toBeGreaterThan(JSON.parse(text).switches);
  });

  test('is the thread as soon as others publish to its clients, and the event loop again afterwards', async () => {
    const program = new Program(`
      const { Worker } = require('node:worker_threads');
      const other = new Worker(\`
        const app = require('ferrows').App({ broker: { name: 'lead' } });
        require('node:worker_threads').parentPort.on('message', (text) => app.publish('news', text));
      \`, { eval: true });
      uWS.setLogger('debug', ({ message, fields }) => { if (message === 'the lead has changed') say(fields); });
      const app = uWS.App({ threads: 1, broker: { name: 'lead' } });
      const leader = () => app.getStats().workers[0].leader;
      app.ws('/*', { open: (ws) => ws.subscribe('news'), message: (ws, message) => {
        if (Buffer.from(message).toString() === 'publish') other.postMessage('published');
        else ws.send(leader());
      } });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    let said = await program.hear();
    while (typeof said !== 'number') said = await program.hear();
    const client = await RawWebSocket.open(said);
    const led = async () => {
      client.sendText('leader');
      return (await client.frame())[1];
    };
    const ledByNode = async () => {
      while (await led() !== 'node') await setTimeout(20);
    };
    do {
      await ledByNode();
      client.sendText('publish');
      expect(await client.frame()).toEqual(['text', 'published']);
      // It may have lost the lead for another reason before.
      do said = await program.hear(); while (said.leader !== 'thread');
    } while (said.reason !== 'delivered');
    await ledByNode();
  });

  test('is the thread for all apps if one of them wants that', async () => {
    const program = new Program(`
      const workers = () => app.getStats().workers.map(({ leader }) => leader).join();
      const app = uWS.App({ threads: 1 }).any('/*', (res) => res.end(workers()));
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
      app.any('/other', (res) => {
        uWS.App({ threads: 2, inline: false }).listen(0, () => {});
        res.end(workers());
      });
    `, { env: AUTOMATIC });
    const client = await RawClient.connect(await program.hear());
    expect((await client.get('/')).text).toBe('node');
    expect((await client.get('/other')).text).toBe('thread,thread');
    expect((await client.get('/')).text).toBe('thread,thread');
  });

  test('is reported to the log when it changes', async () => {
    const program = new Program(`${BLOCK}
      uWS.setLogger('debug', ({ message, fields }) => { if (message === 'the lead has changed') say(fields); });
      const app = uWS.App({ threads: 1 }).any('/*', (res) => { res.end(); say('blocked'); block(1000); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const said = [await program.hear()];
    while (typeof said.at(-1) !== 'number') said.push(await program.hear());
    const client = await RawClient.connect(said.at(-1));
    await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    while (said.at(-1) !== 'blocked') said.push(await program.hear());
    // Something that waits.
    await RawClient.connect(said.find((value) => typeof value === 'number'));
    while (said.at(-1).reason !== 'blocked') said.push(await program.hear());
    const changes = said.filter((value) => typeof value === 'object');
    expect(changes.every(({ worker, leader }) => worker === 0 && ['node', 'thread'].includes(leader))).toBe(true);
    expect(changes.at(-1)).toEqual({ worker: 0, leader: 'thread', reason: 'blocked' });
  });

  test('without a thread, the last words of a program are sent before it exits', async () => {
    const program = new Program(`
      uWS.App({ threads: 0 }).ws('/*', { message: (ws) => { ws.send('x'.repeat(100_000)); ws.end(4000, 'bye'); process.exit(); } })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const client = await RawWebSocket.open(await program.hear());
    client.sendText('go');
    const { frames } = await client.rest();
    expect(frames.map(([kind, content]) => [kind, content?.length ?? content])).toEqual([
      ['text', 100_000], ['close', 4000],
    ]);
    expect((await program.end()).code).toBe(0);
  });

  test('without a thread, shutting down ends the process', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 0 }).ws('/*', { open: () => app.shutdown({ timeout: 60_000 }).then(say) });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: AUTOMATIC });
    const client = await RawWebSocket.open(await program.hear());
    expect(await client.frame()).toEqual(['close', 1001, 'Server is shutting down']);
    client.send(frame('close', Buffer.from([0x03, 0xe9])));
    expect(await program.hear()).toEqual({ forced: 0 });
    expect((await program.end()).code).toBe(0);
  });

  test('without a thread, threads of the program end at any moment', async () => {
    const program = new Program(`
      const { Worker } = require('node:worker_threads');
      const source = \`
        const uWS = require('ferrows');
        const { parentPort } = require('node:worker_threads');
        const app = uWS.App({ threads: 0 }).ws('/*', { message: (ws, message) => ws.send(message) });
        app.listen('127.0.0.1', 0, (token) => parentPort.postMessage(uWS.us_socket_local_port(token)));
        // Nothing tells the loop of the program that it is over.
        setInterval(() => {}, 1);
      \`;
      (async () => {
        for (let round = 0; round < 20; round++) {
          const worker = new Worker(source, { eval: true });
          const port = await new Promise((resolve) => worker.once('message', resolve));
          const socket = require('node:net').connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\\\\r\\\\n'));
          socket.on('error', () => {});
          if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, round));
          await worker.terminate();
        }
        say('all have ended');
      })();
    `, { env: AUTOMATIC });
    expect(await program.hear()).toBe('all have ended');
    expect((await program.end()).code).toBe(0);
  });
});

test('inline is an option that every system knows', async () => {
  const app = createApp({ threads: 1, inline: true }).any('/*', (res) => res.end('ok'));
  const client = await RawClient.connect(listen(app));
  expect((await client.get('/')).text).toBe('ok');
  expect(['node', 'thread']).toContain(app.getStats().workers[0].leader);
  expect(uWS.App({ threads: 0 }).getStats().workers).toEqual(app.getStats().workers.map(() => expect.any(Object)));
  expect(new Log('error').size).toBe(0);
});
