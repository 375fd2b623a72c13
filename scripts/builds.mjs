// npm run generate: writes builds.js and embedded.js in lib/loading from package.json (`napi.targets`). With `-- --check`,
// only says whether they are up to date.

import { readFileSync, writeFileSync } from 'node:fs';

import { parseTriple } from '@napi-rs/cli';

const FOLDER = new URL('../lib/loading/', import.meta.url);
const { napi } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const builds = napi.targets.map(describe);

const NOTICE = `'use strict';

// Written by scripts/builds.mjs from package.json (\`napi.targets\`): do not edit it, run \`npm run generate\`.
`;

const FILES = {
  'builds.js': `${NOTICE}
/** The builds of a release, and the platform of each; on Linux also its C library. */
module.exports = [
${builds.map((build) => `  ${literal(build)},`).join('\n')}
];
`,
  'embedded.js': `${NOTICE}
// For tools that follow \`require\` without running it, file tracers and bundlers: one call for each file that may be
// meant. The \`try\` marks the files as optional for bundlers. The empty text hides them from Rollup, which follows
// literals only and fails for files that it cannot read. Plain Node.js does not load this file.

/** The addon of a checkout. */
function local(name) {
  try {
    switch (name) {
${cases((name) => `../../ferrows.${name}.node`)}
    }
  } catch (error) {
    throw error;
  }
}

/** The addon of an installed package. */
function installed(name) {
  try {
    switch (name) {
${cases((name) => `ferrows-${name}`)}
    }
  } catch (error) {
    throw error;
  }
}

module.exports = [local, installed];
`,
};

const outdated = Object.entries(FILES).filter(([name, text]) => read(name) !== text);
if (process.argv.includes('--check')) {
  for (const [name] of outdated) console.error(`lib/loading/${name} is not what package.json says: run \`npm run generate\``);
  process.exitCode = outdated.length === 0 ? 0 : 1;
} else {
  for (const [name, text] of outdated) writeFileSync(new URL(name, FOLDER), text);
}

function describe(triple) {
  const { platformArchABI: name, platform, arch, abi } = parseTriple(triple);
  if (platform !== 'linux') return { name, platform, arch };
  return { name, platform, arch, libc: abi.startsWith('musl') ? 'musl' : 'glibc' };
}

function literal(build) {
  return `{ ${Object.entries(build).map(([key, value]) => `${key}: '${value}'`).join(', ')} }`;
}

function cases(specifierOf) {
  return builds
    .map(({ name }) => `      case '${name}':\n        return /* mark \`ferrows\` as external */ require('' + '${specifierOf(name)}');`)
    .concat('      default:\n        return undefined;')
    .join('\n');
}

/** The text of a file without CRLF, to which Git may convert line ends in the working tree. */
function read(name) {
  try {
    return readFileSync(new URL(name, FOLDER), 'utf8').replaceAll('\r\n', '\n');
  } catch {
    return undefined;
  }
}
