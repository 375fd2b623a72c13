'use strict';

// src/node is built in floors (src/node/mod.rs): a file may know what is below it, never what is above.

const { readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

const NODE = join(__dirname, '../../src/node');

/** From top to bottom. */
const FLOORS = [['exports'], ['calls'], ['turn'], ['environment'], ['state'], ['abi', 'address', 'error', 'js', 'system']];

const files = readdirSync(NODE, { recursive: true }).map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.rs') && file !== 'mod.rs');
const text = (file) => readFileSync(join(NODE, file), 'utf8').replace(/\/\/.*$/gm, '');

const roomOf = (file) => file.split('/')[0].replace(/\.rs$/, '');
const floorOf = (room) => FLOORS.findIndex((rooms) => rooms.includes(room));

/** The rooms that a file imports from, or names in a path. */
function importsOf(file) {
  const paths = /\bcrate::node::(?:(\w+)|\{([^;]+)\};)/g;
  const siblings = /\bsuper::(?:(\w+)|\{([^;]+)\};)/g;
  const found = [...text(file).matchAll(paths), ...(file.includes('/') ? [] : text(file).matchAll(siblings))];
  return found.flatMap(([, name, list]) => (name === undefined ? list.match(/(?<=^|[{,]\s*)\w+/g) : [name]));
}

test('every file of src/node has a floor', () => {
  expect(files.filter((file) => floorOf(roomOf(file)) < 0)).toEqual([]);
});

test('no file of src/node knows a floor above its own', () => {
  const upwards = files.flatMap((file) => importsOf(file).filter((room) => {
    const floor = floorOf(room);
    return floor >= 0 && floor < floorOf(roomOf(file));
  }).map((room) => `${file} -> ${room}`));
  expect(upwards).toEqual([]);
});

test('js knows nothing of node', () => {
  const known = files.filter((file) => roomOf(file) === 'js').flatMap((file) => importsOf(file).map((room) => `${file} -> ${room}`));
  expect(known).toEqual([]);
});

test('parts of the state write no registers', () => {
  expect(files.filter((file) => roomOf(file) === 'state' && /\bregisters\b/i.test(text(file)))).toEqual([]);
});

test('methods of the environment stand in environment.rs alone', () => {
  const holders = files.filter((file) => /^impl\b[^{]*\bEnvironment\b/m.test(text(file)));
  expect(holders).toEqual(['environment.rs']);
});

test('exports.rs is a table', () => {
  expect(text('exports.rs').match(/\b(?:fn|struct|enum|impl|trait|macro_rules)\b/g)).toBeNull();
});
