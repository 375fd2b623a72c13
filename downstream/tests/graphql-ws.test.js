'use strict';

// graphql-ws: `app.ws('/graphql', makeBehavior({ schema }))`.

const assert = require('node:assert/strict');
const { buildSchema } = require('graphql');
const { createClient } = require('graphql-ws');
const { makeBehavior } = require('graphql-ws/use/uWebSockets');
const WebSocket = require('ws');

const { afterTest, closeFrame, createApp, listen, Mailbox, RawWebSocket, test } = require('../helpers/project.js');
const { until } = require('../helpers/waiting.js');

const SCHEMA = `
  type Query { hello(name: String): String, fail: String, throw: String }
  type Mutation { put(text: String!): Int }
  type Subscription { count(to: Int!): Int, large(pieces: Int!): String, forever: Int, broken: Int }
`;

/** How often the subscriptions were asked for another value, and whether they were ended early. */
class Sources {
  asked = 0;
  ended = new Mailbox();

  /** Resolvers of the subscriptions, as an object that graphql takes for the root. */
  root() {
    const sources = this;
    return {
      hello: ({ name }) => `hello ${name ?? 'you'}`,
      fail: () => { throw new Error('resolver failed'); },
      put: ({ text }) => text.length,
      async *count({ to }) {
        for (let count = 0; count < to; count++) yield { count };
      },
      async *large({ pieces }) {
        for (let piece = 0; piece < pieces; piece++) {
          sources.asked++;
          yield { large: `${piece}:`.padEnd(PIECE, '.') };
        }
      },
      async *forever() {
        try {
          for (let forever = 0; ; forever++) {
            await new Promise(setImmediate);
            yield { forever };
          }
        } finally {
          sources.ended.put('forever');
        }
      },
      async *broken() {
        yield { broken: 1 };
        throw new Error('source failed');
      },
    };
  }
}

const PIECE = 64 * 1024;

/** Serves the schema. What the server hears of closes is put into `closed`. */
function serve(options = {}, behavior = {}) {
  const sources = new Sources();
  const closed = new Mailbox();
  const app = createApp();
  app.ws('/graphql', makeBehavior({
    schema: buildSchema(SCHEMA),
    roots: { query: sources.root(), mutation: sources.root(), subscription: sources.root() },
    onClose: (context, code, reason) => { closed.put([code, reason]); },
    ...options,
  }, behavior));
  return { app, closed, port: listen(app), sources };
}

/** A client of graphql-ws itself. */
function connect(port, options) {
  const client = createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0, ...options });
  afterTest(() => client.dispose());
  return client;
}

async function results(client, query, variables) {
  const list = [];
  for await (const result of client.iterate({ query, variables })) list.push(result);
  return list;
}

/** A client by hand. Answers come by `message`. */
async function openRaw(port, { protocol = 'graphql-transport-ws', acknowledged = true } = {}) {
  const raw = await RawWebSocket.open(port, { path: '/graphql', fields: [`Sec-WebSocket-Protocol: ${protocol}`] });
  if (acknowledged) {
    say(raw, { type: 'connection_init' });
    assert.deepEqual(await message(raw), { type: 'connection_ack' });
  }
  return raw;
}

function say(raw, value) {
  raw.sendText(JSON.stringify(value));
}

async function message(raw) {
  const [kind, text] = await raw.frame();
  assert.equal(kind, 'text');
  return JSON.parse(text);
}

test('graphql-ws: queries and mutations, several at once, over one connection', async () => {
  const { port } = serve();
  const client = connect(port, { lazy: false });
  const answers = await Promise.all([
    results(client, '{ hello }'),
    results(client, 'query ($name: String) { hello(name: $name) }', { name: 'é✓😀' }),
    results(client, 'mutation { put(text: "12345") }'),
    results(client, '{ fail }'),
    results(client, '{ nothing }').catch((errors) => errors[0].message),
  ]);
  assert.deepEqual(answers.slice(0, 3).map(([{ data }]) => ({ ...data })), [{ hello: 'hello you' }, { hello: 'hello é✓😀' }, { put: 5 }]);
  assert.equal(answers[3][0].errors[0].message, 'resolver failed');
  assert.match(answers[4], /Cannot query field "nothing"/);
});

test('graphql-ws: subscriptions arrive in order and whole, and their errors too', async () => {
  const { port } = serve();
  const client = connect(port);
  const [short, long] = await Promise.all([
    results(client, 'subscription { count(to: 3) }'),
    results(client, 'subscription { count(to: 2000) }'),
  ]);
  assert.deepEqual(short.map(({ data }) => data.count), [0, 1, 2]);
  assert.deepEqual(long.map(({ data }) => data.count), [...Array(2000).keys()]);
  await assert.rejects(results(client, 'subscription { broken }'));
});

test('graphql-ws: a subscription that its client gives up ends on the server', async () => {
  const { port, sources } = serve();
  const client = connect(port);
  for await (const { data } of client.iterate({ query: 'subscription { forever }' })) if (data.forever === 5) break;
  assert.equal(await sources.ended.take(), 'forever');
  // And with a connection that breaks.
  const raw = await openRaw(port);
  say(raw, { id: 'a', type: 'subscribe', payload: { query: 'subscription { forever }' } });
  assert.equal((await message(raw)).type, 'next');
  raw.reset();
  assert.equal(await sources.ended.take(), 'forever');
});

