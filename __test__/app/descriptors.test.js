'use strict';

// An acceptor app that hands its connections to child apps, in this thread and in others, which may go at any moment.

const { once } = require('node:events');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const WebSocket = require('ws');

const { afterTest } = require('../helpers/cleanup.js');
const { Example } = require('../helpers/example.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { Program } = require('../helpers/program.js');
const { RawClient } = require('../helpers/raw-http.js');
const { createApp, listen } = require('../helpers/server.js');

/** An app that answers with its name. */
function named(name, options) {
  return createApp(options).get('/', (res) => res.end(name));
}

/** A child in a thread of its own. Resolves to its descriptor, the thread, and a mailbox of what its filter says. */
async function startChild(name, threads) {
  const worker = new Worker(join(__dirname, '../fixtures', 'child-app.js'), { workerData: { name, threads } });
  afterTest(() => worker.terminate());
  const messages = new Mailbox();
  worker.on('message', (message) => messages.put(message));
  const { descriptor } = await messages.take();
  return { descriptor, worker, messages };
}

/** Who answers the next connection. */
async function ask(target) {
  return (await (await RawClient.connect(target)).get('/')).text;
}

/** Who answers the next connections. */
async function askOften(target, count) {
  const answers = [];
  while (answers.length < count) answers.push(await ask(target));
  return answers;
}

describe('children', () => {
  test('get the connections in turn; the acceptor serves none meanwhile', async () => {
    const acceptor = named('acceptor', { threads: 1 });
    const port = listen(acceptor);
    for (const name of ['a', 'b', 'c']) acceptor.addChildAppDescriptor((await startChild(name)).descriptor);
    expect(await askOften(port, 7)).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a']);
  });

  test('are none at first: the acceptor serves itself, and again when the last one is removed', async () => {
    const acceptor = named('acceptor');
    const port = listen(acceptor);
    expect(await ask(port)).toBe('acceptor');
    const { descriptor } = await startChild('child');
    expect(acceptor.addChildAppDescriptor(descriptor)).toBe(acceptor);
    expect(await ask(port)).toBe('child');
    expect(acceptor.removeChildAppDescriptor(descriptor)).toBe(acceptor);
    expect(await ask(port)).toBe('acceptor');
  });

  test('keep what they got when they are removed', async () => {
    const acceptor = named('acceptor');
    const { descriptor } = await startChild('child');
    acceptor.addChildAppDescriptor(descriptor);
    const client = await RawClient.connect(listen(acceptor));
    expect((await client.get('/')).text).toBe('child');
    acceptor.removeChildAppDescriptor(descriptor);
    expect((await client.get('/')).text).toBe('child');
  });

  test('serve WebSockets, with all their I/O threads, and their own filters are told', async () => {
    const told = new Mailbox();
    const acceptor = named('acceptor').filter((connection, count) => told.put(count));
    const { descriptor, messages } = await startChild('child', 2);
    acceptor.addChildAppDescriptor(descriptor);
    const port = listen(acceptor);
    for (let count = 0; count < 4; count++) {
      const client = new WebSocket(`ws://127.0.0.1:${port}/ws`);
      await once(client, 'open');
      client.send('hello');
      expect(String((await once(client, 'message'))[0])).toBe('child: hello');
      expect(await messages.take()).toBe(1);
      client.close();
      expect(await messages.take()).toBe(-1);
    }
    expect(told.size).toBe(0);
  });

  test('may live in the same thread, and the acceptor may be one of them', async () => {
    const acceptor = named('acceptor', { threads: 2 });
    const child = named('child', { threads: 1 });
    acceptor.addChildAppDescriptor(acceptor.getDescriptor()).addChildAppDescriptor(child.getDescriptor());
    expect(await askOften(listen(acceptor), 4)).toEqual(['acceptor', 'child', 'acceptor', 'child']);
  });

  test('have one turn, however often they are added', async () => {
    const acceptor = named('acceptor');
    const [first, second] = [named('first').getDescriptor(), named('second').getDescriptor()];
    for (const descriptor of [first, first, second]) acceptor.addChildAppDescriptor(descriptor);
    expect(await askOften(listen(acceptor), 3)).toEqual(['first', 'second', 'first']);
  });

  test('take over connections of Unix sockets, too, and of every socket of the acceptor', async () => {
    const acceptor = named('acceptor');
    const path = join(tmpdir(), `ferrows-descriptors-${process.pid}.sock`);
    acceptor.listen_unix((token) => expect(token).toBeTruthy(), path);
    acceptor.addChildAppDescriptor((await startChild('child')).descriptor);
    expect([await ask({ path }), await ask(listen(acceptor))]).toEqual(['child', 'child']);
  });

  test('stay when the acceptor is closed and listens again', async () => {
    const acceptor = named('acceptor');
    acceptor.addChildAppDescriptor((await startChild('child')).descriptor);
    listen(acceptor);
    acceptor.close();
    expect(await ask(listen(acceptor))).toBe('child');
  });
});

test('the example is served by several threads', async () => {
  const { port } = await Example.start('worker-threads.js');
  const answers = await askOften(port, 4);
  for (const answer of answers) expect(answer).toMatch(/^served by thread [1-9][0-9]*\n$/);
  expect(new Set(answers).size).toBeGreaterThan(1);
});

describe('a child that goes', () => {
  test('by app.close(): the others take over, at last the acceptor', async () => {
    const acceptor = named('acceptor');
    const port = listen(acceptor);
    const [first, second] = [named('first'), named('second')];
    for (const child of [first, second]) acceptor.addChildAppDescriptor(child.getDescriptor());
    first.close();
    expect(await askOften(port, 2)).toEqual(['second', 'second']);
    second.close();
    expect(await ask(port)).toBe('acceptor');
  });

  test('by worker.terminate(): the acceptor serves the next connection', async () => {
    const acceptor = named('acceptor');
    const port = listen(acceptor);
    const { descriptor, worker } = await startChild('child');
    acceptor.addChildAppDescriptor(descriptor);
    expect(await ask(port)).toBe('child');
    await worker.terminate();
    expect(await askOften(port, 3)).toEqual(['acceptor', 'acceptor', 'acceptor']);
    // What programs do when they hear of it.
    acceptor.removeChildAppDescriptor(descriptor);
    expect(failureOf(() => acceptor.addChildAppDescriptor(descriptor))).toMatchObject({ code: 'ERR_INVALID_STATE' });
  });

  test('under load: every answer is whole, nothing is lost once it is gone, and the process lives', async () => {
    const fixture = JSON.stringify(join(__dirname, '../fixtures', 'terminate-children.js'));
    const program = new Program(`require(${fixture}).terminateChildren(uWS, say, { rounds: 6, clients: 8 });`);
    const { tally, settled, last } = await program.hear();
    for (let child = 0; child < 6; child++) expect(tally[`child ${child}`]).toBeGreaterThanOrEqual(50);
    const others = Object.keys(tally).filter((name) => !/^(child [0-9]|acceptor|broken)$/.test(name));
    expect(others).toEqual([]);
    // One child is left each time, and nobody in the end.
    expect(settled).toEqual(Array.from({ length: 6 }, (_, round) => [`child ${round + 1}`]));
    expect(last).toEqual(['acceptor']);
    expect(await program.end()).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a descriptor', () => {
  test('is a number that stays the same until the app is closed, and is another one then', () => {
    const app = named('app');
    const descriptor = app.getDescriptor();
    expect(Number.isSafeInteger(descriptor)).toBe(true);
    expect(app.getDescriptor()).toBe(descriptor);
    expect(named('other').getDescriptor()).not.toBe(descriptor);
    app.close();
    expect(failureOf(() => named('acceptor').addChildAppDescriptor(descriptor))).toMatchObject({
      name: 'Error', code: 'ERR_INVALID_STATE', message: expect.stringMatching(/^no app has this descriptor/),
    });
    expect(app.getDescriptor()).not.toBe(descriptor);
  });

  test('keeps its thread alive until the app is closed', async () => {
    const { worker, descriptor } = await startChild('child');
    const exit = once(worker, 'exit');
    // Meanwhile one that had nothing else to wait for would have ended.
    await startChild('other');
    const acceptor = named('acceptor').addChildAppDescriptor(descriptor);
    const port = listen(acceptor);
    expect(await ask(port)).toBe('child');
    worker.postMessage('close');
    expect(await exit).toEqual([0]);
    expect(await ask(port)).toBe('acceptor');
  });

  test.each([0, 1, -1, 0.5, NaN, Infinity, 2 ** 53 - 1, 2 ** 53])('of nobody is refused: %p', (number) => {
    const app = named('app');
    expect(failureOf(() => app.addChildAppDescriptor(number))).toMatchObject({ code: 'ERR_INVALID_STATE' });
    expect(app.removeChildAppDescriptor(number)).toBe(app);
  });

  test.each([undefined, null, '1', {}, 1n])('that is no number is refused: %p', (value) => {
    for (const method of ['addChildAppDescriptor', 'removeChildAppDescriptor']) {
      const failure = failureOf(() => named('app')[method](value));
      expect(failure).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
  });
});
