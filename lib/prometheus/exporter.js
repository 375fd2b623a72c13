'use strict';

// Formats the statistics of an app for Prometheus, in its text format 0.0.4.

const { appNumber } = require('../app/app.js');
const { histogramsOf, statsOf } = require('../app/stats.js');
const { typeError } = require('../runtime/errors.js');
const { checkNames } = require('../runtime/options.js');

/** The `Content-Type` of the format. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Name without prefix, type, help, and how to get the samples: a number, or `[labels, number]` for each. */
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
  [
    'websocket_cut_connections_total', 'counter', 'WebSockets that were cut after a fixed time of silence, as getStats().patterns has them.',
    ({ patterns }) => patterns.map(({ cause, silence, count }) => [{ cause, silence: String(silence) }, count]),
  ],
  ['responses_aborted_total', 'counter', 'Responses that were aborted, by info.cause.', ({ closes }) => by('cause', closes.aborted)],
  ['requests_refused_total', 'counter', 'Connections that broke a rule of HTTP or the PROXY protocol.', ({ closes }) => by('rule', closes.refused)],
  ['handshake_failures_total', 'counter', 'Handshakes that failed.', ({ handshakeFailures }) => by('kind', handshakeFailures)],
  ['queue_events', 'gauge', 'Events that wait for handlers.', ({ queues }) => queues.events],
  ['queue_event_bytes', 'gauge', 'Memory of events that wait for handlers.', ({ queues }) => queues.eventBytes],
  ['queue_commands', 'gauge', 'Commands that wait for I/O threads.', ({ queues }) => queues.commands],
  ['backpressure_bytes', 'gauge', 'Bytes that clients are too slow to take.', ({ queues }) => queues.backpressure],
  ['backpressure_limit_bytes', 'gauge', 'How many of these there may be; 0 for any number.', ({ queues }) => queues.maxBufferedOutput],
  ['worker_cpu_seconds_total', 'counter', 'Processor time of the I/O threads.', ({ workers }) => byWorker(workers)],
  ['broker_apps', 'gauge', 'Apps of this process that have the broker.', ofBroker(({ apps }) => apps)],
  ['broker_topics', 'gauge', 'Topics that have a subscriber in this process.', ofBroker(({ topics }) => topics)],
  ['broker_connected', 'gauge', 'Whether there is a connection to the broker: 1 or 0.', ofServer(({ state }) => Number(state === 'connected'))],
  ['broker_subscribed_topics', 'gauge', 'Topics that this process is subscribed to at the broker.', ofServer(({ subscribed }) => subscribed)],
  ['broker_pending_bytes', 'gauge', 'Bytes that wait to be sent to the broker.', ofServer(({ pending }) => pending)],
  ['broker_reconnects_total', 'counter', 'Connections to the broker after the first one.', ofServer(({ reconnects }) => reconnects)],
  ['broker_messages_received_total', 'counter', 'Messages of other processes.', ofServer(({ messages }) => messages.received)],
  ['broker_messages_sent_total', 'counter', 'Messages that the broker has taken.', ofServer(({ messages }) => messages.sent)],
  [
    'broker_messages_lost_total', 'counter', 'Messages that did not get to the broker (sent), and those of others that did not get here (received).',
    ofServer(({ lost }) => by('direction', lost)),
  ],
  ['broker_received_bytes_total', 'counter', 'Bytes of messages of other processes.', ofServer(({ bytes }) => bytes.received)],
  ['broker_sent_bytes_total', 'counter', 'Bytes of messages that the broker has taken.', ofServer(({ bytes }) => bytes.sent)],
];

/** The histograms of `histogramsOf`: name without prefix, and help. */
const HISTOGRAMS = {
  silence: [
    'websocket_silence_at_close_seconds',
    'How long nothing had moved on a WebSocket, in either direction, when it closed. A step at 60 s is a proxy that cuts quiet lines.',
  ],
  age: ['websocket_age_at_close_seconds', 'How long a WebSocket had been open when it closed.'],
};

const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const PREFIX = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** The metrics of an app as text. */
function metricsOf(app, options) {
  return format(appNumber(app), readOptions(options));
}

