import { createRequire } from 'module';

import here from './here.js';

const url = import.meta.url;
// A bundle that is no ES module has nothing there, or something of its own.
if (typeof url === 'string' && url.startsWith('file:')) {
  here.url = url;
  here.load = createRequire(url);
}
