// npm run lint: what has to hold of the files that programs load.

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
  message: 'Take modules of Node.js from lib/builtins.js, which finds them in bundles, too.',
};

export default [
  {
    files: ['index.js', 'binding.js', 'lib/**/*.js'],
    languageOptions: { sourceType: 'commonjs' },
    rules: { 'no-restricted-syntax': ['error', NO_PREFIX, BUILTINS] },
  },
  {
    // The one that finds them, one that runs in bundlers, and files that Node.js reads as ES modules.
    files: ['lib/builtins.js', 'lib/webpack-loader.js', 'index.mjs', 'lib/**/*.mjs'],
    rules: { 'no-restricted-syntax': ['error', NO_PREFIX] },
  },
];
