// The same contract for `import`: every name, and all of them as the default export.
import * as uWS from './index.js';

export * from './index.js';
export { uWS as default };
