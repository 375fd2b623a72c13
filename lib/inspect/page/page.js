// Brings the parts of the page together.

import { CauseChart, LineChart, SilenceChart } from './charts.js';
import { CloseTable } from './closes.js';
import { ConnectionTable } from './connections.js';
import { bytes, count, duration } from './format.js';
import { Live } from './live.js';
import { showPatterns } from './patterns.js';

const find = (selector) => document.querySelector(selector);
const milliseconds = (value) => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms`;
const percent = (value) => `${Math.round(value * 100)} %`;

const live = new Live();
const connections = new ConnectionTable((message) => live.send(message));
const closes = new CloseTable();
const silence = new SilenceChart(find('#chart-silence'));
const causes = new CauseChart(find('#chart-causes'));
const charts = {
  connections: new LineChart(find('#chart-connections'), { format: count, floor: 5 }),
  messages: new LineChart(find('#chart-messages'), { format: count, floor: 5 }),
  bytes: new LineChart(find('#chart-bytes'), { format: bytes, floor: 1024, base: 1024 }),
  delay: new LineChart(find('#chart-delay'), { format: milliseconds, floor: 5 }),
  queues: new LineChart(find('#chart-queues'), { format: count, floor: 5 }),
  backlog: new LineChart(find('#chart-backlog'), { format: bytes, floor: 1024, base: 1024 }),
  cpu: new LineChart(find('#chart-cpu'), { format: percent, floor: 1 }),
};

/** The report before, from which rates are reckoned. */
let before;
let isPaused = false;

const handlers = {
  hello({ version, node, pid, closes: kept, cutOffs }) {
    find('#about').dataset.program = `Ferrows ${version}, Node.js ${node}, process ${pid}`;
    before = undefined;
    silence.setCutOffs(cutOffs);
    closes.reset(kept);
    connections.ask();
  },

  tick(report) {
    const { stats, closed } = report;
    find('#about').textContent = `${find('#about').dataset.program}, up for ${duration(stats.uptime * 1000)}`;
    showPatterns(find('#patterns'), stats.patterns ?? []);
    causes.draw(stats.closes.webSocket);
    silence.draw(report.silence);
    if (closed !== undefined) closes.add(closed);
    addNumbers(report);
    // A page in the background is not drawn.
    if (!document.hidden) Object.values(charts).forEach((chart) => chart.draw());
    before = report;
  },

  rows: (message) => connections.show(message),
};

function addNumbers({ at, stats, delay, busy }) {
  const seconds = before === undefined ? undefined : (at - before.at) / 1000;
  const rate = (read) => {
    if (!(seconds > 0)) return undefined;
    const [now, then] = [read(stats), read(before.stats)];
    // Threads that have just started were not there before.
    return now === undefined || then === undefined ? undefined : Math.max(0, (now - then) / seconds);
  };
  charts.connections.add({ WebSockets: stats.connections.webSocket.open, HTTP: stats.connections.http.open });
  charts.messages.add({
    received: rate(({ messages }) => messages.received), sent: rate(({ messages }) => messages.sent),
    dropped: rate(({ messages }) => messages.dropped), requests: rate(({ requests }) => requests),
  });
  charts.bytes.add({ received: rate((one) => one.bytes.received), sent: rate((one) => one.bytes.sent) });
  charts.delay.add({ mean: delay?.mean, longest: delay?.max });
  charts.queues.add({ 'events for handlers': stats.queues.events, 'commands for threads': stats.queues.commands });
  charts.backlog.add({ 'back-pressure': stats.queues.backpressure, events: stats.queues.eventBytes });
  const threads = stats.workers.map(({ name }) => [name, rate(({ workers }) => workers.find((one) => one.name === name)?.cpu)]);
  charts.cpu.add({ 'event loop': busy, ...Object.fromEntries(threads) });
}

const STATES = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost', refused: 'Refused', paused: 'Paused' };

function showState(state, words) {
  const shown = state === 'live' && isPaused ? 'paused' : state;
  find('#state').dataset.state = shown;
  // What a server that is away says is no news each time.
  find('#state-text').textContent = shown === 'refused' ? `${STATES[shown]}: ${words}` : STATES[shown];
  find('#state').title = words ?? '';
}

live.onMessage = (message) => handlers[message.type]?.(message);
live.onState = (state, words) => {
  showState(state, words);
  if (state === 'live' && isPaused) live.send({ type: 'pause', isPaused });
};

find('#pause').addEventListener('click', ({ currentTarget: button }) => {
  isPaused = !isPaused;
  button.setAttribute('aria-pressed', String(isPaused));
  live.send({ type: 'pause', isPaused });
  showState('live');
  if (isPaused) before = undefined;
});

live.connect();
