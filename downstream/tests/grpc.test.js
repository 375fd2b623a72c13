'use strict';

// @grpc/grpc-js: its client against handlers that speak gRPC by themselves, which needs HTTP/2 and trailers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const grpc = require('@grpc/grpc-js');
const uWS = require('uWebSockets.js');

const { certificate } = require('../../__test__/helpers/certificates.js');
const { afterTest, createApp, listen, Mailbox, test } = require('../helpers/project.js');

/** What a message is in a body: not compressed, its length, its bytes. */
function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The messages of a body. */
function messagesOf(body) {
  const messages = [];
  for (let rest = Buffer.from(body); rest.length >= 5; rest = rest.subarray(5 + rest.readUInt32BE(1))) {
    messages.push(Buffer.from(rest.subarray(5, 5 + rest.readUInt32BE(1))));
  }
  return messages;
}

/** A service: `Echo` answers as it was asked, `Count` streams numbers, `Sum` takes a stream, `Fail` fails, `Hang` never answers. */
function serveGrpc(app) {
  const aborts = new Mailbox();
  const start = (res) => res.writeHeader('Content-Type', 'application/grpc');
  const unary = (path, answer) => app.post(path, (res, req) => {
    const name = req.getHeader('x-name');
    res.onAborted((reason, info) => aborts.put({ reason, info }));
    res.collectBody(4 << 20, (body) => answer(res, messagesOf(body), name));
  });
  unary('/test.Test/Echo', (res, [message], name) => {
    start(res).writeHeader('X-Initial', name).writeTrailer('x-last', 'bye').writeTrailer('grpc-status', '0').end(framed(message));
  });
  unary('/test.Test/Count', (res, [message]) => {
    start(res);
    const to = Number(message);
    for (let number = 1; number <= to; number++) res.write(framed(Buffer.from(String(number))));
    res.writeTrailer('grpc-status', '0').end();
  });
  unary('/test.Test/Sum', (res, messages) => {
    const sum = messages.reduce((total, message) => total + Number(message), 0);
    start(res).writeTrailer('grpc-status', '0').end(framed(Buffer.from(String(sum))));
  });
  unary('/test.Test/Fail', (res) => {
    start(res).writeTrailer('grpc-status', '5').writeTrailer('grpc-message', 'nothing%20there').end();
  });
  unary('/test.Test/Hang', () => {});
  // Status and message may stand in the head if there is nothing else: "Trailers-Only".
  app.any('/*', (res) => start(res).writeHeader('grpc-status', '12').writeHeader('grpc-message', 'unimplemented').end());
  return aborts;
}

const same = (value) => value;

/** A client, and the calls that it makes. */
function clientOf(port, credentials) {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials);
  afterTest(() => client.close());
  return {
    unary(method, message, { metadata = new grpc.Metadata(), options = {} } = {}) {
      let call;
      const answer = new Promise((resolve, reject) => {
        call = client.makeUnaryRequest(`/test.Test/${method}`, same, same, Buffer.from(message), metadata, options, (error, value) => {
          if (error) reject(error);
          else resolve(String(value));
        });
      });
      return { call, answer };
    },
    streaming: (method, message) => client.makeServerStreamRequest(`/test.Test/${method}`, same, same, Buffer.from(message)),
    uploading: (method, callback) => client.makeClientStreamRequest(`/test.Test/${method}`, same, same, callback),
  };
}

const { ca, key_file_name, cert_file_name } = certificate();
const LINES = [
  ['h2c', () => createApp({ http2: true }), () => grpc.credentials.createInsecure()],
  ['TLS', () => {
    const app = uWS.SSLApp({ key_file_name, cert_file_name, http2: true });
    afterTest(() => app.close());
    return app;
  }, () => grpc.credentials.createSsl(Buffer.from(ca))],
];

for (const [line, create, credentials] of LINES) {
  const connect = () => {
    const app = create();
    const aborts = serveGrpc(app);
    return { client: clientOf(listen(app), credentials()), aborts };
  };

  test(`gRPC over ${line}: a unary call, with metadata before and behind it`, async () => {
    const { client } = connect();
    const metadata = new grpc.Metadata();
    metadata.set('x-name', 'you');
    const { call, answer } = client.unary('Echo', 'hello', { metadata });
    const [[initial], [status], text] = await Promise.all([once(call, 'metadata'), once(call, 'status'), answer]);
    assert.equal(text, 'hello');
    assert.deepEqual(initial.get('x-initial'), ['you']);
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(status.metadata.get('x-last'), ['bye']);
  });

  test(`gRPC over ${line}: a message of a megabyte comes whole`, async () => {
    const { client } = connect();
    const message = 'm'.repeat(1 << 20);
    assert.equal(await client.unary('Echo', message).answer, message);
  });

  test(`gRPC over ${line}: a call whose response is a stream, and ends with a status`, async () => {
    const { client } = connect();
    const call = client.streaming('Count', '1000');
    const ended = once(call, 'status');
    const numbers = [];
    for await (const message of call) numbers.push(Number(message));
    assert.deepEqual(numbers, Array.from({ length: 1000 }, (_, index) => index + 1));
    const [{ code }] = await ended;
    assert.equal(code, grpc.status.OK);
  });

  test(`gRPC over ${line}: a call whose request is a stream`, async () => {
    const { client } = connect();
    const sum = await new Promise((resolve, reject) => {
      const call = client.uploading('Sum', (error, value) => (error ? reject(error) : resolve(Number(value))));
      for (let number = 1; number <= 100; number++) call.write(Buffer.from(String(number)));
      call.end();
    });
    assert.equal(sum, 5050);
  });

  test(`gRPC over ${line}: errors, behind an empty body and in the place of one`, async () => {
    const { client } = connect();
    await assert.rejects(client.unary('Fail', '').answer, { code: grpc.status.NOT_FOUND, details: 'nothing there' });
    await assert.rejects(client.unary('Nothing', '').answer, { code: grpc.status.UNIMPLEMENTED, details: 'unimplemented' });
  });

  test(`gRPC over ${line}: a deadline and a cancellation reach the handler`, async () => {
    const { client, aborts } = connect();
    await assert.rejects(client.unary('Hang', '', { options: { deadline: Date.now() + 300 } }).answer, { code: grpc.status.DEADLINE_EXCEEDED });
    assert.equal((await aborts.take()).info.cause, 'ERR_HTTP2_STREAM_RESET');
    const { call, answer } = client.unary('Hang', '');
    setImmediate(() => call.cancel());
    await assert.rejects(answer, { code: grpc.status.CANCELLED });
  });
}
