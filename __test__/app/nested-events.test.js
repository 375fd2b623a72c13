'use strict';

// Calls of a program cause events whose handlers run within the call: `ws.end()` a close, `res.close()` an abort, and so on.
// Each is told exactly once, however deep handlers are nested and however little stack is left; and what handlers throw
// is reported once there is room for it.

const { handshake } = require('../helpers/raw-websocket.js');
const { Program } = require('../helpers/program.js');

/** What the programs below have in common: `open(port, text)` connects, sends, and resolves with the socket once bytes came. */
const PRELUDE = `
  const net = require('net');
  const uncaught = [];
  process.on('uncaughtException', (error) => uncaught.push(error.message));
  const HANDSHAKE = ${JSON.stringify(handshake())};
  const listen = (app) => new Promise((resolve) => app.listen('127.0.0.1', 0, (token) => resolve(uWS.us_socket_local_port(token))));
  const turn = () => new Promise(setImmediate);
  const open = (port, text = HANDSHAKE) => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('error', () => {}).once('data', () => resolve(socket));
  });
  const until = async (isTrue) => { while (!isTrue()) await turn(); };
  /** Opens WebSockets, and resolves once the server has all of them. */
  const fill = async (port, room, count) => {
    for (let left = count; left > 0; left -= 50) await Promise.all(Array.from({ length: Math.min(50, left) }, () => open(port)));
    await until(() => room.length >= count);
  };
  /** Recurses until no stack is left, and calls 'act' on the way back, from the innermost frame on, until it returned 'count' times. */
  const exhaust = (count, act) => {
    let left = count;
    let failures = 0;
    const dig = () => {
      try { dig(); } catch {}
      if (left === 0) return;
      try {
        act();
        left -= 1;
      } catch (error) {
        if (!(error instanceof RangeError)) uncaught.push('from the call: ' + error.message);
        failures += 1;
      }
    };
    dig();
    return failures;
  };
`;

/** What a program says at last. */
async function run(source) {
  const program = new Program(`${PRELUDE} (async () => { ${source} process.exit(); })();`);
  return program.hear();
}

