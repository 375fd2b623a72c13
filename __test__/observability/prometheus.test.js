'use strict';

// `ferrows/prometheus`, its dashboard and its alert rules.

const { spawnSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const { CONTENT_TYPE, metricsHandler, metricsOf } = require('../../prometheus.js');
const { afterTest } = require('../helpers/cleanup.js');
const { failureOf } = require('../helpers/failure.js');
const { Mailbox } = require('../helpers/mailbox.js');
const { parse } = require('../helpers/prometheus-text.js');
const { RawClient } = require('../helpers/raw-http.js');
const { RawWebSocket, closeFrame } = require('../helpers/raw-websocket.js');
const { createApp, listen } = require('../helpers/server.js');

const GRAFANA = join(__dirname, '../../docs/grafana');
const read = (name) => readFileSync(join(GRAFANA, name), 'utf8');

/** An app whose broker is away: nobody listens at that socket. */
const withBroker = (more) => createApp({ broker: { name: 'metrics', url: 'redis+unix:///nonexistent/redis.sock', ...more } });

/** Waits until a condition holds. */
async function waitFor(holds) {
  while (!holds()) await new Promise((resolve) => { setTimeout(resolve, 10); });
}

/** Debian has it in the package `prometheus`. */
const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;
const testWithPromtool = hasPromtool ? test : test.skip;
if (!hasPromtool) console.warn('promtool is missing (Debian: prometheus): what only it can check is skipped');

test('every counter is there before its first event, and every metric has help and a type', () => {
  const metrics = parse(metricsOf(withBroker()));
  for (const [name, { type, samples }] of metrics) {
    // What has no fixed set of labels: patterns that are found, threads that run.
    if (['ferrows_websocket_cut_connections_total', 'ferrows_worker_cpu_seconds_total'].includes(name)) continue;
    expect([name, samples.size > 0]).toEqual([name, true]);
    if (type !== 'gauge') expect([...samples.values()].filter((number) => number !== 0)).toEqual([]);
  }
  const zero = (name, labels) => expect(metrics.get(`ferrows_${name}`).samples.get(labels)).toBe(0);
  zero('websocket_closes_total', '{cause="ERR_FIN_WITHOUT_CLOSE"}');
  zero('responses_aborted_total', '{cause="ERR_FIN_BEFORE_RESPONSE"}');
  zero('requests_refused_total', '{rule="ERR_HTTP_MISSING_HOST"}');
  zero('broker_messages_lost_total', '{broker="metrics",direction="sent"}');
  zero('broker_messages_lost_total', '{broker="metrics",direction="received"}');
});

test('a broker without a server has apps and topics only, and an app without a broker has no samples of one', () => {
  const samplesOf = (app) => [...parse(metricsOf(app))].filter(([name, { samples }]) => name.includes('_broker_') && samples.size > 0)
    .map(([name, { samples }]) => [name, Object.fromEntries(samples)]);
  expect(samplesOf(createApp())).toEqual([]);
  const apps = [1, 2].map(() => createApp({ broker: { name: 'metrics-local' } }));
  for (const app of apps) {
    expect(samplesOf(app)).toEqual([
      ['ferrows_broker_apps', { '{broker="metrics-local"}': 2 }],
      ['ferrows_broker_topics', { '{broker="metrics-local"}': 0 }],
    ]);
  }
});

test('what a broker that is away keeps back is pending, and what does not fit is lost', async () => {
  const app = withBroker({ name: 'metrics-pending', maxPending: 1000 });
  const numbers = () => {
    const metrics = parse(metricsOf(app));
    const of = (name, labels = '') => metrics.get(`ferrows_broker_${name}`).samples.get(`{broker="metrics-pending"${labels}}`);
    return { connected: of('connected'), pending: of('pending_bytes'), lost: of('messages_lost_total', ',direction="sent"') };
  };
  app.publish('news', 'x'.repeat(400));
  await waitFor(() => numbers().pending > 400);
  expect(numbers()).toEqual({ connected: 0, pending: expect.any(Number), lost: 0 });
  for (let index = 0; index < 4; index++) app.publish('news', 'x'.repeat(400));
  await waitFor(() => numbers().lost > 0);
  expect(numbers().pending).toBeLessThanOrEqual(1000);
});

test('a close is counted by its silence and its age', async () => {
  const closes = new Mailbox();
  const app = createApp().ws('/*', { close: () => closes.put() });
  const port = listen(app);
  (await RawWebSocket.open(port)).finish();
  await closes.take();
  (await RawWebSocket.open(port)).send(closeFrame(1000));
  await closes.take();
  const metrics = parse(metricsOf(app));
  for (const name of ['silence', 'age']) {
    const { samples } = metrics.get(`ferrows_websocket_${name}_at_close_seconds`);
    for (const [initiator, count] of [['transport', 1], ['peer', 1], ['local', 0]]) {
      expect(samples.get(`_count{initiator="${initiator}"}`)).toBe(count);
      expect(samples.get(`_bucket{initiator="${initiator}",le="3600"}`)).toBe(count);
    }
  }
});

test('prefix and labels are those that were asked for, and values are escaped', () => {
  const text = metricsOf(createApp(), { prefix: 'chat', labels: { service: 'a "b"\\\n' } });
  const metrics = parse(text);
  expect([...metrics.keys()].filter((name) => !name.startsWith('chat_'))).toEqual([]);
  expect(metrics.get('chat_requests_total').samples.get('{service="a \\"b\\"\\\\\\n"}')).toBe(0);
  expect(metrics.get('chat_connections_open').samples.has('{service="a \\"b\\"\\\\\\n",protocol="http"}')).toBe(true);
});

test('a route answers with them, those of another app too', async () => {
  const app = createApp();
  const other = createApp().get('/metrics', metricsHandler(app));
  const response = await (await RawClient.connect(listen(other))).get('/metrics');
  expect([response.status, response.values('content-type')]).toEqual([200, [CONTENT_TYPE]]);
  expect(parse(response.text).get('ferrows_connections_total').samples.get('{protocol="http"}')).toBe(0);
});

test.each([
  ['no app', [{}], 'ERR_INVALID_THIS'],
  ['no options', ['app', 'x'], 'ERR_INVALID_ARG_TYPE'],
  ['null for options', ['app', null], 'ERR_INVALID_ARG_TYPE'],
  ['a prefix that is no name', ['app', { prefix: '1' }], 'ERR_INVALID_ARG_VALUE'],
  ['an empty prefix', ['app', { prefix: '' }], 'ERR_INVALID_ARG_VALUE'],
  ['a label that is no name', ['app', { labels: { 'a-b': 'x' } }], 'ERR_INVALID_ARG_VALUE'],
  ['a label that the metrics have', ['app', { labels: { cause: 'x' } }], 'ERR_INVALID_ARG_VALUE'],
  ['a label that the metrics of a broker have', ['app', { labels: { broker: 'x' } }], 'ERR_INVALID_ARG_VALUE'],
  ['a value that is no string', ['app', { labels: { a: 1 } }], 'ERR_INVALID_ARG_TYPE'],
  ['labels that are no object', ['app', { labels: 'x' }], 'ERR_INVALID_ARG_TYPE'],
])('%s is refused', (title, [app, options], code) => {
  const args = [app === 'app' ? createApp() : app, options];
  for (const call of [metricsOf, metricsHandler]) expect(failureOf(() => call(...args)).code).toBe(code);
});

/** The names that an expression or a query has of metrics. */
const namesIn = (text) => new Set(text.match(/ferrows_[a-z_]+/g));

describe('docs/grafana', () => {
  const metrics = parse(metricsOf(createApp()));
  const known = new Set([...metrics].flatMap(([name, { type }]) => (
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name])));

  test.each(['ferrows.json', 'alerts.yml'])('%s asks for metrics that there are', (name) => {
    const asked = namesIn(read(name));
    expect(asked.size).toBeGreaterThan(5);
    expect([...asked].filter((metric) => !known.has(metric))).toEqual([]);
  });

  test('ferrows.json is a dashboard whose panels lie side by side, and shows nearly all there is', () => {
    const { title, uid, panels, templating } = JSON.parse(read('ferrows.json'));
    expect([title, uid]).toEqual(['Ferrows', 'ferrows']);
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance']);
    const places = new Set();
    for (const { id, title: about, description, gridPos: { x, y, w, h }, targets } of panels) {
      expect([about, description].every(Boolean)).toBe(true);
      expect(targets.length).toBeGreaterThan(0);
      for (let column = x; column < x + w; column++) {
        for (let row = y; row < y + h; row++) {
          expect([id, column < 24, places.has(`${column},${row}`)]).toEqual([id, true, false]);
          places.add(`${column},${row}`);
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const shown = namesIn(read('ferrows.json'));
    const hidden = [...metrics.keys()].filter((name) => !shown.has(name) && !shown.has(`${name}_bucket`));
    expect(hidden).toEqual(['ferrows_queue_event_bytes', 'ferrows_broker_apps']);
  });

  testWithPromtool('promtool accepts the rules', () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', join(GRAFANA, 'alerts.yml')], { encoding: 'utf8' });
    expect([status, stdout + stderr]).toEqual([0, expect.stringMatching(/SUCCESS: \d+ rules found/)]);
  });

  testWithPromtool('promtool accepts the queries of the dashboard', () => {
    const { panels } = JSON.parse(read('ferrows.json'));
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const rules = queries.map((query, index) => ({ record: `query:${index}`, expr: query.replaceAll('$__rate_interval', '5m') }));
    const folder = mkdtempSync(join(tmpdir(), 'ferrows-dashboard-'));
    afterTest(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'rules.json');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    const { status, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });
});

testWithPromtool('promtool accepts the metrics', () => {
  for (const app of [createApp(), withBroker()]) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: metricsOf(app), encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([0, '', '']);
  }
});
