// The types of `import` where it is compiled to `require` (`esModuleInterop`). Never run.

import uWS, { App } from 'ferrows';
import * as everything from 'ferrows';

const app: uWS.TemplatedApp = App();
const sameFunctions: (typeof uWS.App)[] = [App, everything.App];

void [app, sameFunctions];
