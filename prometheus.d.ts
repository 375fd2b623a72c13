/**
 * The statistics of an app for Prometheus, in its text format 0.0.4: `require('ferrows/prometheus')`. Nothing is counted for
 * it that the app does not count anyway, and counters are there, as 0, before what they count happens for the first time.
 * docs/observability.md lists the metrics; docs/grafana has a dashboard and alert rules for them.
 */

import type { HttpRequest, HttpResponse, TemplatedApp } from './index.js';

export interface MetricsOptions {
  /** What the names of the metrics begin with: letters, digits, `_` and `:`, no digit first. @default 'ferrows' */
  prefix?: string;
  /** Labels that every sample gets, such as `{ service: 'chat' }`, by name. The metrics' own names are refused. */
  labels?: Readonly<Record<string, string>>;
}

/** The `Content-Type` of the format. */
export const CONTENT_TYPE: 'text/plain; version=0.0.4; charset=utf-8';

/**
 * The metrics of an app at this moment, as text. Throws `ERR_INVALID_THIS` if `app` is none, `ERR_INVALID_ARG_TYPE` or
 * `ERR_INVALID_ARG_VALUE` for bad options.
 */
export function metricsOf(app: TemplatedApp, options?: MetricsOptions): string;

/**
 * A handler that answers with the metrics of an app, for a route of this or another app: serve it where only Prometheus
 * comes. Throws as {@link metricsOf} does.
 */
export function metricsHandler(app: TemplatedApp, options?: MetricsOptions): (res: HttpResponse, req: HttpRequest) => void;
