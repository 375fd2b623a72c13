'use strict';

// The examples about HTTP, each run as a user would run it. Bodies: examples-bodies.test.js, files: examples.test.js.

const { once } = require('node:events');
const { readdirSync, readFileSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { join } = require('node:path');

const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { RawClient, request } = require('../helpers/raw-http.js');

const read = (...path) => readFileSync(join(__dirname, '..', '..', 'examples', ...path), 'utf8');

test('README.md lists every example', () => {
  const files = readdirSync(join(__dirname, '../../examples')).filter((name) => name.endsWith('.js'));
  const listed = [...read('README.md').matchAll(/^\| `node examples\/([\w-]+\.js)` \|/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(files.sort());
});

describe('hello', () => {
  test('says hello', async () => {
    const example = await Example.start('hello.js');
    expect(example.line).toBe(`http://localhost:${example.port}`);
    const answer = await fetch(`http://127.0.0.1:${example.port}/`);
    expect([answer.status, await answer.text()]).toEqual([200, 'Hello from Ferrows\n']);
  });
});

describe('router', () => {
  test('a literal wins over a parameter, a parameter over a wildcard, a method over any', async () => {
    const client = await RawClient.connect((await Example.start('router.js')).port);
    const ask = async (method, path) => {
      await client.send(request(method, path));
      const { status, text } = await client.response(method);
      return [status, text];
    };
    expect(await ask('GET', '/users')).toEqual([200, 'Ada\nGrace']);
    expect(await ask('GET', '/users/newest')).toEqual([200, 'Grace']);
    expect(await ask('GET', '/users/1')).toEqual([200, 'Ada']);
    expect(await ask('GET', '/users/7')).toEqual([404, 'No such user.']);
    expect(await ask('GET', '/files/a/b%20c')).toEqual([200, 'a file called a/b%20c']);
    expect(await ask('PUT', '/users/7/Zo%C3%AB')).toEqual([201, '']);
    expect(await ask('PUT', '/users/8/%FF')).toEqual([400, 'That is no name.']);
    expect(await ask('GET', '/users/7')).toEqual([200, 'Zoë']);
    expect(await ask('DELETE', '/users/7')).toEqual([204, '']);
    expect(await ask('DELETE', '/users/7')).toEqual([404, 'No such user.']);
    expect(await ask('PATCH', '/users/1')).toEqual([405, '']);
    expect(await ask('GET', '/users/')).toEqual([200, 'Ada\nGrace']);
    expect(await ask('Purge', '/')).toEqual([404, 'Nothing at Purge /']);
  });

  test('what a handler yields goes on to the next that matches', async () => {
    const client = await RawClient.connect((await Example.start('router.js')).port);
    expect((await client.get('/users/gr')).text).toBe('Grace');
  });

  test('a removed route is gone', async () => {
    const client = await RawClient.connect((await Example.start('router.js')).port);
    expect((await client.get('/once')).text).toBe('Once, and never again.');
    expect((await client.get('/once')).status).toBe(404);
  });
});

describe('headers', () => {
  const start = async () => RawClient.connect((await Example.start('headers.js')).port);

  test('shows what arrived, in order, with what is repeated', async () => {
    const { text } = await (await start()).get('/', 'X-One: 1', 'X-TWO:  2 ', 'x-one: é'.normalize());
    expect(text.split('\n').slice(-4, -1)).toEqual(['x-one: 1', 'x-two: 2', expect.stringMatching(/^x-one: /)]);
  });

  test('answers in the language that is preferred, and tells caches so', async () => {
    const client = await start();
    const answer = await client.get('/language', 'Accept-Language: es, fr;q=0.5, de-AT;q=0.8, en;q=0');
    expect([answer.text, answer.values('content-language'), answer.values('vary')])
      .toEqual(['Guten Tag', ['de'], ['Accept-Language']]);
    expect((await client.get('/language', 'Accept-Language: constructor')).text).toBe('Good day');
    expect((await client.get('/language')).text).toBe('Good day');
  });

  test('sets two cookies, and reads one of several', async () => {
    const client = await start();
    const first = await client.get('/visits');
    expect([first.text, first.values('set-cookie')])
      .toEqual(['Visit 1', ['visits=1; Path=/; HttpOnly; SameSite=Lax', 'seen=yes; Path=/']]);
    expect((await client.get('/visits', 'Cookie: seen=yes', 'Cookie: a=b; visits=41')).text).toBe('Visit 42');
  });

  test('a line break in a name becomes no header', async () => {
    const client = await start();
    const fine = await client.get('/download?name=a.txt');
    expect(fine.values('content-disposition')).toEqual(['attachment; filename=a.txt']);
    const answer = await client.get('/download?name=a%0d%0aSet-Cookie:%20x=y');
    expect([answer.status, answer.values('set-cookie')]).toEqual([400, []]);
  });
});

describe('async-function', () => {
  test('answers after an await, and reads the request there', async () => {
    const { port } = await Example.start('async-function.js');
    const answers = await Promise.all(['a', 'b%20c', 'd'].map((text) => fetch(`http://127.0.0.1:${port}/shout/${text}?marks=3`)));
    expect(await Promise.all(answers.map((answer) => answer.text())))
      .toEqual(['A!!! (1 characters)', 'B C!!! (3 characters)', 'D!!! (1 characters)']);
  });

  test('a handler that throws is answered with 500, and the others go on', async () => {
    const { port } = await Example.start('async-function.js');
    // `String.prototype.repeat` throws for it.
    const answer = await fetch(`http://127.0.0.1:${port}/shout/a?marks=-1`);
    expect([answer.status, await answer.text()]).toEqual([500, 'Something went wrong.']);
    expect((await fetch(`http://127.0.0.1:${port}/shout/a`)).status).toBe(200);
  });

  test('work for a client that has gone is given up', async () => {
    const example = await Example.start('async-function.js');
    const client = await RawClient.connect(example.port);
    await client.send(request('GET', '/slow'));
    client.finish();
    expect(await example.nextLine()).toMatch(/^\/slow was given up: .*FIN/);
  });
});

describe('rate-limit', () => {
  const FOREVER = { RATE: '0.0001', BURST: '5' };
  const statusesOf = async (port, count, localAddress) => {
    const answers = Array.from({ length: count }, async () => {
      const [answer] = await once(http.get({ host: '127.0.0.1', port, localAddress, agent: false }), 'response');
      answer.resume();
      return answer.statusCode;
    });
    return (await Promise.all(answers)).sort();
  };

  test('a client has its burst and no more, however many connections it opens; another has its own', async () => {
    const { port } = await Example.start('rate-limit.js', FOREVER);
    expect(await statusesOf(port, 12)).toEqual([...Array(5).fill(200), ...Array(7).fill(429)]);
    expect(await statusesOf(port, 6, '127.0.0.2')).toEqual([...Array(5).fill(200), 429]);
  });

  test('Retry-After says when it is worth trying again', async () => {
    const { port } = await Example.start('rate-limit.js', { RATE: '0.5', BURST: '1' });
    const client = await RawClient.connect(port);
    expect((await client.get('/')).status).toBe(200);
    const refusal = await client.get('/');
    expect([refusal.status, refusal.values('retry-after')]).toEqual([429, [expect.stringMatching(/^[12]$/)]]);
  });

  test('tokens come back', async () => {
    const { port } = await Example.start('rate-limit.js', { RATE: '50', BURST: '1' });
    const client = await RawClient.connect(port);
    for (let accepted = 0; accepted < 5;) if ((await client.get('/')).status === 200) accepted += 1;
  });
});

describe('automatic-port-selection', () => {
  test('takes the port that is wanted, and another if somebody else has it', async () => {
    const first = await Example.start('automatic-port-selection.js');
    const second = await Example.start('automatic-port-selection.js', { PORT: String(first.port) });
    expect(second.port).not.toBe(first.port);
    for (const { port } of [first, second]) {
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('Found me.\n');
    }
  });

  test('gives up at once for a reason that another port would not mend', async () => {
    await expect(Example.start('automatic-port-selection.js', { PORT: '70000' })).rejects.toThrow('ERR_OUT_OF_RANGE');
  });
});

describe('server-sent-events', () => {
  /** A client of the events; `take` gives the next event as `{ id, event, data }`, and `{ hasEnded: true }` behind the last one. */
  async function listenTo(port, fields = {}, options = {}) {
    const [response] = await once(http.get({ host: '127.0.0.1', port, path: '/events', headers: fields, ...options }), 'response');
    afterTest(() => response.destroy());
    const events = new Mailbox();
    let text = '';
    response.setEncoding('utf8').on('data', (piece) => {
      const blocks = (text + piece).split('\n\n');
      text = blocks.pop();
      blocks.map(readEvent).filter(({ data }) => data !== undefined).forEach((event) => events.put(event));
    });
    // A response that is cut off is an error, too.
    response.on('error', () => {}).on('close', () => events.put({ hasEnded: true }));
    return { response, take: () => events.take() };
  }

  /** WHATWG HTML §9.2.6, as far as it is used. */
  function readEvent(block) {
    const event = {};
    for (const line of block.split('\n')) {
      const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
      if (name === 'data' && event.data !== undefined) event.data += `\n${value}`;
      else if (name) event[name] = value;
    }
    return event;
  }

  const post = async (port, body) => (await fetch(`http://127.0.0.1:${port}/events`, { method: 'POST', body })).text();

  test('everybody gets every event, with its id and all of its lines', async () => {
    const { port } = await Example.start('server-sent-events.js');
    const [one, other] = [await listenTo(port), await listenTo(port)];
    expect(one.response.headers['content-type']).toBe('text/event-stream');
    expect(await post(port, 'first')).toBe('2 listening\n');
    await post(port, 'two\r\nlines: héllo\n');
    for (const { take } of [one, other]) {
      expect(await take()).toEqual({ id: '1', data: 'first' });
      expect(await take()).toEqual({ id: '2', data: 'two\nlines: héllo\n' });
    }
  });

  test('who reconnects gets what was missed and nothing twice', async () => {
    const { port } = await Example.start('server-sent-events.js');
    const client = await listenTo(port);
    await post(port, 'a');
    expect((await client.take()).id).toBe('1');
    client.response.destroy();
    await post(port, 'b');
    await post(port, 'c');
    const again = await listenTo(port, { 'Last-Event-ID': '1' });
    expect([await again.take(), await again.take()]).toEqual([{ id: '2', data: 'b' }, { id: '3', data: 'c' }]);
    await post(port, 'd');
    expect(await again.take()).toEqual({ id: '4', data: 'd' });
    // From before a restart: everything is new.
    const stranger = await listenTo(port, { 'Last-Event-ID': '99' });
    expect(await stranger.take()).toEqual({ id: '1', data: 'a' });
  });

  test('who reads slowly gets all events later, or is told how many are lost, and costs no memory', async () => {
    const example = await Example.start('server-sent-events.js');
    const { port } = example;
    // Of those that are not read, every one would cost 120 MB.
    const [slow] = await Promise.all(Array.from({ length: 5 }, async () => {
      const listener = await listenTo(port);
      listener.response.pause();
      return listener;
    }));
    const { peak } = example;
    const text = 'x'.repeat(60_000);
    for (let count = 0; count < 2000; count += 1) await post(port, text);
    expect(example.peak - peak).toBeLessThan(300 * 1024 * 1024);
    slow.response.resume();
    let listener = slow;
    let next = 1;
    let lost = 0;
    while (next <= 2000) {
      const { id, event, data, hasEnded } = await listener.take();
      if (hasEnded) {
        // If the posts took longer than a response may go unread (responseTimeout): as EventSource does.
        listener = await listenTo(port, { 'Last-Event-ID': String(next - 1) });
      } else if (event === 'missed') {
        lost += Number(data);
        next += Number(data);
      } else {
        expect([Number(id), data.length]).toEqual([next, text.length]);
        next += 1;
      }
    }
    expect(lost).toBeGreaterThan(0);
  });

  test('who has gone is forgotten', async () => {
    const { port } = await Example.start('server-sent-events.js');
    const client = await listenTo(port);
    expect(await post(port, 'x')).toBe('1 listening\n');
    client.response.destroy();
    while (await post(port, 'x') !== '0 listening\n');
  });

  test('serves a page that listens', async () => {
    const { port } = await Example.start('server-sent-events.js');
    const text = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    expect(await text('/')).toContain('<script type="module" src="/page.js">');
    expect(await text('/page.js')).toContain("new EventSource('/events')");
  });
});

describe('index', () => {
  test('lists the others, and starts those with a page once', async () => {
    const { port, child } = await Example.start('index.js');
    // It ends those that it has started, unless it is killed.
    afterTest(() => {
      child.kill('SIGTERM');
      return once(child, 'exit');
    });
    const url = `http://127.0.0.1:${port}`;
    const page = await (await fetch(url)).text();
    for (const file of readdirSync(join(__dirname, '../../examples')).filter((name) => name.endsWith('.js') && name !== 'index.js')) {
      expect(page).toMatch(new RegExp(`examples/${file}<|/start/${file.slice(0, -3)}"`));
    }
    const start = async (name, host = `127.0.0.1:${port}`) => startAt(`${url}/start/${name}`, host);
    const [first, second] = await Promise.all([start('broadcast'), start('broadcast')]);
    expect([first.status, first.location]).toEqual([303, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/)]);
    expect(second.location).toBe(first.location);
    expect(await (await fetch(first.location)).text()).toContain('Tell everybody');
    for (const name of ['hello', '../chat/server', 'chat/server/../server', '']) expect((await start(name)).status).toBe(404);
    expect((await start('broadcast', '[::1]:80')).location).toMatch(/^http:\/\/\[::1\]:\d+\/$/);
  });
});

/** A request without tidying up its path, as `fetch` would, nor following where it leads. */
function startAt(url, host) {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path: url.slice(url.indexOf('/start')), headers: { host } }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, location: response.headers.location });
    }).on('error', reject);
  });
}

test('an example whose port is taken ends with the reason', async () => {
  const server = net.createServer().listen(0);
  afterTest(() => server.close());
  await once(server, 'listening');
  await expect(Example.start('hello.js', { PORT: String(server.address().port) })).rejects.toThrow('EADDRINUSE');
});
