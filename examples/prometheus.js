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
const { metricsHandler } = require('../prometheus.js');

const port = Number(process.env.PORT ?? 9001);
const metricsPort = Number(process.env.METRICS_PORT ?? 9101);

const app = uWS
  .App()
  .get('/', (res) => res.end('Hello.\n'))
  .ws('/*', { message: (ws, message, isBinary) => ws.send(message, isBinary) });

const metrics = uWS.App({ threads: 1 }).get('/metrics', metricsHandler(app));

app.listen(port, (token, error) => {
  if (!token) throw error;
  metrics.listen('127.0.0.1', metricsPort, (metricsToken, metricsError) => {
    if (!metricsToken) throw metricsError;
    const [main, own] = [token, metricsToken].map((it) => uWS.us_socket_local_port(it));
    console.log(`http://localhost:${main}, metrics on http://localhost:${own}/metrics`);
  });
});
