'use strict';

// undici over HTTP/2.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Readable } = require('node:stream');
const { Client, Agent, fetch } = require('undici');
const uWS = require('uWebSockets.js');

const { certificate } = require('../../__test__/helpers/certificates.js');
const { afterTest, createApp, listen, Mailbox, test } = require('../helpers/project.js');

const { ca, key_file_name, cert_file_name } = certificate();
const LONG = 'a megabyte of this. '.repeat(52_429);

/** The routes; `ports` gets the port of each request's connection, `aborts` the cause of each abort. */
function serve(app) {
  const [ports, aborts] = [new Set(), new Mailbox()];
  app.get('/hello/*', (res, req) => {
    ports.add(res.getRemotePort());
    res.writeHeader('X-Path', req.getUrl()).end('hello');
  });
  app.get('/long', (res) => res.onAborted(() => {}).end(LONG));
  app.get('/wait', (res) => res.onAborted((reason, { cause }) => aborts.put(cause)).write('begun'));
  app.post('/echo', (res, req) => {
    res.onAborted(() => {});
    res.collectBody(1 << 22, (body) => res.writeHeader('X-Length', req.getHeader('content-length')).end(body));
  });
  return { port: listen(app), ports, aborts };
}

const LINES = [
  ['TLS', () => {
    const app = uWS.SSLApp({ key_file_name, cert_file_name, http2: true });
    afterTest(() => app.close());
    return app;
  }, 'https', { allowH2: true, connect: { ca } }],
  ['h2c', () => createApp({ http2: true }), 'http', { useH2c: true }],
];

for (const [line, create, scheme, options] of LINES) {
  const connect = () => {
    const server = serve(create());
    const origin = `${scheme}://127.0.0.1:${server.port}`;
    const client = new Client(origin, { pipelining: 50, ...options });
    afterTest(() => client.destroy());
    return { client, origin, ...server };
  };

  test(`undici over ${line}: a hundred requests at a time share a connection`, async () => {
    const { client, ports } = connect();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => client.request({ path: `/hello/${index}`, method: 'GET' })));
    for (const [index, { statusCode, headers, body }] of answers.entries()) {
      assert.equal(statusCode, 200);
      assert.equal(headers['x-path'], `/hello/${index}`);
      assert.equal(await body.text(), 'hello');
    }
    assert.equal(ports.size, 1);
  });

  test(`undici over ${line}: bodies in both directions, with and without a length`, async () => {
    const { client } = connect();
    const { body } = await client.request({ path: '/long', method: 'GET' });
    assert.equal(await body.text(), LONG);
    for (const [sent, length] of [[LONG, String(LONG.length)], [Readable.from([LONG.slice(0, 700_000), LONG.slice(700_000)]), '']]) {
      const answer = await client.request({ path: '/echo', method: 'POST', body: sent });
      assert.equal(await answer.body.text(), LONG);
      assert.equal(answer.headers['x-length'] ?? '', length);
    }
    const { statusCode } = await client.request({ path: '/none', method: 'HEAD' });
    assert.equal(statusCode, 404);
  });

  test(`undici over ${line}: a request that is given up aborts its response, and the connection lives on`, async () => {
    const { client, aborts, ports } = connect();
    await (await client.request({ path: '/hello/1', method: 'GET' })).body.dump();
    const controller = new AbortController();
    const { body } = await client.request({ path: '/wait', method: 'GET', signal: controller.signal });
    body.on('error', () => {});
    await once(body, 'data');
    controller.abort();
    assert.equal(await aborts.take(), 'ERR_HTTP2_STREAM_RESET');
    await (await client.request({ path: '/hello/2', method: 'GET' })).body.dump();
    assert.equal(ports.size, 1);
  });

  test(`undici over ${line}: fetch with an agent`, async () => {
    const { origin } = connect();
    const dispatcher = new Agent(options);
    afterTest(() => dispatcher.destroy());
    const response = await fetch(`${origin}/echo`, { method: 'POST', body: LONG, dispatcher });
    assert.equal(await response.text(), LONG);
  });
}