describe('handlers nested in each other', () => {
  const ROOM = 1200;

  test('close handlers that close the rest of the room: each runs once, sixteen deep at most, and nothing is thrown', async () => {
    expect(await run(`
      const room = new Set(), order = [], codes = new Map();
      let [depth, deepest] = [0, 0];
      const app = uWS.App().ws('/*', {
        open: (ws) => { room.add(ws); order.push(ws); },
        close(ws, code, message) {
          depth += 1;
          deepest = Math.max(deepest, depth);
          room.delete(ws);
          codes.set(ws, [...codes.get(ws) ?? [], code]);
          for (const other of room) other.end(4000, 'game over');
          depth -= 1;
        },
      });
      await fill(await listen(app), order, ${ROOM});
      order[0].close();
      const within = codes.size;
      await turn();
      const counts = [...codes.values()].flat();
      say({ within, left: room.size, closes: counts.length, over: counts.filter((code) => code === 4000).length, deepest, uncaught });
    `)).toEqual({ within: ROOM, left: 0, closes: ROOM, over: ROOM - 1, deepest: 16, uncaught: [] });
  });

  test('abort handlers that close the other responses: each runs once, and within the call', async () => {
    expect(await run(`
      const waiting = [];
      let aborts = 0;
      const app = uWS.App().get('/*', (res) => {
        waiting.push(res);
        res.onAborted(() => {
          aborts += 1;
          waiting.forEach((other) => { if (!other.aborted) other.close(); });
        });
      });
      const port = await listen(app);
      for (let count = 0; count < ${ROOM}; count += 1) open(port, 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
      await until(() => waiting.length === ${ROOM});
      waiting[0].close();
      say({ aborts, uncaught });
    `)).toEqual({ aborts: ROOM, uncaught: [] });
  });

  test('a close that has to wait: until its handler runs the WebSocket is open, sends nothing, and closes only once', async () => {
    const seen = await run(`
      const room = [], seen = [];
      const tell = (ws) => [ws.send('late'), ws.ping(), ws.isSubscribed('news'), ws.getTopics(), ws.end(4001, 'no'), ws.close()];
      const app = uWS.App().ws('/*', {
        open: (ws) => { ws.subscribe('news'); room.push(ws); },
        close(ws, code, message) {
          const index = room.indexOf(ws);
          const next = room[index + 1];
          if (next === undefined) return;
          next.end(4000 + index, 'next');
          let state;
          try { state = tell(next); } catch (error) { state = error.code; }
          seen.push([index, code, state, app.numSubscribers('news')]);
        },
      });
      await fill(await listen(app), room, 18);
      room[0].end(3999);
      say(seen);
    `);
    const closed = 'ERR_WEBSOCKET_CLOSED';
    const open = [2, 2, true, ['news'], null, null];
    // The sixteenth goes on before the next one has heard of its end, and so does the next one in its place; the others
    // find that its handler has run.
    expect(seen).toEqual([
      [15, 4014, open, 2], [16, 4015, open, 1], ...Array.from({ length: 15 }, (_, index) => [14 - index, 4013 - index, closed, 0]),
    ]);
  });

  test('a close that has to wait: topics are neither joined nor left meanwhile, and subscription tells as many ends as begins', async () => {
    expect(await run(`
      const room = [], balance = {}, results = new Set();
      const app = uWS.App().ws('/*', {
        open: (ws) => { ws.subscribe('news'); room.push(ws); },
        subscription(ws, topic, now, before) {
          const name = Buffer.from(topic).toString();
          balance[name] = (balance[name] ?? 0) + now - before;
        },
        close(ws) {
          const next = room[room.indexOf(ws) + 1];
          if (next === undefined) return;
          next.end(4000, 'next');
          try {
            results.add(next.subscribe('late')).add(next.isSubscribed('late')).add(next.unsubscribe('news'));
          } catch {}
        },
      });
      await fill(await listen(app), room, 18);
      room[0].end(3999);
      say({ balance, results: [...results], left: ['news', 'late'].map((topic) => app.numSubscribers(topic)) });
    `)).toEqual({ balance: { news: 0 }, results: [true, false], left: [0, 0] });
  });

  test('app.close in a close handler that is nested too deep: everything is told before the outermost call returns', async () => {
    expect(await run(`
      const room = [];
      const closes = [];
      const app = uWS.App().ws('/*', {
        open: (ws) => { room.push(ws); },
        close(ws, code, message, { cause }) {
          closes.push(cause);
          const next = room[closes.length];
          if (closes.length < 16) next.end();
          else if (closes.length === 16) app.close();
        },
      });
      await fill(await listen(app), room, 40);
      room[0].end();
      say({ closes, uncaught });
    `)).toEqual({
      closes: [...Array.from({ length: 16 }, () => 'CLOSED_BY_END'), ...Array.from({ length: 24 }, () => 'CLOSED_BY_APP_CLOSE')],
      uncaught: [],
    });
  });

  test('what handlers throw is reported behind the outermost one, in order, and every close is told', async () => {
    expect(await run(`
      const room = new Set(), all = [], reports = [];
      let depth = 0;
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', ({ message }) => reports.push([message, depth]));
      const app = uWS.App().ws('/*', {
        open: (ws) => { room.add(ws); all.push(ws); },
        close(ws) {
          depth += 1;
          room.delete(ws);
          for (const other of room) other.end(4000, 'game over');
          depth -= 1;
          throw new Error(String(all.indexOf(ws)));
        },
      });
      await fill(await listen(app), all, 40);
      all[0].close();
      say({ reports: reports.length, distinct: new Set(reports.map(([text]) => text)).size, depths: [...new Set(reports.map(([, at]) => at))] });
    `)).toEqual({ reports: 40, distinct: 40, depths: [0] });
  });

  test.each([
    ['nobody listens', '', { code: 1, heard: [] }],
    ['there is a listener', "process.on('uncaughtException', ({ message }) => say(message));", { code: 0, heard: ['thrown in close'] }],
  ])('what was thrown within a handler that then exits is not lost: %s', async (_, listener, { code, heard }) => {
    const program = new Program(`
      ${listener}
      const app = uWS.App().ws('/*', {
        open(ws) {
          ws.end();
          process.exit(0);
        },
        close() { throw new Error('thrown in close'); },
      });
      app.listen('127.0.0.1', 0, (token) => {
        uWS.connect('ws://127.0.0.1:' + uWS.us_socket_local_port(token), {}).catch(() => {});
      });
    `);
    for (const text of heard) expect(await program.hear()).toBe(text);
    const end = await program.end();
    expect(end.code).toBe(code);
    expect(end.stderr.includes('thrown in close')).toBe(code === 1);
  });

  test('a dropped handler that sends again for ever: the loop of Node goes on', async () => {
    expect(await run(`
      const room = [];
      let isOver = false;
      let drops = 0;
      const app = uWS.App().ws('/*', {
        maxBackpressure: 1024,
        open: (ws) => { room.push(ws); },
        dropped(ws, message) {
          drops += 1;
          if (!isOver) ws.send('again');
        },
      });
      await fill(await listen(app), room, 1);
      setTimeout(() => { isOver = true; }, 10);
      const large = new Uint8Array(1024 * 1024);
      const [ws] = room;
      // Nobody reads: what the kernel takes is soon taken.
      while (drops === 0) ws.send(large, true);
      while (!isOver) await turn();
      say({ isMany: drops > 16, uncaught });
    `)).toEqual({ isMany: true, uncaught: [] });
  });
});

