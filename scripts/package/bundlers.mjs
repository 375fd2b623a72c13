// A hello world that imports the installed package, through file tracers and bundlers, and then started from an empty
// folder. What docs/bundlers.md says of each stands here.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { packages } from '../packages.mjs';
import { checkRecipes } from './recipes.mjs';
import { step } from './steps.mjs';

const BUNDLERS = [
  '@rollup/plugin-commonjs@29.0.3',
  '@rollup/plugin-node-resolve@16.0.3',
  '@vercel/ncc@0.45.0',
  '@vercel/nft@1.11.5',
  'esbuild@0.28.2',
  'rollup@4.68.8',
  'vite@8.4.0',
  'webpack@5.113.0',
];
const { arch, platform } = process;
const BUN = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}`;

/** What the code frame of an error shows, of lib/loading/embedded.js. */
const REFUSED = /mark `ferrows` as external/;

/** The kinds of module, by the names that most bundlers have for them: the program, the bundle. */
const FORMATS = { cjs: ['commonjs.cjs', 'bundle.cjs'], esm: ['module.mjs', 'bundle.mjs'] };

/** `folder` is one in which the package is installed, with the programs. */
export async function checkBundlers(folder, env) {
  const tools = packages('bundlers', BUNDLERS);
  const load = (name) => import(pathToFileURL(createRequire(join(tools, 'x.js')).resolve(name)));
  const place = new Place(folder, env);
  await place.traced(await load('@vercel/nft'));
  for (const [format, [program, bundle]] of Object.entries(FORMATS)) {
    const job = { place, format, program, bundle };
    await checkEsbuild(await load('esbuild'), job);
    await checkWebpack((await load('webpack')).default, job);
    await checkNcc(join(tools, 'node_modules/@vercel/ncc/dist/ncc/cli.js'), job);
    await checkRollup(load, job);
    await checkVite(await load('vite'), job);
  }
  const bun = join(packages(join('runtimes', `${BUN.replace('/', '+')}@latest`), [`${BUN}@latest`]), 'node_modules', BUN, 'bin/bun');
  await checkBun(bun, place);
  await checkRecipes({ user: folder, tools, bun, env });
}

/** Where the package is installed, and an empty folder that has nothing of it. */
class Place {
  constructor(folder, env) {
    this.folder = folder;
    this.env = env;
  }

  /** What a bundler writes to. It is below the folder of the program, as is usual. */
  output(name) {
    const path = join(this.folder, 'dist', name.replaceAll(/\W+/g, '-'));
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Runs the file of `output` in an empty folder, which has a copy of `output` and nothing else. */
  async start(output, file, command = [process.execPath]) {
    const empty = mkdtempSync(join(tmpdir(), 'ferrows-bundle-'));
    try {
      cpSync(output, empty, { recursive: true });
      return await this.#run([...command, join(empty, file)], empty);
    } finally {
      rmSync(empty, { recursive: true, force: true });
    }
  }

  async #run([command, ...args], cwd) {
    const { stdout } = await step(command, args, { cwd, env: this.env });
    return stdout;
  }

  /** It needs nothing but what the bundler has written. */
  async contains(name, output, file, command) {
    assert.equal(await this.start(output, file, command), 'hello\n', name);
    console.log(`${name}: runs from an empty folder`);
  }

  /** It runs where the package is installed, and says elsewhere what to do. */
  async needs(name, output, file, message) {
    assert.equal(await this.#run([process.execPath, join(output, file)], output), 'hello\n', name);
    await assert.rejects(this.start(output, file), message, name);
    console.log(`${name}: runs where the package is installed, and says so elsewhere`);
  }

  /** A file tracer lists the files to copy. */
  async traced({ nodeFileTrace }) {
    for (const [program] of Object.values(FORMATS)) {
      const { fileList } = await nodeFileTrace([join(this.folder, program)], { base: this.folder });
      const output = this.output(`nft ${program}`);
      for (const file of fileList) {
        mkdirSync(dirname(join(output, file)), { recursive: true });
        cpSync(join(this.folder, file), join(output, file));
      }
      await this.contains(`nft, ${program}`, output, program);
    }
  }
}

async function checkEsbuild(esbuild, { place, format, program, bundle }) {
  const build = async (name, options) => {
    const outdir = place.output(`esbuild ${format} ${name}`);
    const entryPoints = [{ in: join(place.folder, program), out: bundle.slice(0, -4) }];
    const outExtension = { '.js': bundle.slice(-4) };
    const common = { entryPoints, outExtension, outdir, bundle: true, platform: 'node', format, logLevel: 'silent' };
    await esbuild.build({ ...common, ...options });
    return outdir;
  };
  await assert.rejects(build('plain', {}), ({ errors }) => errors.some(({ location }) => REFUSED.test(location.lineText)));
  console.log(`esbuild, ${format}: says what to do`);

  await place.contains(`esbuild, ${format}, loader`, await build('loader', { loader: { '.node': 'file' } }), bundle);
  await place.needs(`esbuild, ${format}, external`, await build('external', { external: ['ferrows'] }), bundle, /'ferrows'/);

  const beside = await build('beside', { external: ['ferrows-*'] });
  await place.needs(`esbuild, ${format}, addon external`, beside, bundle, REFUSED);
  copyAddons(place.folder, beside);
  await place.contains(`esbuild, ${format}, addon beside it`, beside, bundle);
}

async function checkWebpack(webpack, { place, format, program, bundle }) {
  const esm = format === 'esm';
  const build = async (name, options) => {
    const path = place.output(`webpack ${format} ${name}`);
    const output = { path, filename: bundle, ...(esm && { module: true, chunkFormat: 'module', library: { type: 'module' } }) };
    const common = { target: 'node', mode: 'production', context: place.folder, entry: `./${program}`, output };
    const stats = await new Promise((resolve, reject) => {
      webpack({ ...common, experiments: { outputModule: esm }, ...options }, (error, done) => (error ? reject(error) : resolve(done)));
    });
    // What is optional and not there is no concern of users.
    const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
    assert.deepEqual([...errors, ...warnings], []);
    return path;
  };
  await place.contains(`webpack, ${format}`, await build('plain', {}), bundle);
  const externals = { ferrows: `${esm ? 'module' : 'commonjs'} ferrows` };
  await place.needs(`webpack, ${format}, external`, await build('external', { externals }), bundle, /'ferrows'/);
}

async function checkNcc(cli, { place, format, program }) {
  const output = place.output(`ncc ${format}`);
  await step(process.execPath, [cli, 'build', program, '--out', output, '--quiet'], { cwd: place.folder, env: place.env });
  const bundle = readdirSync(output).find((name) => name.startsWith('index.'));
  await place.contains(`ncc, ${format}`, output, bundle);
}

async function checkRollup(load, { place, format, program, bundle }) {
  const { rollup } = await load('rollup');
  const { default: nodeResolve } = await load('@rollup/plugin-node-resolve');
  const { default: commonjs } = await load('@rollup/plugin-commonjs');
  const build = async (name, options) => {
    const output = place.output(`rollup ${format} ${name}`);
    const plugins = [nodeResolve(), commonjs()];
    const made = await rollup({ input: join(place.folder, program), plugins, logLevel: 'silent', ...options });
    await made.write({ file: join(output, bundle), format });
    return output;
  };
  const plain = await build('plain', {});
  await place.needs(`rollup, ${format}`, plain, bundle, REFUSED);
  copyAddons(place.folder, plain);
  await place.contains(`rollup, ${format}, addon beside it`, plain, bundle);
  // In a CommonJS program, its plugin makes an import of it.
  await place.needs(`rollup, ${format}, external`, await build('external', { external: ['ferrows'] }), bundle, /'ferrows'/);
}

async function checkVite(vite, { place, format, program, bundle }) {
  const build = async (name, ssr) => {
    const outDir = place.output(`vite ${format} ${name}`);
    const rollupOptions = { output: { format, entryFileNames: bundle } };
    const options = { ssr: join(place.folder, program), outDir, rollupOptions };
    await vite.build({ root: place.folder, configFile: false, logLevel: 'silent', build: options, ssr });
    return outDir;
  };
  await assert.rejects(build('inside', { noExternal: true }), REFUSED);
  console.log(`vite, ${format}, noExternal: says what to do`);
  // What a CommonJS program requires is made into an import, whichever it is.
  const external = await build('external', { noExternal: true, external: ['ferrows'] });
  await place.needs(`vite, ${format}, external`, external, bundle, /'ferrows'/);
}

async function checkBun(bun, place) {
  for (const [format, [program, bundle]] of Object.entries(FORMATS)) {
    const options = { cwd: place.folder, env: place.env };
    const output = place.output(`bun ${format}`);
    await step(bun, ['build', '--target=node', `--format=${format}`, `--outdir=${output}`, `--entry-naming=${bundle}`, program], options);
    await place.contains(`bun build, ${format}`, output, bundle);

    const compiled = place.output(`bun compile ${format}`);
    await step(bun, ['build', '--compile', program, '--outfile', join(compiled, 'program')], options);
    await place.contains(`bun build --compile, ${format}`, compiled, 'program', []);
  }
}

/** The command of docs/bundlers.md that always helps. */
function copyAddons(folder, output) {
  const modules = join(folder, 'node_modules');
  for (const name of readdirSync(modules).filter((entry) => entry.startsWith('ferrows-'))) {
    for (const file of readdirSync(join(modules, name)).filter((entry) => entry.endsWith('.node'))) {
      cpSync(join(modules, name, file), join(output, file));
    }
  }
}
