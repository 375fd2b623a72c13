'use strict';

// More than the server can take: it leaves what peers send in their sockets rather than in memory, and serves everybody else.

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { join } = require('node:path');
const zlib = require('node:zlib');

const { afterTest } = require('../helpers/cleanup.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket, frame, handshake } = require('../helpers/raw-websocket.js');

const MIB = 2 ** 20;
/** What events may weigh in the queue of a worker; with the batch being handled and its copies, twice this. */
const HIGH_WATER = constant('bridge/queue.rs', 'HIGH_WATER');
/** Output beyond which a peer is not read any more. */
const UNREAD_OUTPUT = constant('io/connection/shell.rs', 'UNREAD_OUTPUT');
/** What is read at a time where messages are compressed, and how much more deflate can make of it. */
const COMPRESSED_READ = constant('io/connection/websocket/mod.rs', 'COMPRESSED_READ');
const DEFLATE_AT_BEST = 1032;
/** Body that waits for its handler. */
const UNCLAIMED_BODY = constant('node/state/live/request_body.rs', 'UNCLAIMED_BODY');
const EVENTS_PER_TURN = constant('node/state/dispatcher.rs', 'EVENTS_PER_TURN');
const EVENTS_PER_LOOK = constant('node/state/dispatcher.rs', 'EVENTS_PER_LOOK');
/** What the memory of a process grows by under any load: the heap of JavaScript, arenas of the allocator, code. */
const SLACK = 32 * MIB;

/** A number in the source of the addon. */
function constant(file, name) {
  const source = readFileSync(join(__dirname, '../../src', file), 'utf8');
  const [, product] = new RegExp(`\\bconst ${name}: \\w+ = ([0-9_* ]+);`).exec(source);
  return product.split('*').reduce((result, factor) => result * Number(factor.replaceAll('_', '')), 1);
}

/** The server of fixtures/overload.js. */
async function start() {
  const program = new Program("require('./__test__/fixtures/overload.js').overload(uWS, say)");
  const { port, gate } = await program.hear();
  return { program, port, gate };
}

/** The JSON at a path. */
async function read(port, path) {
  const client = await RawClient.connect(port);
  return JSON.parse((await client.get(path, 'Connection: close')).text);
}

/** Blocks Node's thread, until the function that this returns is called; that returns its memory at the end. */
async function block({ program, port, gate }) {
  const client = await RawWebSocket.open(port, { path: '/block' });
  client.sendText('block');
  expect(await program.hear()).toBe('blocked');
  return () => net.connect(gate, '127.0.0.1').on('error', () => {});
}

/** Opens a WebSocket with a plain socket, whose bytes are nobody's business. */
async function openPlain(port, path, fields = []) {
  const socket = net.connect(port, '127.0.0.1');
  afterTest(() => socket.destroy());
  socket.write(handshake(path, fields));
  const [answer] = await once(socket, 'data');
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

/** Writes what `make` makes until it makes nothing more, as fast as the peer takes it. Resolves to the bytes written. */
async function pour(socket, make) {
  let bytes = 0;
  for (let piece = make(); piece !== undefined; piece = make()) {
    bytes += piece.length;
    await new Promise((resolve) => { socket.write(piece, resolve); });
    // What the system takes at once would keep this loop from turning.
    await new Promise(setImmediate);
  }
  return bytes;
}

/** Whether `promise` is still pending once `progress` has not changed for half a second: the peer takes no more. */
async function isStalled(promise, progress) {
  let done = false;
  promise.then(() => { done = true; });
  for (let last; !done && last !== progress();) {
    last = progress();
    await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
  return !done;
}

/** Numbered messages, `size` bytes each, some at a time. */
class Numbered {
  count = 0;
  #size;

  constructor(size) {
    this.#size = size;
  }

  /** The next fifty. */
  next() {
    return Buffer.concat(Array.from({ length: 50 }, () => {
      const message = Buffer.alloc(this.#size);
      message.writeUInt32BE(this.count);
      this.count += 1;
      return frame('binary', message);
    }));
  }
}

describe("while a handler blocks Node's thread for more than five seconds", () => {
  /** Sizes of the messages of the floods. The large ones fill the queue up to `HIGH_WATER`. */
  const SIZES = [100, 1000, 1900, 2800];
  const LARGE_SIZES = [65_536, 65_536];
  /** What was found while one server was flooded, and another was left in peace. */
  let flooded;
  let calm;

  // Both take more than ten seconds, so they run side by side.
  beforeAll(async () => {
    [flooded, calm] = await Promise.all([floodBlocked(), leaveBlocked()]);
  });

  /** Floods a blocked server from several connections, among them two that are in no hurry. */
  async function floodBlocked() {
    const server = await start();
    const { port, program } = server;
    const floods = await Promise.all([...SIZES, ...LARGE_SIZES].map(() => openPlain(port, '/flood')));
    const quiet = await RawWebSocket.open(port, { path: '/quiet' });
    const upload = await RawClient.connect(port);
    const before = await read(port, '/memory');
    const release = await block(server);

    let isOver = false;
    const numbers = [...SIZES, ...LARGE_SIZES].map((size) => new Numbered(size));
    const poured = floods.map((socket, index) => pour(socket, () => (isOver ? undefined : numbers[index].next())));
    // Longer than the idle timeout of one and the body timeout of the other, which are never late themselves.
    await upload.send('POST /sink HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\n');
    for (let second = 0; second < 12; second++) {
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
      quiet.sendText(String(second));
      await upload.send('x');
    }
    isOver = true;
    release();
    const { unblocked } = await program.hear();
    await Promise.all(poured);
    const reports = await Promise.all(floods.map((socket) => report(socket)));
    const echoes = [];
    for (let second = 0; second < 12; second++) echoes.push(await quiet.frame());
    const uploaded = (await upload.response()).text;
    return { growth: unblocked.peak - before.now, reports, sent: numbers.map(({ count }) => count), echoes, uploaded };
  }

  /** What the server has to say about a connection, once it has handled everything before this. */
  async function report(socket) {
    socket.write(frame('text', 'report'));
    const [answer] = await once(socket, 'data');
    return JSON.parse(answer.subarray(2));
  }

  /** Waits, while Node's thread stands still, for what the I/O threads do by themselves. */
  async function leaveBlocked() {
    const server = await start();
    const pinging = await RawWebSocket.open(server.port, { path: '/quiet' });
    const pinged = await RawWebSocket.open(server.port, { path: '/quiet' });
    const silent = await RawWebSocket.open(server.port, { path: '/silent' });
    const slow = net.connect(server.port, '127.0.0.1');
    afterTest(() => slow.destroy());
    const release = await block(server);

    pinging.send(frame('ping', 'hello'));
    const found = { pong: await pinging.frame() };
    const echo = nextText(pinging);
    const answered = dribble(slow, 'GET / HTTP/1.1\r\nHost: test\r\nX-Slow: ');
    found.ping = await pinged.frame();
    pinged.send(frame('pong'));
    const otherEcho = nextText(pinged);
    found.close = await silent.frame();
    pinging.sendText('still there?');
    found.refusal = await answered;

    release();
    found.unblocked = (await server.program.hear()).unblocked !== undefined;
    found.told = await server.program.hear();
    pinged.sendText('and you?');
    found.echoes = [await echo, await otherEcho];
    return found;
  }

  /** The next frame that is no ping; pings are answered. */
  async function nextText(client) {
    for (;;) {
      const received = await client.frame();
      if (received[0] !== 'ping') return received;
      client.send(frame('pong'));
    }
  }

  /** Sends a head that never ends, a byte at a time. Resolves to the status line with which the server loses patience. */
  async function dribble(socket, head) {
    let sent = 0;
    const timer = setInterval(() => {
      socket.write(head[sent] ?? 'x');
      sent += 1;
    }, 200);
    const [answer] = await once(socket, 'data');
    clearInterval(timer);
    return answer.toString('latin1').split('\r\n')[0];
  }

  test('twice HIGH_WATER bounds what a worker holds of a flood', () => {
    expect(flooded.growth).toBeLessThan(2 * HIGH_WATER + SLACK);
  });

  test('nothing of the flood is lost, and every connection keeps its order', () => {
    expect(Math.min(...flooded.sent.slice(0, SIZES.length))).toBeGreaterThan(1000);
    expect(flooded.reports).toEqual(flooded.sent.map((count) => ({ count, misplaced: 0 })));
  });

  test('a WebSocket whose messages had to wait behind the flood is not taken for a silent one', () => {
    expect(flooded.echoes).toEqual(Array.from({ length: 12 }, (_, second) => ['text', String(second)]));
  });

  test('an upload that had to wait behind the flood is not taken for a slow one', () => {
    expect(flooded.uploaded).toBe('12');
  });

  test('pings are answered', () => {
    expect(calm.pong).toEqual(['pong', 'hello']);
  });

  test('silent peers are pinged, and those that answer stay', () => {
    expect(calm.ping).toEqual(['ping', '']);
    expect(calm.echoes).toEqual([['text', 'still there?'], ['text', 'and you?']]);
  });

  test('idle timeouts are kept, and told to the application afterwards', () => {
    expect(calm.close).toEqual(['close', 1001, 'WebSocket timed out from inactivity']);
    expect(calm.told).toEqual({ closed: 'ERR_IDLE_TIMEOUT', code: 1006 });
  });

  test('a request head that does not come to its end is refused', () => {
    expect(calm.refusal).toBe('HTTP/1.1 408 Request Timeout');
  });
});

describe('a flood', () => {
  test('of small messages that inflate to large ones is held back like that of large ones', async () => {
    const server = await start();
    const offer = 'Sec-WebSocket-Extensions: permessage-deflate';
    const flood = await openPlain(server.port, '/inflate', [offer]);
    const before = await read(server.port, '/memory');
    const release = await block(server);
    const zeros = zlib.deflateRawSync(Buffer.alloc(16384), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    const bomb = frame('binary', zeros.subarray(0, -4), { rsv: 4 });
    const bombs = Buffer.concat(Array(1000).fill(bomb));
    let count = 0;
    let isOver = false;
    const poured = pour(flood, () => {
      count += 1;
      return isOver ? undefined : bombs;
    });
    expect(await isStalled(poured, () => count)).toBe(true);
    release();
    const { unblocked } = await server.program.hear();
    isOver = true;
    flood.destroy();
    expect(bomb.length).toBeLessThan(50);
    expect(unblocked.peak - before.now).toBeLessThan(2 * HIGH_WATER + 2 * COMPRESSED_READ * DEFLATE_AT_BEST + SLACK);
  });

  test('from one connection does not keep others from being served, nor the loop of the application from turning', async () => {
    const { port } = await start();
    const flood = await openPlain(port, '/flood');
    const numbers = new Numbered(20);
    let isOver = false;
    const poured = pour(flood, () => (isOver ? undefined : numbers.next()));
    const client = await RawWebSocket.open(port, { path: '/quiet' });
    const requester = await RawClient.connect(port);
    for (let turn = 0; turn < 100; turn++) {
      client.sendText(String(turn));
      expect(await client.frame()).toEqual(['text', String(turn)]);
      expect((await requester.get('/')).text).toBe('hi');
    }
    const before = numbers.count;
    expect((await requester.get('/')).text).toBe('hi');
    isOver = true;
    await poured;
    expect(before).toBeGreaterThan(100);
    const { mostPerTurn } = await read(port, '/counts');
    expect(mostPerTurn).toBeGreaterThan(1);
    expect(mostPerTurn).toBeLessThanOrEqual(EVENTS_PER_TURN);
  });

  test('from many connections leaves the loop its turns, however often it is asleep in between', async () => {
    const program = new Program(`
      let turn = 0;
      let most = 0;
      const startTurn = () => { turn = 0; setImmediate(startTurn); };
      startTurn();
      const app = uWS.App({ threads: 1 }).get('/', (res) => {
        turn += 1;
        most = Math.max(most, turn);
        // A two-hundredth of the time that a turn may take, and long enough for the next requests to arrive.
        const until = process.hrtime.bigint() + 20_000n;
        while (process.hrtime.bigint() < until);
        res.end();
      });
      app.get('/most', (res) => { res.end(JSON.stringify(most)); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    let left = 50_000;
    await new Promise((resolve, reject) => {
      for (let count = 0; count < 64; count++) {
        const socket = net.connect(port, '127.0.0.1', () => socket.write(request('GET', '/')));
        afterTest(() => socket.destroy());
        socket.on('error', reject);
        socket.on('data', () => {
          left -= 1;
          if (left > 0) socket.write(request('GET', '/'));
          else resolve();
        });
      }
    });
    // The clock is looked at every so often.
    expect(await read(port, '/most')).toBeLessThanOrEqual(200 + EVENTS_PER_LOOK);
  });

  test('of pipelined requests whose long answers are not read is answered at the pace of its reader', async () => {
    const program = new Program(`
      const answer = Buffer.alloc(${MIB});
      let count = 0;
      const app = uWS.App({ threads: 1 }).get('/', (res) => { count += 1; res.end(answer); });
      app.get('/count', (res) => { res.end(JSON.stringify(count)); });
      app.listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    const client = net.connect(port, '127.0.0.1').pause();
    afterTest(() => client.destroy());
    client.write(request('GET', '/').repeat(200));
    let count = 0;
    for (let last = -1; last !== count;) {
      last = count;
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      count = await read(port, '/count');
    }
    // What waits in the server, and in the system's buffers of both sides.
    expect(count).toBeLessThan(UNREAD_OUTPUT / MIB + 20);
    let bytes = 0;
    await new Promise((resolve) => {
      client.on('data', (data) => {
        bytes += data.length;
        if (bytes > 200 * MIB) resolve();
      }).resume();
    });
    expect(await read(port, '/count')).toBe(200);
  });

  test('of pings whose answers are not read is stopped, and all of them are answered in the end', async () => {
    const { port } = await start();
    const before = await read(port, '/memory');
    const socket = await openPlain(port, '/quiet');
    socket.pause();
    const pings = Buffer.concat(Array(100).fill(frame('ping', 'p'.repeat(125))));
    let sent = 0;
    let isOver = false;
    const poured = pour(socket, () => {
      if (isOver || sent >= 96 * MIB) return undefined;
      sent += pings.length;
      return pings;
    });
    expect(await isStalled(poured, () => sent)).toBe(true);
    const { peak } = await read(port, '/memory');
    expect(peak - before.now).toBeLessThan(2 * UNREAD_OUTPUT + 2 * HIGH_WATER + SLACK);

    isOver = true;
    const expected = (sent / pings.length) * 100 * (2 + 125);
    let received = 0;
    const all = new Promise((resolve) => {
      socket.on('data', (data) => {
        received += data.length;
        if (received === expected) resolve();
      });
    });
    socket.resume();
    await Promise.all([poured, all]);
  });

  test('of messages to a peer that does not read costs no memory once they are dropped', async () => {
    const { program, port } = await start();
    const before = await read(port, '/memory');
    const client = await RawWebSocket.open(port, { path: '/drops' });
    client.pause();
    client.sendText('go');
    // 1.3 GB in all; what is not dropped is below the limit and in the buffers of the system.
    expect(await program.hear()).toBeGreaterThan(19_000);
    const { peak } = await read(port, '/memory');
    expect(peak - before.now).toBeLessThan(SLACK + 32 * MIB);
  });

  test('of 10,000 requests in one piece is answered in order', async () => {
    const { port } = await start();
    const client = await RawClient.connect(port);
    const sent = client.send(request('GET', '/', ['Connection: keep-alive']).repeat(10_000));
    for (let count = 0; count < 10_000; count++) expect((await client.response()).text).toBe('hi');
    await sent;
  });

  test('of 2,000 connections that are reset leaves nothing behind, and the server at work', async () => {
    const { program, port } = await start();
    const openings = ['', 'GET / HT', request('GET', '/'), request('POST', '/upload', [], 'body'), handshake('/flood')];
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => connectAndReset(port, openings[index % openings.length])));
    }
    const client = await RawClient.connect(port);
    expect((await client.get('/')).text).toBe('hi');
    await client.get('/stop');
    // It would go on as long as it thought that anybody is connected.
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  /** Connects, sends something, and sends a reset, sometimes behind the answer. */
  async function connectAndReset(port, text) {
    const socket = net.connect(port, '127.0.0.1');
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.on('data', () => socket.resetAndDestroy());
    await once(socket, 'connect');
    socket.write(text, () => {
      if (!text.startsWith('GET / HTTP')) setImmediate(() => socket.resetAndDestroy());
    });
    await closed;
  }
});

describe('a large request', () => {
  test('an upload of 200 MB is held back until somebody wants it, and then arrives', async () => {
    const SIZE = 200 * MIB;
    const { port } = await start();
    const before = await read(port, '/memory');
    const socket = net.connect(port, '127.0.0.1');
    afterTest(() => socket.destroy());
    socket.write(`POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: ${SIZE}\r\n\r\n`);
    let left = SIZE;
    const poured = pour(socket, () => {
      if (left === 0) return undefined;
      left -= MIB;
      return Buffer.alloc(MIB);
    });
    expect(await isStalled(poured, () => left)).toBe(true);
    const bound = UNCLAIMED_BODY + 2 * HIGH_WATER + SLACK;
    expect((await read(port, '/memory')).peak - before.now).toBeLessThan(bound);

    const client = await RawClient.connect(port);
    expect((await client.get('/attach')).text).toBe('attached');
    const [answer] = await once(socket, 'data');
    expect(answer.toString('latin1')).toMatch(new RegExp(`\r\n\r\n${SIZE}$`));
    expect((await read(port, '/memory')).peak - before.now).toBeLessThan(bound + SLACK);
  });

  test.each([
    ['one field of a megabyte', `X-Large: ${'x'.repeat(MIB)}`],
    ['ten thousand fields', Array.from({ length: 10_000 }, (_, index) => `X-${index}: x`).join('\r\n')],
  ])('a head with %s is refused, and others are served', async (_, fields) => {
    const { port } = await start();
    const client = await RawClient.connect(port);
    // Refused before it was sent in full: the rest may meet a closed door.
    client.send(request('GET', '/', [fields])).catch(() => {});
    expect((await client.response()).status).toBe(431);
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('hi');
  });
});
