// The types of `import`: named, default and namespace, which are one and the same. Never run.

import uWS, { App, DeclarativeResponse, LIBUS_LISTEN_EXCLUSIVE_PORT, SHARED_COMPRESSOR, getString, us_socket_local_port } from 'ferrows';
import type { CloseInfo, HttpRequest, HttpResponse, TemplatedApp, WebSocket, WebSocketBehavior } from 'ferrows';
import * as everything from 'ferrows';

const behavior: WebSocketBehavior<{ name: string }> = {
  compression: SHARED_COMPRESSOR,
  open: (ws: WebSocket<{ name: string }>) => ws.send(ws.getUserData().name),
  close: (_ws, _code, _message, info: CloseInfo) => info.cause,
};
const app: TemplatedApp = App({ threads: 1 })
  .get('/', (res: HttpResponse, req: HttpRequest) => res.end(req.getUrl()))
  .ws('/', behavior)
  .listen(0, LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => token && us_socket_local_port(token));

const sameClass: typeof uWS.DeclarativeResponse = everything.DeclarativeResponse;
const bytes: ArrayBuffer = new DeclarativeResponse().end();
const sameFunction: typeof uWS.App = everything.App;
const throughDefault: uWS.TemplatedApp = uWS.App();
const disabled: 0 = uWS.DISABLED;
// @ts-expect-error no such export
void uWS.Server;
// @ts-expect-error no such export
void everything.Server;

const text: string = getString('key', 'collection');
void [app, text, sameClass, bytes, sameFunction, throughDefault, disabled];
