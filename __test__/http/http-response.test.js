'use strict';

// HttpResponse: the object, its addresses, and what becomes of one that nobody answers. Its methods by family:
// http-response-head.test.js, -end, -write and -order; body-on-data.test.js and its neighbours.

const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { answer } = require('../helpers/response.js');
const { createApp, guarded, listen, serve } = require('../helpers/server.js');

describe('addresses', () => {
  /** What the server says about a client that reached it so. */
  async function addresses(listenArguments, host) {
    const seen = new Mailbox();
    const app = createApp().any('/*', guarded((res) => {
      seen.put({
        bytes: [...new Uint8Array(res.getRemoteAddress())],
        text: Buffer.from(res.getRemoteAddressAsText()).toString(),
        port: res.getRemotePort(),
        proxied: [res.getProxiedRemoteAddress(), res.getProxiedRemoteAddressAsText()].map((it) => it.byteLength),
        proxiedPort: res.getProxiedRemotePort(),
      });
      res.end();
    }));
    const client = await RawClient.connect({ port: listen(app, ...listenArguments), host });
    await client.get('/');
    return { ...await seen.take(), localPort: client.socket.localPort };
  }

  test('IPv4: 4 bytes and dotted text', async () => {
    const { bytes: address, text, port, localPort } = await addresses(['127.0.0.1', 0], '127.0.0.1');
    expect(address).toEqual([127, 0, 0, 1]);
    expect(text).toBe('127.0.0.1');
    expect(port).toBe(localPort);
  });

  test('IPv4 on a dual-stack socket: 16 bytes and eight groups, mapped', async () => {
    const { bytes: address, text, port, localPort } = await addresses([0], '127.0.0.1');
    expect(address).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);
    expect(text).toBe('0000:0000:0000:0000:0000:ffff:7f00:0001');
    expect(port).toBe(localPort);
  });

  test('IPv6: 16 bytes and eight groups', async () => {
    for (const args of [[0], ['::1', 0]]) {
      const { bytes: address, text, port, localPort } = await addresses(args, '::1');
      expect(address).toEqual([...Array(15).fill(0), 1]);
      expect(text).toBe('0000:0000:0000:0000:0000:0000:0000:0001');
      expect(port).toBe(localPort);
    }
  });

  test('without a proxy there is no proxied address', async () => {
    expect(await addresses(['127.0.0.1', 0], '127.0.0.1')).toMatchObject({ proxied: [0, 0], proxiedPort: 0 });
  });

  test('each call gives a buffer of its own', async () => {
    const same = [];
    await answer((res) => {
      same.push(res.getRemoteAddress() === res.getRemoteAddress());
      new Uint8Array(res.getRemoteAddress()).fill(0);
      same.push(Buffer.from(res.getRemoteAddress()).toString('hex'));
      res.end();
    });
    expect(same).toEqual([false, '7f000001']);
  });
});

describe('the object', () => {
  test('every method returns what index.d.ts says', async () => {
    const returned = {};
    await answer(async (res) => {
      res.onAborted(() => {});
      returned.onAborted = res.onAborted(() => {}) === res;
      returned.onData = res.onData(() => {}) === res;
      returned.writeStatus = res.writeStatus('200 OK') === res;
      returned.writeHeader = res.writeHeader('A', 'b') === res;
      returned.write = res.write('c');
      returned.cork = res.cork(() => {}) === res;
      returned.end = res.end() === res;
    });
    await answer((res) => {
      returned.endWithoutBody = res.endWithoutBody(0) === res;
    });
    const client = await serve((res) => {
      returned.close = res.close() === res;
    });
    await client.send(request('GET', '/'));
    await client.over();
    expect(returned).toEqual(Object.fromEntries(Object.keys(returned).map((name) => [name, true])));
    expect(Object.keys(returned)).toHaveLength(9);
  });

  test('a program may keep properties on it, and overwrite its methods', async () => {
    const response = await answer((res) => {
      res.mark = 'kept';
      res.end = function end(...args) {
        return Object.getPrototypeOf(this).end.apply(this, [`${this.mark} ${args[0]}`]);
      };
      expect(Object.keys(res)).toEqual(['mark', 'end']);
      res.end('body');
    });
    expect(response.text).toBe('kept body');
  });

  test('aborted is false until the response is aborted, and a program may set it', async () => {
    const seen = [];
    await answer((res) => {
      seen.push(res.aborted);
      res.aborted = true;
      seen.push(res.aborted, Object.keys(res));
      res.end();
      seen.push(res.aborted);
    });
    await answer((res) => {
      res.end();
      seen.push(res.aborted);
    });
    expect(seen).toEqual([false, true, [], true, false]);
  });
});

describe('a handler that does not answer', () => {
  test('is reported once per route by a warning, and may still answer', async () => {
    const program = new Program(`
      process.on('warning', (warning) => say([warning.name, warning.code, warning.message]));
      const waiting = [];
      const wait = (res) => { waiting.push(res); say('waiting'); };
      uWS.App({ threads: 1 })
        .get('/silent/:x', (res) => { wait(res); })
        .post('/body', (res) => { res.onData(() => {}); wait(res); })
        .get('/async', async (res) => { await new Promise(setImmediate); wait(res); })
        .get('/attached', (res) => { res.onAborted(() => {}); wait(res); })
        .get('/yields', (res, req) => { req.setYield(true); })
        .get('/answer', (res) => { waiting.splice(0).forEach((it) => it.end('late')); res.end('done'); })
        .any('/*', (res) => res.end('any'))
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
    `);
    const port = await program.hear();
    const text = (what) => [
      'FerrowsWarning', 'FERROWS_UNANSWERED',
      `The handler of ${what} returned without answering and without an abort handler (res.onAborted)`,
    ];
    const silent = [];
    /** Sends a request that is not answered, and expects the program to say this. */
    const start = async (method, path, ...expected) => {
      const client = await RawClient.connect(port);
      await client.send(request(method, path));
      silent.push(client);
      const said = [];
      while (said.length < expected.length) said.push(await program.hear());
      expect(said).toEqual(expect.arrayContaining(expected));
    };
    await start('GET', '/silent/1?query', 'waiting', text('GET /silent/1'));
    await start('GET', '/silent/2', 'waiting');
    await start('GET', '/attached', 'waiting');
    const last = await RawClient.connect(port);
    expect((await last.get('/yields')).text).toBe('any');
    await start('POST', '/body', 'waiting', text('POST /body'));
    // Whether it has gone on before or after the warning, only the program knows: many events may be handled in one turn.
    await start('GET', '/async', 'waiting', text('GET /async'));
    expect((await last.get('/answer')).text).toBe('done');
    for (const client of silent) expect((await client.response()).text).toBe('late');
  });

  test('costs nothing else: later requests of the route are served', async () => {
    const program = new Program(`
      let calls = 0;
      uWS.App().get('/', (res) => { if (++calls > 1) res.end('served'); })
        .listen('127.0.0.1', 0, (token) => say(uWS.us_socket_local_port(token)));
      process.on('warning', () => say('warned'));
    `);
    const port = await program.hear();
    const silent = await RawClient.connect(port);
    await silent.send(request('GET', '/'));
    expect(await program.hear()).toBe('warned');
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
    silent.reset();
    expect((await (await RawClient.connect(port)).get('/')).text).toBe('served');
  });
});
