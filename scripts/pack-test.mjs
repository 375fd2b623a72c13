// npm run test:package: makes a release of the builds that are here, serves it from a registry on this machine, and
// installs it as a user would: `npm install ferrows` in an empty folder, with no Rust toolchain in reach. With the name of
// a folder as argument, it is a release: it has to have the builds of all platforms, and the packages are left there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkBundlers } from './package/bundlers.mjs';
import { checkInstallFromGit } from './package/git.mjs';
import { checkComplete, isComplete, makeRelease } from './package/release.mjs';
import { npm, readJson, step, tool } from './package/steps.mjs';
import { packages as fromNpm } from './packages.mjs';

/** The folder in which the packages are left. */
const [KEPT] = process.argv.slice(2);

/** A program that serves one request of its own and ends. Expects `uWS`. */
const HELLO = `
const app = uWS.App().get('/', (res) => res.end('hello'));
app.listen('127.0.0.1', 0, (token, error) => {
  if (!token) throw error;
  fetch('http://127.0.0.1:' + uWS.us_socket_local_port(token))
    .then((response) => response.text())
    .then((text) => { console.log(text); app.close(); });
});
`;
const PROGRAMS = {
  'commonjs.cjs': `const uWS = require('ferrows');${HELLO}`,
  'module.mjs': `import uWS, { App } from 'ferrows';\nif (App !== uWS.App) throw new Error('two Apps');${HELLO}`,
};
/** A program that is written for `ws`: expects `WebSocket` and `WebSocketServer`. */
const ECHO = `
const wss = new WebSocketServer({ port: 0 }, () => {
  const client = new WebSocket('ws://127.0.0.1:' + wss.address().port);
  client.on('open', () => client.send('hello'));
  client.on('message', (data) => { console.log(data.toString()); client.close(); wss.close(); });
});
wss.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
`;
const OF_WS = {
  'ws-commonjs.cjs': `const WebSocket = require('ferrows/ws');\nconst { WebSocketServer } = WebSocket;${ECHO}`,
  'ws-module.mjs': `import WebSocket, { WebSocketServer } from 'ferrows/ws';${ECHO}`,
};
/** The other entries of the package. */
const ENTRIES = `
import uWS from 'ferrows';
import { explain } from 'ferrows/browser';
import { metricsOf } from 'ferrows/prometheus';
if (explain(1006).name !== 'Abnormal Closure') throw new Error('another 1006');
const app = uWS.App();
console.log(metricsOf(app).split('\\n')[0]);
app.close();
`;
const WS_TYPED = `
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 10 } });
wss.on('connection', (ws: WebSocket, request) => {
  ws.on('message', (data: RawData, isBinary: boolean) => ws.send(data, { binary: isBinary }, (error) => error?.message));
  ws.on('close', (code, reason) => [code, reason.toString(), request.url, ws.closeInfo?.cause]);
});
`;
/** As with `@types/ws`, these need `@types/node`. */
const TYPED_OF_WS = {
  'ws.cts': `import WebSocket = require('ferrows/ws');\nimport { RawData, WebSocketServer } from 'ferrows/ws';${WS_TYPED}`,
  'ws.mts': `import WebSocket, { type RawData, WebSocketServer } from 'ferrows/ws';${WS_TYPED}`,
};
const TYPED = {
  'entries.mts': ENTRIES,
  'typed.cts': "import uWS = require('ferrows');\nconst app: uWS.TemplatedApp = uWS.App();\napp.close();\n",
  'typed.mts': "import uWS, { type TemplatedApp } from 'ferrows';\nconst app: TemplatedApp = uWS.App();\napp.close();\n",
};

const JEST_TEST = `
const uWS = require('ferrows');
test('an app serves', (done) => {
  const app = uWS.App().get('/', (res) => res.end('hello'));
  app.listen('127.0.0.1', 0, (token) => {
    require('http').get({ host: '127.0.0.1', port: uWS.us_socket_local_port(token) }, (response) => {
      app.close();
      expect(response.statusCode).toBe(200);
      response.resume().on('end', done);
    });
  });
});
`;

await main();

