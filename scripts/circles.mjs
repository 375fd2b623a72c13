// npm run circles: reads the `use` lines of src/ and says which files import each other in a circle.
//
// A file is a module. An import counts for the file that defines what is imported: `pub use` is followed to its source.
// Code behind `#[cfg(test)]` and in src/testing is ignored.

import { readdirSync, readFileSync } from 'fs';
import { dirname, join } from 'path';
import { fileURLToPath } from 'url';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');

/** The path of a module, as `['io', 'worker']`, of a file below `root`. */
function moduleOf(file) {
  const parts = file.replace(/\.rs$/, '').split('/');
  if (['mod', 'lib'].includes(parts.at(-1))) parts.pop();
  return parts;
}

/** The text without comments, strings and everything behind `#[cfg(test)] mod`. */
function code(text) {
  const bare = text.replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '').replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return bare.replace(/#\[cfg\((?:all\()?(?:any\()?test[\s\S]*?\)\]\s*(?:pub(?:\([^)]*\))? )?mod \w+ \{[\s\S]*$/, '');
}

/** The paths of one use tree, as arrays of names with `alias` as the last one's new name. */
function expand(tree, prefix = []) {
  const paths = [];
  for (const item of split(tree)) {
    const brace = item.indexOf('{');
    if (brace >= 0) {
      const head = item.slice(0, brace).replace(/::\s*$/, '').split('::').map((it) => it.trim()).filter(Boolean);
      paths.push(...expand(item.slice(brace + 1, item.lastIndexOf('}')), [...prefix, ...head]));
    } else {
      const [path, alias] = item.split(/\s+as\s+/);
      const names = [...prefix, ...path.split('::').map((it) => it.trim())].filter(Boolean);
      paths.push({ names, alias: alias?.trim() ?? names.at(-1) });
    }
  }
  return paths;
}

/** Splits at the commas outside of braces. */
function split(list) {
  const items = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= list.length; index += 1) {
    if (list[index] === '{') depth += 1;
    if (list[index] === '}') depth -= 1;
    if (index === list.length || (list[index] === ',' && depth === 0)) {
      const item = list.slice(start, index).trim();
      if (item !== '') items.push(item);
      start = index + 1;
    }
  }
  return items;
}

function read(root) {
  const files = readdirSync(root, { recursive: true }).map((it) => it.replaceAll('\\', '/'));
  const modules = new Map();
  const sources = files.filter((file) => file.endsWith('.rs') && !/(^|\/)tests?(\/|\.rs$)/.test(file) && !file.startsWith('testing/'));
  const paths = new Set(sources.map((file) => moduleOf(file).join('::')));
  for (const file of sources) {
    const text = code(readFileSync(join(root, file), 'utf8'));
    const path = moduleOf(file);
    const uses = [];
    for (const [, visibility, tree] of text.matchAll(/^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);/gm)) {
      for (const { names, alias } of expand(tree)) uses.push({ names: absolute(names, path, paths), alias, isPublic: visibility !== undefined });
    }
    // Also paths in the code outside of `use`.
    for (const [, names] of text.matchAll(/\b(crate(?:::\w+)+)/g)) {
      uses.push({ names: absolute(names.split('::'), path, paths), alias: undefined, isPublic: false });
    }
    modules.set(path.join('::'), { file, path, uses });
  }
  return modules;
}

/** The same path from the root of the crate; undefined if it leads to another crate. */
function absolute(names, path, modules) {
  if (names[0] === 'crate') return names.slice(1);
  let base = [...path];
  const rest = [...names];
  if (rest[0] === 'self') rest.shift();
  else if (rest[0] !== 'super' && !modules.has([...path, rest[0]].join('::'))) return undefined;
  while (rest[0] === 'super') {
    base = base.slice(0, -1);
    rest.shift();
  }
  return [...base, ...rest];
}

/** The module that defines what `names` names. */
function definer(modules, names, seen = new Set()) {
  if (names === undefined) return undefined;
  for (let length = names.length; length >= 0; length -= 1) {
    const key = names.slice(0, length).join('::');
    const module = modules.get(key);
    if (module === undefined) continue;
    const name = names[length];
    if (name !== undefined && !seen.has(`${key}::${name}`)) {
      seen.add(`${key}::${name}`);
      const passed = module.uses.find((it) => it.isPublic && it.names !== undefined && it.alias === name);
      if (passed !== undefined) return definer(modules, passed.names, seen);
    }
    return key;
  }
  return undefined;
}

/** Tarjan's strongly connected components. */
function circles(arrows) {
  const found = [];
  const state = new Map();
  const stack = [];
  let counter = 0;
  const visit = (node) => {
    const mine = { index: counter, low: counter, isOnStack: true };
    counter += 1;
    state.set(node, mine);
    stack.push(node);
    for (const next of arrows.get(node) ?? []) {
      const other = state.get(next) ?? visit(next);
      if (other.isOnStack) mine.low = Math.min(mine.low, other.low);
    }
    if (mine.low === mine.index) {
      const members = stack.splice(stack.indexOf(node));
      for (const member of members) state.get(member).isOnStack = false;
      if (members.length > 1) found.push(members.sort());
    }
    return mine;
  };
  for (const node of arrows.keys()) if (!state.has(node)) visit(node);
  return found;
}

function arrowsOf(root) {
  const modules = read(root);
  const arrows = new Map();
  for (const [key, { uses }] of modules) {
    const targets = new Set(uses.map(({ names }) => definer(modules, names)).filter((it) => it !== undefined && it !== key));
    arrows.set(key, targets);
  }
  return { modules, arrows };
}

const { modules, arrows } = arrowsOf(SOURCE);
const found = circles(arrows);
for (const members of found) {
  console.log(`${members.length} files in a circle:`);
  for (const member of members) {
    const inside = [...arrows.get(member)].filter((it) => members.includes(it)).map((it) => modules.get(it).file);
    console.log(`  ${modules.get(member).file} -> ${inside.join(', ')}`);
  }
}
console.log(`${modules.size} files, ${found.length} circles`);
process.exitCode = found.length > 0 ? 1 : 0;
