import { createRequire } from 'module';

import here from './here.js';

const url = import.meta.url;
// In a bundle that is no ES module it is undefined, or a value of the bundler's.
if (typeof url === 'string' && url.startsWith('file:')) {
  here.url = url;
  here.load = createRequire(url);
}