async function main() {
  assert.ok(process.env.npm_execpath, 'run this as `npm run test:package`');
  if (KEPT !== undefined) checkComplete();
  else if (!isComplete()) assert.throws(checkComplete, /missing: /);
  const work = mkdtempSync(join(tmpdir(), 'ferrows-package-'));
  try {
    const packages = await makeRelease(join(work, 'release'), join(work, 'tarballs'));
    const registry = await serve(packages);
    const user = await install(work, registry);
    await installAlias(user);
    await checkYarn(user);
    registry.close();
    checkContents(user);
    await checkPrograms(user);
    await checkCommands(user);
    await checkAlias(user);
    await checkTypes(user);
    await checkJest26(user);
    await checkBundlers(user.folder, user.env);
    await checkMissingBinary(user);
    await checkInstallFromGit(work, user.env);
    if (KEPT !== undefined) cpSync(join(work, 'tarballs'), resolve(KEPT), { recursive: true });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A registry that has these packages and no others. */
async function serve(packages) {
  const server = createServer((request, response) => {
    const [, name, file] = request.url.split('/');
    const found = packages.find(({ manifest }) => manifest.name === name);
    if (!found) return response.writeHead(404).end();
    if (file) return response.end(found.tarball);

    const { manifest, integrity } = found;
    const dist = { integrity, tarball: `http://${request.headers.host}/${name}/tarball.tgz` };
    const versions = { [manifest.version]: { ...manifest, dist } };
    return response.end(JSON.stringify({ name, versions, 'dist-tags': { latest: manifest.version } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** `npm install ferrows` in an empty folder. Returns where, and with which environment. */
async function install(work, registry) {
  const folder = join(work, 'user');
  const bin = join(work, 'bin');
  mkdirSync(folder);
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  // `npm exec` runs a command by the shell.
  symlinkSync('/bin/sh', join(bin, 'sh'));
  const env = {
    PATH: bin,
    HOME: work,
    npm_config_registry: `http://127.0.0.1:${registry.address().port}`,
    npm_config_cache: join(work, 'cache'),
  };
  for (const tool of ['cargo', 'rustc']) assert.equal(spawnSync(tool, { env }).error?.code, 'ENOENT', `${tool} is in reach`);

  await npm(['install', 'ferrows', '--no-audit', '--no-fund'], { cwd: folder, env });
  console.log(`installed ${installed(folder).join(' and ')}`);
  assert.equal(installed(folder).length, 2);
  return { folder, env };
}

/** Yarn with Plug'n'Play has no node_modules, and looks for the packages of all platforms. */
async function checkYarn({ folder, env }) {
  const cwd = join(folder, 'yarn');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), '{ "private": true, "dependencies": { "ferrows": "*" } }\n');
  // Without one of its own, it would be taken for a part of the project around it.
  writeFileSync(join(cwd, 'yarn.lock'), '');
  writeFileSync(join(cwd, 'commonjs.cjs'), PROGRAMS['commonjs.cjs']);
  const yarn = join(fromNpm('yarn', ['@yarnpkg/cli-dist@4.18.1']), 'node_modules/@yarnpkg/cli-dist/bin/yarn.js');
  const settings = {
    YARN_NODE_LINKER: 'pnp',
    YARN_NPM_REGISTRY_SERVER: env.npm_config_registry,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_ENABLE_GLOBAL_CACHE: 'false',
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    YARN_ENABLE_TELEMETRY: 'false',
    // By default Yarn refuses a release that is a minute old.
    YARN_NPM_MINIMAL_AGE_GATE: '0',
  };
  const options = { cwd, env: { ...env, ...settings } };
  await step(process.execPath, [yarn, 'install'], options);
  const { stdout } = await step(process.execPath, [yarn, 'node', 'commonjs.cjs'], options);
  assert.equal(stdout, 'hello\n');
  console.log("Yarn with Plug'n'Play: served and ended");
}

/** Nothing of ours but what users need; and README.md has no link that only works in the repository. */
function checkContents({ folder }) {
  const installed = join(folder, 'node_modules', 'ferrows');
  const { scripts, jest, devDependencies, repository, homepage, bugs } = readJson(join(installed, 'package.json'));
  assert.deepEqual([scripts, jest, devDependencies], [undefined, undefined, undefined]);
  for (const link of [repository.url, homepage, bugs.url]) assert.match(link, /^(git\+)?https:\/\//);
  const links = Array.from(readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link);
  assert.notEqual(links.length, 0);
  assert.deepEqual(links.filter((link) => !/^(#|https:)/.test(link)), []);
  assert.deepEqual(readdirSync(installed).filter((name) => name.endsWith('.node')), []);
}

/** What docs/migrating-from-uwebsockets.md promises: the old name, for programs and for packages that they depend on. */
async function installAlias({ folder, env }) {
  await npm(['install', 'uWebSockets.js@npm:ferrows', '--no-audit', '--no-fund'], { cwd: folder, env });
  const { dependencies } = readJson(join(folder, 'package.json'));
  assert.match(dependencies['uWebSockets.js'], /^npm:ferrows@/);
}

async function checkAlias({ folder, env }) {
  writeFileSync(join(folder, 'alias.cjs'), `const uWS = require('uWebSockets.js');${HELLO}`);
  const { stdout } = await step(process.execPath, ['alias.cjs'], { cwd: folder, env });
  assert.equal(stdout, 'hello\n');
  console.log('alias.cjs: served and ended, under the name uWebSockets.js');
}

async function checkPrograms({ folder, env }) {
  for (const [name, text] of Object.entries({ ...PROGRAMS, ...OF_WS })) {
    writeFileSync(join(folder, name), text);
    const { stdout } = await step(process.execPath, [name], { cwd: folder, env });
    assert.equal(stdout, 'hello\n');
    console.log(`${name}: served and ended`);
  }
  writeFileSync(join(folder, 'entries.mjs'), ENTRIES);
  const { stdout } = await step(process.execPath, ['entries.mjs'], { cwd: folder, env });
  assert.equal(stdout, '# HELP ferrows_uptime_seconds Seconds since the app was made.\n');
  console.log('entries.mjs: the other entries are there');
}

/** The commands of the package, as `npx ferrows` runs them. */
async function checkCommands({ folder, env }) {
  const explained = await npm(['exec', '--no', '--', 'ferrows', 'explain', '1006', 'ERR_FIN_WITHOUT_CLOSE'], { cwd: folder, env });
  assert.match(explained.stdout, /^1006: Abnormal Closure[^]*ERR_FIN_WITHOUT_CLOSE: /);
  writeFileSync(join(folder, 'probed.cjs'), `
    const uWS = require('ferrows');
    const { execFile } = require('node:child_process');
    uWS.App().ws('/*', {}).listen('127.0.0.1', 0).then((token) => {
      const url = 'ws://127.0.0.1:' + uWS.us_socket_local_port(token);
      execFile(process.execPath, ['node_modules/.bin/ferrows', 'probe', '--json', '--silences', '0.1', '--timeout', '1', url], (error, stdout) => {
        console.log(JSON.parse(stdout).handshake.status);
        process.exit();
      });
    });
  `);
  const { stdout } = await step(process.execPath, ['probed.cjs'], { cwd: folder, env });
  assert.equal(stdout, '101\n');
  console.log('ferrows explain, ferrows probe: run');
}

async function checkTypes({ folder }) {
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022'];
  const ofNode = ['--typeRoots', fileURLToPath(new URL('../node_modules/@types', import.meta.url)), '--types', 'node'];
  for (const [programs, more] of [[TYPED, []], [TYPED_OF_WS, ofNode]]) {
    for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
    await tool('tsc', [...options, ...more, ...Object.keys(programs)], folder);
    console.log(`${Object.keys(programs).join(', ')}: compile`);
  }
}

/** Its resolver knows neither the prefix `node:` nor `exports`; programs that are tested with it are still about. */
async function checkJest26({ folder, env }) {
  const jest = join(fromNpm('jest26', ['jest@26.6.3']), 'node_modules/jest/bin/jest.js');
  writeFileSync(join(folder, 'hello.test.js'), JEST_TEST);
  await step(process.execPath, [jest, '--rootDir', folder, '--env', 'node', '--no-cache'], { cwd: folder, env });
  console.log('hello.test.js: passes in Jest 26');
}

/** Without the platform's package the error says what is missing. */
async function checkMissingBinary({ folder, env }) {
  const [binary] = installed(folder).filter((name) => name !== 'ferrows');
  rmSync(join(folder, 'node_modules', binary), { recursive: true });
  const script = "try { require('ferrows'); } catch (error) { console.log(error.code, error.message); }";
  const { stdout } = await step(process.execPath, ['--eval', script], { cwd: folder, env });
  assert.match(stdout, /^ERR_ADDON_UNAVAILABLE /);
  assert.ok(stdout.includes(binary), stdout);
  assert.match(stdout, /--omit=optional/);
  console.log('without its binary: the error says what to do');
}

function installed(folder) {
  return readdirSync(join(folder, 'node_modules')).filter((name) => name.startsWith('ferrows'));
}
