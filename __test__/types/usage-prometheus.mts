// The types of `ferrows/prometheus`.

import uWS from 'ferrows';
import { CONTENT_TYPE, metricsHandler, metricsOf, type MetricsOptions } from 'ferrows/prometheus';

const app = uWS.App({ cutWarnings: true });
const options: MetricsOptions = { prefix: 'chat', labels: { service: 'chat' } };
const text: string = metricsOf(app, options);
const type: 'text/plain; version=0.0.4; charset=utf-8' = CONTENT_TYPE;
app.get('/metrics', metricsHandler(app)).get('/other', metricsHandler(app, {}));
for (const { cause, silence, count, text: words } of app.getStats().patterns) {
  const seconds: number = silence + count;
  const name: uWS.CloseCauseName = cause;
  void [seconds, name, words];
}
// @ts-expect-error an app
metricsOf({});
// @ts-expect-error a value of a label is text
metricsOf(app, { labels: { zone: 1 } });
void [text, type];
