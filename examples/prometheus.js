'use strict';

/**
 * Metrics for Prometheus, in its text format 0.0.4. They are served by an app of their own, on the loopback interface, so
 * that nobody else reads them: METRICS_PORT, or 9101.
 *
 * `curl localhost:9101/metrics`, and in prometheus.yml:
 *
 *   scrape_configs:
 *     - job_name: ferrows
 *       static_configs: [{ targets: ['localhost:9101'] }]
 */

const uWS = require('../index.js');

const port = Number(process.env.PORT ?? 9001);
const metricsPort = Number(process.env.METRICS_PORT ?? 9101);

/** Name without `ferrows_`, type, help, and how to get the samples: a number, or `[labels, number]` for each. */
const METRICS = [
  ['uptime_seconds', 'gauge', 'Seconds since the app was made.', (stats) => stats.uptime],
  ['connections_open', 'gauge', 'Connections at this moment.', ({ connections }) => byProtocol(connections, 'open')],
  [
    'connections_total', 'counter', 'Connections accepted (http), and those of them that became WebSockets.',
    ({ connections }) => byProtocol(connections, 'total'),
  ],
  ['requests_total', 'counter', 'Requests whose head broke no rule.', (stats) => stats.requests],
  ['messages_received_total', 'counter', 'WebSocket messages from clients.', ({ messages }) => messages.received],
  ['messages_sent_total', 'counter', 'WebSocket messages to clients.', ({ messages }) => messages.sent],
  ['messages_dropped_total', 'counter', 'WebSocket messages kept back because clients read too slowly.', ({ messages }) => messages.dropped],
  ['received_bytes_total', 'counter', 'Bytes from clients.', ({ bytes }) => bytes.received],
  ['sent_bytes_total', 'counter', 'Bytes to clients.', ({ bytes }) => bytes.sent],
  ['websocket_closes_total', 'counter', 'WebSockets that closed, by info.cause.', ({ closes }) => by('cause', closes.webSocket)],
  ['responses_aborted_total', 'counter', 'Responses that were aborted, by info.cause.', ({ closes }) => by('cause', closes.aborted)],
  ['requests_refused_total', 'counter', 'Requests that broke a rule of HTTP.', ({ closes }) => by('rule', closes.refused)],
  ['handshake_failures_total', 'counter', 'Handshakes that failed.', ({ handshakeFailures }) => by('kind', handshakeFailures)],
  ['queue_events', 'gauge', 'Events that wait for handlers.', ({ queues }) => queues.events],
  ['queue_event_bytes', 'gauge', 'Memory of events that wait for handlers.', ({ queues }) => queues.eventBytes],
  ['queue_commands', 'gauge', 'Commands that wait for I/O threads.', ({ queues }) => queues.commands],
  ['backpressure_bytes', 'gauge', 'Bytes that clients are too slow to take.', ({ queues }) => queues.backpressure],
  ['worker_cpu_seconds_total', 'counter', 'Processor time of the I/O threads.', ({ workers }) => byWorker(workers)],
];

function by(label, counts) {
  return Object.entries(counts).map(([value, count]) => [{ [label]: value }, count]);
}

function byProtocol({ http, webSocket }, key) {
  return [[{ protocol: 'http' }, http[key]], [{ protocol: 'websocket' }, webSocket[key]]];
}

/** Only Linux reports the processor time of threads. */
function byWorker(workers) {
  return workers.filter(({ cpu }) => cpu !== undefined).map(({ name, cpu }) => [{ worker: name }, cpu]);
}

/** The text that Prometheus reads. */
function format(stats) {
  return METRICS.map(([name, type, help, read]) => {
    const samples = read(stats);
    const list = Array.isArray(samples) ? samples : [[{}, samples]];
    const lines = list.map(([labels, number]) => `ferrows_${name}${formatLabels(labels)} ${number}\n`);
    return `# HELP ferrows_${name} ${help}\n# TYPE ferrows_${name} ${type}\n${lines.join('')}`;
  }).join('');
}

/** Values need no escapes here: they are names of causes, rules and threads. */
function formatLabels(labels) {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? '' : `{${pairs.join()}}`;
}

const app = uWS
  .App()
  .get('/', (res) => res.end('Hello.\n'))
  .ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });

const metrics = uWS.App({ threads: 1 }).get('/metrics', (res) => {
  res.writeHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8').end(format(app.getStats()));
});

app.listen(port, (token, error) => {
  if (!token) throw error;
  metrics.listen('127.0.0.1', metricsPort, (metricsToken, metricsError) => {
    if (!metricsToken) throw metricsError;
    const [main, own] = [token, metricsToken].map((it) => uWS.us_socket_local_port(it));
    console.log(`http://localhost:${main}, metrics on http://localhost:${own}/metrics`);
  });
});
