'use strict';

// The platforms stand in several places: package.json is right, the workflow and what is generated from it have to follow.

const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const { napi, scripts } = require('../../package.json');

const workflow = readFileSync(join(__dirname, '../../.github/workflows/release.yml'), 'utf8');

/** The text of a job. */
const jobOf = (name) => workflow.match(new RegExp(`^  ${name}:\n((?: {4}.*\n|\n)*)`, 'm'))[1];
const targetsOf = (job) => [...job.matchAll(/ target: ([\w-]+)/g)].map(([, target]) => target);

test('the workflow builds every target once', () => {
  const built = [...targetsOf(jobOf('build')), 'x86_64-unknown-freebsd'];
  expect(jobOf('freebsd')).toContain('name: addon-x86_64-unknown-freebsd');
  expect(built.sort()).toEqual([...napi.targets].sort());
});

test('the workflow tests every target', () => {
  const tested = ['test', 'test-containers'].flatMap((name) => targetsOf(jobOf(name)));
  expect([...tested, 'x86_64-unknown-freebsd'].sort()).toEqual([...napi.targets].sort());
  expect(jobOf('freebsd')).toContain('npm run test:nodes');
});

test('what is generated from the targets is up to date', () => {
  execFileSync(process.execPath, [join(__dirname, '../../scripts/builds.mjs'), '--check'], { stdio: 'pipe' });
});

test('the workflow runs scripts that there are', () => {
  const run = [...workflow.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name);
  expect(run.length).toBeGreaterThan(0);
  expect(run.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test('browser.mjs is up to date with its parts and with docs/close-reasons.md', () => {
  execFileSync(process.execPath, [join(__dirname, '../../scripts/browser.mjs'), '--check'], { stdio: 'pipe' });
});