test('graphql-ws: a client that does not read stops the subscription, and gets all of it when it reads', async () => {
  const { port, sources } = serve({}, { maxBackpressure: 64 * 1024 * 1024 });
  const pieces = 500;
  const raw = await openRaw(port);
  raw.pause();
  say(raw, { id: 'a', type: 'subscribe', payload: { query: `subscription { large(pieces: ${pieces}) }` } });
  // `send` has returned 0: nothing is asked for until `drain`. What the system buffers is a few megabytes.
  let asked = -1;
  while (asked !== sources.asked || asked < 2) {
    asked = sources.asked;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  assert.ok(asked < pieces, `stopped at ${asked}`);
  raw.resume();
  for (let piece = 0; piece < pieces; piece++) {
    const { type, payload } = await message(raw);
    assert.equal(type, 'next');
    assert.ok(payload.data.large.startsWith(`${piece}:`) && payload.data.large.length === PIECE);
  }
  assert.deepEqual(await message(raw), { id: 'a', type: 'complete' });
});

test('graphql-ws: a client that is gone while a subscription waits for drain ends it', async () => {
  const { port, sources, closed } = serve({}, { maxBackpressure: 64 * 1024 * 1024 });
  const raw = await openRaw(port);
  raw.pause();
  say(raw, { id: 'a', type: 'subscribe', payload: { query: 'subscription { large(pieces: 100000) }' } });
  await until(() => sources.asked > 10);
  raw.reset();
  const [code, reason] = await closed.take();
  assert.equal(code, 1006);
  assert.notEqual(reason, '');
});

const CLOSES = [
  [4400, 'Invalid message received', {}, (raw) => raw.sendText('nonsense')],
  [4400, /Invalid message/, {}, (raw) => say(raw, { type: 'what is this' })],
  [4401, 'Unauthorized', { acknowledged: false }, (raw) => say(raw, { id: 'a', type: 'subscribe', payload: { query: '{ hello }' } })],
  [4403, 'Forbidden', { acknowledged: false, onConnect: () => false }, (raw) => say(raw, { type: 'connection_init' })],
  [4406, 'Subprotocol not acceptable', { acknowledged: false, protocol: 'other' }, () => {}],
  [4408, 'Connection initialisation timeout', { acknowledged: false, connectionInitWaitTimeout: 20 }, () => {}],
  [4409, 'Subscriber for a already exists', {}, (raw) => {
    say(raw, { id: 'a', type: 'subscribe', payload: { query: 'subscription { forever }' } });
    say(raw, { id: 'a', type: 'subscribe', payload: { query: 'subscription { forever }' } });
  }],
  [4429, 'Too many initialisation requests', {}, (raw) => say(raw, { type: 'connection_init' })],
  [4500, 'subscribe failed', { onSubscribe: () => { throw new Error('subscribe failed'); } }, (raw) => {
    say(raw, { id: 'a', type: 'subscribe', payload: { query: '{ hello }' } });
  }],
];
for (const [code, reason, { acknowledged, protocol, ...options }, provoke] of CLOSES) {
  test(`graphql-ws: closes with ${code} ${reason}, at both ends`, async () => {
    const { error } = console;
    console.error = () => {};
    afterTest(() => {
      console.error = error;
    });
    const { port, closed } = serve(options);
    const raw = await openRaw(port, { acknowledged, protocol });
    provoke(raw);
    let received = await raw.frame();
    while (received[0] === 'text') received = await raw.frame();
    raw.send(closeFrame(code));
    assert.deepEqual(received.slice(0, 2), ['close', code]);
    const [closedBy, why] = await closed.take();
    assert.equal(closedBy, code);
    for (const text of [received[2], why]) {
      if (typeof reason === 'string') assert.equal(text, reason);
      else assert.match(text, reason);
    }
  });
}

test('graphql-ws: the close code and the reason of the client reach the server', async () => {
  const { port, closed } = serve();
  const raw = await openRaw(port);
  raw.send(closeFrame(4321, 'had enough'));
  assert.deepEqual(await closed.take(), [4321, 'had enough']);
});

test('graphql-ws: keeps connections alive by pings, and drops those that do not answer', async () => {
  const closed = new Mailbox();
  const app = createApp();
  const options = { schema: buildSchema(SCHEMA), onClose: (context, code) => { closed.put(code); } };
  app.ws('/graphql', makeBehavior(options, {}, 30));
  const port = listen(app);
  const raw = await openRaw(port, { acknowledged: false });
  assert.deepEqual(await raw.frame(), ['ping', '']);
  assert.equal(await closed.take(), 1006);
});

test('graphql-ws: the handshake selects the protocol, and the request can be read in onConnect', async () => {
  const seen = new Mailbox();
  const { port } = serve({ onConnect: ({ extra, connectionParams }) => { seen.put([extra.persistedRequest, connectionParams]); } });
  const raw = await RawWebSocket.open(port, {
    path: '/graphql?a=b',
    fields: ['Sec-WebSocket-Protocol: other, graphql-transport-ws', 'X-Client: yes'],
  });
  assert.match(raw.head, /sec-websocket-protocol: graphql-transport-ws/i);
  say(raw, { type: 'connection_init', payload: { token: 'x' } });
  const [request, parameters] = await seen.take();
  assert.deepEqual([request.method, request.url, request.query, request.headers['x-client']], ['get', '/graphql', 'a=b', 'yes']);
  assert.deepEqual(parameters, { token: 'x' });
});