/** A handler that answers with the metrics of an app. */
function metricsHandler(app, options) {
  const [number, settings] = [appNumber(app), readOptions(options)];
  return (res) => res.writeHeader('Content-Type', CONTENT_TYPE).writeHeader('Cache-Control', 'no-store').end(format(number, settings));
}

function readOptions(options = {}) {
  if (typeof options !== 'object' || options === null) throw typeError('ERR_INVALID_ARG_TYPE', 'options must be an object');
  const { prefix = 'ferrows', labels = {} } = options;
  if (typeof prefix !== 'string' || !PREFIX.test(prefix)) {
    throw typeError('ERR_INVALID_ARG_VALUE', 'prefix must be the start of a name of a metric: letters, digits, _ and :');
  }
  if (typeof labels !== 'object' || labels === null) throw typeError('ERR_INVALID_ARG_TYPE', 'labels must be an object');
  for (const [name, value] of Object.entries(labels)) {
    if (!LABEL.test(name) || name.startsWith('__')) {
      throw typeError('ERR_INVALID_ARG_VALUE', `labels has ${JSON.stringify(name)}, which is no name of a label`);
    }
    if (RESERVED.has(name)) throw typeError('ERR_INVALID_ARG_VALUE', `labels has ${name}, which the metrics have themselves`);
    if (typeof value !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', `labels.${name} must be a string`);
  }
  checkNames('metrics', options, ['prefix', 'labels']);
  return { prefix, labels: { ...labels } };
}

/** The labels of the metrics themselves. */
const RESERVED = new Set(['protocol', 'cause', 'rule', 'kind', 'worker', 'initiator', 'silence', 'le', 'broker', 'direction']);

function format(app, { prefix, labels }) {
  const stats = statsOf(app, true);
  const lines = METRICS.flatMap(([name, type, help, read]) => {
    const samples = read(stats);
    const list = Array.isArray(samples) ? samples : [[{}, samples]];
    return [
      ...headOf(`${prefix}_${name}`, type, help),
      ...list.map(([own, number]) => `${prefix}_${name}${formatLabels({ ...labels, ...own })} ${number}`),
    ];
  });
  for (const [name, series] of Object.entries(histogramsOf(app))) {
    const [metric, help] = HISTOGRAMS[name];
    lines.push(...headOf(`${prefix}_${metric}`, 'histogram', help));
    for (const one of series) lines.push(...linesOf(`${prefix}_${metric}`, labels, one));
  }
  return `${lines.join('\n')}\n`;
}

function headOf(name, type, help) {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

/** The lines of a histogram. Its counts are those between two bounds; Prometheus wants those up to each bound. */
function linesOf(name, labels, { initiator, bounds, counts, sum }) {
  const own = { ...labels, initiator };
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    return `${name}_bucket${formatLabels({ ...own, le: index < bounds.length ? String(bounds[index]) : '+Inf' })} ${total}`;
  });
  return [...buckets, `${name}_sum${formatLabels(own)} ${sum}`, `${name}_count${formatLabels(own)} ${total}`];
}

function by(label, counts) {
  return Object.entries(counts).map(([value, count]) => [{ [label]: value }, count]);
}

function byProtocol({ http, webSocket }, key) {
  return [[{ protocol: 'http' }, http[key]], [{ protocol: 'websocket' }, webSocket[key]]];
}

/** A reader of what there is of a broker, if the app has one; the samples are labelled with its name. */
function ofBroker(read) {
  return ({ broker }) => {
    if (broker === undefined) return [];
    const samples = read(broker);
    const list = Array.isArray(samples) ? samples : [[{}, samples]];
    return list.map(([own, number]) => [{ broker: broker.name, ...own }, number]);
  };
}

/** The same of a broker that has a server: without a `url` there is no connection, and nothing that could be lost on it. */
function ofServer(read) {
  const ofAny = ofBroker(read);
  return (stats) => (stats.broker?.state === 'local' ? [] : ofAny(stats));
}

/** Only Linux reports the processor time of threads. */
function byWorker(workers) {
  return workers.filter(({ cpu }) => cpu !== undefined).map(({ name, cpu }) => [{ worker: name }, cpu]);
}

function formatLabels(labels) {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join()}}`;
}

function escape(value) {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

module.exports = { CONTENT_TYPE, metricsHandler, metricsOf };
