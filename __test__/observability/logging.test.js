'use strict';

// `uWS.setLogger` and FERROWS_LOG: who is told what, and what it costs the process. What there is to tell stands in
// logging-events.test.js.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const uWS = require('../..');
const { afterTest } = require('../helpers/cleanup.js');
const { Log } = require('../helpers/log.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen, listenToken } = require('../helpers/server.js');

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

/** Makes records of every level but `error`, and returns once they are all made. */
async function happen() {
  const app = createApp().get('/', (res) => res.end());
  const client = await RawClient.connect(listen(app));
  await client.get('/');
  await client.send('no HTTP\r\n\r\n');
  await client.rest();
  app.close();
}

/** Makes two records of level `info`; they wait for Node's thread, which is busy here. */
function happenAtOnce() {
  const token = listenToken(createApp());
  uWS.us_listen_socket_close(token);
}

describe('setLogger: levels', () => {
  test.each(LEVELS)('%s: hears that level and the more important ones', async (level) => {
    const log = new Log(level);
    await happen();
    const heard = new Set((await log.rest()).map((record) => record.level));
    const wanted = LEVELS.slice(0, LEVELS.indexOf(level) + 1);
    expect([...heard].sort()).toEqual(wanted.filter((name) => name !== 'error').sort());
  });

  test.each([
    ['off', []],
    ['off', [undefined]],
    ['off', [null]],
    ['off', [() => {}]],
    ['trace', [null]],
  ])('%s with %p: ends it, also for records that wait', async (level, rest) => {
    const log = new Log('trace');
    happenAtOnce();
    expect(uWS.setLogger(level, ...rest)).toBeUndefined();
    await happen();
    expect(await log.rest()).toEqual([]);
  });

  test('it is off by default, and what happened before is not told', async () => {
    await happen();
    expect(await new Log().rest()).toEqual([]);
  });
});

describe('setLogger: the listener', () => {
  test('is called asynchronously, on this thread, with one record', async () => {
    const calls = [];
    const called = new Promise((resolve) => {
      uWS.setLogger('info', (...args) => {
        calls.push(args);
        resolve();
      });
    });
    afterTest(() => uWS.setLogger('off'));
    const port = listen(createApp());
    expect(calls).toEqual([]);
    await called;
    const fields = { address: `127.0.0.1:${port}` };
    expect(calls).toEqual([[{ level: 'info', target: 'ferrows::io::listener', message: 'listening', fields }]]);
  });

  test('the last call wins, also for records that wait', async () => {
    const first = new Log('info');
    happenAtOnce();
    const second = new Log('info');
    happenAtOnce();
    const messages = (await second.rest()).map(({ message }) => message);
    expect(messages).toEqual(['listening', 'stopped listening', 'listening', 'stopped listening']);
    expect(first.size).toBe(0);
  });

  test('records that wait are dropped if the last call does not want them', async () => {
    const log = new Log('info');
    happenAtOnce();
    log.listenTo('warn');
    expect(await log.rest()).toEqual([]);
  });

  test('may call setLogger itself', async () => {
    const heard = [];
    await new Promise((resolve) => {
      uWS.setLogger('info', ({ message }) => {
        heard.push(message);
        uWS.setLogger('off');
        resolve();
      });
      happenAtOnce();
    });
    expect(await new Log().rest()).toEqual([]);
    expect(heard).toEqual(['listening']);
  });

  test('what it throws becomes uncaughtException, and the next records still come', async () => {
    const program = new Program(`
      const app = uWS.App({ threads: 1 });
      let count = 0;
      process.on('uncaughtException', ({ message }) => {
        count += 1;
        say({ message, count });
        if (count === 2) app.close();
      });
      uWS.setLogger('info', ({ message }) => { throw new Error(message); });
      for (let socket = 0; socket < 2; socket++) app.listen('127.0.0.1', 0, () => {});
    `);
    expect(await program.hear()).toEqual({ message: 'listening', count: 1 });
    expect(await program.hear()).toEqual({ message: 'listening', count: 2 });
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('one that does not keep up loses the oldest records and is told how many', async () => {
    const log = new Log('info');
    const app = createApp();
    // Node's thread is busy all the time; every round makes two records, one of them on an I/O thread, perhaps later.
    const rounds = 5_500;
    for (let round = 0; round < rounds; round++) {
      app.listen('127.0.0.1', 0, (token) => uWS.us_listen_socket_close(token));
    }
    const records = await log.rest();
    const losses = records.filter(({ level }) => level === 'error');
    // Those that were kept are behind it; more may have come while they were told.
    expect(losses[0]).toBe(records[0]);
    const lost = losses.reduce((sum, { fields }) => sum + fields.count, 0);
    expect(lost).toBeGreaterThan(0);
    expect(lost + records.length - losses.length).toBe(2 * rounds);
  });
});

describe('setLogger: arguments', () => {
  const TYPE = 'ERR_INVALID_ARG_TYPE';
  const VALUE = 'ERR_INVALID_ARG_VALUE';

  test.each([
    [[], TYPE],
    [[undefined, () => {}], TYPE],
    [[null], TYPE],
    [[3, () => {}], TYPE],
    [[['debug'], () => {}], TYPE],
    [['', () => {}], VALUE],
    [['DEBUG', () => {}], VALUE],
    [['verbose', () => {}], VALUE],
    [['toString', () => {}], VALUE],
    [['debug'], TYPE],
    [['debug', undefined], TYPE],
    [['debug', {}], TYPE],
    [['off', 1], TYPE],
  ])('%p: throws %s, and the listener stays', async (args, code) => {
    const log = new Log('info');
    let failure;
    try {
      uWS.setLogger(...args);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ name: 'TypeError', code });
    happenAtOnce();
    expect((await log.take()).message).toBe('listening');
  });
});

describe('setLogger: the process', () => {
  test.each([
    ['without an app', ''],
    ['with an app that is closed', "uWS.App().listen('127.0.0.1', 0, (token) => uWS.us_listen_socket_close(token));"],
  ])('a listener does not keep it alive, %s', async (title, source) => {
    const program = new Program(`uWS.setLogger('trace', () => {}); ${source}`);
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('worker_threads: every thread hears of its own connections', async () => {
    const program = new Program(`
      const { Worker } = require('node:worker_threads');
      const source = \`
        const uWS = require('ferrows');
        const { parentPort } = require('node:worker_threads');
        uWS.setLogger('info', ({ message, fields }) => parentPort.postMessage({ heard: message + ' ' + fields.address }));
        uWS.App({ threads: 1 }).listen('127.0.0.1', 0, (token) => {
          parentPort.postMessage({ port: uWS.us_socket_local_port(token) });
          parentPort.once('message', () => uWS.us_listen_socket_close(token));
        });
      \`;
      const main = [];
      uWS.setLogger('info', ({ message, fields }) => main.push(message + ' ' + fields.address));
      uWS.App({ threads: 1 }).listen('127.0.0.1', 0, (token) => {
        const own = uWS.us_socket_local_port(token);
        const worker = new Worker(source, { eval: true });
        const theirs = [];
        let port;
        worker.on('message', (message) => {
          if (message.port !== undefined) port = message.port;
          else theirs.push(message.heard);
          if (port === undefined || theirs.length === 0) return;
          // Both have been heard; the listener of the other thread ends with it.
          worker.terminate().then(() => {
            say({ own, main, port, theirs });
            uWS.us_listen_socket_close(token);
          });
        });
      });
    `);
    const { own, main, port, theirs } = await program.hear();
    expect(main).toEqual([`listening 127.0.0.1:${own}`]);
    expect(theirs).toEqual([`listening 127.0.0.1:${port}`]);
    expect(await program.end()).toEqual({ code: 0, signal: null, stderr: '' });
  });
});

describe('FERROWS_LOG', () => {
  /** Makes records of every level but `error`, and ends. */
  const HAPPEN = `
    const net = require('node:net');
    const app = uWS.App({ threads: 4 }).get('/*', (res) => res.end());
    app.listen('127.0.0.1', 0, (token) => {
      const port = uWS.us_socket_local_port(token);
      let open = 40;
      for (let number = 0; number < 40; number++) {
        const client = net.connect(port, '127.0.0.1');
        client.write('GET /' + number + ' HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
        client.once('data', () => client.end('no HTTP\\r\\n\\r\\n')).resume();
        client.on('close', () => { if (--open === 0) app.close(); });
      }
    });
  `;

  const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN |INFO |DEBUG|TRACE) (ferrows[a-z_:]*) ([^=]+)( [a-z]+=\S.*)$/;

  function parse(stderr) {
    expect(stderr).toMatch(/(^|\n)$/);
    return stderr.split('\n').slice(0, -1).map((line) => {
      expect(line).toMatch(LINE);
      const [, level, target, message, fields] = LINE.exec(line);
      return { level: level.trim().toLowerCase(), target, message: message.replace(/ [a-z]+$/, ''), fields };
    });
  }

  test.each([...LEVELS, 'TRACE'])('%s: writes that level and the more important ones to stderr, a line for each', async (level) => {
    const { code, stderr } = await new Program(HAPPEN, { env: { FERROWS_LOG: level } }).end();
    expect(code).toBe(0);
    const lines = parse(stderr);
    const wanted = LEVELS.slice(1, LEVELS.indexOf(level.toLowerCase()) + 1);
    expect([...new Set(lines.map((line) => line.level))].sort()).toEqual(wanted.sort());
    if (wanted.includes('debug')) {
      const paths = lines.flatMap(({ fields }) => /path=\/(\d+)/.exec(fields)?.[1] ?? []).map(Number);
      expect(paths.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, number) => number));
    }
  });

  test.each(['off', '', undefined])('%j: writes nothing', async (level) => {
    expect(await new Program(HAPPEN, { env: { FERROWS_LOG: level } }).end()).toEqual({ code: 0, signal: null, stderr: '' });
  });

  test('no level: a warning says so, and nothing is written', async () => {
    const { code, stderr } = await new Program(HAPPEN, { env: { FERROWS_LOG: 'ferrows=debug' } }).end();
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\(node:\d+\) \[FERROWS_LOG\] FerrowsWarning: FERROWS_LOG must be one of off, .*"ferrows=debug"/);
    expect(stderr).not.toMatch(/\d{4}-\d\d-\d\dT/);
  });

  test.each(['json', 'JSON'])('FERROWS_LOG_FORMAT=%s: each line is an object, as a listener would get it', async (format) => {
    const { code, stderr } = await new Program(HAPPEN, { env: { FERROWS_LOG: 'debug', FERROWS_LOG_FORMAT: format } }).end();
    expect(code).toBe(0);
    const records = stderr.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    for (const { time, level, target, message, fields, ...others } of records) {
      expect(new Date(time).toISOString()).toBe(time);
      expect([LEVELS.includes(level), target.startsWith('ferrows'), typeof message, others]).toEqual([true, true, 'string', {}]);
      // Who drives the sockets is told of a worker, all else of a connection or a listening socket.
      expect(fields.conn ?? fields.address ?? fields.leader).toEqual(expect.any(String));
    }
    expect(records.filter(({ message }) => message === 'peer broke a rule of HTTP')).toHaveLength(40);
  });

  test('a format that there is not: a warning says so, and lines are text', async () => {
    const { stderr } = await new Program(HAPPEN, { env: { FERROWS_LOG: 'warn', FERROWS_LOG_FORMAT: 'xml' } }).end();
    expect(stderr).toMatch(/\[FERROWS_LOG\] FerrowsWarning: FERROWS_LOG_FORMAT must be text or json; it is "xml"/);
    expect(stderr).toMatch(/Z WARN {2}ferrows/);
  });

  test('a line ends with the fields of its connection', async () => {
    const { stderr } = await new Program(HAPPEN, { env: { FERROWS_LOG: 'warn' } }).end();
    for (const { message, fields } of parse(stderr)) {
      expect(message).toBe('peer broke a rule of HTTP');
      expect(fields).toMatch(/ conn=\d+\.\d+\.\d+ worker=[0-3] peer=127\.0\.0\.1:\d+$/);
    }
  });

  test('text of a peer can neither break its line nor command a terminal', async () => {
    const program = new Program(`
      uWS.App({ threads: 1 })
        .ws('/*', { close: () => process.exit() })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: { FERROWS_LOG: 'debug' } });
    const client = await RawWebSocket.open(await program.hear(), { path: '/\x9b31m\xff' });
    client.send(closeFrame(4000, 'a\r\n2000-01-01 \x1b[2J\x7f\x00"quoted" \u202e grüße, it\'s me'));
    const { stderr } = await program.end();
    const text = stderr.replaceAll('\n', '');
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    parse(stderr);
    expect(stderr).toContain(String.raw`reason="a\r\n2000-01-01 \u{1b}[2J\u{7f}\0\"quoted\" \u{202e} grüße, it's me"`);
  });

  test('setLogger and FERROWS_LOG do not mind each other', async () => {
    const program = new Program(`
      const heard = new Set();
      uWS.setLogger('debug', ({ level }) => heard.add(level));
      ${HAPPEN}
      process.on('exit', () => say([...heard].sort()));
    `, { env: { FERROWS_LOG: 'warn' } });
    expect(await program.hear()).toEqual(['debug', 'info', 'warn']);
    const { stderr } = await program.end();
    expect(new Set(parse(stderr).map(({ level }) => level))).toEqual(new Set(['warn']));
  });
});

// A FIFO that its writer waits for when it is full, as for a terminal that is paused.
(process.platform === 'win32' ? describe.skip : describe)('FERROWS_LOG: nobody reads', () => {
  /** More than a FIFO holds (64 KiB), less than the queue before it. */
  const REQUESTS = 600;

  /** What can be read at this moment. */
  function readSome(reader) {
    const bytes = Buffer.alloc(64 * 1024);
    try {
      return bytes.toString('latin1', 0, fs.readSync(reader, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      return '';
    }
  }

  /** A program whose log has filled the FIFO, a client of it, and the other end of the FIFO, from which nothing was read. */
  async function stuck() {
    const folder = fs.mkdtempSync(join(tmpdir(), 'ferrows-log-'));
    afterTest(() => fs.rmSync(folder, { recursive: true }));
    const path = join(folder, 'stderr');
    execFileSync('mkfifo', [path]);
    // Open for both, so that neither opening nor writing fails for want of a reader.
    const fifo = fs.openSync(path, 'r+');
    afterTest(() => fs.closeSync(fifo));
    const program = new Program(`
      uWS.App({ threads: 1 })
        .get('/', (res) => res.end('served'))
        .get('/exit', () => process.exit(7))
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `, { env: { FERROWS_LOG: 'warn' }, stderr: fifo });
    const port = await program.hear();
    for (let count = 0; count < REQUESTS; count++) {
      const client = await RawClient.connect(port);
      await client.send('no HTTP\r\n\r\n');
      await client.rest();
    }
    const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    afterTest(() => fs.closeSync(reader));
    return { program, client: await RawClient.connect(port), reader };
  }

  test('requests are served all the same, and who reads at last gets every line', async () => {
    const { client, reader } = await stuck();
    expect((await client.get('/')).text).toBe('served');
    let text = '';
    while (text.split('\n').length <= REQUESTS) {
      text += readSome(reader);
      await new Promise(setImmediate);
    }
    const lines = text.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.filter((line) => /^\S+ WARN .* peer broke a rule of HTTP .*worker=0/.test(line))).toHaveLength(REQUESTS);
  });

  test('the process can end', async () => {
    const { program, client } = await stuck();
    await client.send('GET /exit HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await program.end()).toEqual({ code: 7, signal: null, stderr: '' });
  });
});
