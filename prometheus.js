'use strict';

// The statistics of an app for Prometheus: `require('ferrows/prometheus')`. Typed by prometheus.d.ts.

const { CONTENT_TYPE, metricsHandler, metricsOf } = require('./lib/prometheus/exporter.js');

module.exports = { CONTENT_TYPE, metricsHandler, metricsOf };