describe('calls with hardly any stack left', () => {
  const COUNT = 300;

  test('ws.end and ws.close: either the call throws and nothing happens, or the close handler runs once', async () => {
    expect(await run(`
      const room = [], closes = new Map();
            const app = uWS.App().ws('/*', {
        open: (ws) => { room.push(ws); },
        close(ws) {
          // Needs more stack than the call that causes it.
          console.assert(JSON.stringify({ room: [room.length] }) !== '');
          closes.set(ws, (closes.get(ws) ?? 0) + 1);
        },
      });
      await fill(await listen(app), room, ${COUNT});
      let next = 0;
      const failures = exhaust(${COUNT}, () => {
        const ws = room[next];
        if (next % 2 === 0) ws.end(4000, 'x'); else ws.close();
        next += 1;
      });
      const within = closes.size;
      await until(() => closes.size === next);
      await turn();
      say({ next, isLater: within < next, isScarce: failures > 0, twice: [...closes.values()].filter((count) => count !== 1).length, uncaught });
    `)).toEqual({ next: COUNT, isLater: true, isScarce: true, twice: 0, uncaught: [] });
  });

  test('from a handler: the events are told before the next event', async () => {
    expect(await run(`
      const room = [], order = [];
      const app = uWS.App({ threads: 1 }).ws('/*', {
        open: (ws) => { room.push(ws); },
        message(ws, message) {
          order.push(Buffer.from(message).toString());
          if (order.length > 1) return;
          let next = 1;
          exhaust(100, () => {
            room[next].end();
            next += 1;
          });
          order.push(next);
        },
        close: () => { order.push('close'); },
      });
      const port = await listen(app);
      const client = await open(port);
      await fill(port, room, 120);
      client.write(Buffer.from('8181000000004181810000000042818100000000 43'.replaceAll(' ', ''), 'hex'));
      await until(() => order.includes('C'));
      const [first, next, ...others] = order;
      const closes = others.slice(0, others.indexOf('B'));
      say([first, next, closes.length, others.slice(closes.length)]);
    `)).toEqual(['A', 101, 100, ['B', 'C']]);
  });

  test('what a handler throws that is told later is reported later', async () => {
    expect(await run(`
      const room = [];
      const app = uWS.App().ws('/*', { open: (ws) => { room.push(ws); }, close() { throw new Error('from close'); } });
      await fill(await listen(app), room, 50);
      let next = 0;
      exhaust(50, () => {
        room[next].end();
        next += 1;
      });
      await until(() => uncaught.length >= next);
      await turn();
      say({ isExact: uncaught.length === next, texts: [...new Set(uncaught)] });
    `)).toEqual({ isExact: true, texts: ['from close'] });
  });

  test('res.close, subscribe, unsubscribe: no handler is missed', async () => {
    expect(await run(`
      const room = [], waiting = [], changes = [];
      let aborts = 0;
      const app = uWS.App().ws('/*', {
        open: (ws) => { room.push(ws); },
        subscription: (ws, topic, now, before) => { changes.push(now - before); },
      }).get('/*', (res) => {
        res.onAborted(() => { aborts += 1; });
        waiting.push(res);
      });
      const port = await listen(app);
      await fill(port, room, 1);
      for (let count = 0; count < 150; count += 1) open(port, 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
      await until(() => waiting.length === 150);
      let next = 0;
      exhaust(150, () => {
        waiting[next].close();
        next += 1;
      });
      await until(() => aborts >= next);
      const [ws] = room;
      let [added, removed] = [0, 0];
      exhaust(150, () => {
        ws.subscribe('topic ' + added);
        added += 1;
      });
      await until(() => changes.length >= added);
      exhaust(150, () => {
        ws.unsubscribe('topic ' + removed);
        removed += 1;
      });
      await until(() => changes.length >= added + removed);
      const isKnown = ws.getTopics().length === added - removed;
      say({ next, added, removed, aborts: aborts - next, changes: changes.length - added - removed, isKnown, uncaught });
    `)).toEqual({ next: 150, added: 150, removed: 150, aborts: 0, changes: 0, isKnown: true, uncaught: [] });
  });

  test('res.upgrade: open runs once, before the first message, and the WebSocket lives', async () => {
    expect(await run(`
      const events = new Map(), upgrades = [];
      const app = uWS.App().ws('/*', {
        upgrade: (res, req, context) => {
          res.onAborted(() => {});
          upgrades.push(() => res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context));
        },
        open: (ws) => { events.set(ws, ['open']); },
        message: (ws) => { events.get(ws).push('message'); },
        close: (ws) => { events.get(ws).push('close'); },
      });
      const port = await listen(app);
      const clients = Array.from({ length: 100 }, () => {
        const socket = net.connect(port, '127.0.0.1', () => socket.write(HANDSHAKE));
        return socket.on('error', () => {}).once('data', () => socket.write(Buffer.from('81810000000041', 'hex')));
      });
      await until(() => upgrades.length === 100);
      let next = 0;
      exhaust(100, () => {
        upgrades[next]();
        next += 1;
      });
      await until(() => [...events.values()].filter((list) => list.includes('message')).length === 100);
      clients.forEach((client) => client.destroy());
      await until(() => [...events.values()].every((list) => list.includes('close')));
      say({ next, events: [...new Set([...events.values()].map((list) => list.join()))], count: events.size, uncaught });
    `)).toEqual({ next: 100, events: ['open,message,close'], count: 100, uncaught: [] });
  });

  test('cork: what the callback sent leaves, although it ran out of stack', async () => {
    expect(await run(`
      const room = [];
      const app = uWS.App().ws('/*', { open: (ws) => { room.push(ws); } });
      const port = await listen(app);
      const socket = await open(port);
      let bytes = 0;
      socket.on('data', (chunk) => { bytes += chunk.length; });
      await until(() => room.length === 1);
      let sent = 0;
      exhaust(100, () => {
        room[0].cork(() => {
          room[0].send('x');
          sent += 1;
        });
      });
      // No turn of the dispatcher is needed for what leaves now.
      room[0].send('end');
      await until(() => bytes >= 3 * sent + 5);
      say({ isMany: sent >= 100, uncaught });
    `)).toEqual({ isMany: true, uncaught: [] });
  });

  test('subscriptions that were left for want of stack are told before the close of their WebSocket', async () => {
    expect(await run(`
      const app = uWS.App();
      let [subscriptions, atClose, made] = [0, -1, 0];
      app.ws('/*', {
        open(ws) {
          exhaust(40, () => { ws.subscribe('topic ' + made); made += 1; });
          ws.close();
        },
        subscription(ws, topic, now) { subscriptions += now; },
        close() { atClose = subscriptions; },
      });
      const port = await listen(app);
      net.connect(port, '127.0.0.1', function () { this.write(HANDSHAKE); }).on('error', () => {});
      await until(() => atClose >= 0);
      say({ atClose, uncaught });
    `)).toEqual({ atClose: 40, uncaught: [] });
  });

  test.each([
    ['app.shutdown', 'app.shutdown({ timeout: 10 })'],
    ['connect', "uWS.connect('ws://127.0.0.1:' + port, { idleTimeot: 8, close() {} })"],
  ])('%s: the promise is rejected or fulfilled, nothing is thrown elsewhere, and the events of others are told', async (_name, call) => {
    const { settled, made, ...rest } = await run(`
      process.on('warning', () => {});
      process.on('unhandledRejection', () => {});
      const [app, other] = [uWS.App(), uWS.App()];
      const promises = [];
      app.ws('/*', {});
      app.get('/*', (res) => {
        res.end('dug');
        let left = 1500;
        const dig = () => {
          try { dig(); } catch {}
          if (left-- <= 0) return;
          try { promises[promises.length] = ${call}; } catch {}
        };
        dig();
      });
      other.get('/*', (res) => res.end('served'));
      const port = await listen(app);
      await open(port, 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
      const results = await Promise.allSettled(promises);
      const response = await fetch('http://127.0.0.1:' + await listen(other));
      say({ made: promises.length, settled: results.length, answer: await response.text(), uncaught });
    `);
    expect(rest).toEqual({ answer: 'served', uncaught: [] });
    expect(settled).toBe(made);
    expect(made).toBeGreaterThan(0);
  });

  test('a mistake that is worth a warning does not end the process', async () => {
    expect(await run(`
      process.on('warning', () => {});
      const app = uWS.App();
      let count = 0;
      app.get('/*', (res) => {
        res.end('dug');
        let left = 3000;
        const dig = () => {
          try { dig(); } catch {}
          if (left-- <= 0) return;
          try { app.ws('/' + left, { ['mistake' + left]: 1 }); count += 1; } catch {}
        };
        dig();
      });
      const port = await listen(app);
      const GET = 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n';
      await open(port, GET);
      say({ isCalled: count > 0, uncaught });
    `)).toEqual({ isCalled: true, uncaught: [] });
  });
});
