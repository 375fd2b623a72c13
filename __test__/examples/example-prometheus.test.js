'use strict';

// examples/prometheus.js, read as strictly as Prometheus reads it: text format 0.0.4.

const { Example } = require('../helpers/example.js');
const { parse } = require('../helpers/prometheus-text.js');
const { RawClient, request } = require('../helpers/raw-http.js');
const { RawWebSocket } = require('../helpers/raw-websocket.js');

async function start() {
  const example = await Example.start('prometheus.js', { METRICS_PORT: '0' });
  const client = await RawClient.connect(Number(/metrics on http:\/\/localhost:(\d+)\/metrics$/.exec(example.line)[1]));
  const scrape = async () => {
    const response = await client.get('/metrics');
    expect([response.status, response.values('content-type')]).toEqual([200, ['text/plain; version=0.0.4; charset=utf-8']]);
    return parse(response.text);
  };
  return { port: example.port, scrape };
}

/** Makes every kind of counter grow. */
async function talk(port) {
  const client = await RawClient.connect(port);
  expect((await client.get('/')).text).toBe('Hello.\n');
  await client.send('GET / HTTP/1.1\r\n\r\n');
  await client.rest();
  const socket = await RawWebSocket.open(port);
  socket.sendText('hello');
  expect(await socket.frame()).toEqual(['text', 'hello']);
  socket.send('88 80 00000000');
  expect(await socket.frame()).toEqual(['close']);
  const other = await RawClient.connect(port);
  await other.send(request('GET', '/chat', ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']));
  expect((await other.response()).status).toBe(400);
}

test('every line is one of the format, and every metric has help and a type', async () => {
  const { port, scrape } = await start();
  expect([...(await scrape()).keys()].every((name) => name.startsWith('ferrows_'))).toBe(true);
  await talk(port);
  const metrics = await scrape();
  const sample = (name, labels = '') => metrics.get(`ferrows_${name}`).samples.get(labels);
  expect(sample('connections_total', '{protocol="http"}')).toBe(3);
  expect(sample('connections_total', '{protocol="websocket"}')).toBe(1);
  expect(sample('requests_total')).toBe(3);
  expect(sample('messages_received_total')).toBe(1);
  expect(sample('messages_sent_total')).toBe(1);
  expect(sample('websocket_closes_total', '{cause="CLOSED_BY_PEER_WITHOUT_CODE"}')).toBe(1);
  expect(sample('requests_refused_total', '{rule="ERR_HTTP_MISSING_HOST"}')).toBe(1);
  expect(sample('handshake_failures_total', '{kind="webSocket"}')).toBe(1);
});

test('counters only grow, and what had been there stays', async () => {
  const { port, scrape } = await start();
  let before = await scrape();
  for (let round = 0; round < 5; round++) {
    await talk(port);
    const now = await scrape();
    for (const [name, { type, samples }] of before) {
      if (type === 'gauge') continue;
      for (const [labels, number] of samples) {
        expect(now.get(name).samples.get(labels)).toBeGreaterThanOrEqual(number);
      }
    }
    expect(now.get('ferrows_requests_total').samples.get('')).toBe(3 * (round + 1));
    before = now;
  }
});
