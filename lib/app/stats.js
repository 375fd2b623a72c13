'use strict';

// Gives the numbers that the addon counts in one array their names, and causes theirs.

const { causes, native } = require('../runtime/border.js');

/** The numbers of an app. They come in the order of src/node/state/apps/stats.rs. */
function statsOf(app) {
  const [
    uptime, httpOpen, httpTotal, webSocketOpen, webSocketTotal, requests, messagesReceived, messagesSent, messagesDropped,
    bytesReceived, bytesSent, tls, webSocket, backpressure, events, eventBytes, commands, maxBufferedOutput,
    closes, aborts, refusals, times,
  ] = native.appStats(app);
  return {
    uptime,
    connections: {
      http: { open: httpOpen, total: httpTotal },
      webSocket: { open: webSocketOpen, total: webSocketTotal },
    },
    requests,
    messages: { received: messagesReceived, sent: messagesSent, dropped: messagesDropped },
    bytes: { received: bytesReceived, sent: bytesSent },
    closes: { webSocket: byCause(closes), aborted: byCause(aborts), refused: byName(refusals) },
    handshakeFailures: { tls, webSocket },
    queues: { events, eventBytes, commands, backpressure, maxBufferedOutput },
    workers: times.map((cpu, index) => ({ name: `ferrows-${index}`, cpu })),
  };
}

/** The causes that have occurred, by name; they come by number. */
function byCause(counts) {
  const named = {};
  counts.forEach((count, number) => {
    if (count > 0) named[causes[number].name] = count;
  });
  return named;
}

/** Name and number come in turn. */
function byName(flat) {
  const named = {};
  for (let index = 0; index < flat.length; index += 2) named[flat[index]] = flat[index + 1];
  return named;
}

module.exports = { statsOf };
