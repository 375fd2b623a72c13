// npm run lint: mistakes that no test sees, everywhere, and what has to hold of the files that programs load.

/** Wherever a module is named: `require('x')`, `import … from 'x'`, `export … from 'x'`, `import('x')`. */
const named = (condition) => [
  `CallExpression[callee.name='require'] > Literal${condition}`,
  `ImportDeclaration > Literal${condition}`,
  `ExportNamedDeclaration > Literal${condition}`,
  `ExportAllDeclaration > Literal${condition}`,
  `ImportExpression > Literal${condition}`,
].join(', ');

const NO_PREFIX = {
  selector: named('[value=/^node:/]'),
  message: 'Name modules of Node.js without `node:`: resolvers such as that of Jest 26 take it for the name of a file.',
};

const BUILTINS = {
  selector: named('[value=/^[^.!]/]'),
  message: 'Take modules of Node.js from lib/loading/builtins.js, which finds them in bundles, too.',
};

const names = (list) => Object.fromEntries(list.map((name) => [name, 'readonly']));

/** What this Node.js has; what it gives to each CommonJS module; what Jest adds; and pages of a browser. */
const NODE = names(Object.getOwnPropertyNames(globalThis));
const MODULE = names(['require', 'module', 'exports', '__dirname', '__filename']);
const JEST = names(['afterAll', 'afterEach', 'beforeAll', 'beforeEach', 'describe', 'expect', 'it', 'jest', 'test']);
const BROWSER = names(['EventSource', 'FormData', 'ResizeObserver', 'XMLHttpRequest', 'WebSocket', 'document', 'history', 'location', 'sessionStorage', 'window']);

/** Mistakes, and what is left behind when code changes; not taste. */
const MISTAKES = {
  'eqeqeq': 'error',
  'no-constant-condition': ['error', { checkLoops: false }],
  'no-dupe-args': 'error',
  'no-dupe-class-members': 'error',
  'no-dupe-else-if': 'error',
  'no-dupe-keys': 'error',
  'no-duplicate-case': 'error',
  'no-fallthrough': 'error',
  'no-loss-of-precision': 'error',
  'no-redeclare': ['error', { builtinGlobals: false }],
  'no-throw-literal': 'error',
  'no-undef': 'error',
  'no-unreachable': 'error',
  'no-unsafe-finally': 'error',
  'no-unused-private-class-members': 'error',
  'no-unused-vars': ['error', {
    argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none', ignoreRestSiblings: true,
  }],
  'no-useless-return': 'error',
  'no-var': 'error',
  'prefer-const': ['error', { destructuring: 'all' }],
  'use-isnan': 'error',
  'valid-typeof': 'error',
};

export default [
  { ignores: ['**/node_modules/', 'npm/', 'reports/', 'target/', '.cache/'] },
  { languageOptions: { globals: NODE }, rules: MISTAKES },
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs', globals: MODULE } },
  { files: ['__test__/**', 'downstream/**'], languageOptions: { globals: { ...JEST, ...BROWSER } } },
  { files: ['lib/inspect/page/**'], languageOptions: { sourceType: 'module', globals: BROWSER } },
  // Written by scripts/browser.mjs; its parts are what is looked at.
  { files: ['browser.mjs'], languageOptions: { globals: BROWSER } },
  { files: ['examples/pages/*.js'], ignores: ['examples/pages/serve.js'], languageOptions: { sourceType: 'module', globals: BROWSER } },
  { files: ['examples/chat/public/**'], languageOptions: { sourceType: 'module', globals: BROWSER } },
  {
    files: ['index.js', 'binding.js', 'lib/**/*.js'],
    ignores: ['lib/inspect/page/**'],
    languageOptions: { sourceType: 'commonjs' },
    rules: { 'no-restricted-syntax': ['error', NO_PREFIX, BUILTINS] },
  },
  // Programs of their own, which no program loads and no bundler bundles.
  { files: ['lib/cli/**'], rules: { 'no-restricted-syntax': 'off' } },
  {
    // The one that finds them, one that runs in bundlers, and files that Node.js reads as ES modules.
    files: ['lib/loading/builtins.js', 'lib/loading/ws-builtins.js', 'lib/loading/webpack-loader.js', 'index.mjs', 'lib/**/*.mjs'],
    rules: { 'no-restricted-syntax': ['error', NO_PREFIX] },
  },
];
